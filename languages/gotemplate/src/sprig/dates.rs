//! Times and durations. The local zone is UTC: a template means the same on every machine.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use zetes_gotime::duration;

use super::Table;
use super::numbers::as_int64;
use crate::function::{Call, wrong};
use crate::objects::YEAR_ONE;
use crate::value::{Object, Value};

pub(super) const FUNCTIONS: Table = &[
    ("now", |call| {
        call.expect(0)?;
        Ok(time(call.now.to_zoned(TimeZone::UTC)))
    }),
    ("ago", |call| {
        call.expect(1)?;
        let passed = call.now.duration_since(instant(call, 0));
        let rounded = passed.round(jiff::Unit::Second).map_err(|error| error.to_string())?;
        Ok(Value::text(duration::format(rounded)))
    }),
    ("date", |call| {
        call.expect(2)?;
        Ok(formatted(&call.text(0)?, instant(call, 1), "UTC"))
    }),
    ("dateInZone", date_in_zone),
    ("date_in_zone", date_in_zone),
    ("htmlDate", |call| {
        call.expect(1)?;
        Ok(formatted("2006-01-02", instant(call, 0), "UTC"))
    }),
    ("htmlDateInZone", |call| {
        call.expect(2)?;
        Ok(formatted("2006-01-02", instant(call, 0), &call.text(1)?))
    }),
    ("dateModify", date_modify),
    ("date_modify", date_modify),
    ("mustDateModify", must_date_modify),
    ("must_date_modify", must_date_modify),
    ("toDate", |call| {
        call.expect(2)?;
        let zero = || {
            Timestamp::from_nanosecond(YEAR_ONE * 1_000_000_000).unwrap_or_default().to_zoned(TimeZone::UTC)
        };
        Ok(time(parsed(call)?.unwrap_or_else(|_| zero())))
    }),
    ("mustToDate", |call| {
        call.expect(2)?;
        parsed(call)?.map(time)
    }),
    ("unixEpoch", |call| {
        call.expect(1)?;
        Ok(Value::text(a_time(call, 0)?.timestamp().as_second().to_string()))
    }),
    ("duration", |call| {
        call.expect(1)?;
        let seconds = match call.any(0) {
            Value::String(text) => text.parse().unwrap_or(0),
            value => as_int64(&value).unwrap_or(0),
        };
        Ok(Value::text(duration::format(SignedDuration::from_secs(seconds))))
    }),
    ("durationRound", |call| {
        call.expect(1)?;
        let span = match call.any(0) {
            Value::String(text) => duration::parse(&text).unwrap_or_default(),
            Value::Object(Object::Time(at)) => call.now.duration_since(at.timestamp()),
            value => SignedDuration::from_nanos(as_int64(&value).unwrap_or(0)),
        };
        Ok(Value::text(rounded(span)))
    }),
];

fn time<'d>(at: Zoned) -> Value<'d> {
    Value::Object(Object::Time(Box::new(at)))
}

fn a_time(call: &Call<'_>, at: usize) -> Result<Zoned, String> {
    match call.any(at) {
        Value::Object(Object::Time(time)) => Ok(*time),
        other => Err(wrong("time.Time", &other)),
    }
}

/// A time, or seconds since 1970; anything else, texts too, is now.
fn instant(call: &Call<'_>, at: usize) -> Timestamp {
    match call.any(at) {
        Value::Object(Object::Time(time)) => time.timestamp(),
        Value::Int(seconds, _) => Timestamp::from_second(seconds).unwrap_or(call.now),
        _ => call.now,
    }
}

/// A zone that nobody knows is UTC.
fn formatted<'d>(layout: &str, at: Timestamp, zone: &str) -> Value<'d> {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    Value::text(zetes_gotime::format(layout, &at.to_zoned(zone)))
}

fn date_in_zone<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    Ok(formatted(&call.text(0)?, instant(call, 1), &call.text(2)?))
}

fn must_date_modify<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let (text, at) = (call.text(0)?, a_time(call, 1)?);
    let by = duration::parse(&text).map_err(|error| error.to_string())?;
    at.checked_add(by).map(time).map_err(|error| error.to_string())
}

fn date_modify<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let at = a_time(call, 1)?;
    must_date_modify(call).or_else(|_| Ok(time(at)))
}

fn parsed(call: &Call<'_>) -> Result<Result<Zoned, String>, String> {
    let (layout, text) = (call.text(0)?, call.text(1)?);
    Ok(zetes_gotime::parse(&layout, &text, &TimeZone::UTC).map_err(|error| error.to_string()))
}

/// The largest unit of which there is more than one's worth: `3mo`, `2h`.
fn rounded(span: SignedDuration) -> String {
    let nanoseconds = span.as_nanos().unsigned_abs();
    let second = 1_000_000_000_u128;
    let units = [
        (second * 3600 * 24 * 365, "y"),
        (second * 3600 * 24 * 30, "mo"),
        (second * 3600 * 24, "d"),
        (second * 3600, "h"),
        (second * 60, "m"),
        (second, "s"),
    ];
    let fitting = units.iter().find(|(size, _)| nanoseconds > *size);
    fitting.map_or_else(|| "0s".to_owned(), |(size, name)| format!("{}{name}", nanoseconds / size))
}
