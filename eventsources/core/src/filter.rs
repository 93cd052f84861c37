//! The EventSource's own filter (spec/event-sources.md 1.7).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use zetes_api::Finding;
use zetes_exprlang::{Elements, Environment, Expression, Value};
use zetes_gotemplate::{IntKind, Object, Sprig, Value as Argument};
use zetes_jsonpath::JsonPath;

/// Events for which the expression is not true are rejected before they reach the bus. An empty filter passes everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct SourceFilter {
    /// An expression of expr 1.15 over the event's data: `body.action == "opened" and "X-Hub-Signature" in header`.
    #[serde(default)]
    pub expression: String,
}

impl SourceFilter {
    /// What is wrong with the expression, and what it will hardly mean (S14).
    pub fn findings(filter: Option<&Self>) -> Vec<Finding> {
        const PATH: &str = "filter.expression";
        let Some(text) =
            filter.map(|filter| filter.expression.as_str()).filter(|text| !text.trim().is_empty())
        else {
            return Vec::new();
        };
        match Expression::compile(text) {
            Err(error) => {
                let message = format!("{}: nothing would pass", error.message());
                vec![Finding::error("bad-expression", PATH, message).span(error.span())]
            }
            Ok(_) => dashed_names(text)
                .map(|(at, name)| {
                    let message = format!("`{name}` is a subtraction, and names of data never have a dash");
                    Finding::warning("dash-in-name", PATH, message).span(at..at + name.len()).hint(format!(
                        "in top-level names `-` is written `_`: `{}`; in others `[\"…\"]`",
                        name.replace('-', "_")
                    ))
                })
                .collect(),
        }
    }
}

/// Names with a dash in them, outside of texts: `x-github-event`.
fn dashed_names(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut quote = None;
    let plain: String = text
        .chars()
        .map(|c| {
            if let Some(open) = quote {
                if c == open {
                    quote = None;
                }
                // As many bytes, so that places stay.
                " ".repeat(c.len_utf8())
            } else {
                quote = Some(c).filter(|c| matches!(c, '"' | '\''));
                c.to_string()
            }
        })
        .collect();
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut found = Vec::new();
    let mut start = 0;
    while let Some(word) =
        plain.get(start..).map(|rest| rest.split(|c| !is_part(c)).next().unwrap_or_default())
    {
        let is_dashed = word.split('.').any(|part| {
            part.split('-').count() > 1
                && part.split('-').all(|piece| piece.starts_with(|c: char| c.is_alphabetic()))
        });
        if is_dashed && let Some(name) = text.get(start..start + word.len()) {
            found.push((start, name));
        }
        start += word.len();
        let Some(next) = plain.get(start..).and_then(|rest| rest.chars().next()) else { break };
        start += next.len_utf8();
    }
    found.into_iter()
}

/// A compiled filter. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    text: String,
    expression: Result<Expression, String>,
    sprig: Sprig,
}

/// Why an event is not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// Stable: `filter-false` or `filter-error`.
    pub(crate) reason: &'static str,
    /// What the expression gave, or what was wrong.
    pub(crate) seen: String,
}

impl Filter {
    /// The filter under an event's name; `None` where everything passes.
    pub(crate) fn of(config: &Json) -> Option<Self> {
        let text = config.get("filter")?.get("expression")?.as_str()?.to_owned();
        if text.trim().is_empty() {
            return None;
        }
        let expression = Expression::compile(&text).map_err(|error| error.to_string());
        Some(Self(Arc::new(Compiled { text, expression, sprig: Sprig::default() })))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0.text
    }

    /// Whether an event with this data passes. An expression that fails, or gives no bool, lets nothing pass (S13).
    pub(crate) fn judge(&self, data: &[u8], now: Timestamp) -> Result<(), Rejection> {
        let failed = |seen: String| Rejection { reason: "filter-error", seen };
        let expression = self.0.expression.as_ref().map_err(|message| failed(message.clone()))?;
        let data: Json =
            serde_json::from_slice(data).map_err(|error| failed(format!("the data: {error}")))?;
        let empty = Map::new();
        let members = match &data {
            Json::Object(members) => members,
            Json::Null => &empty,
            _ => return Err(failed("the data is no object".to_owned())),
        };
        let value = expression
            .evaluate(&environment(members, &self.0.sprig, now), now)
            .map_err(|error| failed(error.to_string()))?;
        match value {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => Err(Rejection { reason: "filter-false", seen: "false".to_owned() }),
            other => Err(failed(format!("expected a bool, the expression gave a {}", other.type_name()))),
        }
    }
}

