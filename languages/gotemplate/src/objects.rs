//! Go values with methods: times, durations, versions.

use jiff::{SignedDuration, Zoned};
use serde_json::Value as Json;

use crate::value::{IntKind, Value};

/// A Go value that is neither a number, a text, a list nor a map.
#[derive(Clone, Debug)]
pub enum Object {
    Time(Box<Zoned>),
    Duration(SignedDuration),
    Version(Version),
}

/// A semantic version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
    pub(crate) prerelease: String,
    pub(crate) metadata: String,
    /// As it was written.
    pub(crate) original: String,
}

impl Object {
    pub(crate) fn truth(&self) -> bool {
        !matches!(self, Self::Duration(duration) if duration.is_zero())
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Version(_) => "*semver.Version",
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Time(_) => "struct",
            Self::Duration(_) => "int64",
            Self::Version(_) => "ptr",
        }
    }

    pub(crate) fn print(&self) -> String {
        match self {
            Self::Time(at) => zetes_gotime::format(zetes_gotime::DEFAULT, at),
            Self::Duration(duration) => print_duration(*duration),
            Self::Version(version) => version.print(),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Time(at) => Json::from(zetes_gotime::format(zetes_gotime::RFC3339_NANO, at)),
            Self::Duration(_) => self.as_integer().map_or(Json::Null, Json::from),
            Self::Version(version) => Json::from(version.print()),
        }
    }

    /// Nanoseconds of a duration.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Duration(duration) => i64::try_from(duration.as_nanos()).ok(),
            _ => None,
        }
    }

    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => one.timestamp() == other.timestamp(),
            (Self::Duration(one), Self::Duration(other)) => one == other,
            _ => false,
        }
    }

    /// A field, or a method called with arguments; `None` where the type has none of that name.
    pub(crate) fn member<'d>(
        &self,
        name: &str,
        arguments: &[Value<'d>],
    ) -> Option<Result<Value<'d>, String>> {
        match self {
            Self::Time(at) => time_member(at, name, arguments),
            Self::Duration(duration) => duration_member(*duration, name),
            Self::Version(version) => version.member(name).map(Ok),
        }
    }
}

fn time_member<'d>(at: &Zoned, name: &str, arguments: &[Value<'d>]) -> Option<Result<Value<'d>, String>> {
    let argument = arguments.first().cloned().map(Value::shallow);
    let time = |at: Zoned| Value::Object(Object::Time(Box::new(at)));
    let given = |what: &str| Err(format!("`{name}` wants {what}"));
    Some(Ok(match name {
        "Year" => Value::int(i64::from(at.year())),
        "Month" => Value::int(i64::from(at.month())),
        "Day" => Value::int(i64::from(at.day())),
        "Hour" => Value::int(i64::from(at.hour())),
        "Minute" => Value::int(i64::from(at.minute())),
        "Second" => Value::int(i64::from(at.second())),
        "Nanosecond" => Value::int(i64::from(at.subsec_nanosecond())),
        "YearDay" => Value::int(i64::from(at.day_of_year())),
        "Weekday" => Value::text(zetes_gotime::format("Monday", at)),
        "Unix" => Value::int64(at.timestamp().as_second()),
        "UnixMilli" => Value::int64(at.timestamp().as_millisecond()),
        "UnixNano" => Value::int64(i64::try_from(at.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
        "UTC" => time(at.with_time_zone(jiff::tz::TimeZone::UTC)),
        "String" => Value::text(zetes_gotime::format(zetes_gotime::DEFAULT, at)),
        "IsZero" => Value::Bool(false),
        "Format" => match argument {
            Some(Value::String(layout)) => Value::text(zetes_gotime::format(&layout, at)),
            _ => return Some(given("a layout")),
        },
        "Add" => match argument {
            Some(Value::Object(Object::Duration(duration))) => match at.checked_add(duration) {
                Ok(at) => time(at),
                Err(_) => return Some(Err("there is no such time".to_owned())),
            },
            _ => return Some(given("a duration")),
        },
        "Sub" => match argument {
            Some(Value::Object(Object::Time(other))) => {
                Value::Object(Object::Duration(at.timestamp().duration_since(other.timestamp())))
            }
            _ => return Some(given("a time")),
        },
        "After" | "Before" | "Equal" => match argument {
            Some(Value::Object(Object::Time(other))) => {
                let order = at.timestamp().cmp(&other.timestamp());
                Value::Bool(match name {
                    "After" => order.is_gt(),
                    "Before" => order.is_lt(),
                    _ => order.is_eq(),
                })
            }
            _ => return Some(given("a time")),
        },
        _ => return None,
    }))
}

fn duration_member<'d>(duration: SignedDuration, name: &str) -> Option<Result<Value<'d>, String>> {
    let seconds = duration.as_secs_f64();
    Some(Ok(match name {
        "Hours" => Value::Float(seconds / 3600.0),
        "Minutes" => Value::Float(seconds / 60.0),
        "Seconds" => Value::Float(seconds),
        "Milliseconds" => Value::int64(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        "Microseconds" => Value::int64(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        "Nanoseconds" => Value::int64(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        "String" => Value::text(print_duration(duration)),
        _ => return None,
    }))
}

impl Version {
    pub(crate) fn print(&self) -> String {
        let mut text = format!("{}.{}.{}", self.major, self.minor, self.patch);
        if !self.prerelease.is_empty() {
            text = format!("{text}-{}", self.prerelease);
        }
        if !self.metadata.is_empty() {
            text = format!("{text}+{}", self.metadata);
        }
        text
    }

    fn member<'d>(&self, name: &str) -> Option<Value<'d>> {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX), IntKind::Int64);
        Some(match name {
            "Major" => number(self.major),
            "Minor" => number(self.minor),
            "Patch" => number(self.patch),
            "Prerelease" => Value::text(self.prerelease.clone()),
            "Metadata" => Value::text(self.metadata.clone()),
            "Original" => Value::text(self.original.clone()),
            "String" => Value::text(self.print()),
            _ => return None,
        })
    }
}

/// As Go prints a duration: `1h30m0s`, `1.5s`, `250ms`, `0s`.
pub(crate) fn print_duration(duration: SignedDuration) -> String {
    let nanoseconds = duration.as_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let fraction = |whole: u128, rest: u128, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { format!("{sign}{whole}{unit}") } else { format!("{sign}{whole}.{rest}{unit}") }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..=999 => format!("{sign}{nanoseconds}ns"),
        1_000..=999_999 => fraction(nanoseconds / 1_000, nanoseconds % 1_000, 3, "µs"),
        1_000_000..=999_999_999 => fraction(nanoseconds / 1_000_000, nanoseconds % 1_000_000, 6, "ms"),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            let last = {
                let rest = format!("{:09}", nanoseconds % 1_000_000_000);
                let rest = rest.trim_end_matches('0').to_owned();
                let dot = if rest.is_empty() { "" } else { "." };
                format!("{}{dot}{rest}s", seconds % 60)
            };
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{last}"),
                (0, minutes) => format!("{sign}{minutes}m{last}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{last}"),
            }
        }
    }
}
