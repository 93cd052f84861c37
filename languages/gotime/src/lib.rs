//! Times by Go's reference layouts.
//!
//! ```
//! use jiff::tz::TimeZone;
//! let at = zetes_gotime::parse("2006-01-02 15:04", "2026-03-29 01:30", &TimeZone::UTC)?;
//! assert_eq!(zetes_gotime::format("Jan _2, 3PM", &at), "Mar 29, 1AM");
//! # Ok::<(), zetes_gotime::Error>(())
//! ```
//!
//! Source: the documentation of Go's package `time`, checked against Go 1.26.

pub mod duration;
mod layout;
mod read;
mod write;

pub use read::{Error, parse};
pub use write::format;

/// The layout of RFC 3339.
pub const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
/// The layout of RFC 3339 with a fraction where there is one.
pub const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";
/// How Go prints a time by itself.
pub const DEFAULT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The English name of a month, from 1; empty where there is none.
#[must_use]
pub fn month(number: i8) -> &'static str {
    usize::try_from(number - 1).ok().and_then(|at| MONTHS.get(at)).copied().unwrap_or_default()
}

/// The English name of a day of the week, from Sunday, 0; empty where there is none.
#[must_use]
pub fn weekday(number: i8) -> &'static str {
    usize::try_from(number).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
