//! Defaults, choices and types.

use super::Table;
use crate::function::{Call, wrong};
use crate::value::Value;

pub(super) const FUNCTIONS: Table = &[
    ("default", |call| {
        call.expect_least(1)?;
        let given = call.any(1);
        Ok(if given.truth() { given } else { call.any(0) })
    }),
    ("empty", |call| call.expect(1).map(|()| Value::Bool(!call.any(0).truth()))),
    ("coalesce", |call| Ok(call.all().find(Value::truth).unwrap_or(Value::Nil))),
    ("all", |call| Ok(Value::Bool(call.all().all(|value| value.truth())))),
    ("any", |call| Ok(Value::Bool(call.all().any(|value| value.truth())))),
    ("ternary", |call| {
        call.expect(3)?;
        Ok(call.any(usize::from(!call.bool(2)?)))
    }),
    ("fail", |call| {
        call.expect(1)?;
        Err(call.text(0)?)
    }),
    ("hello", |call| call.expect(0).map(|()| Value::text("Hello!"))),
    ("typeOf", |call| {
        call.expect(1)?;
        Ok(Value::text(call.any(0).type_name()))
    }),
    ("typeIs", |call| {
        call.expect(2)?;
        Ok(Value::Bool(call.any(1).type_name() == call.text(0)?))
    }),
    ("typeIsLike", |call| {
        call.expect(2)?;
        Ok(Value::Bool(
            call.any(1).type_name().trim_start_matches('*') == call.text(0)?.trim_start_matches('*'),
        ))
    }),
    ("kindOf", |call| {
        call.expect(1)?;
        Ok(Value::text(kind(&call.any(0))))
    }),
    ("kindIs", |call| {
        call.expect(2)?;
        Ok(Value::Bool(kind(&call.any(1)) == call.text(0)?))
    }),
    ("deepEqual", |call| {
        call.expect(2)?;
        Ok(Value::Bool(is_same(&call.any(0), &call.any(1))))
    }),
    ("deepCopy", deep_copy),
    ("mustDeepCopy", deep_copy),
];

/// Go's name of the kind behind the type.
fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Object(object) => object.kind(),
        Value::List(_) => "slice",
        Value::Map(_) => "map",
        Value::Nil | Value::Missing => "invalid",
        other => other.type_name(),
    }
}

/// Whether both have the same type and the same content, all the way down.
pub(super) fn is_same(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one.clone().shallow(), other.clone().shallow()) {
        (Value::Nil | Value::Missing, Value::Nil | Value::Missing) => true,
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (Value::Int(one, kind), Value::Int(other, other_kind)) => one == other && kind == other_kind,
        #[expect(clippy::float_cmp, reason = "equality of numbers is what is asked for")]
        (Value::Float(one), Value::Float(other)) => one == other,
        (Value::String(one), Value::String(other)) => one == other,
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other.iter()).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let (one, other) = (one.borrow(), other.borrow());
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other.iter())
                    .all(|(one, other)| one.0 == other.0 && is_same(one.1, other.1))
        }
        (Value::Object(one), Value::Object(other)) => one.equals(&other),
        _ => false,
    }
}

fn deep_copy<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect(1)?;
    match call.any(0) {
        nil @ (Value::Nil | Value::Missing) => Err(wrong("a value", &nil)),
        value => Ok(value.deep_copy()),
    }
}
