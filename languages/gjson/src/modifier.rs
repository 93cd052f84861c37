//! `@name` and `@name:argument`: the current value, rebuilt.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::path::{self, Path, closing};
use crate::value::{quote, unquote};
use crate::{pretty, scan};

/// Documents are rebuilt and searched no deeper than this.
const MAX_DEPTH: usize = 512;

/// What a `@dig` counts for in the nesting of paths: one inside of another would look at every pair of values, a third at
/// every triple.
const DIG_NESTING: usize = 40;

/// A modifier with its argument.
#[derive(Clone, Debug)]
pub(crate) struct Modifier {
    name: Name,
    argument: String,
    /// Of `@dig`: the path that is looked for at every depth.
    wanted: Option<Box<Path>>,
}

#[derive(Clone, Copy, Debug)]
enum Name {
    This,
    Reverse,
    Ugly,
    Pretty,
    Valid,
    Flatten,
    Join,
    Keys,
    Values,
    ToText,
    FromText,
    Group,
    Dig,
}

fn known(name: &str) -> Option<Name> {
    Some(match name {
        "this" => Name::This,
        "reverse" => Name::Reverse,
        "ugly" => Name::Ugly,
        "pretty" => Name::Pretty,
        "valid" => Name::Valid,
        "flatten" => Name::Flatten,
        "join" => Name::Join,
        "keys" => Name::Keys,
        "values" => Name::Values,
        "tostr" => Name::ToText,
        "fromstr" => Name::FromText,
        "group" => Name::Group,
        "dig" => Name::Dig,
        _ => return None,
    })
}

/// Whether the text begins with `@` and the name of a modifier.
pub(crate) fn begins_with_known(text: &str) -> bool {
    text.strip_prefix('@')
        .is_some_and(|rest| known(rest.split(['.', '|', ':']).next().unwrap_or_default()).is_some())
}

impl Modifier {
    /// Reads a modifier, which ends at a dot, a pipe, or behind its argument. An unknown name is none: it is a key.
    pub(crate) fn parse(text: &str, depth: usize) -> Option<(Self, &str)> {
        let rest = text.strip_prefix('@')?;
        let end = rest.find(['.', '|', ':']).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end)?;
        let name = known(word)?;
        let (argument, after) = match after.strip_prefix(':') {
            Some(after) => split_argument(after)?,
            None => ("", after),
        };
        let wanted = matches!(name, Name::Dig).then(|| Box::new(Path::nested(argument, depth + DIG_NESTING)));
        Some((Self { name, argument: argument.to_owned(), wanted }, after))
    }

    /// The new JSON text; empty when there is nothing.
    pub(crate) fn apply(&self, json: &str) -> String {
        match self.name {
            Name::This => json.to_owned(),
            Name::Reverse => reverse(json),
            Name::Ugly => pretty::ugly(json),
            Name::Pretty => pretty::pretty(json, &pretty::Style::read(&self.argument)),
            Name::Valid => {
                if is_valid(json) {
                    json.to_owned()
                } else {
                    String::new()
                }
            }
            Name::Flatten => flatten(json, self.flag("deep"), 0),
            Name::Join => join(json, self.flag("preserve")),
            Name::Keys => keys(json),
            Name::Values => values(json),
            Name::ToText => quote_text(json),
            Name::FromText => from_text(json),
            Name::Group => group(json),
            Name::Dig => self.dig(json),
        }
    }

    fn flag(&self, name: &str) -> bool {
        Path::compile(name).get(&self.argument).is_some_and(|value| value.boolean())
    }

    fn dig(&self, json: &str) -> String {
        let mut found = Vec::new();
        if let Some(wanted) = &self.wanted {
            dig(json, wanted, 0, &mut found);
        }
        array(found.into_iter())
    }
}

/// A JSON argument ends where it closes, and the path with it unless it goes on there; any other one ends at a pipe.
fn split_argument(text: &str) -> Option<(&str, &str)> {
    let end = match text.as_bytes().first() {
        Some(b'{' | b'[') => closing(text).map_or(text.len(), |close| close + 1),
        Some(b'"') => scan::string_end(text, 0),
        _ => return Some(path::split_at_outer_pipe(text)),
    };
    let (argument, after) = text.split_at_checked(end)?;
    Some((argument, if after.starts_with(['.', '|']) { after } else { "" }))
}

