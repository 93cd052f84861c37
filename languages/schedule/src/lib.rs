//! Five-field cron schedules with time zones, and the text forms of time that go with them.
//!
//! A [`Schedule`] is read once and asked for its next instant many times. It has no clock: who asks says from when.
//!
//! ```
//! let schedule = zetes_schedule::Schedule::parse("30 8 * * MON-FRI", zetes_schedule::Descriptors::Refused)?;
//! let sunday: jiff::Timestamp = "2026-11-22T12:00:00Z".parse()?;
//! let next = schedule.next_after(sunday, &zetes_schedule::zone("Europe/Athens")?);
//! assert_eq!(next, Some("2026-11-23T06:30:00Z".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod exclusion;
mod fields;
pub mod go_time;
mod schedule;
mod stepwise;

pub use exclusion::{ExclusionError, Exclusions};
pub use schedule::{Descriptors, Schedule, ScheduleError};

use jiff::tz::TimeZone;

/// An unknown time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown time zone `{name}`, expected an IANA name such as `Europe/Athens`")]
pub struct ZoneError {
    pub name: String,
}

/// The zone of an IANA name, in the name's own upper and lower case; empty, `UTC` and `Local` are UTC, the clock of a container.
///
/// # Errors
/// The name is unknown.
pub fn zone(name: &str) -> Result<TimeZone, ZoneError> {
    if matches!(name, "" | "UTC" | "Local") {
        return Ok(TimeZone::UTC);
    }
    let found = TimeZone::get(name).ok().filter(|zone| zone.iana_name() == Some(name));
    found.ok_or_else(|| ZoneError { name: name.to_owned() })
}

#[cfg(test)]
mod tests;
