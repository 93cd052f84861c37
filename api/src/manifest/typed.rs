//! From JSON to a type, with everything that is wrong at once.
//!
//! The type's own JSON Schema is walked beside the value: wrong types, missing and unknown members are all found, not only the
//! first. What only the type can tell (a duration's text) is then asked of it.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::diagnostic::{FieldPath, Finding};

/// Values that can't be read and are told of one object.
const MAX_UNREADABLE: usize = 32;
/// Values nested deeper than this are not looked into.
const MAX_DEPTH: usize = 64;

/// The JSON Schema of a type.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads a type from a value. Unknown members are warnings, everything else that is wrong is an error; with an error there is no
/// value. Members that are null count as absent. Paths are relative to the value.
pub fn decode<T: DeserializeOwned + JsonSchema>(value: &Value) -> (Option<T>, Vec<Finding>) {
    let (read, findings) = decode_rest(value);
    (read.filter(|_| !findings.iter().any(Finding::is_error)), findings)
}

/// As [`decode`], but members of a wrong type count as absent, so that the rest can be checked, too.
pub(crate) fn decode_rest<T: DeserializeOwned + JsonSchema>(value: &Value) -> (Option<T>, Vec<Finding>) {
    let schema = schema_of::<T>();
    let mut walk = Walk { root: &schema, findings: Vec::new() };
    let mut cleaned = walk.value(&schema, value, &FieldPath::root(), 0);
    let mut findings = walk.findings;
    for _ in 0..MAX_UNREADABLE {
        let error = match serde_path_to_error::deserialize::<_, T>(&cleaned) {
            Ok(value) => return (Some(value), findings),
            Err(error) => error,
        };
        let path = path_of(error.path());
        // What the walk has found at or below this place explains it already.
        let is_told =
            findings.iter().any(|one| one.is_error() && one.path.to_string().starts_with(&path.to_string()));
        if !is_told {
            findings.push(Finding::error("bad-value", path, error.inner().to_string()));
        }
        // Without it the next one that can't be read is found, too.
        if !take_out(&mut cleaned, error.path()) {
            break;
        }
    }
    (None, findings)
}

/// Removes the member that stands at a path; `false` where there is none. An element is none: the others would move up.
fn take_out(value: &mut Value, path: &serde_path_to_error::Path) -> bool {
    use serde_path_to_error::Segment;
    let mut place = value;
    let mut segments = path.iter().filter(|segment| !matches!(segment, Segment::Unknown)).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let inner = match (segment, place) {
            (Segment::Map { key }, Value::Object(members)) if is_last => {
                return members.shift_remove(key).is_some();
            }
            (Segment::Map { key }, Value::Object(members)) => members.get_mut(key),
            (Segment::Seq { index }, Value::Array(items)) if !is_last => items.get_mut(*index),
            _ => None,
        };
        let Some(inner) = inner else { return false };
        place = inner;
    }
    false
}

fn path_of(path: &serde_path_to_error::Path) -> FieldPath {
    use serde_path_to_error::Segment;
    path.iter().fold(FieldPath::root(), |path, segment| match segment {
        Segment::Seq { index } => path.index(*index),
        Segment::Map { key } => path.key(key.as_str()),
        Segment::Enum { variant } => path.key(variant.as_str()),
        Segment::Unknown => path,
    })
}

struct Walk<'s> {
    root: &'s Value,
    findings: Vec<Finding>,
}

