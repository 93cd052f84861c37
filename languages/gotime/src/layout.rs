//! A layout taken apart into the elements that stand for parts of a time, and the text between them.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekDay,
    WeekDay,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Pm,
    SmallPm,
    ZoneName,
    /// Whether UTC is `Z`, whether there are colons, and how many of hours, minutes, seconds.
    Offset {
        z: bool,
        colon: bool,
        parts: u8,
    },
    /// So many digits behind `.` or `,`; `trimmed` leaves trailing zeros out.
    Fraction {
        separator: char,
        digits: usize,
        trimmed: bool,
    },
}

use Element as E;

/// In the order in which they are tried: the longer one of two that begin alike first.
const FIXED: [(&str, Element); 33] = [
    ("January", E::LongMonth),
    ("Jan", E::Month),
    ("Monday", E::LongWeekDay),
    ("Mon", E::WeekDay),
    ("MST", E::ZoneName),
    ("002", E::ZeroYearDay),
    ("01", E::ZeroMonth),
    ("02", E::ZeroDay),
    ("03", E::ZeroHour12),
    ("04", E::ZeroMinute),
    ("05", E::ZeroSecond),
    ("06", E::Year),
    ("15", E::Hour),
    ("1", E::NumMonth),
    ("2006", E::LongYear),
    ("2", E::Day),
    ("__2", E::UnderYearDay),
    ("_2", E::UnderDay),
    ("3", E::Hour12),
    ("4", E::Minute),
    ("5", E::Second),
    ("PM", E::Pm),
    ("pm", E::SmallPm),
    ("-070000", E::Offset { z: false, colon: false, parts: 3 }),
    ("-07:00:00", E::Offset { z: false, colon: true, parts: 3 }),
    ("-0700", E::Offset { z: false, colon: false, parts: 2 }),
    ("-07:00", E::Offset { z: false, colon: true, parts: 2 }),
    ("-07", E::Offset { z: false, colon: false, parts: 1 }),
    ("Z070000", E::Offset { z: true, colon: false, parts: 3 }),
    ("Z07:00:00", E::Offset { z: true, colon: true, parts: 3 }),
    ("Z0700", E::Offset { z: true, colon: false, parts: 2 }),
    ("Z07:00", E::Offset { z: true, colon: true, parts: 2 }),
    ("Z07", E::Offset { z: true, colon: false, parts: 1 }),
];

/// The text before the next element, the element, and what follows it.
pub(crate) fn next(layout: &str) -> (&str, Option<Element>, &str) {
    for (at, _) in layout.char_indices() {
        let rest = layout.get(at..).unwrap_or_default();
        if let Some((element, length)) = element_at(rest) {
            return (
                layout.get(..at).unwrap_or_default(),
                Some(element),
                rest.get(length..).unwrap_or_default(),
            );
        }
    }
    (layout, None, "")
}

fn element_at(rest: &str) -> Option<(Element, usize)> {
    if let Some(fraction) = fraction(rest) {
        return Some(fraction);
    }
    for (text, element) in FIXED {
        if !rest.starts_with(text) {
            continue;
        }
        let after = rest.get(text.len()..).unwrap_or_default();
        let is_word = matches!(element, E::Month | E::WeekDay);
        if is_word && after.starts_with(|c: char| c.is_ascii_lowercase()) {
            continue;
        }
        // `_2006` is an underscore and a year.
        if element == E::UnderDay && after.starts_with("006") {
            return None;
        }
        return Some((element, text.len()));
    }
    None
}

fn fraction(rest: &str) -> Option<(Element, usize)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digits = rest.get(1..)?;
    let digit = digits.chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let count = digits.chars().take_while(|c| *c == digit).count();
    if digits.get(count..)?.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some((E::Fraction { separator, digits: count, trimmed: digit == '9' }, count + 1))
}
