//! Numbers: whole ones wrap as Go's `int64`, the functions that end in `f` count in decimals.

use std::str::FromStr;

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

use super::Table;
use crate::function::{Call, MAX_ELEMENTS, wrong};
use crate::print::print;
use crate::value::{IntKind, Object, Value};

pub(super) const FUNCTIONS: Table = &[
    ("int", |call| {
        call.expect(1)?;
        Ok(Value::int(integer(&call.any(0))))
    }),
    ("int64", |call| {
        call.expect(1)?;
        Ok(Value::int64(integer(&call.any(0))))
    }),
    ("float64", |call| {
        call.expect(1)?;
        Ok(Value::Float(float(&call.any(0))))
    }),
    ("atoi", |call| {
        call.expect(1)?;
        let text = call.text(0)?;
        Ok(Value::int(
            text.strip_prefix('+')
                .filter(|rest| !rest.starts_with(['+', '-']))
                .unwrap_or(&text)
                .parse()
                .unwrap_or(0),
        ))
    }),
    ("toDecimal", |call| {
        call.expect(1)?;
        Ok(Value::int64(i64::from_str_radix(&print(&call.any(0)), 8).unwrap_or(0)))
    }),
    ("add", |call| Ok(Value::int64(call.all().fold(0, |sum, value| integer(&value).wrapping_add(sum))))),
    ("add1", |call| {
        call.expect(1)?;
        Ok(Value::int64(integer(&call.any(0)).wrapping_add(1)))
    }),
    ("sub", |call| {
        call.expect(2)?;
        Ok(Value::int64(integer(&call.any(0)).wrapping_sub(integer(&call.any(1)))))
    }),
    ("mul", |call| {
        call.expect_least(1)?;
        Ok(Value::int64(call.all().fold(1, |product, value| integer(&value).wrapping_mul(product))))
    }),
    ("div", |call| divided(call, i64::wrapping_div)),
    ("mod", |call| divided(call, i64::wrapping_rem)),
    ("max", |call| extreme(call, i64::max)),
    ("biggest", |call| extreme(call, i64::max)),
    ("min", |call| extreme(call, i64::min)),
    ("maxf", |call| extreme_float(call, f64::max)),
    ("minf", |call| extreme_float(call, f64::min)),
    ("addf", |call| decimals(call, BigDecimal::from(0), 0, |sum, next| Ok(sum + next))),
    ("add1f", |call| {
        call.expect(1)?;
        decimals(call, BigDecimal::from(1), 0, |sum, next| Ok(sum + next))
    }),
    ("subf", |call| decimals(call, first(call)?, 1, |rest, next| Ok(rest - next))),
    ("mulf", |call| decimals(call, first(call)?, 1, |product, next| Ok(product * next))),
    ("divf", |call| decimals(call, first(call)?, 1, quotient)),
    ("floor", |call| {
        call.expect(1)?;
        Ok(Value::Float(float(&call.any(0)).floor()))
    }),
    ("ceil", |call| {
        call.expect(1)?;
        Ok(Value::Float(float(&call.any(0)).ceil()))
    }),
    ("round", round),
    ("until", |call| {
        call.expect(1)?;
        let count = call.int(0)?;
        Ok(Value::list(
            steps(0, count, if count < 0 { -1 } else { 1 })?.into_iter().map(Value::int).collect(),
        ))
    }),
    ("untilStep", |call| {
        call.expect(3)?;
        let numbers = steps(call.int(0)?, call.int(1)?, call.int(2)?)?;
        Ok(Value::list(numbers.into_iter().map(Value::int).collect()))
    }),
    ("seq", seq),
];

/// A number cut to a whole one, a text read as one; anything else is 0.
pub(super) fn integer(value: &Value<'_>) -> i64 {
    match value.clone().shallow() {
        Value::Int(number, _) => number,
        Value::Float(number) => cut(number),
        Value::Bool(value) => i64::from(value),
        Value::Object(Object::Month(number) | Object::Weekday(number)) => i64::from(number),
        Value::String(text) => crate::literal::integer(without_zeros(&text)).unwrap_or(0),
        _ => 0,
    }
}

