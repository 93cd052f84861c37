//! The grammar of paths, and how a compiled path is walked.

use std::borrow::Cow;
use std::fmt;

use crate::modifier::{self, Modifier};
use crate::query::{self, Query};
use crate::scan;
use crate::value::{Value, quote, unquote};

/// Paths inside paths (queries, multipaths) deeper than this name nothing.
const MAX_NESTING: usize = 64;

/// A compiled path.
#[derive(Clone, Debug)]
pub struct Path {
    text: String,
    /// `None`: the path names nothing in any document.
    steps: Option<Vec<Step>>,
}

/// One step from a value to the next.
#[derive(Clone, Debug)]
enum Step {
    Key(Key),
    /// `#` at the end: number of elements.
    Count,
    /// `#.rest`: what `rest` finds in each element.
    Each(Path),
    /// `#(query)` and `#(query)#`; `rest` continues inside each element of the latter.
    Find {
        query: Query,
        all: bool,
        rest: Option<Path>,
    },
    Modify(Modifier),
    Multi {
        object: bool,
        parts: Vec<Part>,
    },
    Literal(String),
    /// `..`: the document is JSON lines, and the next step sees them as an array.
    Lines,
}

/// A member's name, or an element's index.
#[derive(Clone, Debug)]
struct Key {
    name: String,
    /// Has `*` or `?` that stand for others.
    pattern: Option<String>,
    index: Option<usize>,
    /// The path goes on, so that only an object or an array will do.
    goes_on: bool,
}

/// One path of a multipath, with the quoted name of its member.
#[derive(Clone, Debug)]
struct Part {
    name: String,
    path: Path,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Path {
    /// Reads a path. There are no errors: a malformed path names nothing.
    pub fn compile(text: &str) -> Self {
        Self::nested(text, 0)
    }

    pub(crate) fn nested(text: &str, depth: usize) -> Self {
        let steps = if depth > MAX_NESTING { None } else { parse(text, depth) };
        Self { text: text.to_owned(), steps }
    }

    /// What the path finds in the document; `None` is "does not exist", JSON null is a value.
    pub fn get<'j>(&self, json: &'j str) -> Option<Value<'j>> {
        self.get_in(Cow::Borrowed(json))
    }

    pub(crate) fn get_in<'j>(&self, json: Cow<'j, str>) -> Option<Value<'j>> {
        let steps = self.steps.as_ref()?;
        let mut current = json;
        let mut lines = false;
        for (at, step) in steps.iter().enumerate() {
            if matches!(step, Step::Lines) {
                lines = true;
                continue;
            }
            current = match step.apply(&current, lines) {
                Some(found) => found.into_raw(),
                None if step.may_miss(&current, lines, steps.get(at + 1)) => Cow::Borrowed(""),
                None => return None,
            };
            lines = false;
        }
        Value::first_of(current)
    }
}

/// A borrowed text stays borrowed when a part of it is taken.
fn part<'j>(text: &Cow<'j, str>, span: scan::Span) -> Value<'j> {
    Value::new(match text {
        Cow::Borrowed(text) => Cow::Borrowed(span.of(text)),
        Cow::Owned(text) => Cow::Owned(span.of(text).to_owned()),
    })
}

impl Step {
    fn builds(&self) -> bool {
        matches!(self, Self::Modify(_) | Self::Multi { .. } | Self::Literal(_))
    }

    /// Whether the next step goes on although this one found nothing: those that build something do, from nothing.
    fn may_miss(&self, json: &str, lines: bool, next: Option<&Self>) -> bool {
        let looked = lines || scan::members(json).is_some() || scan::elements(json).is_some();
        next.is_some_and(Self::builds) && (looked || self.builds()) && !matches!(self, Self::Each(_))
    }

