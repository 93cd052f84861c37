//! The value of a tree.

use std::borrow::Cow;

use crate::Error;
use crate::parse::{Node, What};
use crate::token::Operator;
use crate::value::Value;
use zetes_gotext::power;

use Operator as O;

/// Bytes of a text that `+` may make.
const MAX_TEXT: usize = 16 << 20;

type Evaluated<'v> = Result<Value<'v>, Error>;

pub(crate) fn evaluate<'v>(node: &'v Node, lookup: &impl Fn(&str) -> Option<Value<'v>>) -> Evaluated<'v> {
    match &node.what {
        What::Nil => Ok(Value::Nil),
        What::Number(number) => Ok(Value::Number(*number)),
        What::Bool(value) => Ok(Value::Bool(*value)),
        What::String(text) => Ok(Value::String(Cow::Borrowed(text))),
        What::Pattern(regex) => Ok(Value::String(Cow::Borrowed(regex.as_str()))),
        What::Variable(name) => {
            lookup(name).ok_or_else(|| Error::new(format!("no field is named `{name}`"), node.span.clone()))
        }
        What::Accessor(name) => {
            Err(Error::new(format!("`{name}` looks into a struct, and there is none"), node.span.clone()))
        }
        What::Prefix(operator, operand) => prefix(node, *operator, &evaluate(operand, lookup)?),
        What::Binary(..) => chain(node, lookup),
    }
}

/// A long chain of equal precedence hangs on its left side: it is walked in a loop, not by recursion.
fn chain<'v>(node: &'v Node, lookup: &impl Fn(&str) -> Option<Value<'v>>) -> Evaluated<'v> {
    let mut links = Vec::new();
    let mut first = node;
    while let What::Binary(operator, left, right) = &first.what {
        links.push((first, *operator, right));
        first = left;
    }
    let mut value = evaluate(first, lookup)?;
    for (node, operator, right) in links.into_iter().rev() {
        value = link(node, operator, value, right, lookup)?;
    }
    Ok(value)
}

fn link<'v>(
    node: &Node,
    operator: Operator,
    left: Value<'v>,
    right: &'v Node,
    lookup: &impl Fn(&str) -> Option<Value<'v>>,
) -> Evaluated<'v> {
    match (operator, &left) {
        (O::And, Value::Bool(false)) | (O::Or, Value::Bool(true)) => return Ok(left),
        (O::Coalesce, left_value) if *left_value != Value::Nil => return Ok(left),
        (O::Then, Value::Bool(false)) => return Ok(Value::Nil),
        (O::Else, left_value) if *left_value != Value::Nil => return Ok(left),
        _ => {}
    }
    if let (O::Matches | O::NotMatches, What::Pattern(regex)) = (operator, &right.what) {
        let Value::String(text) = &left else { return Err(refused(node, "a string", &left)) };
        return Ok(Value::Bool(regex.is_match(text.as_bytes()) == (operator == O::Matches)));
    }
    let right = evaluate(right, lookup)?;
    binary(node, operator, left, right)
}

fn refused(node: &Node, expected: &str, found: &Value<'_>) -> Error {
    Error::new(format!("expected {expected}, found {}", found.kind()), node.span.clone())
}

fn number(node: &Node, value: &Value<'_>) -> Result<f64, Error> {
    match value {
        Value::Number(number) => Ok(*number),
        other => Err(refused(node, "a number", other)),
    }
}

fn bool_of(node: &Node, value: &Value<'_>) -> Result<bool, Error> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(refused(node, "a bool", other)),
    }
}

fn prefix<'v>(node: &Node, operator: Operator, operand: &Value<'_>) -> Evaluated<'v> {
    match operator {
        O::Not => Ok(Value::Bool(!bool_of(node, operand)?)),
        O::BitNot => Ok(from_int(!to_int(number(node, operand)?))),
        _ => Ok(Value::Number(-number(node, operand)?)),
    }
}

