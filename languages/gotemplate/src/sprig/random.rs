//! Random texts and numbers, from the machine's generator.

use super::Table;
use crate::function::{Call, bounded};
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("randAlpha", |call| drawn(call, char::is_ascii_alphabetic)),
    ("randAlphaNum", |call| drawn(call, char::is_ascii_alphanumeric)),
    ("randNumeric", |call| drawn(call, char::is_ascii_digit)),
    ("randAscii", |call| drawn(call, |c| matches!(c, ' '..='~'))),
    ("randInt", |call| {
        call.expect(2)?;
        let (from, to) = (call.int(0)?, call.int(1)?);
        let width =
            to.checked_sub(from).and_then(|width| u64::try_from(width).ok()).filter(|width| *width > 0);
        let width = width.ok_or("the second number must be over the first")?;
        let offset = i64::try_from(below(width)?).unwrap_or_default();
        Ok(Value::int(from.saturating_add(offset)))
    }),
    ("shuffle", |call| {
        call.expect(1)?;
        let mut characters: Vec<char> = call.text(0)?.chars().collect();
        for at in (1..characters.len()).rev() {
            characters.swap(at, index(at + 1)?);
        }
        Ok(Value::text(characters.into_iter().collect::<String>()))
    }),
    ("uuidv4", |call| {
        call.expect(0)?;
        let mut bytes = 0_u128.to_be_bytes();
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        // The version and the variant of RFC 9562, section 5.4.
        let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let text = format!("{bits:032x}");
        let groups = [0..8, 8..12, 12..16, 16..20, 20..32];
        Ok(Value::text(groups.map(|group| text.get(group).unwrap_or_default().to_owned()).join("-")))
    }),
];

fn below(width: u64) -> Result<u64, String> {
    // 64 more bits than needed: the bias is under 2^-64.
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(u64::try_from(u128::from_be_bytes(bytes) % u128::from(width)).unwrap_or_default())
}

fn index(length: usize) -> Result<usize, String> {
    Ok(usize::try_from(below(u64::try_from(length).unwrap_or(1))?).unwrap_or_default())
}

fn drawn<'d>(call: &Call<'d>, fits: fn(&char) -> bool) -> Result<Value<'d>, String> {
    call.expect(1)?;
    let count = usize::try_from(call.int(0)?).unwrap_or(0);
    bounded(count)?;
    let alphabet: Vec<char> = (' '..='~').filter(fits).collect();
    let characters: Result<String, String> =
        (0..count).map(|_| Ok(alphabet.get(index(alphabet.len())?).copied().unwrap_or(' '))).collect();
    Ok(Value::text(characters?))
}
