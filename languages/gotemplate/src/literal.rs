//! Literals as Go writes them: strings with escapes, characters, numbers.

use crate::node::Number;
use crate::value::lossy;

/// The text of a quoted string or character, without its quotes.
pub(crate) fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next()?;
    let inside = quoted.get(1..quoted.len().checked_sub(1)?)?;
    let mut bytes: Vec<u8> = Vec::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            bytes.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = characters.next()?;
        let plain = match escape {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(10),
            'r' => Some(13),
            't' => Some(9),
            'v' => Some(11),
            '\\' => Some(b'\\'),
            '\'' | '"' if escape == quote => u8::try_from(escape).ok(),
            _ => None,
        };
        if let Some(byte) = plain {
            bytes.push(byte);
            continue;
        }
        match escape {
            'x' => bytes.push(u8::try_from(digits(&mut characters, 2, 16)?).ok()?),
            'u' => push(&mut bytes, digits(&mut characters, 4, 16)?)?,
            'U' => push(&mut bytes, digits(&mut characters, 8, 16)?)?,
            '0'..='7' => {
                let rest = digits(&mut characters, 2, 8)?;
                bytes.push(u8::try_from(escape.to_digit(8)? * 64 + rest).ok()?);
            }
            _ => return None,
        }
    }
    Some(lossy(&bytes))
}

fn push(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

fn digits(characters: &mut std::str::Chars<'_>, count: usize, radix: u32) -> Option<u32> {
    let mut value = 0_u32;
    for _ in 0..count {
        value = value.checked_mul(radix)?.checked_add(characters.next()?.to_digit(radix)?)?;
    }
    Some(value)
}

/// A character constant: the number of its character.
pub(crate) fn character(quoted: &str) -> Option<Number> {
    let text = unquote(quoted)?;
    let mut characters = text.chars();
    let one = characters.next()?;
    characters.next().is_none().then(|| Number::Int(i64::from(u32::from(one))))
}

/// An integer where it is written as one, otherwise a float.
pub(crate) fn number(text: &str) -> Option<Number> {
    if text.ends_with('i') {
        return None;
    }
    if let Some(integer) = integer(text) {
        return Some(Number::Int(integer));
    }
    let is_float = text.contains(['.', 'e', 'E', 'p', 'P']) && !text.contains(['i', 'I', 'n', 'N']);
    is_float.then(|| float(text)).flatten().map(Number::Float)
}

/// As Go's `ParseInt(text, 0, 64)`: prefixes `0x 0o 0b 0`, and underscores between digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    let has_prefix = radix != 10;
    let misplaced =
        digits.ends_with('_') || digits.contains("__") || (!has_prefix && digits.starts_with('_'));
    let digits = digits.replace('_', "");
    if misplaced || digits.is_empty() || digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(&digits, radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// As Go's `ParseFloat(text, 64)`: what is too large is none.
pub(crate) fn float(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(&lower);
    if unsigned.starts_with("0x") {
        return hexadecimal_float(text);
    }
    if matches!(unsigned, "nan" | "inf" | "infinity") {
        return if unsigned == "nan" && unsigned != lower { None } else { lower.parse().ok() };
    }
    let is_misplaced = |(at, _): (usize, &str)| {
        let is_digit =
            |at: Option<usize>| at.and_then(|at| lower.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
        !is_digit(at.checked_sub(1)) || !is_digit(Some(at + 1))
    };
    if lower.match_indices('_').any(is_misplaced) {
        return None;
    }
    lower.replace('_', "").parse().ok().filter(|float: &f64| float.is_finite())
}

/// `0x1.8p3`
fn hexadecimal_float(text: &str) -> Option<f64> {
    let lower = text.replace('_', "").to_ascii_lowercase();
    let negative = lower.starts_with('-');
    let digits = lower.trim_start_matches(['+', '-']).strip_prefix("0x")?.to_owned();
    let (mantissa, exponent) = digits.split_once('p')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = exponent.parse::<i32>().ok()? - 4 * i32::try_from(fraction.len()).ok()?;
    let value = value * 2.0_f64.powi(shift);
    Some(if negative { -value } else { value })
}