    fn apply<'j>(&self, json: &Cow<'j, str>, lines: bool) -> Option<Value<'j>> {
        match self {
            Self::Key(key) => key.find(json, lines),
            Self::Count => Some(Value::new(elements(json, lines)?.count().to_string())),
            Self::Each(rest) => {
                let found = elements(json, lines)?.filter_map(|span| rest.get(span.of(json)));
                Some(Value::new(array(found.map(|value| value.raw().to_owned()))))
            }
            Self::Find { query, all: false, rest } => {
                let span = elements(json, lines)?.find(|span| query.matches(span.of(json)))?;
                let found = part(json, span);
                rest.as_ref().map_or(Some(found.clone()), |rest| rest.get_in(found.into_raw()))
            }
            Self::Find { query, all: true, rest } => {
                let matching = elements(json, lines)?.filter(|span| query.matches(span.of(json)));
                let found = matching.filter_map(|span| match rest {
                    None => Some(span.of(json).to_owned()),
                    Some(rest) => rest.get(span.of(json)).map(|value| value.raw().to_owned()),
                });
                Some(Value::new(array(found)))
            }
            Self::Modify(modifier) => Value::first_of(Cow::Owned(modifier.apply(json))),
            Self::Multi { object, parts } => Some(Value::new(multi(*object, parts, json))),
            Self::Literal(text) => Value::first_of(Cow::Owned(text.clone())),
            Self::Lines => None,
        }
    }
}

fn elements(json: &str, lines: bool) -> Option<scan::Elements<'_>> {
    if lines { Some(scan::lines(json)) } else { scan::elements(json) }
}

pub(crate) fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(","))
}

fn multi(object: bool, parts: &[Part], json: &str) -> String {
    let found = parts.iter().filter_map(|part| {
        let value = part.path.get(json)?;
        Some(if object { format!("{}:{}", part.name, value.raw()) } else { value.raw().to_owned() })
    });
    let inner = found.collect::<Vec<_>>().join(",");
    if object { format!("{{{inner}}}") } else { format!("[{inner}]") }
}

impl Key {
    fn find<'j>(&self, json: &Cow<'j, str>, lines: bool) -> Option<Value<'j>> {
        if !lines && let Some(mut members) = scan::members(json) {
            let (_, value) = members.find(|(key, value)| self.takes(key.of(json), value.of(json)))?;
            return Some(part(json, value));
        }
        let span = elements(json, lines)?.nth(self.index?)?;
        Some(part(json, span))
    }

    fn takes(&self, quoted: &str, value: &str) -> bool {
        self.names(quoted) && (!self.goes_on || value.starts_with(['{', '[']))
    }

    fn names(&self, quoted: &str) -> bool {
        let key = unquote(quoted);
        self.pattern.as_ref().map_or_else(|| *key == *self.name, |pattern| query::glob(pattern, &key))
    }
}

fn parse(text: &str, depth: usize) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text;
    if let Some(after) = text.strip_prefix("..") {
        steps.push(Step::Lines);
        rest = after;
    }
    // At the beginning and behind a pipe a component may be a modifier, a multipath or a literal.
    let mut fresh = steps.is_empty();
    loop {
        if matches!(steps.last(), Some(Step::Lines)) && begins_special(rest) {
            return None;
        }
        let special = if fresh || begins_special(rest) { special(rest, depth) } else { None };
        let (step, after) = match special {
            Some(found) => found,
            None => plain(rest, depth)?,
        };
        // What follows a literal text is not looked at.
        let after = if matches!(&step, Step::Literal(text) if text.starts_with('"')) { "" } else { after };
        fresh = step.builds();
        steps.push(step);
        match after.chars().next() {
            None => return Some(steps),
            Some('.') => {}
            Some('|') => fresh = true,
            Some(_) => return None,
        }
        rest = after.get(1..)?;
    }
}

/// Whether a component behind a dot is one of those that otherwise only stand behind a pipe.
fn begins_special(rest: &str) -> bool {
    rest.starts_with(['[', '{']) || modifier::begins_with_known(rest)
}

fn special(rest: &str, depth: usize) -> Option<(Step, &str)> {
    match rest.as_bytes().first()? {
        b'@' => Modifier::parse(rest, depth).map(|(modifier, after)| (Step::Modify(modifier), after)),
        b'[' | b'{' => multipath(rest, depth),
        b'!' => literal(rest).map(|(text, after)| (Step::Literal(text), after)),
        _ => None,
    }
}

