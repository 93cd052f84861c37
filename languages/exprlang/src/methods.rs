//! The methods of times, durations, months and weekdays.

use std::rc::Rc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Zoned};
use zetes_gotime::duration;

use crate::types::Type;
use crate::value::{Value, Width};

/// Seconds from 1970 to Go's zero time.
const ZERO_TIME: i128 = -62_135_596_800;

/// What a method takes and gives.
struct Signature {
    name: &'static str,
    takes: &'static [Type],
    gives: Type,
}

const fn signature(name: &'static str, takes: &'static [Type], gives: Type) -> Signature {
    Signature { name, takes, gives }
}

const TIME: &[Signature] = &[
    signature("Year", &[], Type::Int),
    signature("Month", &[], Type::Month),
    signature("Day", &[], Type::Int),
    signature("Hour", &[], Type::Int),
    signature("Minute", &[], Type::Int),
    signature("Second", &[], Type::Int),
    signature("Nanosecond", &[], Type::Int),
    signature("YearDay", &[], Type::Int),
    signature("Weekday", &[], Type::Weekday),
    signature("Unix", &[], Type::Int64),
    signature("UnixMilli", &[], Type::Int64),
    signature("UnixMicro", &[], Type::Int64),
    signature("UnixNano", &[], Type::Int64),
    signature("UTC", &[], Type::Time),
    signature("Local", &[], Type::Time),
    signature("String", &[], Type::Text),
    signature("Format", &[Type::Text], Type::Text),
    signature("IsZero", &[], Type::Bool),
    signature("Add", &[Type::Duration], Type::Time),
    signature("Sub", &[Type::Time], Type::Duration),
    signature("After", &[Type::Time], Type::Bool),
    signature("Before", &[Type::Time], Type::Bool),
    signature("Equal", &[Type::Time], Type::Bool),
    signature("Compare", &[Type::Time], Type::Int),
    signature("AddDate", &[Type::Int, Type::Int, Type::Int], Type::Time),
    signature("Truncate", &[Type::Duration], Type::Time),
    signature("Round", &[Type::Duration], Type::Time),
];
const DURATION: &[Signature] = &[
    signature("Hours", &[], Type::Float),
    signature("Minutes", &[], Type::Float),
    signature("Seconds", &[], Type::Float),
    signature("Milliseconds", &[], Type::Int64),
    signature("Microseconds", &[], Type::Int64),
    signature("Nanoseconds", &[], Type::Int64),
    signature("String", &[], Type::Text),
    signature("Abs", &[], Type::Duration),
    signature("Truncate", &[Type::Duration], Type::Duration),
    signature("Round", &[Type::Duration], Type::Duration),
];
const NAMED: &[Signature] = &[signature("String", &[], Type::Text)];

fn of(receiver: &Type) -> &'static [Signature] {
    match receiver {
        Type::Time => TIME,
        Type::Duration => DURATION,
        Type::Month | Type::Weekday => NAMED,
        _ => &[],
    }
}

pub(crate) fn find(receiver: &Type, name: &str) -> Option<&'static str> {
    of(receiver).iter().find(|method| method.name == name).map(|method| method.name)
}

/// The type of a call, or why it can't be one.
pub(crate) fn checked(receiver: &Type, name: &str, arguments: &[Type]) -> Result<Type, String> {
    let Some(method) = of(receiver).iter().find(|method| method.name == name) else {
        return Err(format!("a {receiver} has no method `{name}`"));
    };
    if method.takes.len() != arguments.len() {
        return Err(format!("`{name}` takes {} arguments, found {}", method.takes.len(), arguments.len()));
    }
    for (takes, found) in method.takes.iter().zip(arguments) {
        let fits = takes == found
            || found.is_any()
            || *found == Type::Nil
            || (takes.is_integer() && found.is_integer());
        if !fits {
            return Err(format!("`{name}` takes a {takes}, found a {found}"));
        }
    }
    Ok(method.gives.clone())
}

/// The method as a function; `None` where the value has none of that name.
pub(crate) fn bound<'d>(receiver: &Value<'d>, name: &str) -> Option<Value<'d>> {
    let known = match receiver {
        Value::Time(_) => find(&Type::Time, name),
        Value::Duration(_) => find(&Type::Duration, name),
        Value::Month(_) | Value::Weekday(_) => find(&Type::Month, name),
        _ => None,
    }?;
    let receiver = receiver.clone();
    Some(Value::Function(Rc::new(move |arguments| {
        let called = match &receiver {
            Value::Time(at) => time(at, known, arguments),
            Value::Duration(duration) => self::duration(*duration, known, arguments),
            other => arguments.is_empty().then(|| Value::text(other.print())),
        };
        called.ok_or_else(|| format!("`{known}` can't take these arguments"))
    })))
}

