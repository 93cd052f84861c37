//! The functions of the language.

use std::rc::Rc;

use data_encoding::BASE64;
use jiff::tz::TimeZone;
use serde_json::Value as Json;
use zetes_gotime::duration;

use crate::node::Elements;
use crate::operators;
use crate::run::Context;
use crate::types::Type;
use crate::value::{Value, Values, Width};

/// Bytes that one text may take.
pub(crate) const MAX_BYTES: usize = 16 << 20;

/// What a function takes.
enum Takes {
    /// Any of these lists of types.
    OneOf(&'static [&'static [Type]]),
    Anything,
}

struct Builtin {
    name: &'static str,
    takes: Takes,
    gives: Type,
}

const fn builtin(name: &'static str, takes: &'static [&'static [Type]], gives: Type) -> Builtin {
    Builtin { name, takes: Takes::OneOf(takes), gives }
}

const TEXT: Type = Type::Text;

const BUILTINS: &[Builtin] = &[
    builtin("type", &[&[Type::Any]], TEXT),
    builtin("string", &[&[Type::Any]], TEXT),
    builtin("trim", &[&[TEXT], &[TEXT, TEXT]], TEXT),
    builtin("trimPrefix", &[&[TEXT, TEXT], &[TEXT]], TEXT),
    builtin("trimSuffix", &[&[TEXT, TEXT], &[TEXT]], TEXT),
    builtin("upper", &[&[TEXT]], TEXT),
    builtin("lower", &[&[TEXT]], TEXT),
    builtin("split", &[&[TEXT, TEXT], &[TEXT, TEXT, Type::Int]], Type::Nil),
    builtin("splitAfter", &[&[TEXT, TEXT], &[TEXT, TEXT, Type::Int]], Type::Nil),
    builtin("replace", &[&[TEXT, TEXT, TEXT, Type::Int], &[TEXT, TEXT, TEXT]], TEXT),
    builtin("repeat", &[&[TEXT, Type::Int]], TEXT),
    builtin("indexOf", &[&[TEXT, TEXT]], Type::Int),
    builtin("lastIndexOf", &[&[TEXT, TEXT]], Type::Int),
    builtin("hasPrefix", &[&[TEXT, TEXT]], Type::Bool),
    builtin("hasSuffix", &[&[TEXT, TEXT]], Type::Bool),
    builtin("toJSON", &[&[Type::Any]], TEXT),
    builtin("fromJSON", &[&[TEXT]], Type::Any),
    builtin("toBase64", &[&[TEXT]], TEXT),
    builtin("fromBase64", &[&[TEXT]], TEXT),
    builtin("now", &[&[]], Type::Time),
    builtin("duration", &[&[TEXT]], Type::Duration),
    builtin("date", &[&[TEXT], &[TEXT, TEXT], &[TEXT, TEXT, TEXT]], Type::Time),
    // Checked one by one, below.
    Builtin { name: "join", takes: Takes::Anything, gives: TEXT },
    Builtin { name: "len", takes: Takes::Anything, gives: Type::Int },
    Builtin { name: "abs", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "ceil", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "floor", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "round", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "int", takes: Takes::Anything, gives: Type::Int },
    Builtin { name: "float", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "max", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "min", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "sum", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "mean", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "median", takes: Takes::Anything, gives: Type::Float },
    Builtin { name: "first", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "last", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "get", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "take", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "keys", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "values", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "toPairs", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "fromPairs", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "sort", takes: Takes::Anything, gives: Type::Any },
    Builtin { name: "sortBy", takes: Takes::Anything, gives: Type::Any },
];

fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

pub(crate) fn is_known(name: &str) -> bool {
    find(name).is_some()
}

/// The type of a call, or why it can't be one.
pub(crate) fn checked(name: &str, found: &[Type]) -> Result<Type, String> {
    let Some(builtin) = find(name) else { return Err(format!("there is no function `{name}`")) };
    match builtin.takes {
        Takes::OneOf(overloads) => {
            let fits = |takes: &Type, found: &Type| {
                takes.is_any()
                    || found.is_any()
                    || *found == Type::Nil
                    || takes == found
                    || (takes.is_integer() && found.is_integer())
            };
            let overload = overloads.iter().find(|takes| {
                takes.len() == found.len() && takes.iter().zip(found).all(|(takes, found)| fits(takes, found))
            });
            match overload {
                Some(_) if builtin.gives == Type::Nil => Ok(Type::list(Type::Text)),
                Some(_) => Ok(builtin.gives.clone()),
                None => Err(unfit(name, found)),
            }
        }
        Takes::Anything => specially(name, builtin, found),
    }
}

fn unfit(name: &str, found: &[Type]) -> String {
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    format!("`{name}` can't take ({})", found.join(", "))
}

fn specially(name: &str, builtin: &Builtin, found: &[Type]) -> Result<Type, String> {
    let is_list = |of: &Type| of.is_any() || matches!(of, Type::List(_));
    let gives = match (name, found) {
        ("len", [Type::Any | Type::Text | Type::List(_) | Type::Map | Type::AnyMap(_)]) => Type::Int,
        ("abs", [of]) if of.is_any() || of.is_number() => of.clone(),
        ("ceil" | "floor" | "round", [of]) if of.is_any() || of.is_number() => Type::Float,
        ("int" | "float", [of]) if of.is_any() || of.is_number() || of.is_text() => builtin.gives.clone(),
        ("max" | "min", [first, ..]) => {
            // The check ends where nothing is known.
            let known = found.iter().position(Type::is_any);
            if found.iter().take(known.unwrap_or(found.len())).all(Type::is_number) {
                if known.is_some() { Type::Any } else { first.clone() }
            } else {
                return Err(unfit(name, found));
            }
        }
        ("join", [Type::Any] | [Type::Any, Type::Any | Type::Text]) => TEXT,
        ("join", [Type::List(of)] | [Type::List(of), Type::Any | Type::Text])
            if of.is_any() || of.is_text() =>
        {
            TEXT
        }
        ("sum", [of]) if is_list(of) => Type::Any,
        ("mean" | "median", [of]) if is_list(of) => Type::Float,
        ("first" | "last", [Type::List(element)]) => (**element).clone(),
        ("get", [Type::List(element), at]) if at.is_integer() || at.is_any() => (**element).clone(),
        ("first" | "last", [Type::Any]) | ("get", [Type::Any, _] | [Type::Map, Type::Text | Type::Any]) => {
            Type::Any
        }
        ("get", [Type::AnyMap(value), key]) if *key != Type::Nil => (**value).clone(),
        ("take", [list, count]) if is_list(list) && (count.is_any() || count.is_integer()) => list.clone(),
        ("keys" | "values" | "toPairs", [of]) if of.is_any() || of.is_map() => Type::list(Type::Any),
        ("fromPairs", [of]) if is_list(of) => Type::AnyMap(Box::new(Type::Any)),
        ("sort", [of]) if is_list(of) => Type::list(Type::Any),
        ("sort" | "sortBy", [of, text]) if is_list(of) && (text.is_any() || text.is_text()) => {
            Type::list(Type::Any)
        }
        ("sortBy", [of, field, order])
            if is_list(of) && [field, order].iter().all(|text| text.is_any() || text.is_text()) =>
        {
            Type::list(Type::Any)
        }
        _ => return Err(unfit(name, found)),
    };
    Ok(gives)
}

/// Calls a function.
#[expect(clippy::too_many_lines, reason = "an arm for each function")]
pub(crate) fn call<'d>(
    name: &str,
    arguments: &[Value<'d>],
    context: &Context<'_, 'd>,
) -> Result<Value<'d>, String> {
    let unfit = || {
        let types: Vec<&str> = arguments.iter().map(Value::type_name).collect();
        format!("`{name}` can't take ({})", types.join(", "))
    };
    let text = |text: String| Ok(Value::text(text));
    match (name, arguments) {
        ("type", [value]) => text(value.type_name().to_owned()),
        ("string", [value]) => text(value.print()),
        ("len", [value]) => operators::length(value).map(Value::count),
        ("abs", [Value::Int(number, width)]) => Ok(Value::Int(number.wrapping_abs(), *width)),
        // Zero keeps its sign.
        ("abs", [Value::Float(number)]) => Ok(Value::Float(if *number < 0.0 { -number } else { *number })),
        ("ceil", [value]) => Ok(Value::Float(operators::float(value)?.ceil())),
        ("floor", [value]) => Ok(Value::Float(operators::float(value)?.floor())),
        ("round", [value]) => Ok(Value::Float(operators::float(value)?.round())),
        ("int", [Value::Text(digits)]) => {
            let plain =
                digits.strip_prefix('+').filter(|rest| !rest.starts_with(['+', '-'])).unwrap_or(digits);
            plain.parse().map(Value::int).map_err(|_| format!("`{digits}` is no int"))
        }
        ("int", [value]) => operators::integer(value).map(Value::int),
        ("float", [Value::Text(digits)]) => {
            number(digits).map(Value::Float).ok_or_else(|| format!("`{digits}` is no float"))
        }
        ("float", [value]) => operators::float(value).map(Value::Float),
        ("trim", [Value::Text(of)]) => text(of.trim().to_owned()),
        ("trim", [Value::Text(of), Value::Text(cut)]) => {
            text(of.trim_matches(|c| cut.contains(c)).to_owned())
        }
        ("trimPrefix", [Value::Text(of), rest @ ..]) => {
            let prefix = part(rest).ok_or_else(unfit)?;
            text(of.strip_prefix(prefix).unwrap_or(of).to_owned())
        }
        ("trimSuffix", [Value::Text(of), rest @ ..]) => {
            let suffix = part(rest).ok_or_else(unfit)?;
            text(of.strip_suffix(suffix).unwrap_or(of).to_owned())
        }
        ("upper", [Value::Text(of)]) => text(zetes_gotext::upper(of)),
        ("lower", [Value::Text(of)]) => text(zetes_gotext::lower(of)),
        ("split" | "splitAfter", [Value::Text(of), Value::Text(separator), rest @ ..]) => {
            let most = match rest {
                [] => -1,
                [most] => operators::integer(most)?,
                _ => return Err(unfit()),
            };
            if most == 0 {
                return Ok(Value::absent_list());
            }
            Ok(Value::texts(split(of, separator, most, name == "splitAfter")))
        }
        ("replace", [Value::Text(of), Value::Text(old), Value::Text(new), rest @ ..]) => {
            let most = match rest {
                [] => usize::MAX,
                [most] => usize::try_from(operators::integer(most)?).unwrap_or(usize::MAX),
                _ => return Err(unfit()),
            };
            bounded(of.len().saturating_add(1).saturating_mul(new.len().saturating_add(1)))?;
            text(of.replacen(&**old, new, most))
        }
        ("repeat", [Value::Text(of), count]) => {
            let count = usize::try_from(operators::integer(count)?).map_err(|_| "the count is negative")?;
            bounded(of.len().saturating_mul(count))?;
            if count > 1_000_000 {
                Err("more than a million repetitions".to_owned())
            } else {
                text(of.repeat(count))
            }
        }
        ("join", [list, rest @ ..]) => {
            let glue = match rest {
                [] => "",
                [Value::Text(glue)] => glue,
                _ => return Err(unfit()),
            };
            let elements = list.elements().ok_or_else(unfit)?.to_vec();
            let texts: Option<Vec<&str>> = elements
                .iter()
                .map(|element| match element {
                    Value::Text(text) => Some(&**text),
                    _ => None,
                })
                .collect();
            let joined = texts.ok_or("`join` takes texts only")?.join(glue);
            bounded(joined.len())?;
            text(joined)
        }
        ("indexOf", [Value::Text(of), Value::Text(part)]) => Ok(place(of.find(&**part))),
        ("lastIndexOf", [Value::Text(of), Value::Text(part)]) => Ok(place(of.rfind(&**part))),
        ("hasPrefix", [Value::Text(of), Value::Text(part)]) => Ok(Value::Bool(of.starts_with(&**part))),
        ("hasSuffix", [Value::Text(of), Value::Text(part)]) => Ok(Value::Bool(of.ends_with(&**part))),
        ("max", [_, ..]) => extreme(arguments, |kept, next| operators::is_less(kept, next)),
        ("min", [_, ..]) => extreme(arguments, |kept, next| operators::is_less(next, kept)),
        ("sum", [list]) => sum(list).ok_or_else(unfit),
        ("mean", [list]) => {
            let numbers = floats(list).ok_or_else(unfit)?;
            Ok(Value::Float(mean(&numbers)))
        }
        ("median", [list]) => {
            let mut numbers = floats(list).ok_or_else(unfit)?;
            numbers.sort_by(f64::total_cmp);
            let middle = numbers.len() / 2;
            let at = |at: usize| numbers.get(at).copied().unwrap_or_default();
            let is_even = numbers.len().is_multiple_of(2) && !numbers.is_empty();
            // The sum may be too large for a float: infinity, as in the reference.
            let sum = if is_even { at(middle - 1) + at(middle) } else { at(middle) };
            Ok(Value::Float(if is_even { sum / 2.0 } else { sum }))
        }
        ("toJSON", [value]) => {
            let json = value.to_json().ok_or_else(unfit)?;
            text(zetes_gojson::to_string_indented(&json))
        }
        ("fromJSON", [Value::Text(of)]) => {
            serde_json::from_str(of).map(Value::from_owned_json).map_err(|error| format!("no JSON: {error}"))
        }
        ("toBase64", [Value::Text(of)]) => text(BASE64.encode(of.as_bytes())),
        ("fromBase64", [Value::Text(of)]) => {
            let plain = of.replace(['\r', '\n'], "");
            let bytes = BASE64.decode(plain.as_bytes()).map_err(|error| format!("no base64: {error}"))?;
            text(String::from_utf8_lossy(&bytes).into_owned())
        }
        ("now", []) => Ok(Value::Time(Box::new(context.now.to_zoned(TimeZone::UTC)))),
        ("duration", [Value::Text(of)]) => {
            duration::parse(of).map(Value::Duration).map_err(|error| error.to_string())
        }
        ("date", [Value::Text(of), rest @ ..]) => {
            date(of, rest).ok_or_else(|| format!("`{of}` is no such date"))
        }
        ("first", [value]) => Ok(operators::fetch(value, &Value::int(0)).unwrap_or(Value::Nil)),
        ("last", [value]) => Ok(operators::fetch(value, &Value::int(-1)).unwrap_or(Value::Nil)),
        ("get", [value, key]) => Ok(operators::fetch(value, key).unwrap_or(Value::Nil)),
        ("take", [list, count]) => {
            let elements = list.elements().ok_or_else(unfit)?;
            let count =
                usize::try_from(signed(count).ok_or_else(unfit)?).map_err(|_| "the count is negative")?;
            if count > elements.len() {
                return Ok(list.clone());
            }
            let kind = if let Value::List(_, kind) = list { *kind } else { Elements::Any };
            Ok(Value::List(Rc::new(elements.to_vec().into_iter().take(count).collect()), kind))
        }
        ("keys", [Value::Pairs(pairs, _)]) => {
            Ok(Value::list(pairs.iter().map(|(key, _)| key.clone()).collect()))
        }
        ("values", [Value::Pairs(pairs, _)]) => {
            Ok(Value::list(pairs.iter().map(|(_, value)| value.clone()).collect()))
        }
        ("keys", [map]) => {
            let members = map.members().ok_or_else(unfit)?;
            Ok(Value::list(members.into_iter().map(|(name, _)| Value::text(name)).collect()))
        }
        ("values", [map]) => {
            let members = map.members().ok_or_else(unfit)?;
            Ok(Value::list(members.into_iter().map(|(_, value)| value).collect()))
        }
        ("toPairs", [map]) => {
            let pairs: Vec<(Value<'d>, Value<'d>)> = if let Value::Pairs(pairs, _) = map {
                pairs.to_vec()
            } else {
                let members = map.members().ok_or_else(unfit)?;
                members.into_iter().map(|(name, value)| (Value::text(name), value)).collect()
            };
            let pairs = pairs.into_iter().map(|(key, value)| Value::list(vec![key, value])).collect();
            Ok(Value::List(Rc::new(pairs), Elements::Pairs))
        }
        ("fromPairs", [list]) => {
            let mut pairs: Vec<(Value<'d>, Value<'d>)> = Vec::new();
            for pair in list.elements().ok_or_else(unfit)?.to_vec() {
                let both = pair.elements().filter(|both| both.len() == 2).ok_or("expected pairs")?;
                let (Some(key), Some(value)) = (both.get(0), both.get(1)) else { return Err(unfit()) };
                if !key.is_hashable() {
                    return Err(format!("a key can't be a {}", key.type_name()));
                }
                pairs.retain(|(known, _)| !known.is_same(&key));
                pairs.push((key, value));
            }
            Ok(Value::Pairs(Rc::new(pairs), Values::Any))
        }
        ("sort", [list, order @ ..]) => sorted(list, None, order).ok_or_else(unfit),
        ("sortBy", [list, Value::Text(field), order @ ..]) => {
            sorted(list, Some(field), order).ok_or_else(unfit)
        }
        _ => Err(unfit()),
    }
}