/// `5.00` as `5`.
fn without_zeros(text: &str) -> &str {
    match text.rsplit_once('.') {
        Some((whole, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => whole,
        _ => text,
    }
}

/// What does not fit becomes the lowest number, as on the reference's machines.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "cut to an integer is what is asked for"
)]
fn cut(number: f64) -> i64 {
    if number.is_nan() || number >= i64::MAX as f64 { i64::MIN } else { number as i64 }
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn float(value: &Value<'_>) -> f64 {
    match value.clone().shallow() {
        Value::Int(number, _) => number as f64,
        Value::Float(number) => number,
        Value::Bool(value) => f64::from(u8::from(value)),
        Value::String(text) => crate::literal::float(&text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn divided<'d>(call: &Call<'d>, operation: fn(i64, i64) -> i64) -> Result<Value<'d>, String> {
    call.expect(2)?;
    match integer(&call.any(1)) {
        0 => Err("integer divide by zero".to_owned()),
        divisor => Ok(Value::int64(operation(integer(&call.any(0)), divisor))),
    }
}

fn extreme<'d>(call: &Call<'d>, choose: fn(i64, i64) -> i64) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    Ok(Value::int64(call.all().map(|value| integer(&value)).reduce(choose).unwrap_or_default()))
}

fn extreme_float<'d>(call: &Call<'d>, choose: fn(f64, f64) -> f64) -> Result<Value<'d>, String> {
    call.expect_least(1)?;
    let choose =
        |one: f64, other: f64| if one.is_nan() || other.is_nan() { f64::NAN } else { choose(one, other) };
    Ok(Value::Float(call.all().map(|value| float(&value)).reduce(choose).unwrap_or_default()))
}

fn decimal(number: f64) -> Result<BigDecimal, String> {
    BigDecimal::from_str(&number.to_string()).map_err(|_| format!("{number} is no decimal"))
}

fn first(call: &Call<'_>) -> Result<BigDecimal, String> {
    call.expect_least(1)?;
    decimal(float(&call.any(0)))
}

fn quotient(dividend: &BigDecimal, divisor: &BigDecimal) -> Result<BigDecimal, String> {
    if divisor.is_zero() {
        return Err("division by zero".to_owned());
    }
    Ok((dividend / divisor).with_scale_round(16, RoundingMode::HalfUp))
}

fn decimals<'d>(
    call: &Call<'d>,
    first: BigDecimal,
    skip: usize,
    operation: fn(&BigDecimal, &BigDecimal) -> Result<BigDecimal, String>,
) -> Result<Value<'d>, String> {
    let mut result = first;
    for value in call.all().skip(skip) {
        result = operation(&result, &decimal(float(&value))?)?;
    }
    Ok(Value::Float(result.to_f64().unwrap_or(f64::NAN)))
}

/// Rounded to so many decimal places; a part of at least the third argument (0.5) is rounded up.
fn round<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    call.expect_least(2)?;
    let places = i32::try_from(call.int(1)?).unwrap_or(if call.int(1)? < 0 { i32::MIN } else { i32::MAX });
    if let Some(other) =
        call.arguments.get(2).filter(|from| !matches!(from, Value::Int(..)) && from.type_name() != "float64")
    {
        return Err(wrong("float64", other));
    }
    let from = if call.arguments.len() > 2 { float(&call.any(2)) } else { 0.5 };
    let power = 10_f64.powi(places);
    let digits = power * float(&call.any(0));
    let rounded = if digits.fract() >= from { digits.ceil() } else { digits.floor() };
    Ok(Value::Float(rounded / power))
}

/// From the start to before the end.
fn steps(start: i64, end: i64, step: i64) -> Result<Vec<i64>, String> {
    if step == 0 || (step > 0) != (end >= start) {
        return Ok(Vec::new());
    }
    let count =
        (i128::from(end) - i128::from(start)).unsigned_abs().div_ceil(u128::from(step.unsigned_abs()));
    let count = usize::try_from(count).ok().filter(|count| *count <= MAX_ELEMENTS);
    let count = count.ok_or_else(|| format!("more than {MAX_ELEMENTS} elements"))?;
    Ok(std::iter::successors(Some(start), |last| last.checked_add(step)).take(count).collect())
}

/// A text of the numbers up to and with the end, as the shell command writes it.
fn seq<'d>(call: &Call<'d>) -> Result<Value<'d>, String> {
    for at in 0..call.arguments.len() {
        call.int(at)?;
    }
    let number = |at| call.int(at);
    let towards = |start: i64, end: i64| if end < start { -1 } else { 1 };
    let (start, step, end) = match call.arguments.len() {
        1 => (1, towards(1, number(0)?), number(0)?),
        2 => (number(0)?, towards(number(0)?, number(1)?), number(1)?),
        3 if number(2)? < number(0)? && number(1)? > 0 => return Ok(Value::text("")),
        3 => (number(0)?, number(1)?, number(2)?),
        _ => return Ok(Value::text("")),
    };
    let numbers = steps(start, end.saturating_add(towards(start, end)), step)?;
    Ok(Value::text(numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")))
}

/// Whether a value is an `int64`, which some functions tell from other numbers.
pub(super) fn as_int64(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number, IntKind::Int64) => Some(*number),
        _ => None,
    }
}