/// The names that an expression sees: the members of the data, with `-` as `_` and dotted names as maps, and the functions.
fn environment<'d>(members: &'d Map<String, Json>, sprig: &'d Sprig, now: Timestamp) -> Environment<'d> {
    let mut names: Vec<(String, &'d Json)> =
        members.iter().map(|(name, value)| (name.replace('-', "_"), value)).collect();
    // `a` gives way to `a.b`.
    let prefixes: Vec<String> =
        names.iter().filter(|(name, _)| name.contains('.')).map(|(name, _)| name.clone()).collect();
    let gives_way = |name: &str| {
        prefixes.iter().any(|longer| longer.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    };
    names.retain(|(name, _)| !gives_way(name));
    let mut environment = Environment::default();
    for (name, value) in expanded(&names) {
        environment.set(name, value);
    }
    environment.set_function("asInt", |arguments| as_number(arguments, false));
    environment.set_function("asFloat", |arguments| as_number(arguments, true));
    environment.set_function("toJson", |arguments| match arguments {
        [value] => {
            let json = value.to_json().ok_or_else(|| format!("a {} has no JSON", value.type_name()))?;
            Ok(Value::text(zetes_gojson::to_string(&json)))
        }
        _ => Err("`toJson` takes a value".to_owned()),
    });
    environment.set_function("jsonpath", |arguments| match arguments {
        [Value::Text(json), Value::Text(path)] => jsonpath(json, path),
        _ => Err("`jsonpath` takes a JSON text and a path".to_owned()),
    });
    environment.set("sprig", functions(sprig, now));
    environment
}

fn expanded<'d>(names: &[(String, &'d Json)]) -> BTreeMap<String, Value<'d>> {
    let mut plain = BTreeMap::new();
    let mut nested: BTreeMap<String, Vec<(String, &'d Json)>> = BTreeMap::new();
    for (name, value) in names {
        match name.split_once('.') {
            None => drop(plain.insert(name.clone(), Value::from_json(value))),
            Some((first, rest)) => nested.entry(first.to_owned()).or_default().push((rest.to_owned(), value)),
        }
    }
    for (name, members) in nested {
        plain.insert(name, Value::Map(Rc::new(expanded(&members))));
    }
    plain
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "that is what is asked for")]
fn as_number<'d>(arguments: &[Value<'d>], wants_float: bool) -> Result<Value<'d>, String> {
    let wrong = |what: &str| format!("{what} is no number");
    match arguments {
        [Value::Text(text)] if wants_float => text.parse().map(Value::Float).map_err(|_| wrong(text)),
        [Value::Text(text)] => text.parse().map(Value::int).map_err(|_| wrong(text)),
        [Value::Float(number)] if !wants_float => Ok(Value::int(*number as i64)),
        [Value::Int(number, _)] if wants_float => Ok(Value::Float(*number as f64)),
        [number @ (Value::Float(_) | Value::Int(..))] => Ok(number.clone()),
        [other] => Err(wrong(&format!("a {}", other.type_name()))),
        _ => Err("expected one argument".to_owned()),
    }
}

/// What the path finds: one value where it can find one only, a list otherwise. `.length` at its end counts.
fn jsonpath<'d>(json: &str, path: &str) -> Result<Value<'d>, String> {
    let json: Json = serde_json::from_str(json).map_err(|error| format!("no JSON: {error}"))?;
    let found = |path: &str| {
        let path = JsonPath::compile(path).map_err(|error| error.message().to_owned())?;
        let mut values = path.get(&json).into_iter().cloned();
        Ok::<_, String>(if path.is_singular() { values.next() } else { Some(Json::Array(values.collect())) })
    };
    let missing = || format!("`{path}` finds nothing");
    match found(path)? {
        Some(value) => Ok(Value::from_owned_json(value)),
        None => match path.strip_suffix(".length").map(found).transpose()?.flatten() {
            Some(Json::Array(elements)) => Ok(Value::int(i64::try_from(elements.len()).unwrap_or(i64::MAX))),
            Some(Json::String(text)) => Ok(Value::int(i64::try_from(text.len()).unwrap_or(i64::MAX))),
            _ => Err(missing()),
        },
    }
}

