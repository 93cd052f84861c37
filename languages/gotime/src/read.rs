//! A time read by a layout.

use std::fmt;

use jiff::Zoned;
use jiff::civil::{Date, Time};
use jiff::tz::{Offset, TimeZone};

use crate::layout::{self, Element};
use crate::{DAYS, MONTHS};

/// Why a text is no time by a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    layout: String,
    text: String,
    what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no time of the layout `{}`: {}", self.text, self.layout, self.what)
    }
}

impl std::error::Error for Error {}

/// What has been read so far.
#[derive(Default)]
struct Parts {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    /// `Some(true)` after PM.
    afternoon: Option<bool>,
    zone: Option<TimeZone>,
}

/// Reads what [`crate::format`] writes, as Go's `ParseInLocation` does: `zone` is where a time without a zone of its own is.
///
/// # Errors
/// The text does not fit the layout, or is no time of the calendar.
pub fn parse(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, Error> {
    read(layout, text, zone).map_err(|what| Error { layout: layout.to_owned(), text: text.to_owned(), what })
}

fn read(layout: &str, text: &str, zone: &TimeZone) -> Result<Zoned, &'static str> {
    let mut parts = Parts::default();
    let (mut layout, mut text) = (layout, text);
    loop {
        let (between, element, after) = layout::next(layout);
        text = skip(text, between).ok_or("other text than the layout's")?;
        let Some(element) = element else { break };
        text = parts.take(element, text, after)?;
        layout = after;
    }
    if !text.is_empty() {
        return Err("extra text behind it");
    }
    parts.into_zoned(zone)
}

/// What follows a text; a run of blanks stands for any run of blanks.
fn skip<'t>(mut text: &'t str, mut between: &str) -> Option<&'t str> {
    while let Some(wanted) = between.chars().next() {
        if wanted == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            between = between.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(wanted)?;
        between = between.get(wanted.len_utf8()..)?;
    }
    Some(text)
}