/// As Go reads a float: `_` between digits, no `+nan`, and nothing that is too large.
fn number(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let is_placed = |(at, byte): (usize, &u8)| {
        *byte != b'_' || (is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)))
    };
    if !bytes.iter().enumerate().all(is_placed) {
        return None;
    }
    let number: f64 = text.replace('_', "").parse().ok()?;
    let is_named = text.bytes().all(|byte| !byte.is_ascii_digit());
    let is_signed = text.starts_with(['+', '-']);
    let fits = if is_named { !(number.is_nan() && is_signed) } else { number.is_finite() };
    fits.then_some(number)
}

pub(crate) fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > MAX_BYTES { Err("a text over 16 MiB".to_owned()) } else { Ok(()) }
}

/// The part that is cut off: a blank where none is given.
fn part<'v>(rest: &'v [Value<'_>]) -> Option<&'v str> {
    match rest {
        [] => Some(" "),
        [Value::Text(part)] => Some(part),
        _ => None,
    }
}

fn place<'d>(at: Option<usize>) -> Value<'d> {
    at.map_or(Value::int(-1), Value::count)
}

fn split(text: &str, separator: &str, most: i64, keeps: bool) -> Vec<String> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most == 0 {
        return Vec::new();
    }
    if separator.is_empty() {
        let mut parts: Vec<String> = text.chars().take(most - 1).map(String::from).collect();
        let rest: String = text.chars().skip(most - 1).collect();
        parts.extend(Some(rest).filter(|rest| !rest.is_empty()));
        return parts;
    }
    let parts: Vec<&str> = text.splitn(most, separator).collect();
    let last = parts.len() - 1;
    let part = |(at, part): (usize, &&str)| {
        if keeps && at < last { format!("{part}{separator}") } else { (*part).to_owned() }
    };
    parts.iter().enumerate().map(part).collect()
}

