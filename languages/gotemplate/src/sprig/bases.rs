//! Base64 and Base32 read as Go reads them: an error is the place that Go names, since templates see it as a text.

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

fn digit(symbols: &[u8], byte: u8) -> Option<u64> {
    symbols.iter().position(|symbol| *symbol == byte).and_then(|at| u64::try_from(at).ok())
}

/// The whole bytes that the digits make; bits behind the last are not looked at.
fn push(out: &mut Vec<u8>, digits: &[u64], bits: usize) {
    let value = digits.iter().fold(0, |value, digit| value << bits | digit);
    let count = digits.len() * bits / 8;
    let value = value >> (digits.len() * bits - count * 8);
    out.extend(value.to_be_bytes().get(8 - count..).unwrap_or_default());
}

/// # Errors
/// The byte that can't be read.
pub(super) fn base64(text: &str) -> Result<Vec<u8>, usize> {
    let source = text.as_bytes();
    let after_breaks =
        |from: usize| from + source.iter().skip(from).take_while(|byte| is_break(**byte)).count();
    let mut out = Vec::with_capacity(source.len() / 4 * 3);
    let mut digits = Vec::with_capacity(4);
    for (at, byte) in source.iter().enumerate() {
        match (digit(BASE64, *byte), digits.len()) {
            (Some(digit), _) => digits.push(digit),
            (None, _) if is_break(*byte) => {}
            (None, count) if *byte != b'=' || count < 2 => return Err(at),
            (None, count) => {
                // Padding: nothing follows it but line breaks.
                let mut next = after_breaks(at + 1);
                if count == 2 {
                    match source.get(next) {
                        None => return Err(source.len()),
                        Some(b'=') => next = after_breaks(next + 1),
                        Some(_) => return Err(next - 1),
                    }
                }
                push(&mut out, &digits, 6);
                return if next < source.len() { Err(next) } else { Ok(out) };
            }
        }
        if digits.len() == 4 {
            push(&mut out, &digits, 6);
            digits.clear();
        }
    }
    if digits.is_empty() { Ok(out) } else { Err(source.len() - digits.len()) }
}

/// # Errors
/// The byte that can't be read, line breaks not counted.
pub(super) fn base32(text: &str) -> Result<Vec<u8>, usize> {
    let source: Vec<u8> = text.bytes().filter(|byte| !is_break(*byte)).collect();
    let mut out = Vec::with_capacity(source.len() / 8 * 5);
    let mut digits = Vec::with_capacity(8);
    for (at, byte) in source.iter().enumerate() {
        let count = digits.len();
        let rest = source.get(at + 1..).unwrap_or_default();
        if *byte == b'=' && count >= 2 && rest.len() < 8 {
            if rest.len() + count < 7 {
                return Err(source.len());
            }
            if let Some(wrong) = rest.iter().take(7 - count).position(|byte| *byte != b'=') {
                return Err(at + wrong);
            }
            push(&mut out, &digits, 5);
            return if matches!(count, 3 | 6) { Err(at) } else { Ok(out) };
        }
        digits.push(digit(BASE32, *byte).ok_or(at)?);
        if digits.len() == 8 {
            push(&mut out, &digits, 5);
            digits.clear();
        }
    }
    if digits.is_empty() { Ok(out) } else { Err(source.len() - digits.len()) }
}
