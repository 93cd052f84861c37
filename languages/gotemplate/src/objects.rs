//! Go values with methods: times, durations, versions.

use std::cmp::Ordering;
use std::sync::LazyLock;

use jiff::{SignedDuration, Span, Zoned};
use regex::Regex;
use serde_json::Value as Json;

use crate::value::{IntKind, Value};

/// The start of the year 1, in seconds: what Go takes for no time.
pub(crate) const YEAR_ONE: i128 = -62_135_596_800;

/// A Go value that is neither a number, a text, a list nor a map.
#[derive(Clone, Debug)]
pub enum Object {
    Time(Box<Zoned>),
    Duration(SignedDuration),
    /// From 1.
    Month(i8),
    /// From Sunday, 0.
    Weekday(i8),
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
        self.as_integer() != Some(0)
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
            Self::Version(_) => "*semver.Version",
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Time(_) => "struct",
            Self::Duration(_) => "int64",
            Self::Month(_) | Self::Weekday(_) => "int",
            Self::Version(_) => "ptr",
        }
    }

    pub(crate) fn print(&self) -> String {
        match self {
            Self::Time(at) => zetes_gotime::format(zetes_gotime::DEFAULT, at),
            Self::Duration(duration) => zetes_gotime::duration::format(*duration),
            Self::Month(number) => zetes_gotime::month(*number).to_owned(),
            Self::Weekday(number) => zetes_gotime::weekday(*number).to_owned(),
            Self::Version(version) => version.print(),
        }
    }

    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Time(at) => Json::from(zetes_gotime::format(zetes_gotime::RFC3339_NANO, at)),
            Self::Duration(_) | Self::Month(_) | Self::Weekday(_) => {
                self.as_integer().map_or(Json::Null, Json::from)
            }
            Self::Version(version) => Json::from(version.print()),
        }
    }

    /// Nanoseconds of a duration, the number of a month or of a day of the week.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Duration(duration) => i64::try_from(duration.as_nanos()).ok(),
            Self::Month(number) | Self::Weekday(number) => Some(i64::from(*number)),
            _ => None,
        }
    }

    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Time(one), Self::Time(other)) => one.timestamp() == other.timestamp(),
            (Self::Version(one), Self::Version(other)) => one == other,
            (one, other) => one.type_name() == other.type_name() && one.as_integer() == other.as_integer(),
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
            Self::Month(_) | Self::Weekday(_) => (name == "String").then(|| Ok(Value::text(self.print()))),
            Self::Version(version) => version.member(name, arguments),
        }
    }
}

