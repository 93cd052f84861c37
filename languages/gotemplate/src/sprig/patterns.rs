//! Regular expressions, as Go has them.

use std::sync::{Arc, Mutex, PoisonError};

use regex::bytes::{Captures, Regex};

use super::Table;
use super::lists::texts;
use super::texts::one;
use crate::function::{Call, bounded};
use crate::value::{Value, lossy};

pub(super) const FUNCTIONS: Table = &[
    ("regexMatch", |call| {
        call.expect(2)?;
        let text = call.text(1)?;
        Ok(Value::Bool(pattern(call).is_ok_and(|pattern| pattern.is_match(text.as_bytes()))))
    }),
    ("mustRegexMatch", |call| {
        call.expect(2)?;
        Ok(Value::Bool(pattern(call)?.is_match(call.text(1)?.as_bytes())))
    }),
    ("regexFind", find),
    ("mustRegexFind", find),
    ("regexFindAll", find_all),
    ("mustRegexFindAll", find_all),
    ("regexReplaceAll", |call| replace(call, true)),
    ("mustRegexReplaceAll", |call| replace(call, true)),
    ("regexReplaceAllLiteral", |call| replace(call, false)),
    ("mustRegexReplaceAllLiteral", |call| replace(call, false)),
    ("regexSplit", split),
    ("mustRegexSplit", split),
    ("regexQuoteMeta", |call| one(call, quoted)),
];

/// The patterns that a template has met, compiled once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns(Arc<Mutex<Vec<(String, Regex)>>>);

/// More patterns than these are made of data, and not worth keeping.
const MAX_KEPT: usize = 32;

impl Patterns {
    fn get(&self, text: &str) -> Result<Regex, String> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pattern)) = kept.iter().find(|(known, _)| known == text) {
            return Ok(pattern.clone());
        }
        let pattern = zetes_re2::compile(text).map_err(|error| error.message().to_owned())?;
        if kept.len() == MAX_KEPT {
            kept.remove(0);
        }
        kept.push((text.to_owned(), pattern.clone()));
        Ok(pattern)
    }
}

fn pattern(call: &Call<'_>) -> Result<Regex, String> {
    call.patterns.get(&call.text(0)?)
}

/// A number of matches: all where it is negative.
fn most(call: &Call<'_>, at: usize) -> Result<usize, String> {
    Ok(usize::try_from(call.int(at)?).unwrap_or(usize::MAX))
}

/// The matches. An empty one inside of a character is none: patterns see characters.
fn matches<'t>(
    pattern: &Regex,
    text: &'t str,
) -> impl Iterator<Item = (std::ops::Range<usize>, Captures<'t>)> {
    pattern.captures_iter(text.as_bytes()).filter_map(|found| {
        let range = found.get(0)?.range();
        text.is_char_boundary(range.start).then_some((range, found))
    })
}

fn found(call: &Call<'_>, most: usize) -> Result<Vec<String>, String> {
    let text = call.text(1)?;
    let pattern = pattern(call)?;
    let found = matches(&pattern, &text).take(most);
    Ok(found.map(|(range, _)| text.get(range).unwrap_or_default().to_owned()).collect())
}

fn find<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::text(found(call, 1)?.pop().unwrap_or_default()))
}

fn find_all<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    Ok(texts(found(call, most(call, 2)?)?))
}

fn replace<'d>(call: &Call<'d>, expands: bool) -> Result<Value<'d>, String> {
    call.expect(3)?;
    let (pattern, text, with) = (pattern(call)?, call.text(1)?, call.text(2)?);
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut start = 0;
    for (range, found) in matches(&pattern, &text) {
        out.extend(text.as_bytes().get(start..range.start).unwrap_or_default());
        if expands {
            found.expand(with.as_bytes(), &mut out);
        } else {
            out.extend(with.as_bytes());
        }
        bounded(out.len())?;
        start = range.end;
    }
    out.extend(text.as_bytes().get(start..).unwrap_or_default());
    Ok(Value::text(lossy(&out)))
}

fn split<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(3)?;
    let (pattern, text, most) = (pattern(call)?, call.text(1)?, most(call, 2)?);
    if most == 0 {
        return Ok(texts([]));
    }
    if text.is_empty() && !call.text(0)?.is_empty() {
        return Ok(texts([String::new()]));
    }
    let mut parts = Vec::new();
    let (mut start, mut end) = (0, 0);
    for (range, _) in matches(&pattern, &text) {
        if parts.len() + 1 == most {
            break;
        }
        end = range.start;
        // An empty match before the first character separates nothing.
        if range.end != 0 {
            parts.push(text.get(start..end).unwrap_or_default().to_owned());
        }
        start = range.end;
    }
    if end != text.len() {
        parts.push(text.get(start..).unwrap_or_default().to_owned());
    }
    Ok(texts(parts))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