impl Parts {
    fn take<'t>(&mut self, element: Element, text: &'t str, after: &str) -> Result<&'t str, &'static str> {
        const BAD: &str = "a part of it can't be read";
        let (rest, value): (&str, i32);
        match element {
            Element::LongYear => {
                (value, rest) = digits(text, 4).ok_or(BAD)?;
                self.year = i16::try_from(value).ok();
            }
            Element::Year => {
                (value, rest) = digits(text, 2).ok_or(BAD)?;
                self.year = i16::try_from(if value >= 69 { value + 1900 } else { value + 2000 }).ok();
            }
            Element::Month => {
                (value, rest) = word(&MONTHS, Some(3), text).ok_or(BAD)?;
                self.month = i8::try_from(value + 1).ok();
            }
            Element::LongMonth => {
                (value, rest) = word(&MONTHS, None, text).ok_or(BAD)?;
                self.month = i8::try_from(value + 1).ok();
            }
            Element::NumMonth | Element::ZeroMonth => {
                (value, rest) = number(text, element == Element::ZeroMonth).ok_or(BAD)?;
                self.month = i8::try_from(value).ok().filter(|month| (1..=12).contains(month));
                self.month.ok_or("the month is out of range")?;
            }
            Element::WeekDay => (_, rest) = word(&DAYS, Some(3), text).ok_or(BAD)?,
            Element::LongWeekDay => (_, rest) = word(&DAYS, None, text).ok_or(BAD)?,
            Element::Day | Element::UnderDay | Element::ZeroDay => {
                let text =
                    if element == Element::UnderDay { text.strip_prefix(' ').unwrap_or(text) } else { text };
                (value, rest) = number(text, element == Element::ZeroDay).ok_or(BAD)?;
                self.day = i8::try_from(value).ok();
            }
            Element::UnderYearDay | Element::ZeroYearDay => {
                let padded = text.trim_start_matches(' ');
                let width = 3 - (text.len() - padded.len()).min(2);
                (value, rest) = digits(padded, width).ok_or(BAD)?;
                self.day_of_year = i16::try_from(value).ok();
            }
            Element::Hour => {
                (value, rest) = number(text, false).ok_or(BAD)?;
                self.hour = in_range(value, 23).ok_or("the hour is out of range")?;
            }
            Element::Hour12 | Element::ZeroHour12 => {
                (value, rest) = number(text, element == Element::ZeroHour12).ok_or(BAD)?;
                self.hour = in_range(value, 12).ok_or("the hour is out of range")?;
            }
            Element::Minute | Element::ZeroMinute => {
                (value, rest) = number(text, element == Element::ZeroMinute).ok_or(BAD)?;
                self.minute = in_range(value, 59).ok_or("the minute is out of range")?;
            }
            Element::Second | Element::ZeroSecond => {
                let after_seconds;
                (value, after_seconds) = number(text, element == Element::ZeroSecond).ok_or(BAD)?;
                self.second = in_range(value, 59).ok_or("the second is out of range")?;
                // A fraction is taken even where the layout has none.
                let has_fraction = matches!(layout::next(after), ("", Some(Element::Fraction { .. }), _));
                rest = if has_fraction { after_seconds } else { self.fraction(after_seconds) };
            }
            Element::Pm | Element::SmallPm => {
                let (am, pm) = if element == Element::Pm { ("AM", "PM") } else { ("am", "pm") };
                let half = text.get(..2).ok_or(BAD)?;
                self.afternoon = Some(if half == pm {
                    true
                } else if half == am {
                    false
                } else {
                    return Err(BAD);
                });
                rest = text.get(2..).unwrap_or_default();
            }
            Element::ZoneName => rest = self.zone_name(text).ok_or(BAD)?,
            Element::Offset { z: true, .. } if text.starts_with('Z') => {
                self.zone = Some(TimeZone::UTC);
                rest = text.get(1..).unwrap_or_default();
            }
            Element::Offset { colon, parts, .. } => rest = self.offset(text, colon, parts).ok_or(BAD)?,
            Element::Fraction { digits, trimmed: false, .. } => {
                let all = text.get(1..=digits).filter(|_| text.starts_with(['.', ','])).ok_or(BAD)?;
                if !all.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(BAD);
                }
                self.nanosecond = nanoseconds(all);
                rest = text.get(digits + 1..).unwrap_or_default();
            }
            Element::Fraction { .. } => rest = self.fraction(text),
        }
        Ok(rest)
    }

    /// Takes a fraction if there is one.
    fn fraction<'t>(&mut self, text: &'t str) -> &'t str {
        let Some(digits) = text.strip_prefix(['.', ',']) else { return text };
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return text;
        }
        self.nanosecond = nanoseconds(digits.get(..length).unwrap_or_default());
        digits.get(length..).unwrap_or_default()
    }

    /// `UTC`, `CEST`, `GMT+3`, `+03`: only UTC has an offset that is known.
    fn zone_name<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix("UTC") {
            self.zone = Some(TimeZone::UTC);
            return Some(rest);
        }
        let letters = text.bytes().take_while(u8::is_ascii_uppercase).count();
        let signed = |rest: &str| {
            let digits = rest.get(1..).unwrap_or_default().bytes().take_while(u8::is_ascii_digit).count();
            if rest.starts_with(['+', '-']) && digits > 0 { digits + 1 } else { 0 }
        };
        let length = match letters {
            0 => signed(text),
            3 if text.starts_with("GMT") => 3 + signed(text.get(3..)?),
            3..=5 => letters,
            _ => return None,
        };
        if length == 0 {
            return None;
        }
        // An offset that stood before counts.
        self.zone.get_or_insert(TimeZone::UTC);
        text.get(length..)
    }

    fn offset<'t>(&mut self, text: &'t str, colon: bool, parts: u8) -> Option<&'t str> {
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let mut rest = text.get(1..)?;
        let mut seconds = 0;
        for part in 0..parts {
            if part > 0 && colon {
                rest = rest.strip_prefix(':')?;
            }
            let (value, after) = digits(rest, 2)?;
            if value > if part == 0 { 24 } else { 59 } {
                return None;
            }
            seconds += value * [3600, 60, 1].get(usize::from(part))?;
            rest = after;
        }
        let offset = Offset::from_seconds(sign * seconds).ok()?;
        self.zone = Some(if seconds == 0 { TimeZone::UTC } else { TimeZone::fixed(offset) });
        Some(rest)
    }

    fn into_zoned(self, zone: &TimeZone) -> Result<Zoned, &'static str> {
        const RANGE: &str = "there is no such time";
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let year = self.year.unwrap_or(0);
        let date = match self.day_of_year.filter(|_| self.day.is_none()) {
            Some(day) => Date::new(year, 1, 1)
                .and_then(|first| first.with().day_of_year(day).build())
                .map_err(|_| RANGE)?,
            None => Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).map_err(|_| RANGE)?,
        };
        let time = Time::new(hour, self.minute, self.second, self.nanosecond).map_err(|_| RANGE)?;
        let zone = self.zone.unwrap_or_else(|| zone.clone());
        date.to_datetime(time).to_zoned(zone).map_err(|_| RANGE)
    }
}

fn in_range(value: i32, max: i32) -> Option<i8> {
    i8::try_from(value).ok().filter(|_| value <= max)
}

fn nanoseconds(digits: &str) -> i32 {
    format!("{digits:0<9}").get(..9).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Exactly so many digits.
fn digits(text: &str, count: usize) -> Option<(i32, &str)> {
    let all = text.get(..count).filter(|all| all.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((all.parse().ok()?, text.get(count..)?))
}

/// One digit or two; two where `fixed`.
fn number(text: &str, fixed: bool) -> Option<(i32, &str)> {
    digits(text, 2).or_else(|| if fixed { None } else { digits(text, 1) })
}

/// The index of the name that comes next, in any letter case.
fn word<'t>(names: &[&str], length: Option<usize>, text: &'t str) -> Option<(i32, &'t str)> {
    names
        .iter()
        .enumerate()
        .find_map(|(index, name)| {
            let name = name.get(..length.unwrap_or(name.len()))?;
            let found = text.get(..name.len())?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| text.get(name.len()..))
                .flatten()
                .zip(i32::try_from(index).ok())
        })
        .map(|(rest, index)| (index, rest))
}
