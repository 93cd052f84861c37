//! A schedule: when it fires next, and when it fired last.

use std::ops::Range;
use std::str::FromStr as _;

use chrono::{DateTime as ChronoTime, Datelike as _, Timelike as _, Utc};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Unit};

use crate::fields::{FIELDS, Field, list};
use zetes_gotime::duration;

use crate::{ZoneError, stepwise, zone};

/// No schedule is looked at beyond this year: one that does not fire until then never does.
const LAST_YEAR: i16 = 2100;
/// Turns of a clock between now and then, more than any zone has: the bound of a search.
const MOST_TURNS: usize = 1000;
/// How far back the last firing is looked for.
const YEARS_BACK: i64 = 5;

/// Whether `@hourly`, `@daily` and `@every 5m` are schedules, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptors {
    Accepted,
    Refused,
}

/// Instants that repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    rule: Rule,
    zone: Option<TimeZone>,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// One schedule, or two when both day fields are restricted: either is enough.
    Cron {
        schedules: Vec<cron::Schedule>,
        fields: Box<[Field; 5]>,
    },
    Every(SignedDuration),
}

/// Why a text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("expected 5 fields (minute, hour, day of month, month, day of week), found {found} in `{text}`")]
    Fields { found: usize, text: String },
    #[error("{field} `{found}`: expected {expected}")]
    Field { field: &'static str, found: String, expected: String, span: Range<usize> },
    #[error("`{found}` is not accepted here, expected 5 fields")]
    Descriptor { found: String, span: Range<usize> },
    #[error(
        "unknown descriptor `{found}`, expected @yearly, @monthly, @weekly, @daily, @hourly or @every with a duration"
    )]
    UnknownDescriptor { found: String, span: Range<usize> },
    #[error("{error}")]
    Zone { error: ZoneError, span: Range<usize> },
    #[error("`{text}` never fires before the year {LAST_YEAR}")]
    Never { text: String },
}

impl ScheduleError {
    /// The wrong part, in bytes of the text.
    pub fn span(&self) -> Option<Range<usize>> {
        match self {
            Self::Field { span, .. }
            | Self::Descriptor { span, .. }
            | Self::UnknownDescriptor { span, .. }
            | Self::Zone { span, .. } => Some(span.clone()),
            Self::Fields { .. } | Self::Never { .. } => None,
        }
    }
}

impl Schedule {
    /// Reads five fields, with a `TZ=` or `CRON_TZ=` prefix if there is one.
    ///
    /// # Errors
    /// See [`ScheduleError`].
    pub fn parse(text: &str, descriptors: Descriptors) -> Result<Self, ScheduleError> {
        let (zone, rest, offset) = split_zone(text)?;
        let word = rest.trim();
        if word.starts_with('@') {
            let at = offset + rest.len() - rest.trim_start().len();
            let (found, span) = (word.to_owned(), at..at + word.len());
            return match (descriptors, descriptor(word)) {
                (Descriptors::Refused, _) => Err(ScheduleError::Descriptor { found, span }),
                (Descriptors::Accepted, Some(rule)) => Ok(Self { rule: rule?, zone }),
                (Descriptors::Accepted, None) => Err(ScheduleError::UnknownDescriptor { found, span }),
            };
        }
        let schedule = Self { rule: five_fields(rest, offset)?, zone };
        let from = Timestamp::UNIX_EPOCH;
        if schedule.next_after(from, &TimeZone::UTC).is_none() {
            return Err(ScheduleError::Never { text: text.to_owned() });
        }
        Ok(schedule)
    }

    /// Every so often: the whole second of the last instant plus the interval, which is at least one second.
    pub fn every(interval: SignedDuration) -> Self {
        Self { rule: Rule::Every(interval.max(SignedDuration::from_secs(1))), zone: None }
    }

    /// The zone that the text names itself, which beats any other.
    pub fn own_zone(&self) -> Option<&TimeZone> {
        self.zone.as_ref()
    }

    /// The first instant later than `after`. Wall times that the zone skips do not fire, those it repeats fire twice.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let zone = self.zone.as_ref().unwrap_or(zone);
        match &self.rule {
            Rule::Every(interval) => whole_second(after)?.checked_add(*interval).ok(),
            Rule::Cron { schedules, fields } => {
                let next = schedules.iter().filter_map(|schedule| next_of(schedule, after, zone)).min()?;
                if crosses_odd_shift(zone, after, next) {
                    stepwise::next_after(fields, after, zone)
                } else {
                    Some(next)
                }
            }
        }
    }

    /// The last instant earlier than the second in which `before` lies, at most five years back. Of a wall time that was repeated
    /// more than an hour ago, the one with the offset that the zone has at that time read as UTC, as the reference does.
    /// An interval counts from whoever asks, so it has no last instant.
    pub fn last_before(&self, before: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if matches!(self.rule, Rule::Every(_)) {
            return None;
        }
        let before = whole_second(before)?;
        let last = self.walk_to(before, zone)?;
        if before.duration_since(last) < SignedDuration::from_hours(1) {
            return Some(last);
        }
        let zone = self.zone.as_ref().unwrap_or(zone);
        let wall = last.to_zoned(zone.clone()).datetime();
        let as_if_utc = wall.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let preferred = zone.to_offset(as_if_utc).to_timestamp(wall).ok();
        instants(wall, zone).into_iter().flatten().find(|instant| Some(*instant) == preferred).or(Some(last))
    }

    fn walk_to(&self, before: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let horizon = before.checked_sub(SignedDuration::from_hours(YEARS_BACK * 366 * 24)).ok()?;
        // Look back in steps that double until a firing is found, then walk forward to the last one.
        let mut hours = 1;
        loop {
            let from = before.checked_sub(SignedDuration::from_hours(hours)).ok()?.max(horizon);
            let mut last = None;
            let mut at = from;
            while let Some(next) = self.next_after(at, zone).filter(|next| *next < before) {
                (last, at) = (Some(next), next);
            }
            if last.is_some() || from == horizon {
                return last;
            }
            hours *= 2;
        }
    }
}

