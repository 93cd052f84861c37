//! Texts cut, joined, padded and wrapped. Positions count bytes, as Go's strings do; a character cut in two becomes `\u{FFFD}`.

use super::Table;
use crate::function::{Call, bounded};
use crate::print::print;
use crate::quote::quote;
use crate::value::{Value, lossy};

pub(super) const FUNCTIONS: Table = &[
    ("trim", |call| one(call, |text| text.trim().to_owned())),
    ("trimAll", trim_all),
    ("trimall", trim_all),
    ("trimPrefix", |call| two(call, |prefix, text| text.strip_prefix(prefix).unwrap_or(text).to_owned())),
    ("trimSuffix", |call| two(call, |suffix, text| text.strip_suffix(suffix).unwrap_or(text).to_owned())),
    ("hasPrefix", |call| asks(call, |prefix, text| text.starts_with(prefix))),
    ("hasSuffix", |call| asks(call, |suffix, text| text.ends_with(suffix))),
    ("contains", |call| asks(call, |part, text| text.contains(part))),
    ("replace", replace),
    ("repeat", repeat),
    ("nospace", |call| one(call, |text| latin(text, |c| (!c.is_whitespace()).then_some(c)))),
    ("initials", |call| {
        one(call, |text| {
            let mut is_start = true;
            latin_always(text, |c| {
                let is_initial = is_start && !c.is_whitespace();
                is_start = c.is_whitespace();
                is_initial.then_some(c)
            })
        })
    }),
    ("trunc", trunc),
    ("substr", substr),
    ("abbrev", |call| {
        call.expect(2)?;
        let (width, text) = (call.int(0)?, call.text(1)?);
        Ok(Value::text(if width < 4 { text } else { abbreviated(&text, 0, width) }))
    }),
    ("abbrevboth", |call| {
        call.expect(3)?;
        let (left, right, text) = (call.int(0)?, call.int(1)?, call.text(2)?);
        let is_too_narrow = right < 4 || (left > 0 && right < 7);
        Ok(Value::text(if is_too_narrow { text } else { abbreviated(&text, left, right) }))
    }),
    ("wrap", |call| {
        call.expect(2)?;
        Ok(Value::text(wrapped(&call.text(1)?, call.int(0)?, "\n", false)?))
    }),
    ("wrapWith", |call| {
        call.expect(3)?;
        let separator = call.text(1)?;
        let separator = if separator.is_empty() { "\n" } else { &separator };
        Ok(Value::text(wrapped(&call.text(2)?, call.int(0)?, separator, true)?))
    }),
    ("quote", |call| {
        let quoted = call.all().filter(|value| !value.is_nil()).map(|value| quote(&print(&value), false));
        Ok(Value::text(quoted.collect::<Vec<_>>().join(" ")))
    }),
    ("squote", |call| {
        let quoted = call.all().filter(|value| !value.is_nil()).map(|value| format!("'{}'", print(&value)));
        Ok(Value::text(quoted.collect::<Vec<_>>().join(" ")))
    }),
    ("cat", |call| {
        let parts = call.all().filter(|value| !value.is_nil()).map(|value| print(&value));
        Ok(Value::text(parts.collect::<Vec<_>>().join(" ")))
    }),
    ("indent", |call| indent(call, "")),
    ("nindent", |call| indent(call, "\n")),
    ("plural", |call| {
        call.expect(3)?;
        let (one, many) = (call.text(0)?, call.text(1)?);
        Ok(Value::text(if call.int(2)? == 1 { one } else { many }))
    }),
    ("toString", |call| {
        call.expect(1)?;
        Ok(Value::text(print(&call.any(0))))
    }),
];

pub(super) fn one<'d>(call: &Call<'d>, change: impl FnOnce(&str) -> String) -> Result<Value<'d>, String> {
    call.expect(1)?;
    Ok(Value::text(change(&call.text(0)?)))
}

pub(super) fn two<'d>(call: &Call<'d>, change: fn(&str, &str) -> String) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::text(change(&call.text(0)?, &call.text(1)?)))
}

fn asks<'d>(call: &Call<'d>, ask: fn(&str, &str) -> bool) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::Bool(ask(&call.text(0)?, &call.text(1)?)))
}

/// The whole text where nothing is left out; else each byte kept stands for a character, as the reference has it.
fn latin(text: &str, keep: impl FnMut(char) -> Option<char>) -> String {
    let kept = latin_always(text, keep);
    if kept.chars().count() == text.len() { text.to_owned() } else { kept }
}

