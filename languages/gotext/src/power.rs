//! Powers.

const MANTISSA: u64 = (1 << 52) - 1;
/// The exponent bits of what is at least a half and under 1.
const HALF: u64 = 1022;

/// A power as Go's `math.Pow` has it on amd64, to the last bit, which shows in `==`.
///
/// Go squares and multiplies, with the exponents of two kept apart; what is left of an exponent goes through its logarithm and
/// exponential.
#[must_use]
pub fn power(base: f64, exponent: f64) -> f64 {
    if base == 0.0 || !base.is_finite() || !exponent.is_finite() || exponent.abs() >= 9e18 {
        return base.powf(exponent);
    }
    let (whole, part) = (exponent.abs().trunc(), exponent.abs().fract());
    match exponent {
        0.5 => return base.sqrt(),
        -0.5 => return 1.0 / base.sqrt(),
        1.0 => return base,
        _ if part != 0.0 && base < 0.0 => return f64::NAN,
        _ => {}
    }
    let (part, whole) = if part > 0.5 { (part - 1.0, whole + 1.0) } else { (part, whole) };
    let first = if part == 0.0 { 1.0 } else { exponential(part * logarithm(base)) };
    let (product, twos) = whole_power(base, whole, first);
    if exponent < 0.0 { scaled(1.0 / product, -twos) } else { scaled(product, twos) }
}

/// `first` times the base that often, as a product and an exponent of two.
fn whole_power(base: f64, count: f64, first: f64) -> (f64, i32) {
    let (mut square, mut square_twos) = split(base);
    let (mut product, mut twos) = (first, 0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number under 2^63")]
    let mut bits = count as u64;
    while bits != 0 {
        if square_twos.abs() > 1 << 12 {
            // Too large, or too small, for good.
            return (product, twos + square_twos);
        }
        if bits & 1 == 1 {
            product *= square;
            twos += square_twos;
        }
        square *= square;
        square_twos *= 2;
        if square < 0.5 {
            square += square;
            square_twos -= 1;
        }
        bits >>= 1;
    }
    (product, twos)
}

/// A number from a half to 1 (or its negative), and the exponent of two that is left.
fn split(number: f64) -> (f64, i32) {
    if number.abs() < f64::MIN_POSITIVE {
        let (half, twos) = split(number * 2_f64.powi(60));
        return (half, twos - 60);
    }
    let bits = number.to_bits();
    let twos = i32::try_from((bits >> 52) & 0x7ff).unwrap_or_default() - 1022;
    (f64::from_bits(bits & (MANTISSA | 1 << 63) | HALF << 52), twos)
}

fn scaled(number: f64, twos: i32) -> f64 {
    let first = twos.clamp(-1000, 1000);
    number * 2_f64.powi(first) * 2_f64.powi((twos - first).clamp(-1000, 1000))
}

/// FreeBSD's, in Go's order of operations.
fn logarithm(number: f64) -> f64 {
    let (mut half, mut twos) = split(number);
    if half < std::f64::consts::FRAC_1_SQRT_2 {
        (half, twos) = (half * 2.0, twos - 1);
    }
    let (rest, twos) = (half - 1.0, f64::from(twos));
    let s = rest / (2.0 + rest);
    let s2 = s * s;
    let s4 = s2 * s2;
    let series = |terms: &[f64]| terms.iter().fold(0.0, |sum, term| sum * s4 + term);
    let odd = s2
        * series(&[
            1.479_819_860_511_658_6e-1,
            1.818_357_216_161_805e-1,
            2.857_142_874_366_239e-1,
            6.666_666_666_666_735e-1,
        ]);
    let even =
        s4 * series(&[1.531_383_769_920_937_3e-1, 2.222_219_843_214_978_4e-1, 3.999_999_999_940_942e-1]);
    let square = 0.5 * rest * rest;
    let low = s * (square + (odd + even)) + twos * 1.908_214_929_270_587_7e-10;
    twos * 6.931_471_803_691_238e-1 - ((square - low) - rest)
}

/// Shibata's: the argument by 16, a Taylor series, and four squarings. Multiplications and additions are fused.
fn exponential(number: f64) -> f64 {
    let twos = (number * std::f64::consts::LOG2_E).round_ties_even();
    let rest = (-twos).mul_add(0.693_147_180_559_663, number);
    let rest = (-twos).mul_add(2.823_529_056_303_157_7e-13, rest) * 0.0625;
    let terms = [
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
        1.0,
    ];
    let mut less_one =
        rest * terms.iter().fold(2.480_158_730_158_73e-5, |sum: f64, term| sum.mul_add(rest, *term));
    for _ in 0..3 {
        less_one *= less_one + 2.0;
    }
    let one = less_one.mul_add(less_one + 2.0, 1.0);
    #[expect(clippy::cast_possible_truncation, reason = "under 1,024, as the exponent of a float")]
    let twos = twos as i32;
    scaled(one, twos)
}
