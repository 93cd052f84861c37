//! Values in manifests, read as strictly as Go reads them.

/// Go's `ParseBool`.
pub(super) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Go's `ParseFloat`: exponents, hexadecimal with `p`, `inf`, `nan`, `_` between digits; no blanks; nothing that overflows.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, text.get(1..)?),
        b'+' => (1.0, text.get(1..)?),
        _ => (1.0, text),
    };
    let lower = rest.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return (rest.len() == text.len()).then_some(f64::NAN),
        _ => {}
    }
    let plain = without_underscores(&lower)?;
    let magnitude = match plain.strip_prefix("0x") {
        Some(digits) => hexadecimal(digits)?,
        None => decimal(&plain)?,
    };
    magnitude.is_finite().then_some(sign * magnitude)
}

fn decimal(text: &str) -> Option<f64> {
    let fits = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'+' | b'-'));
    if fits && text.starts_with(|c: char| c.is_ascii_digit() || c == '.') { text.parse().ok() } else { None }
}

/// `1.8p-3`; the exponent is required.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if unsigned.is_empty() || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent: i32 = exponent.parse().ok()?;
    Some(value * 2.0_f64.powi(exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?))
}

/// Underscores stand between digits, or between `0x` and a digit.
fn without_underscores(text: &str) -> Option<String> {
    if !text.contains('_') {
        return Some(text.to_owned());
    }
    let hexadecimal = text.starts_with("0x");
    let is_digit = |c: Option<char>| {
        c.is_some_and(|c| if hexadecimal { c.is_ascii_hexdigit() } else { c.is_ascii_digit() })
    };
    let characters: Vec<char> = text.chars().collect();
    for (at, _) in characters.iter().enumerate().filter(|(_, c)| **c == '_') {
        let before = at.checked_sub(1).and_then(|at| characters.get(at)).copied();
        let prefix = hexadecimal && at == 2;
        if !(is_digit(before) || prefix) || !is_digit(characters.get(at + 1).copied()) {
            return None;
        }
    }
    Some(text.replace('_', ""))
}