fn latin_always(text: &str, keep: impl FnMut(char) -> Option<char>) -> String {
    text.bytes().map(char::from).filter_map(keep).collect()
}

fn trim_all<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    two(call, |cut, text| text.trim_matches(|c| cut.contains(c)).to_owned())
}

fn replace<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    let (old, new, text) = (call.text(0)?, call.text(1)?, call.text(2)?);
    bounded(text.len().saturating_add(1).saturating_mul(new.len().saturating_add(1)))?;
    Ok(Value::text(text.replace(&old, &new)))
}

fn repeat<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let count = usize::try_from(call.int(0)?).map_err(|_| "the count is negative")?;
    let text = call.text(1)?;
    bounded(text.len().saturating_mul(count))?;
    Ok(Value::text(text.repeat(count)))
}

/// A negative length keeps the end.
fn trunc<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let (length, text) = (call.int(0)?, call.text(1)?);
    let size = usize::try_from(length.unsigned_abs()).unwrap_or(usize::MAX);
    if size >= text.len() {
        return Ok(Value::text(text));
    }
    Ok(Value::text(if length < 0 {
        part(&text, text.len() - size, text.len())
    } else {
        part(&text, 0, size)
    }))
}

fn substr<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    let (start, end, text) = (call.int(0)?, call.int(1)?, call.text(2)?);
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let (start, end) = match (start, end) {
        (..0, end) => (0, end),
        (start, end) if end < 0 || end > length => (start, length),
        both => both,
    };
    let (from, to) = (usize::try_from(start), usize::try_from(end));
    match (from, to) {
        (Ok(from), Ok(to)) if from <= to && to <= text.len() => Ok(Value::text(part(&text, from, to))),
        _ => Err(format!("slice bounds out of range [{start}:{end}] with length {length}")),
    }
}

fn part(text: &str, from: usize, to: usize) -> String {
    lossy(text.as_bytes().get(from..to).unwrap_or_default())
}

/// At most `width` bytes, with three dots where something is left out, and the byte at `offset` in it.
fn abbreviated(text: &str, offset: i64, width: i64) -> String {
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if length <= width {
        return text.to_owned();
    }
    let room = width - 3;
    let bytes = |from: i64, to: i64| {
        part(text, usize::try_from(from).unwrap_or(0), usize::try_from(to).unwrap_or(usize::MAX))
    };
    let offset = offset.min(length).min(length - room);
    if offset <= 4 {
        return format!("{}...", bytes(0, room));
    }
    if offset + room >= length {
        return format!("...{}", bytes(length - room, length));
    }
    // A second ellipsis needs room of its own.
    if room < 4 {
        return "...".to_owned();
    }
    format!("...{}", abbreviated(&bytes(offset, length), 0, room))
}

/// Lines of at most `width` bytes, broken at blanks; what is longer stays whole, or is cut where `cuts_words` asks for it.
fn wrapped(text: &str, width: i64, separator: &str, cuts_words: bool) -> Result<String, String> {
    let width = usize::try_from(width).unwrap_or(0).max(1);
    bounded(text.len().saturating_mul(separator.len().saturating_add(1)))?;
    let bytes = text.as_bytes();
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let blank = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b' ');
    while rest.len() > width {
        if let [b' ', after @ ..] = rest {
            rest = after;
            continue;
        }
        let line = rest.get(..=width).unwrap_or(rest);
        let (line, next) = if let Some(at) = line.iter().rposition(|byte| *byte == b' ') {
            (rest.get(..at), at + 1)
        } else if cuts_words {
            (rest.get(..width), width)
        } else {
            match rest.get(width..).and_then(blank) {
                Some(at) => (rest.get(..width + at), width + at + 1),
                None => break,
            }
        };
        out.extend(line.unwrap_or_default());
        out.extend(separator.as_bytes());
        rest = rest.get(next..).unwrap_or_default();
    }
    out.extend(rest);
    Ok(lossy(&out))
}

fn indent<'d>(call: &Call<'d>, before: &str) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let spaces = usize::try_from(call.int(0)?).map_err(|_| "the number of spaces is negative")?;
    let text = call.text(1)?;
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    bounded(text.len().saturating_add(lines.saturating_mul(spaces)))?;
    let pad = " ".repeat(spaces);
    Ok(Value::text(format!("{before}{pad}{}", text.replace('\n', &format!("\n{pad}")))))
}
