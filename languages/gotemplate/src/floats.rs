//! Floats in the forms that only `printf` asks for: with a precision, by their bits, with the point that `#` asks for.

use zetes_gotext::with_exponent;

/// Bits of the fraction.
const FRACTION: u32 = 52;

/// The mantissa as a whole number, and the exponent of two that goes with it.
fn parts(size: f64) -> (u64, i32) {
    let bits = size.to_bits();
    let fraction = bits & ((1 << FRACTION) - 1);
    let exponent = i32::try_from((bits >> FRACTION) & 0x7ff).unwrap_or_default();
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << FRACTION, exponent - 1075) }
}

/// `%b`: `4503599627370496p-52`.
pub(crate) fn binary(size: f64) -> String {
    let (mantissa, exponent) = parts(size);
    format!("{mantissa}p{exponent:+}")
}

/// `%x`: `0x1.8p+01`.
pub(crate) fn hexadecimal(size: f64, precision: Option<usize>) -> String {
    let (mantissa, exponent) = parts(size);
    if mantissa == 0 {
        let zeros =
            precision.filter(|precision| *precision > 0).map(|precision| format!(".{:0>precision$}", ""));
        return format!("0x0{}p+00", zeros.unwrap_or_default());
    }
    // The first digit is the bit 60; fifteen digits follow it.
    let shift = mantissa.leading_zeros() - 3;
    let mut mantissa = mantissa << shift;
    let mut exponent = exponent + 60 - i32::try_from(shift).unwrap_or_default();
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let kept = 4 * precision;
        let rest = (mantissa << kept) & ((1 << 60) - 1);
        mantissa >>= 60 - kept;
        mantissa += u64::from(rest | (mantissa & 1) > 1 << 59);
        mantissa <<= 60 - kept;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let digits = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let digits = match precision {
        None => digits.trim_end_matches('0').to_owned(),
        Some(precision) => format!("{digits:0<precision$}").chars().take(precision).collect(),
    };
    let point = if digits.is_empty() { "" } else { "." };
    format!(
        "0x{}{point}{digits}p{}{:02}",
        mantissa >> 60,
        if exponent < 0 { '-' } else { '+' },
        exponent.abs()
    )
}

/// `#`: always with a point; `%g` keeps its trailing zeros.
pub(crate) fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let is_hexadecimal = matches!(verb, 'x' | 'X');
    let end = text.find(|c| c == 'p' || (c == 'e' && !is_hexadecimal)).unwrap_or(text.len());
    let (number, exponent) = text.split_at(end);
    let wanted = if matches!(verb, 'v' | 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    let significant = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    let is_zero = usize::from(number == "0");
    let has_point = number.contains('.');
    let zeros = "0".repeat(wanted.saturating_sub(significant + is_zero));
    format!("{number}{}{zeros}{exponent}", if has_point { "" } else { "." })
}

/// `%e`.
pub(crate) fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    with_exponent(digits, exponent.parse().unwrap_or_default())
}

/// `%g` with a precision: so many significant digits, without trailing zeros.
pub(crate) fn general(size: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let text = format!("{size:.digits$e}", digits = precision - 1);
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    let significant = digits.trim_end_matches('0').bytes().filter(u8::is_ascii_digit).count();
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    let limit = if limit > i32::try_from(significant).unwrap_or(0) && significant >= whole {
        i32::try_from(significant).unwrap_or(0).max(1)
    } else {
        limit
    };
    let cut = |text: &str| {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    if size != 0.0 && (exponent < -4 || exponent >= limit) {
        return with_exponent(&cut(digits), exponent);
    }
    let decimals = usize::try_from(i32::try_from(precision).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or(0);
    cut(&format!("{size:.decimals$}"))
}