/// Position of the bracket that closes the first character, strings skipped.
pub(crate) fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => at = scan::string_end(text, at).saturating_sub(1),
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn multipath(rest: &str, depth: usize) -> Option<(Step, &str)> {
    let close = closing(rest)?;
    let after = rest.get(close + 1..)?;
    if !(after.is_empty() || after.starts_with(['.', '|'])) {
        return None;
    }
    let object = rest.starts_with('{');
    let parts = selectors(rest.get(1..close)?).into_iter().map(|(name, path)| {
        let name = name.map_or_else(
            || last_name(path),
            |name| if name.starts_with('"') { name.to_owned() } else { quote(name) },
        );
        Part { name, path: Path::nested(path, depth + 1) }
    });
    Some((Step::Multi { object, parts: parts.collect() }, after))
}

/// `name:path` and `path`, separated by commas outside of brackets and strings.
fn selectors(text: &str) -> Vec<(Option<&str>, &str)> {
    let bytes = text.as_bytes();
    let (mut found, mut start, mut colon, mut depth, mut at, mut in_modifier) =
        (Vec::new(), 0, None, 0_usize, 0, false);
    let push = |start: usize, colon: Option<usize>, end: usize| match colon {
        Some(colon) => (
            text.get(start..colon).filter(|name| !name.is_empty()),
            text.get(colon + 1..end).unwrap_or_default(),
        ),
        None => (None, text.get(start..end).unwrap_or_default()),
    };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'@' if at > 0 && matches!(bytes.get(at - 1), Some(b'.' | b'|')) => in_modifier = true,
            b':' if !in_modifier && depth == 0 => colon = Some(at),
            b',' if depth == 0 => {
                found.push(push(start, colon, at));
                (start, colon, in_modifier) = (at + 1, None, false);
            }
            b'"' => at = scan::string_end(text, at).saturating_sub(1),
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    found.push(push(start, colon, text.len()));
    found
}

/// The member's name of a path without one: its last component, `_` if that is no plain name.
fn last_name(path: &str) -> String {
    let bytes = path.as_bytes();
    let split = (0..bytes.len()).rev().find(|at| {
        matches!(bytes.get(*at), Some(b'.' | b'|')) && !(*at > 0 && bytes.get(at - 1) == Some(&b'\\'))
    });
    let last = split.and_then(|at| path.get(at + 1..)).unwrap_or(path);
    let plain = !last.chars().any(|c| c < ' ' || "[]{}()#|!".contains(c));
    quote(if plain { last } else { "_" })
}

fn literal(rest: &str) -> Option<(String, &str)> {
    let text = rest.get(1..)?;
    if text.starts_with(['{', '[', '"', '+', '-']) || text.starts_with(|c: char| c.is_ascii_digit()) {
        let end = if text.starts_with(['{', '[']) {
            closing(text)? + 1
        } else if text.starts_with('"') {
            scan::string_end(text, 0)
        } else {
            text.find(|c: char| c <= ' ' || ",]}|:".contains(c)).unwrap_or(text.len())
        };
        return Some((text.get(..end)?.to_owned(), text.get(end..)?));
    }
    let end = text.find(['.', '|']).unwrap_or(text.len());
    let (word, after) = text.split_at_checked(end)?;
    matches!(word.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "nan" | "inf")
        .then(|| (word.to_owned(), after))
}

fn plain(rest: &str, depth: usize) -> Option<(Step, &str)> {
    if let Some(after) = rest.strip_prefix('#') {
        if after.is_empty() || after.starts_with('|') {
            return Some((Step::Count, after));
        }
        if let Some(inner) = after.strip_prefix('.') {
            let (inner, after) = split_at_pipe(inner);
            return Some((Step::Each(Path::nested(inner, depth + 1)), after));
        }
        if after.starts_with(['(', '[']) {
            return find(rest, depth);
        }
    }
    let (key, after) = key(rest);
    Some((Step::Key(key), after))
}