fn is_valid(json: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok()
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

fn texts<'j>(json: &'j str, spans: impl Iterator<Item = scan::Span> + 'j) -> Vec<&'j str> {
    spans.map(|span| span.of(json)).collect()
}

fn reverse(json: &str) -> String {
    if let Some(elements) = scan::elements(json) {
        return array(texts(json, elements).into_iter().rev().map(str::to_owned));
    }
    let Some(members) = scan::members(json) else { return json.to_owned() };
    let mut pairs: Vec<String> =
        members.map(|(key, value)| format!("{}:{}", key.of(json), value.of(json))).collect();
    pairs.reverse();
    format!("{{{}}}", pairs.join(","))
}

fn flatten(json: &str, deep: bool, depth: usize) -> String {
    let Some(elements) = scan::elements(json) else { return json.to_owned() };
    let opened = elements.filter_map(|element| {
        let element = element.of(json);
        if !element.starts_with('[') {
            return Some(element.to_owned());
        }
        let element =
            if deep && depth < MAX_DEPTH { flatten(element, true, depth + 1) } else { element.to_owned() };
        let inner =
            element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&element).trim();
        (!inner.is_empty()).then(|| inner.to_owned())
    });
    array(opened)
}

/// Joins the objects of an array into one; a later member wins unless all are kept.
fn join(json: &str, preserve: bool) -> String {
    let Some(elements) = scan::elements(json) else { return json.to_owned() };
    let mut joined: Vec<(&str, &str)> = Vec::new();
    let mut places = BTreeMap::new();
    for element in elements {
        let element = element.of(json);
        for (key, value) in scan::members(element).into_iter().flatten() {
            let (key, value) = (key.of(element), value.of(element));
            let place =
                if preserve { joined.len() } else { *places.entry(unquote(key)).or_insert(joined.len()) };
            match joined.get_mut(place) {
                Some((_, old)) => *old = value,
                None => joined.push((key, value)),
            }
        }
    }
    let pairs: Vec<String> = joined.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

fn keys(json: &str) -> String {
    if let Some(members) = scan::members(json) {
        return array(members.map(|(key, _)| key.of(json).to_owned()));
    }
    match scan::elements(json) {
        Some(elements) => array(elements.map(|_| "null".to_owned())),
        None if scan::value_at(json, 0).is_some() => "[null]".to_owned(),
        None => "[]".to_owned(),
    }
}

fn values(json: &str) -> String {
    if let Some(members) = scan::members(json) {
        return array(members.map(|(_, value)| value.of(json).to_owned()));
    }
    if scan::elements(json).is_some() {
        return json.to_owned();
    }
    format!("[{}]", scan::value_at(json, 0).map_or("", |span| span.of(json)))
}

fn quote_text(json: &str) -> String {
    quote(json)
}

fn from_text(json: &str) -> String {
    if !is_valid(json) {
        return String::new();
    }
    let text = crate::value::Value::first_of(Cow::Borrowed(json)).map(|value| value.string().into_owned());
    text.unwrap_or_default()
}

/// An object of arrays becomes an array of objects.
fn group(json: &str) -> String {
    let Some(members) = scan::members(json) else { return String::new() };
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (key, column) in members {
        let column = column.of(json);
        for (row, value) in scan::elements(column).into_iter().flatten().enumerate() {
            if rows.len() <= row {
                rows.push(Vec::new());
            }
            if let Some(row) = rows.get_mut(row) {
                row.push(format!("{}:{}", key.of(json), value.of(column)));
            }
        }
    }
    array(rows.into_iter().map(|row| format!("{{{}}}", row.join(","))))
}

fn dig(json: &str, wanted: &Path, depth: usize, found: &mut Vec<String>) {
    if depth > MAX_DEPTH {
        return;
    }
    found.extend(wanted.get(json).map(|value| value.raw().to_owned()));
    if let Some(elements) = scan::elements(json) {
        elements.for_each(|element| dig(element.of(json), wanted, depth + 1, found));
    } else if let Some(members) = scan::members(json) {
        members.for_each(|(_, value)| dig(value.of(json), wanted, depth + 1, found));
    }
}