fn extreme<'d>(
    arguments: &[Value<'d>],
    gives_way: impl Fn(&Value<'d>, &Value<'d>) -> Result<bool, String>,
) -> Result<Value<'d>, String> {
    let mut kept = Value::Nil;
    for argument in arguments {
        if kept.is_nil() || gives_way(&kept, argument)? {
            kept = argument.clone();
        }
    }
    Ok(kept)
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn sum<'d>(list: &Value<'d>) -> Option<Value<'d>> {
    let (mut whole, mut float, mut is_float) = (0_i64, 0.0, false);
    for element in list.elements()?.to_vec() {
        match element {
            Value::Float(number) => {
                if !is_float {
                    (is_float, float) = (true, whole as f64);
                }
                float += number;
            }
            other if is_float => float += signed(&other)? as f64,
            other => whole = whole.wrapping_add(signed(&other)?),
        }
    }
    Some(if is_float { Value::Float(float) } else { Value::int(whole) })
}

/// What is a signed integer to Go's reflection.
fn signed(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number, Width::Int | Width::Int64) => Some(*number),
        Value::Month(number) | Value::Weekday(number) => Some(i64::from(*number)),
        Value::Duration(duration) => i64::try_from(duration.as_nanos()).ok(),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn floats(list: &Value<'_>) -> Option<Vec<f64>> {
    list.elements()?
        .to_vec()
        .iter()
        .map(|element| match element {
            Value::Float(number) => Some(*number),
            _ => signed(element).map(|number| number as f64),
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a float is asked for")]
fn mean(numbers: &[f64]) -> f64 {
    if numbers.is_empty() {
        0.0
    } else {
        numbers.iter().fold(0.0, |sum, number| sum + number) / numbers.len() as f64
    }
}

const LAYOUTS: [&str; 7] = [
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    zetes_gotime::RFC3339,
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
];

fn date<'d>(text: &str, rest: &[Value<'d>]) -> Option<Value<'d>> {
    let read = |layout: &str, zone: &TimeZone| zetes_gotime::parse(layout, text, zone).ok();
    let at = match rest {
        [] => LAYOUTS.iter().find_map(|layout| read(layout, &TimeZone::UTC)),
        [Value::Text(layout)] => read(layout, &TimeZone::UTC),
        [Value::Text(layout), Value::Text(zone)] => read(layout, &TimeZone::get(zone).ok()?),
        _ => None,
    };
    at.map(|at| Value::Time(Box::new(at)))
}

