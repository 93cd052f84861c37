//! Go's text for instants: `2026-12-31 21:59:59 +0100 CET`.

use jiff::{Timestamp, Zoned};

/// Why a text is no instant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as `2026-12-31 21:59:59 +0100 CET`, found `{found}`")]
pub struct GoTimeError {
    pub found: String,
}

/// With a fraction only where there is one, without trailing zeros. A zone without an abbreviation is written by its offset.
pub fn format(at: &Zoned) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.f %z %Z").to_string()
}

/// Reads what [`format()`] writes; ` m=` and what follows is left out.
///
/// # Errors
/// The text is no such instant.
pub fn parse(text: &str) -> Result<Timestamp, GoTimeError> {
    parse_zoned(text).map(|at| at.timestamp())
}

/// As [`parse`], in the offset that the text names: a calendar without a zone of its own catches up in it
/// (spec/event-sources.md 2.1).
///
/// # Errors
/// The text is no such instant.
pub fn parse_zoned(text: &str) -> Result<Zoned, GoTimeError> {
    let wrong = || GoTimeError { found: text.to_owned() };
    let time = text.split(" m=").next().unwrap_or(text);
    let words: Vec<&str> = time.split_whitespace().collect();
    let [date, clock, offset, _abbreviation] = words[..] else { return Err(wrong()) };
    Zoned::strptime("%Y-%m-%d %H:%M:%S%.f %z", format!("{date} {clock} {offset}")).map_err(|_| wrong())
}