/// The zone of a prefix, the text behind it, and where that begins.
fn split_zone(text: &str) -> Result<(Option<TimeZone>, &str, usize), ScheduleError> {
    let Some(rest) = text.strip_prefix("TZ=").or_else(|| text.strip_prefix("CRON_TZ=")) else {
        return Ok((None, text, 0));
    };
    let (name, fields) =
        rest.split_once(' ').ok_or_else(|| ScheduleError::Fields { found: 0, text: text.to_owned() })?;
    // `Local` leaves the choice to who asks, as no prefix does.
    let offset = text.len() - fields.len();
    let span = offset - 1 - name.len()..offset - 1;
    let named = |name| zone(name).map_err(|error| ScheduleError::Zone { error, span });
    let own = if name == "Local" { None } else { Some(named(name)?) };
    Ok((own, fields, offset))
}

/// `None` if there is no such descriptor.
fn descriptor(text: &str) -> Option<Result<Rule, ScheduleError>> {
    if let Some(interval) = text.strip_prefix("@every ") {
        let interval = duration::parse(interval.trim()).ok().filter(SignedDuration::is_positive)?;
        return Some(Ok(Schedule::every(SignedDuration::from_secs(interval.as_secs())).rule));
    }
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => return None,
    };
    Some(five_fields(fields, 0))
}

fn five_fields(text: &str, offset: usize) -> Result<Rule, ScheduleError> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, _, _, _, _] = words[..] else {
        return Err(ScheduleError::Fields { found: words.len(), text: text.to_owned() });
    };
    let mut fields = Vec::with_capacity(5);
    let mut at = 0;
    for (rules, word) in FIELDS.iter().zip(words) {
        at += text.get(at..).and_then(|rest| rest.find(word)).unwrap_or_default();
        fields.push(rules.read(word, offset + at)?);
        at += word.len();
    }
    let fields = <[Field; 5]>::try_from(fields).map_err(|_| never(text))?;
    let [minute, hour, day, month, weekday] = &fields;
    let with = |day: &str, weekday: &str| {
        let text6 = format!(
            "0 {} {} {day} {} {weekday}",
            list(&minute.values, 0),
            list(&hour.values, 0),
            list(&month.values, 0)
        );
        cron::Schedule::from_str(&text6).map_err(|_| never(text))
    };
    let (days, weekdays) = (list(&day.values, 0), list(&weekday.values, 1));
    let schedules = if day.star || weekday.star {
        vec![with(&days, &weekdays)?]
    } else {
        vec![with(&days, "*")?, with("*", &weekdays)?]
    };
    Ok(Rule::Cron { schedules, fields: Box::new(fields) })
}

fn never(text: &str) -> ScheduleError {
    ScheduleError::Never { text: text.to_owned() }
}

/// Walks the schedule over wall-clock time, one stretch between two turns of the clock after the other. So a wall time in a gap
/// belongs to no stretch, and one in a fold to two.
fn next_of(schedule: &cron::Schedule, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let mut offset = zone.to_offset(after);
    let (mut from, mut wall) = (after, offset.to_datetime(after));
    for _ in 0..MOST_TURNS {
        let found =
            schedule.after(&chrono_of(wall)?).next().filter(|found| found.year() < LAST_YEAR.into())?;
        let instant = offset.to_timestamp(civil_of(found)?).ok()?;
        match zone.following(from).next() {
            Some(turn) if turn.timestamp() <= instant => {
                (from, offset) = (turn.timestamp(), turn.offset());
                wall = offset.to_datetime(from).checked_sub(SignedDuration::from_secs(1)).ok()?;
            }
            _ => return Some(instant),
        }
    }
    None
}

/// The instants that a wall time stands for: none in a gap, two in a fold.
fn instants(wall: DateTime, zone: &TimeZone) -> [Option<Timestamp>; 2] {
    let ambiguous = zone.to_ambiguous_timestamp(wall);
    match ambiguous.offset() {
        jiff::tz::AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(wall).ok(), None],
        jiff::tz::AmbiguousOffset::Gap { .. } => [None, None],
        jiff::tz::AmbiguousOffset::Fold { before, after } => {
            [before.to_timestamp(wall).ok(), after.to_timestamp(wall).ok()]
        }
    }
}

fn chrono_of(wall: DateTime) -> Option<ChronoTime<Utc>> {
    let second = wall.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    ChronoTime::from_timestamp(second, 0)
}

fn civil_of(found: ChronoTime<Utc>) -> Option<DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    let year = i16::try_from(found.year()).ok()?;
    DateTime::new(
        year,
        small(found.month())?,
        small(found.day())?,
        small(found.hour())?,
        small(found.minute())?,
        small(found.second())?,
        0,
    )
    .ok()
}

/// Whether the clock is turned by something else than whole hours in between, as on Lord Howe Island.
fn crosses_odd_shift(zone: &TimeZone, from: Timestamp, to: Timestamp) -> bool {
    let mut offset = zone.to_offset(from).seconds();
    let turns = zone.following(from).take_while(|turn| turn.timestamp() <= to);
    for turn in turns.take(32) {
        let next = turn.offset().seconds();
        if (next - offset) % 3600 != 0 {
            return true;
        }
        offset = next;
    }
    false
}

pub(crate) fn whole_second(at: Timestamp) -> Option<Timestamp> {
    let cut = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    at.round(cut).ok()
}
