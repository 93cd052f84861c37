//! A time as a layout writes it.

use std::fmt::Write as _;

use jiff::Zoned;

use crate::layout::{self, Element};
use crate::{DAYS, MONTHS};

/// The time as Go's `Time.Format` writes it by this layout.
#[must_use]
pub fn format(layout: &str, at: &Zoned) -> String {
    let mut out = String::new();
    let mut rest = layout;
    loop {
        let (text, element, after) = layout::next(rest);
        out.push_str(text);
        let Some(element) = element else { return out };
        write(&mut out, element, at);
        rest = after;
    }
}

fn write(out: &mut String, element: Element, at: &Zoned) {
    let name = |names: &[&'static str], index: i8| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or_default()
    };
    let month = name(&MONTHS, at.month() - 1);
    let day = name(&DAYS, at.weekday().to_sunday_zero_offset());
    let hour12 = if at.hour() % 12 == 0 { 12 } else { at.hour() % 12 };
    let written = match element {
        Element::LongMonth => write!(out, "{month}"),
        Element::Month => write!(out, "{}", month.get(..3).unwrap_or(month)),
        Element::NumMonth => write!(out, "{}", at.month()),
        Element::ZeroMonth => write!(out, "{:02}", at.month()),
        Element::LongWeekDay => write!(out, "{day}"),
        Element::WeekDay => write!(out, "{}", day.get(..3).unwrap_or(day)),
        Element::Day => write!(out, "{}", at.day()),
        Element::UnderDay => write!(out, "{:2}", at.day()),
        Element::ZeroDay => write!(out, "{:02}", at.day()),
        Element::UnderYearDay => write!(out, "{:3}", at.day_of_year()),
        Element::ZeroYearDay => write!(out, "{:03}", at.day_of_year()),
        Element::Hour => write!(out, "{:02}", at.hour()),
        Element::Hour12 => write!(out, "{hour12}"),
        Element::ZeroHour12 => write!(out, "{hour12:02}"),
        Element::Minute => write!(out, "{}", at.minute()),
        Element::ZeroMinute => write!(out, "{:02}", at.minute()),
        Element::Second => write!(out, "{}", at.second()),
        Element::ZeroSecond => write!(out, "{:02}", at.second()),
        Element::LongYear => write!(out, "{:04}", at.year()),
        Element::Year => write!(out, "{:02}", at.year().rem_euclid(100)),
        Element::Pm => write!(out, "{}", if at.hour() < 12 { "AM" } else { "PM" }),
        Element::SmallPm => write!(out, "{}", if at.hour() < 12 { "am" } else { "pm" }),
        Element::ZoneName => write!(out, "{}", zone_name(at)),
        Element::Offset { z: true, .. } if at.offset().is_zero() => write!(out, "Z"),
        Element::Offset { colon, parts, .. } => {
            write!(out, "{}", offset(at.offset().seconds(), colon, parts))
        }
        Element::Fraction { separator, digits, trimmed } => {
            write!(out, "{}", fraction(at.subsec_nanosecond(), separator, digits, trimmed))
        }
    };
    written.expect("writing to a String can't fail");
}

/// An offset without a name of its own is written by its digits.
fn zone_name(at: &Zoned) -> String {
    let name = at.strftime("%Z").to_string();
    if !name.starts_with(['+', '-']) {
        return name;
    }
    let seconds = at.offset().seconds();
    // The zones of the database shorten it where they can; an offset that was read does not.
    let is_short = seconds % 3600 == 0 && at.time_zone().iana_name().is_some();
    let parts = if is_short { 1 } else { 2 };
    offset(seconds, false, parts)
}

fn offset(seconds: i32, colon: bool, parts: u8) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let separator = if colon { ":" } else { "" };
    let mut text = format!("{sign}{:02}", seconds / 3600);
    if parts >= 2 {
        text = format!("{text}{separator}{:02}", seconds / 60 % 60);
    }
    if parts >= 3 {
        text = format!("{text}{separator}{:02}", seconds % 60);
    }
    text
}

fn fraction(nanoseconds: i32, separator: char, digits: usize, trimmed: bool) -> String {
    let all = format!("{nanoseconds:09}");
    let kept = all.get(..digits.min(9)).unwrap_or(&all);
    let kept = if trimmed { kept.trim_end_matches('0') } else { kept };
    if kept.is_empty() {
        String::new()
    } else {
        format!("{separator}{kept:0<width$}", width = if trimmed { 0 } else { digits })
    }
}