/// Sprig's functions as members of one name.
fn functions<'d>(sprig: &'d Sprig, now: Timestamp) -> Value<'d> {
    Value::Namespace(Rc::new(move |name: &str| {
        if !Sprig::has(name) {
            return None;
        }
        let name = name.to_owned();
        Some(Value::Function(Rc::new(move |arguments: &[Value<'d>]| {
            let arguments = arguments.iter().map(argument).collect::<Result<_, _>>()?;
            result(sprig.call(&name, arguments, now)?, &name)
        })))
    }))
}

fn argument<'d>(value: &Value<'d>) -> Result<Argument<'d>, String> {
    Ok(match value {
        Value::Nil => Argument::Nil,
        Value::Bool(value) => Argument::Bool(*value),
        Value::Int(number, _) => Argument::Int(*number, IntKind::Int),
        Value::Float(number) => Argument::Float(*number),
        Value::Text(text) => Argument::String(text.clone()),
        Value::Json(json) => Argument::Json(json),
        Value::Time(at) => Argument::Object(Object::Time(at.clone())),
        Value::Duration(duration) => Argument::Object(Object::Duration(*duration)),
        other => match other.to_json() {
            Some(json) => Argument::owned(json),
            None => return Err(format!("a function can't take a {}", other.type_name())),
        },
    })
}

/// Functions whose lists are declared to be of texts: such a list equals no list that is written in an expression.
const OF_TEXTS: [&str; 8] = [
    "splitList",
    "sortAlpha",
    "toStrings",
    "keys",
    "regexFindAll",
    "mustRegexFindAll",
    "regexSplit",
    "mustRegexSplit",
];

fn result<'d>(value: Argument<'d>, function: &str) -> Result<Value<'d>, String> {
    Ok(match value {
        Argument::Missing | Argument::Nil => Value::Nil,
        Argument::Bool(value) => Value::Bool(value),
        Argument::Int(number, _) => Value::int(number),
        Argument::Float(number) => Value::Float(number),
        Argument::String(text) => Value::Text(text),
        Argument::Json(json) => Value::from_json(json),
        Argument::List(elements) => {
            let kind = if OF_TEXTS.contains(&function) {
                Elements::Texts
            } else if matches!(function, "until" | "untilStep") {
                Elements::Ints
            } else {
                Elements::Any
            };
            let elements: Result<Vec<_>, _> =
                elements.iter().map(|element| result(element.clone(), "")).collect();
            Value::List(Rc::new(elements?), kind)
        }
        Argument::Map(members) => {
            let members = members.borrow();
            let members: Result<_, String> =
                members.iter().map(|(name, value)| Ok((name.clone(), result(value.clone(), "")?))).collect();
            Value::Map(Rc::new(members?))
        }
        Argument::Object(Object::Time(at)) => Value::Time(at),
        Argument::Object(Object::Duration(duration)) => Value::Duration(duration),
        Argument::Object(Object::Month(number) | Object::Weekday(number)) => Value::int(i64::from(number)),
        Argument::Object(Object::Version(_)) => return Err("a version can't be used here".to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(input: &Json) -> Json {
        let Some(filter) = Filter::of(&json!({"filter": {"expression": input["expression"]}})) else {
            // An empty filter passes everything here (spec/event-sources.md 1.7); to the reference it is a syntax error.
            return json!({"error": true});
        };
        match filter.judge(input["data"].as_str().unwrap_or_default().as_bytes(), Timestamp::UNIX_EPOCH) {
            Ok(()) => json!({"pass": true}),
            Err(Rejection { reason: "filter-false", .. }) => json!({"pass": false}),
            Err(_) => json!({"error": true}),
        }
    }

    #[test]
    fn vectors_of_eventsource_filters() {
        zetes_vectors::check("eventsource-filter", answer);
    }
}
