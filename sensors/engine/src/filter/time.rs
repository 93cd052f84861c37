//! `filters.time`: from one time of the day to another (spec/sensors.md 4.5, S11).

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use zetes_api::{Event, FieldPath, Finding, TimeFilter};

use super::{Ask, Check, Rejection};

/// Passes from `start` up to `stop`, both on the event's calendar day in the zone.
#[derive(Clone, Debug)]
pub(super) struct TimeOfDay {
    start: Time,
    stop: Time,
    zone: TimeZone,
    wanted: String,
}

impl TimeOfDay {
    pub(super) fn compile(filter: &TimeFilter, findings: &mut Vec<Finding>) -> Option<Self> {
        let outer = FieldPath::from("filters").key("time");
        let mut time = |field: &str, text: &str| {
            let parsed = parse(text);
            if parsed.is_none() {
                let message = format!("expected a time such as `09:30:00`, found `{text}`");
                findings.push(Finding::error("bad-value", outer.key(field), message));
            }
            parsed
        };
        let (start, stop) = (time("start", &filter.start), time("stop", &filter.stop));
        let name = filter.timezone.as_deref().filter(|name| !name.is_empty()).unwrap_or("UTC");
        let zone = zetes_schedule::zone(name)
            .map_err(|error| {
                findings.push(Finding::error("bad-value", outer.key("timezone"), error.to_string()));
            })
            .ok();
        let wanted = format!("from {} up to {} in {name}", filter.start, filter.stop);
        Some(Self { start: start?, stop: stop?, zone: zone?, wanted })
    }

    fn passes(&self, time: Timestamp) -> bool {
        let day = self.zone.to_datetime(time).date();
        let (Some(start), Some(stop)) = (self.instant(day, self.start), self.instant(day, self.stop)) else {
            return false;
        };
        if start < stop { start <= time && time < stop } else { time >= start || time < stop }
    }

    /// The instant of a wall-clock time. Where it is skipped or comes twice, the choice is Go's: the offset in force at
    /// the instant that the offset in force at "the same digits in UTC" leads to.
    fn instant(&self, day: Date, time: Time) -> Option<Timestamp> {
        let digits = TimeZone::UTC.to_timestamp(DateTime::from_parts(day, time)).ok()?;
        let guess = digits.checked_sub(self.offset(digits)).ok()?;
        digits.checked_sub(self.offset(guess)).ok()
    }

    fn offset(&self, at: Timestamp) -> SignedDuration {
        SignedDuration::from_secs(i64::from(self.zone.to_offset(at).seconds()))
    }
}

impl Ask for TimeOfDay {
    fn ask(&self, event: &Event) -> Check {
        let passes = event.time.is_some_and(|time| self.passes(time));
        if passes {
            return Check::Passed;
        }
        let seen = event.time.map(|time| time.to_zoned(self.zone.clone()).to_string());
        let reason = if seen.is_some() { "outside-time" } else { "no-time" };
        Check::Rejected(Rejection {
            filter: "filters.time".to_owned(),
            looked_at: "time".to_owned(),
            seen,
            wanted: self.wanted.clone(),
            reason,
        })
    }
}

/// `HH:MM:SS`: the hour may have one digit, a fraction of a second is allowed.
fn parse(text: &str) -> Option<Time> {
    let (hour, rest) = text.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let (second, fraction) = match second.find(['.', ',']) {
        Some(at) => (second.get(..at)?, Some(second.get(at + 1..)?)),
        None => (second, None),
    };
    let fits = (1..=2).contains(&hour.len()) && minute.len() == 2 && second.len() == 2;
    if !fits {
        return None;
    }
    Time::new(digits(hour)?, digits(minute)?, digits(second)?, nanoseconds(fraction)?).ok()
}

fn digits(text: &str) -> Option<i8> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Nanoseconds of a fraction; more than nine digits are cut.
fn nanoseconds(fraction: Option<&str>) -> Option<i32> {
    let Some(fraction) = fraction else { return Some(0) };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}