fn time<'d>(at: &Zoned, name: &str, arguments: &[Value<'d>]) -> Option<Value<'d>> {
    let int = |number: i64| Some(Value::int(number));
    let time = |at: Zoned| Some(Value::Time(Box::new(at)));
    Some(match (name, arguments) {
        ("Year", []) => return int(at.year().into()),
        ("Month", []) => Value::Month(at.month()),
        ("Day", []) => return int(at.day().into()),
        ("Hour", []) => return int(at.hour().into()),
        ("Minute", []) => return int(at.minute().into()),
        ("Second", []) => return int(at.second().into()),
        ("Nanosecond", []) => return int(at.subsec_nanosecond().into()),
        ("YearDay", []) => return int(at.day_of_year().into()),
        ("Weekday", []) => Value::Weekday(at.weekday().to_sunday_zero_offset()),
        ("Unix", []) => Value::Int(at.timestamp().as_second(), Width::Int64),
        ("UnixMilli", []) => Value::Int(at.timestamp().as_millisecond(), Width::Int64),
        ("UnixMicro", []) => Value::Int(at.timestamp().as_microsecond(), Width::Int64),
        ("UnixNano", []) => Value::Int(i64::try_from(at.timestamp().as_nanosecond()).ok()?, Width::Int64),
        // The local zone is UTC: an expression means the same on every machine.
        ("UTC" | "Local", []) => return time(at.with_time_zone(TimeZone::UTC)),
        ("String", []) => Value::text(zetes_gotime::format(zetes_gotime::DEFAULT, at)),
        ("Format", [Value::Text(layout)]) => Value::text(zetes_gotime::format(layout, at)),
        ("IsZero", []) => Value::Bool(i128::from(at.timestamp().as_second()) == ZERO_TIME),
        ("Add", [Value::Duration(by)]) => return time(at.checked_add(*by).ok()?),
        ("Sub", [Value::Time(other)]) => Value::Duration(at.timestamp().duration_since(other.timestamp())),
        ("After", [Value::Time(other)]) => Value::Bool(at.timestamp() > other.timestamp()),
        ("Before", [Value::Time(other)]) => Value::Bool(at.timestamp() < other.timestamp()),
        ("Equal", [Value::Time(other)]) => Value::Bool(at.timestamp() == other.timestamp()),
        ("Compare", [Value::Time(other)]) => return int(at.timestamp().cmp(&other.timestamp()) as i64),
        ("AddDate", [Value::Int(years, _), Value::Int(months, _), Value::Int(days, _)]) => {
            let span =
                jiff::Span::new().try_years(*years).ok()?.try_months(*months).ok()?.try_days(*days).ok()?;
            return time(at.checked_add(span).ok()?);
        }
        ("Truncate" | "Round", [Value::Duration(unit)]) => {
            // Counted from the zero time, which is no multiple of every unit away from 1970.
            let since = at.timestamp().as_nanosecond() - ZERO_TIME * 1_000_000_000;
            let by = rounded(since, unit.as_nanos(), name == "Round") - since;
            return time(at.checked_add(SignedDuration::from_nanos_i128(by)).ok()?);
        }
        _ => return None,
    })
}

fn duration<'d>(duration: SignedDuration, name: &str, arguments: &[Value<'d>]) -> Option<Value<'d>> {
    let seconds = duration.as_secs_f64();
    let int = |number: i128| Some(Value::Int(i64::try_from(number).ok()?, Width::Int64));
    Some(match (name, arguments) {
        ("Hours", []) => Value::Float(seconds / 3600.0),
        ("Minutes", []) => Value::Float(seconds / 60.0),
        ("Seconds", []) => Value::Float(seconds),
        ("Milliseconds", []) => return int(duration.as_millis()),
        ("Microseconds", []) => return int(duration.as_micros()),
        ("Nanoseconds", []) => return int(duration.as_nanos()),
        ("String", []) => Value::text(duration::format(duration)),
        ("Abs", []) => Value::Duration(duration.abs()),
        ("Truncate" | "Round", [Value::Duration(unit)]) => {
            let nanoseconds = rounded(duration.as_nanos(), unit.as_nanos(), name == "Round");
            Value::Duration(SignedDuration::from_nanos_i128(nanoseconds))
        }
        _ => return None,
    })
}

/// To a multiple of the unit: towards zero, or the nearest, half away from zero.
fn rounded(nanoseconds: i128, unit: i128, to_nearest: bool) -> i128 {
    if unit <= 0 {
        return nanoseconds;
    }
    let rest = nanoseconds % unit;
    let cut = nanoseconds - rest;
    let up = to_nearest && rest.abs() * 2 >= unit;
    if up { cut + unit * nanoseconds.signum() } else { cut }
}