/// Numbers or texts, or the members of maps by which they are sorted; all of one type.
fn sorted<'d>(list: &Value<'d>, field: Option<&str>, order: &[Value<'d>]) -> Option<Value<'d>> {
    let is_descending = match order {
        [] => false,
        [Value::Text(order)] if order == "asc" => false,
        [Value::Text(order)] if order == "desc" => true,
        _ => return None,
    };
    let by = |element: &Value<'d>| {
        let field = Value::text(field.unwrap_or_default());
        match element {
            Value::Map(_) | Value::Json(Json::Object(_)) | Value::Pairs(..) => {
                operators::has(element, &field).then(|| operators::fetch(element, &field).ok()).flatten()
            }
            _ => Some(element.clone()),
        }
    };
    let mut keyed: Vec<(Value<'d>, Value<'d>)> = list
        .elements()?
        .to_vec()
        .into_iter()
        .map(|element| Some((by(&element)?, element)))
        .collect::<Option<_>>()?;
    let is_sortable = |key: &Value<'_>| matches!(key, Value::Int(..) | Value::Float(_) | Value::Text(_));
    let alike = keyed.windows(2).all(|pair| match pair {
        [(one, _), (other, _)] => one.type_name() == other.type_name() && is_sortable(one),
        _ => true,
    });
    if !alike {
        return None;
    }
    keyed.sort_by(|(one, _), (other, _)| {
        let order = match (one, other) {
            (Value::Float(one), Value::Float(other)) => {
                one.partial_cmp(other).unwrap_or(std::cmp::Ordering::Equal)
            }
            (Value::Int(one, _), Value::Int(other, _)) => one.cmp(other),
            (Value::Text(one), Value::Text(other)) => one.cmp(other),
            _ => std::cmp::Ordering::Equal,
        };
        if is_descending { order.reverse() } else { order }
    });
    Some(Value::list(keyed.into_iter().map(|(_, element)| element).collect()))
}
