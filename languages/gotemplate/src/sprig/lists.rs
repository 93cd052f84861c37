//! Lists. They are never changed in place: every function makes a new one.

use std::rc::Rc;

use super::Table;
use super::logic::is_same;
use super::numbers::integer;
use crate::function::{Call, MAX_ELEMENTS, bounded, wrong};
use crate::print::print;
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("list", |call| Ok(Value::list(call.all().collect()))),
    ("tuple", |call| Ok(Value::list(call.all().collect()))),
    ("first", |call| Ok(alone(call)?.first().cloned().unwrap_or(Value::Nil))),
    ("mustFirst", |call| Ok(alone(call)?.first().cloned().unwrap_or(Value::Nil))),
    ("last", |call| Ok(alone(call)?.last().cloned().unwrap_or(Value::Nil))),
    ("mustLast", |call| Ok(alone(call)?.last().cloned().unwrap_or(Value::Nil))),
    ("rest", rest),
    ("mustRest", rest),
    ("initial", initial),
    ("mustInitial", initial),
    ("append", append),
    ("mustAppend", append),
    ("push", append),
    ("mustPush", append),
    ("prepend", prepend),
    ("mustPrepend", prepend),
    ("concat", |call| {
        let mut all = Vec::new();
        for at in 0..call.arguments.len() {
            all.extend(elements(call, at)?.iter().cloned());
            if all.len() > MAX_ELEMENTS {
                return Err(format!("more than {MAX_ELEMENTS} elements"));
            }
        }
        Ok(Value::list(all))
    }),
    ("reverse", reverse),
    ("mustReverse", reverse),
    ("uniq", uniq),
    ("mustUniq", uniq),
    ("compact", compact),
    ("mustCompact", compact),
    ("without", without),
    ("mustWithout", without),
    ("has", has),
    ("mustHas", has),
    ("slice", slice),
    ("mustSlice", slice),
    ("chunk", chunk),
    ("mustChunk", chunk),
    ("sortAlpha", |call| {
        call.expect(1)?;
        let mut sorted = match call.any(0) {
            Value::Nil => vec![print(&Value::Nil)],
            value => strings(&value),
        };
        sorted.sort_unstable();
        Ok(texts(sorted))
    }),
    ("toStrings", |call| {
        call.expect(1)?;
        Ok(texts(strings(&call.any(0))))
    }),
    ("join", |call| {
        call.expect(2)?;
        let (separator, parts) = (call.text(0)?, strings(&call.any(1)));
        bounded(separator.len().saturating_mul(parts.len()))?;
        Ok(Value::text(parts.join(&separator)))
    }),
    ("splitList", |call| {
        call.expect(2)?;
        Ok(texts(split(&call.text(1)?, &call.text(0)?, -1)))
    }),
];

/// The elements of an argument that must be a list.
fn elements<'d>(call: &Call<'d>, at: usize) -> Result<Rc<Vec<Value<'d>>>, String> {
    let value = call.any(at);
    value.elements().ok_or_else(|| wrong("a list", &value))
}

/// The elements of the one argument.
fn alone<'d>(call: &Call<'d>) -> Result<Rc<Vec<Value<'d>>>, String> {
    call.expect(1)?;
    elements(call, 0)
}

/// The elements as texts, nil left out; one text of what is no list.
fn strings(value: &Value<'_>) -> Vec<String> {
    match value.elements() {
        Some(elements) => {
            let shallow = elements.iter().map(|element| element.clone().shallow());
            shallow.filter(|element| !element.is_nil()).map(|element| print(&element)).collect()
        }
        None if value.is_nil() => Vec::new(),
        None => vec![print(value)],
    }
}

pub(super) fn texts<'d>(texts: impl IntoIterator<Item = String>) -> Value<'d> {
    Value::list(texts.into_iter().map(Value::text).collect())
}

/// As Go's `strings.SplitN`: at most `count` parts, all where it is negative, and characters where there is no separator.
pub(super) fn split(text: &str, separator: &str, count: i64) -> Vec<String> {
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    if most == 0 {
        return Vec::new();
    }
    if !separator.is_empty() {
        return text.splitn(most, separator).map(str::to_owned).collect();
    }
    let mut parts: Vec<String> = text.chars().take(most - 1).map(String::from).collect();
    let rest: String = text.chars().skip(most - 1).collect();
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

fn rest<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    Ok(Value::list(alone(call)?.iter().skip(1).cloned().collect()))
}

fn initial<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    let all = alone(call)?;
    Ok(Value::list(all.iter().take(all.len().saturating_sub(1)).cloned().collect()))
}

fn append<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::list(elements(call, 0)?.iter().cloned().chain([call.any(1)]).collect()))
}

fn prepend<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    Ok(Value::list([call.any(1)].into_iter().chain(elements(call, 0)?.iter().cloned()).collect()))
}

fn reverse<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    Ok(Value::list(alone(call)?.iter().rev().cloned().collect()))
}

fn contains(list: &[Value<'_>], wanted: &Value<'_>) -> bool {
    list.iter().any(|value| is_same(value, wanted))
}

fn uniq<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    let mut kept: Vec<Value<'d>> = Vec::new();
    for value in alone(call)?.iter() {
        if !contains(&kept, value) {
            kept.push(value.clone());
        }
    }
    Ok(Value::list(kept))
}

fn compact<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    Ok(Value::list(alone(call)?.iter().filter(|value| value.truth()).cloned().collect()))
}

fn without<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let omitted: Vec<Value<'d>> = call.all().skip(1).collect();
    Ok(Value::list(elements(call, 0)?.iter().filter(|value| !contains(&omitted, value)).cloned().collect()))
}

fn has<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    if call.any(1).is_nil() {
        return Ok(Value::Bool(false));
    }
    Ok(Value::Bool(contains(&elements(call, 1)?, &call.any(0))))
}

fn slice<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let list = elements(call, 0)?;
    if list.is_empty() {
        return Ok(Value::Nil);
    }
    let bound = |at: usize, otherwise: usize| match call.arguments.get(at) {
        None => Ok(otherwise),
        Some(value) => {
            let number = integer(value);
            usize::try_from(number).map_err(|_| format!("slice index out of bounds: {number}"))
        }
    };
    let (start, end) = (bound(1, 0)?, bound(2, list.len())?);
    let part = list.get(start..end).ok_or_else(|| format!("slice index out of bounds: [{start}:{end}]"))?;
    Ok(Value::list(part.to_vec()))
}

fn chunk<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(2)?;
    let size =
        usize::try_from(call.int(0)?).ok().filter(|size| *size > 0).ok_or("the size must be positive")?;
    Ok(Value::list(elements(call, 1)?.chunks(size).map(|part| Value::list(part.to_vec())).collect()))
}
