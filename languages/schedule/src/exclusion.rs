//! Days on which a calendar does not fire (`EXDATE`).

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A set of days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exclusions(BTreeSet<Date>);

/// A date that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exclusion date `{found}`: expected `YYYYMMDDThhmmssZ`")]
pub struct ExclusionError {
    pub found: String,
}

impl Exclusions {
    /// Reads the entries that begin with `EXDATE:`, each a list of UTC times separated by commas; other entries are left out.
    /// Only the day of a time counts.
    ///
    /// # Errors
    /// An entry holds something that is no such time.
    pub fn parse(lines: &[String]) -> Result<Self, ExclusionError> {
        let entries = lines.iter().filter_map(|line| line.strip_prefix("EXDATE:"));
        let dates = entries.flat_map(|entry| entry.split(',')).map(day);
        dates.collect::<Result<BTreeSet<_>, _>>().map(Self)
    }

    /// Whether the day on which `at` falls in `zone` is excluded.
    pub fn excludes(&self, at: Timestamp, zone: &TimeZone) -> bool {
        !self.0.is_empty() && self.0.contains(&at.to_zoned(zone.clone()).date())
    }
}

fn day(text: &str) -> Result<Date, ExclusionError> {
    let wrong = || ExclusionError { found: text.to_owned() };
    let time =
        text.strip_suffix('Z').filter(|time| time.len() == "YYYYMMDDThhmmss".len()).ok_or_else(wrong)?;
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", time).map_err(|_| wrong())?;
    Ok(time.date())
}