fn time_member<'d>(at: &Zoned, name: &str, arguments: &[Value<'d>]) -> Option<Result<Value<'d>, String>> {
    let argument = arguments.first().cloned().map(Value::shallow);
    let time = |at: Zoned| Value::Object(Object::Time(Box::new(at)));
    let given = |what: &str| Err(format!("`{name}` wants {what}"));
    Some(Ok(match name {
        "Year" => Value::int(i64::from(at.year())),
        "Month" => Value::Object(Object::Month(at.month())),
        "Day" => Value::int(i64::from(at.day())),
        "Hour" => Value::int(i64::from(at.hour())),
        "Minute" => Value::int(i64::from(at.minute())),
        "Second" => Value::int(i64::from(at.second())),
        "Nanosecond" => Value::int(i64::from(at.subsec_nanosecond())),
        "YearDay" => Value::int(i64::from(at.day_of_year())),
        "Weekday" => Value::Object(Object::Weekday(at.weekday().to_sunday_zero_offset())),
        "Unix" => Value::int64(at.timestamp().as_second()),
        "UnixMilli" => Value::int64(at.timestamp().as_millisecond()),
        "UnixNano" => Value::int64(i64::try_from(at.timestamp().as_nanosecond()).unwrap_or(i64::MAX)),
        "UTC" => time(at.with_time_zone(jiff::tz::TimeZone::UTC)),
        "String" => Value::text(zetes_gotime::format(zetes_gotime::DEFAULT, at)),
        "UnixMicro" => Value::int64(at.timestamp().as_microsecond()),
        "IsZero" => Value::Bool(at.timestamp().as_nanosecond() == YEAR_ONE * 1_000_000_000),
        "AddDate" => match arguments {
            [Value::Int(years, _), Value::Int(months, _), Value::Int(days, _)] => {
                match added(at, *years, *months, *days) {
                    Ok(at) => time(at),
                    Err(_) => return Some(Err("there is no such time".to_owned())),
                }
            }
            _ => return Some(given("years, months and days")),
        },
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
                let nanoseconds = at.timestamp().duration_since(other.timestamp()).as_nanos();
                // What Go's type can't hold is the most that it can.
                let nanoseconds = nanoseconds.clamp(i64::MIN.into(), i64::MAX.into());
                Value::Object(Object::Duration(SignedDuration::from_nanos_i128(nanoseconds)))
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

/// Months first; a day that the month has not is one of the next.
fn added(at: &Zoned, years: i64, months: i64, days: i64) -> Result<Zoned, jiff::Error> {
    let first = at.datetime().with().day(1).build()?;
    let span = Span::new().try_months(years.saturating_mul(12).saturating_add(months))?;
    let days = Span::new().try_days(days.saturating_add(i64::from(at.day()) - 1))?;
    first.checked_add(span)?.checked_add(days)?.to_zoned(at.time_zone().clone())
}

fn duration_member<'d>(duration: SignedDuration, name: &str) -> Option<Result<Value<'d>, String>> {
    // The whole ones first, then the part: so Go counts, and the last digit shows it.
    #[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
    let units = |size: i128| {
        let nanoseconds = duration.as_nanos();
        Value::Float((nanoseconds / size) as f64 + (nanoseconds % size) as f64 / size as f64)
    };
    Some(Ok(match name {
        "Hours" => units(3_600_000_000_000),
        "Minutes" => units(60_000_000_000),
        "Seconds" => units(1_000_000_000),
        "Milliseconds" => Value::int64(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        "Microseconds" => Value::int64(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        "Nanoseconds" => Value::int64(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)),
        "String" => Value::text(zetes_gotime::duration::format(duration)),
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

    /// As Masterminds' semver reads it: a leading `v` and missing numbers are fine.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        static VERSION: LazyLock<Regex> = LazyLock::new(|| {
            let words = "[0-9A-Za-z-]+(?:[.][0-9A-Za-z-]+)*";
            let numbers = "v?([0-9]+)(?:[.]([0-9]+))?(?:[.]([0-9]+))?";
            Regex::new(&format!("^{numbers}(?:-({words}))?(?:[+]({words}))?$")).expect("a constant")
        });
        let found = VERSION.captures(text).ok_or("Invalid Semantic Version")?;
        let part = |at: usize| found.get(at).map_or("", |part| part.as_str());
        let number = |at: usize| match part(at) {
            "" => Ok(0),
            digits => digits.parse().map_err(|_| format!("`{digits}` is too large for a version")),
        };
        let is_padded = |word: &str| {
            word.len() > 1 && word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit())
        };
        if part(4).split('.').any(is_padded) {
            return Err("Version segment starts with 0".to_owned());
        }
        Ok(Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            prerelease: part(4).to_owned(),
            metadata: part(5).to_owned(),
            original: text.to_owned(),
        })
    }

    pub(crate) fn numbers(&self) -> [u64; 3] {
        [self.major, self.minor, self.patch]
    }

    /// The order of semver.org, section 11: metadata doesn't count.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.numbers().cmp(&other.numbers()).then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                // A number is before a word, and a word that is not there before all.
                (false, false) => {
                    let words = |text: &'_ str| {
                        let word = |word: &str| {
                            (word.parse::<u64>().map_or((1, 0), |number| (0, number)), word.to_owned())
                        };
                        text.split('.').map(word).collect::<Vec<_>>()
                    };
                    words(&self.prerelease).cmp(&words(&other.prerelease))
                }
            }
        })
    }

    fn raised(&self, [major, minor, patch]: [u64; 3]) -> Self {
        let mut raised = Self {
            major,
            minor,
            patch,
            prerelease: String::new(),
            metadata: String::new(),
            original: String::new(),
        };
        let prefix = if self.original.starts_with('v') { "v" } else { "" };
        raised.original = format!("{prefix}{}", raised.print());
        raised
    }

    fn member<'d>(&self, name: &str, arguments: &[Value<'d>]) -> Option<Result<Value<'d>, String>> {
        let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX), IntKind::Int64);
        let raised = |numbers| Value::Object(Object::Version(self.raised(numbers)));
        let [major, minor, patch] = self.numbers();
        Some(Ok(match name {
            "Major" => number(major),
            "Minor" => number(minor),
            "Patch" => number(patch),
            "Prerelease" => Value::text(self.prerelease.clone()),
            "Metadata" => Value::text(self.metadata.clone()),
            "Original" => Value::text(self.original.clone()),
            "String" => Value::text(self.print()),
            "IncMajor" => raised([major.saturating_add(1), 0, 0]),
            "IncMinor" => raised([major, minor.saturating_add(1), 0]),
            "IncPatch" if self.prerelease.is_empty() => raised([major, minor, patch.saturating_add(1)]),
            "IncPatch" => raised([major, minor, patch]),
            "Compare" | "LessThan" | "LessThanEqual" | "GreaterThan" | "GreaterThanEqual" | "Equal" => {
                let Some(Value::Object(Object::Version(other))) = arguments.first() else {
                    return Some(Err(format!("`{name}` wants a version")));
                };
                let order = self.order(other);
                match name {
                    "Compare" => Value::int(order as i64),
                    "LessThan" => Value::Bool(order.is_lt()),
                    "LessThanEqual" => Value::Bool(order.is_le()),
                    "GreaterThan" => Value::Bool(order.is_gt()),
                    "GreaterThanEqual" => Value::Bool(order.is_ge()),
                    _ => Value::Bool(order.is_eq()),
                }
            }
            _ => return None,
        }))
    }
}