fn binary<'v>(node: &Node, operator: Operator, left: Value<'v>, right: Value<'v>) -> Evaluated<'v> {
    let numbers =
        |left: &Value<'_>, right: &Value<'_>| Ok::<_, Error>((number(node, left)?, number(node, right)?));
    Ok(match operator {
        O::Add if matches!((&left, &right), (Value::String(_), _) | (_, Value::String(_))) => {
            let text = left.print() + &right.print();
            if text.len() > MAX_TEXT {
                return Err(Error::new("the text is over 16 MiB", node.span.clone()));
            }
            Value::String(Cow::Owned(text))
        }
        O::Add | O::Subtract | O::Multiply | O::Divide | O::Remainder | O::Power => {
            let (left, right) = numbers(&left, &right)?;
            Value::Number(match operator {
                O::Add => left + right,
                O::Subtract => left - right,
                O::Multiply => left * right,
                O::Divide => left / right,
                O::Remainder => left % right,
                _ => power(left, right),
            })
        }
        O::ShiftLeft | O::ShiftRight => {
            let (left, right) = numbers(&left, &right)?;
            shift(operator, to_unsigned(left), to_unsigned(right))
        }
        O::BitAnd | O::BitOr | O::BitXor => {
            let (left, right) = numbers(&left, &right)?;
            let (left, right) = (to_int(left), to_int(right));
            from_int(match operator {
                O::BitAnd => left & right,
                O::BitOr => left | right,
                _ => left ^ right,
            })
        }
        O::Equal => Value::Bool(left.equals(&right)),
        O::NotEqual => Value::Bool(!left.equals(&right)),
        O::Less | O::LessOrEqual | O::Greater | O::GreaterOrEqual => {
            Value::Bool(compare(node, operator, &left, &right)?)
        }
        O::Matches | O::NotMatches => {
            let Value::String(text) = &left else { return Err(refused(node, "a string", &left)) };
            let Value::String(pattern) = &right else { return Err(refused(node, "a pattern", &right)) };
            let regex = zetes_re2::compile(pattern)
                .map_err(|error| Error::new(error.to_string(), node.span.clone()))?;
            Value::Bool(regex.is_match(text.as_bytes()) == (operator == O::Matches))
        }
        O::In => {
            let elements = right.elements().ok_or_else(|| refused(node, "an array", &right))?;
            contains(node, &elements, &left)?
        }
        O::And => Value::Bool(bool_of(node, &left)? && bool_of(node, &right)?),
        O::Or => Value::Bool(bool_of(node, &left)? || bool_of(node, &right)?),
        O::Then => {
            bool_of(node, &left)?;
            right
        }
        O::Else | O::Coalesce => right,
        O::Comma => match left {
            Value::List(mut elements) => {
                elements.push(right);
                Value::List(elements)
            }
            Value::Json(json) if json.is_array() => {
                let mut elements: Vec<Value<'v>> = match json {
                    Cow::Borrowed(json) => {
                        json.as_array().into_iter().flatten().map(Value::of_json).collect()
                    }
                    Cow::Owned(json) => match json {
                        serde_json::Value::Array(elements) => {
                            elements.into_iter().map(Value::from_json).collect()
                        }
                        _ => Vec::new(),
                    },
                };
                elements.push(right);
                Value::List(elements)
            }
            left => Value::List(vec![left, right]),
        },
        O::Negate | O::Not | O::BitNot => return prefix(node, operator, &right),
    })
}

/// The reference crashes where it compares two arrays or two objects: for us that is a mistake.
fn contains<'v>(node: &Node, elements: &[Value<'_>], wanted: &Value<'_>) -> Evaluated<'v> {
    let is_array = |value: &Value<'_>| value.elements().is_some();
    let is_object = |value: &Value<'_>| matches!(value, Value::Json(json) if json.is_object());
    for element in elements {
        if is_array(element) && is_array(wanted) || is_object(element) && is_object(wanted) {
            return Err(refused(node, "a scalar", wanted));
        }
        if element.equals(wanted) {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

/// Two numbers, or two strings by their bytes.
fn compare(node: &Node, operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Error> {
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.partial_cmp(right),
        (Value::String(left), Value::String(right)) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Value::Number(_), other) => return Err(refused(node, "a number", other)),
        (Value::String(_), other) => return Err(refused(node, "a string", other)),
        (other, _) => return Err(refused(node, "a number or a string", other)),
    };
    Ok(order.is_some_and(|order| match operator {
        O::Less => order.is_lt(),
        O::LessOrEqual => order.is_le(),
        O::Greater => order.is_gt(),
        _ => order.is_ge(),
    }))
}

/// As the processors convert that the reference runs on: what does not fit becomes the smallest integer.
#[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
fn to_int(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bits are what is wanted")]
fn to_unsigned(number: f64) -> u64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (LIMIT..2.0 * LIMIT).contains(&number) { number as u64 } else { to_int(number) as u64 }
}

#[expect(clippy::cast_precision_loss, reason = "all numbers of the language are floats")]
fn from_int<'v>(number: i64) -> Value<'v> {
    Value::Number(number as f64)
}

#[expect(clippy::cast_precision_loss, reason = "all numbers of the language are floats")]
fn shift<'v>(operator: Operator, left: u64, right: u64) -> Value<'v> {
    let by = u32::try_from(right).unwrap_or(u32::MAX);
    let shifted = if operator == O::ShiftLeft { left.checked_shl(by) } else { left.checked_shr(by) };
    Value::Number(shifted.unwrap_or(0) as f64)
}