fn find(rest: &str, depth: usize) -> Option<(Step, &str)> {
    let after_hash = rest.get(1..)?;
    let close = closing(after_hash)?;
    let query = Query::parse(after_hash.get(1..close)?, depth)?;
    let after = after_hash.get(close + 1..)?;
    let (all, after) = after.strip_prefix('#').map_or((false, after), |after| (true, after));
    let Some(inner) = after.strip_prefix('.') else {
        return Some((Step::Find { query, all, rest: None }, after));
    };
    let (inner, after) = split_at_pipe(inner);
    Some((Step::Find { query, all, rest: Some(Path::nested(inner, depth + 1)) }, after))
}

/// What stands before the first pipe that is outside of brackets and strings, and that pipe with the rest.
fn split_at_pipe(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' if depth > 0 => at = scan::string_end(text, at).saturating_sub(1),
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return text.split_at_checked(at).unwrap_or((text, "")),
            _ => {}
        }
        at += 1;
    }
    (text, "")
}

/// A name up to the next dot or pipe, its escapes taken out.
fn key(rest: &str) -> (Key, &str) {
    let (mut name, mut pattern, mut wild) = (String::new(), String::new(), false);
    let mut chars = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '|' => {
                end = at;
                break;
            }
            '\\' => {
                if let Some((_, escaped)) = chars.next() {
                    name.push(escaped);
                    if matches!(escaped, '*' | '?' | '\\') {
                        pattern.push('\\');
                    }
                    pattern.push(escaped);
                }
            }
            _ => {
                wild |= matches!(c, '*' | '?');
                name.push(c);
                pattern.push(c);
            }
        }
    }
    let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let index = if digits { name.parse().ok() } else { None };
    let after = rest.get(end..).unwrap_or_default();
    (
        Key {
            name,
            pattern: wild.then_some(pattern),
            index,
            goes_on: after.strip_prefix('.').is_some_and(|next| !begins_special(next)),
        },
        after,
    )
}

/// Where the values that a path finds stand in the document.
impl Path {
    /// In order of the text. Empty where the path builds something, as multipaths and modifiers do.
    pub(crate) fn places(&self, json: &str) -> Vec<scan::Span> {
        let Some(steps) = &self.steps else { return Vec::new() };
        let mut places = vec![scan::Span { start: 0, end: json.len() }];
        for step in steps {
            places = places.into_iter().flat_map(|place| step.places(json, place)).collect();
        }
        places.sort_by_key(|span| span.start);
        places
    }
}

impl Step {
    fn places(&self, json: &str, inside: scan::Span) -> Vec<scan::Span> {
        let text = inside.of(json);
        let moved =
            |span: scan::Span| scan::Span { start: span.start + inside.start, end: span.end + inside.start };
        match self {
            Self::Key(key) => key.place(text).map(moved).into_iter().collect(),
            Self::Each(rest) => {
                let elements = scan::elements(text).into_iter().flatten();
                elements.flat_map(|element| inner_places(json, moved(element), Some(rest))).collect()
            }
            Self::Find { query, all, rest } => {
                let matching =
                    scan::elements(text).into_iter().flatten().filter(|span| query.matches(span.of(text)));
                let taken: Vec<_> = matching.take(if *all { usize::MAX } else { 1 }).collect();
                taken
                    .into_iter()
                    .flat_map(|element| inner_places(json, moved(element), rest.as_ref()))
                    .collect()
            }
            Self::Count | Self::Modify(_) | Self::Multi { .. } | Self::Literal(_) | Self::Lines => Vec::new(),
        }
    }
}

fn inner_places(json: &str, element: scan::Span, rest: Option<&Path>) -> Vec<scan::Span> {
    let Some(rest) = rest else { return vec![element] };
    let places = rest.places(element.of(json)).into_iter();
    places
        .map(|span| scan::Span { start: span.start + element.start, end: span.end + element.start })
        .collect()
}

impl Key {
    fn place(&self, text: &str) -> Option<scan::Span> {
        match scan::members(text) {
            Some(mut members) => {
                members.find(|(key, value)| self.takes(key.of(text), value.of(text))).map(|(_, value)| value)
            }
            None => scan::elements(text)?.nth(self.index?),
        }
    }
}
