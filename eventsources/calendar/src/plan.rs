//! When the ticks are. Pure: it is told the time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zetes_gotime::duration;
use zetes_schedule::{Descriptors, Exclusions, Schedule, zone};

use crate::Config;

/// How many excluded days in a row are passed over before the schedule counts as having no further tick.
const MOST_EXCLUDED: usize = 100_000;

/// Which missed ticks are emitted at the start.
#[derive(Clone, Copy, Debug)]
enum CatchUp {
    Never,
    /// Those that are not older than this.
    AtMost(SignedDuration),
}

/// A compiled configuration.
pub(crate) struct Plan {
    schedule: Schedule,
    zone: TimeZone,
    exclusions: Exclusions,
    catch_up: CatchUp,
}

impl Plan {
    /// # Errors
    /// What validation finds, too; as one text.
    pub(crate) fn new(config: &Config) -> Result<Self, String> {
        let schedule = match (config.schedule(), config.interval()) {
            (Some(text), _) => {
                Schedule::parse(text, Descriptors::Accepted).map_err(|error| error.to_string())?
            }
            (None, Some(text)) => Schedule::every(duration::parse(text).map_err(|error| error.to_string())?),
            (None, None) => return Err("expected `schedule` or `interval`".to_owned()),
        };
        let zone = zone(config.timezone.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
        let longest =
            config.longest_catch_up().map(duration::parse).transpose().map_err(|error| error.to_string())?;
        Ok(Self {
            zone: schedule.own_zone().cloned().unwrap_or(zone),
            schedule,
            exclusions: Exclusions::parse(&config.exclusion_dates).map_err(|error| error.to_string())?,
            catch_up: if config.catches_up() {
                CatchUp::AtMost(longest.unwrap_or(SignedDuration::MAX))
            } else {
                CatchUp::Never
            },
        })
    }

    /// From where ticks are looked for: the last one if missed ones are to be caught up with, at most so far back; else now.
    pub(crate) fn start(&self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        match (self.catch_up, last) {
            (CatchUp::AtMost(longest), Some(last)) => {
                let earliest = now.checked_sub(longest).unwrap_or(Timestamp::MIN);
                last.max(earliest).min(now)
            }
            _ => now,
        }
    }

    /// The first tick later than `after` on a day that is not excluded.
    pub(crate) fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let ticks = std::iter::successors(self.schedule.next_after(after, &self.zone), |tick| {
            self.schedule.next_after(*tick, &self.zone)
        });
        ticks.take(MOST_EXCLUDED).find(|tick| !self.exclusions.excludes(*tick, &self.zone))
    }
}