impl<'s> Walk<'s> {
    /// Checks a value and gives it back without its null members.
    fn value(&mut self, schema: &'s Value, value: &Value, path: &FieldPath, depth: usize) -> Value {
        let schema = self.resolved(schema);
        let types = types(schema);
        if depth > MAX_DEPTH
            || schema.is_boolean()
            || (types.is_empty() && schema.get("properties").is_none())
        {
            return value.clone();
        }
        if !types.is_empty() && !types.iter().any(|name| is_a(value, name)) {
            self.findings.push(wrong_type(value, &types, path));
            return Value::Null;
        }
        match value {
            Value::Object(members) => Value::Object(self.object(schema, members, path, depth)),
            Value::Array(items) => {
                let Some(item_schema) = schema.get("items") else { return value.clone() };
                let checked = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.value(item_schema, item, &path.index(index), depth + 1));
                Value::Array(checked.collect())
            }
            _ => value.clone(),
        }
    }

    fn object(
        &mut self,
        schema: &'s Value,
        members: &Map<String, Value>,
        path: &FieldPath,
        depth: usize,
    ) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let additional = schema.get("additionalProperties");
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if members.get(name).is_none_or(Value::is_null) {
                self.findings.push(Finding::error(
                    "missing-field",
                    path.key(name),
                    format!("expected `{name}`"),
                ));
            }
        }
        let mut checked = Map::new();
        for (name, member) in members {
            let path = path.key(name.as_str());
            let known = properties.and_then(|properties| properties.get(name));
            match (known, additional) {
                (Some(_), _) if member.is_null() => {}
                (Some(schema), _) | (None, Some(schema)) => {
                    let checked_member = self.value(schema, member, &path, depth + 1);
                    if !checked_member.is_null() || member.is_null() {
                        checked.insert(name.clone(), checked_member);
                    }
                }
                (None, None) if properties.is_none() => {
                    checked.insert(name.clone(), member.clone());
                }
                (None, None) => self.findings.push(unknown(name, properties, path)),
            }
        }
        checked
    }

    /// Follows references, and takes the one alternative that is not null.
    fn resolved(&self, mut schema: &'s Value) -> &'s Value {
        for _ in 0..MAX_DEPTH {
            let reference =
                schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            let target =
                reference.and_then(|pointer| self.root.pointer(pointer)).or_else(|| only_alternative(schema));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }
}

fn only_alternative(schema: &Value) -> Option<&Value> {
    let alternatives = schema.get("anyOf").and_then(Value::as_array)?;
    let mut others =
        alternatives.iter().filter(|schema| schema.get("type").is_none_or(|name| name != "null"));
    others.next().filter(|_| others.next().is_none())
}

/// The types that a schema names, null left out.
fn types(schema: &Value) -> Vec<&str> {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    names.into_iter().filter(|name| *name != "null").collect()
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn wrong_type(value: &Value, types: &[&str], path: &FieldPath) -> Finding {
    let expected = types.iter().map(|name| named(name)).collect::<Vec<_>>().join(" or ");
    let (found, hint) = match value {
        Value::Null => ("nothing".to_owned(), None),
        Value::String(text) => (format!("the text `{}`", cut(text)), text_hint(text, types)),
        Value::Number(number) => (
            format!("the number {number}"),
            types.contains(&"string").then(|| format!("put it in quotes: \"{number}\"")),
        ),
        Value::Bool(truth) => (
            format!("the boolean {truth}"),
            types.contains(&"string").then(|| format!("put it in quotes: \"{truth}\"")),
        ),
        Value::Array(_) => ("a list".to_owned(), None),
        Value::Object(_) => (
            "an object".to_owned(),
            types.contains(&"array").then(|| "begin each element with `- `".to_owned()),
        ),
    };
    let finding = Finding::error("wrong-type", path.clone(), format!("expected {expected}, found {found}"));
    match hint {
        Some(hint) => finding.hint(hint),
        None => finding,
    }
}

fn text_hint(text: &str, types: &[&str]) -> Option<String> {
    let unquoted = match text {
        "true" | "false" => types.contains(&"boolean"),
        _ => text.parse::<f64>().is_ok() && (types.contains(&"integer") || types.contains(&"number")),
    };
    if unquoted {
        Some(format!("write it without quotes: {text}"))
    } else {
        types.contains(&"array").then(|| format!("write a list: [{text}]"))
    }
}

fn named(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        text.chars().take(40).chain("…".chars()).collect()
    }
}

fn unknown(name: &str, properties: Option<&Map<String, Value>>, path: FieldPath) -> Finding {
    let known: Vec<&str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
    unknown_field(name, &known, path)
}

/// The warning about a member that nothing reads.
pub(crate) fn unknown_field(name: &str, known: &[&str], path: FieldPath) -> Finding {
    let finding =
        Finding::warning("unknown-field", path, format!("unknown field `{name}`, nothing reads it"));
    match nearest(name, known) {
        Some(nearest) => finding.hint(format!("did you mean `{nearest}`?")),
        None => finding,
    }
}

/// The known name that was probably meant.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let distance = |known: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let best = known.iter().copied().min_by_key(|known| distance(known))?;
    (distance(best) <= 1 + name.chars().count() / 4).then_some(best)
}
