//! Maps, which functions change in place as in Go. Where Go's order is random, ours is by key.

use std::cell::RefCell;
use std::rc::Rc;

use super::Table;
use super::lists::{split, texts};
use crate::function::{Call, wrong};
use crate::print::print;
use crate::value::{Members, Value};

pub(super) const FUNCTIONS: Table = &[
    ("dict", |call| {
        let map = empty();
        for at in (0..call.arguments.len()).step_by(2) {
            let value = if at + 1 < call.arguments.len() { call.any(at + 1) } else { Value::text("") };
            map.borrow_mut().insert(print(&call.any(at)), value);
        }
        Ok(Value::Map(map))
    }),
    ("get", |call| {
        call.expect(2)?;
        let found = map(call, 0)?.borrow().get(&call.text(1)?).cloned();
        Ok(found.unwrap_or_else(|| Value::text("")))
    }),
    ("set", |call| {
        call.expect(3)?;
        if call.any(0).is_nil() {
            return Err("assignment to entry in nil map".to_owned());
        }
        let map = map(call, 0)?;
        let value = call.any(2);
        if contains(&value, &map, 0) {
            return Err("a map can't be a part of itself".to_owned());
        }
        map.borrow_mut().insert(call.text(1)?, value);
        Ok(Value::Map(map))
    }),
    ("unset", |call| {
        call.expect(2)?;
        let map = map(call, 0)?;
        map.borrow_mut().remove(&call.text(1)?);
        Ok(Value::Map(map))
    }),
    ("hasKey", |call| {
        call.expect(2)?;
        Ok(Value::Bool(map(call, 0)?.borrow().contains_key(&call.text(1)?)))
    }),
    ("pluck", |call| {
        call.expect_least(1)?;
        let key = call.text(0)?;
        let mut found = Vec::new();
        for at in 1..call.arguments.len() {
            found.extend(map(call, at)?.borrow().get(&key).cloned());
        }
        Ok(Value::list(found))
    }),
    ("keys", |call| {
        let mut keys = Vec::new();
        for at in 0..call.arguments.len() {
            keys.extend(map(call, at)?.borrow().keys().cloned());
        }
        Ok(texts(keys))
    }),
    ("values", |call| {
        call.expect(1)?;
        Ok(Value::list(map(call, 0)?.borrow().values().cloned().collect()))
    }),
    ("pick", |call| chosen(call, true)),
    ("omit", |call| chosen(call, false)),
    ("dig", |call| {
        call.expect_least(3)?;
        let keys = call.arguments.len() - 2;
        let mut found = call.any(keys + 1);
        for at in 0..keys {
            let members = found.members().ok_or_else(|| wrong("a map", &found))?;
            match members.get(&call.text(at)?) {
                Some(value) => found = value.clone().shallow(),
                None => return Ok(call.any(keys)),
            }
        }
        Ok(found)
    }),
    ("merge", |call| merged(call, false)),
    ("mustMerge", |call| merged(call, false)),
    ("mergeOverwrite", |call| merged(call, true)),
    ("mustMergeOverwrite", |call| merged(call, true)),
    ("split", |call| {
        call.expect(2)?;
        Ok(numbered(split(&call.text(1)?, &call.text(0)?, -1)))
    }),
    ("splitn", |call| {
        call.expect(3)?;
        Ok(numbered(split(&call.text(2)?, &call.text(0)?, call.int(1)?)))
    }),
];

/// Maps may be this deep in each other.
const MAX_DEPTH: usize = 100;

fn empty<'d>() -> Members<'d> {
    Rc::new(RefCell::default())
}

/// An argument that must be a map; a missing one is empty, but a null of the document is not.
fn map<'d>(call: &Call<'d>, at: usize) -> Result<Members<'d>, String> {
    match call.any(at) {
        nil @ Value::Nil if matches!(call.arguments.get(at), Some(Value::Json(_))) => {
            Err(wrong("a map", &nil))
        }
        Value::Map(members) => Ok(members),
        Value::Nil | Value::Missing => Ok(empty()),
        other => Err(wrong("a map", &other)),
    }
}

/// Whether `map` is `value`, or somewhere in it. What is too deep counts, too.
fn contains<'d>(value: &Value<'d>, map: &Members<'d>, depth: usize) -> bool {
    depth > MAX_DEPTH
        || match value {
            Value::Map(members) => {
                Rc::ptr_eq(members, map)
                    || members.borrow().values().any(|value| contains(value, map, depth + 1))
            }
            Value::List(elements) => elements.iter().any(|value| contains(value, map, depth + 1)),
            _ => false,
        }
}

fn chosen<'d>(call: &Call<'d>, keeps_named: bool) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let mut named = Vec::new();
    for at in 1..call.arguments.len() {
        named.push(call.text(at)?);
    }
    let map = map(call, 0)?;
    let kept = map
        .borrow()
        .iter()
        .filter(|(key, _)| named.contains(key) == keeps_named)
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    Ok(Value::map(kept))
}

/// The first map with what the others have and it lacks; `overwrites`: with what they have.
fn merged<'d>(call: &Call<'d>, overwrites: bool) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let target = map(call, 0)?;
    for at in 1..call.arguments.len() {
        let source = map(call, at)?;
        if Rc::ptr_eq(&source, &target) {
            continue;
        }
        if contains(&Value::Map(source.clone()), &target, 0) {
            return Err("a map can't be a part of itself".to_owned());
        }
        merge(&target, &source, overwrites);
    }
    Ok(Value::Map(target))
}

fn merge<'d>(target: &Members<'d>, source: &Members<'d>, overwrites: bool) {
    for (key, value) in source.borrow().iter() {
        let value = value.clone().shallow();
        let held = target.borrow().get(key).cloned().map(Value::shallow);
        if let (Some(Value::Map(held)), Value::Map(value)) = (&held, &value) {
            if !Rc::ptr_eq(held, value) {
                merge(held, value, overwrites);
                // A part of the input has become a map of its own.
                target.borrow_mut().insert(key.clone(), Value::Map(held.clone()));
            }
            continue;
        }
        let is_unset = !held.is_some_and(|held| held.truth());
        if overwrites || (is_unset && !value.is_nil()) {
            target.borrow_mut().insert(key.clone(), value);
        }
    }
}

/// `_0`, `_1`, …
fn numbered<'d>(parts: Vec<String>) -> Value<'d> {
    Value::map(
        parts.into_iter().enumerate().map(|(at, part)| (format!("_{at}"), Value::text(part))).collect(),
    )
}
