//! The grammar of paths, and how a compiled path is walked.

use std::fmt;

use crate::modifier::{self, Modifier};
use crate::query::Query;
use crate::scan;
use crate::value::{Value, quote};

mod places;
mod walk;

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
        self.get_in(json.into())
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
            b':' if !in_modifier && depth == 0 && colon.is_none() => colon = Some(at),
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
    // What stands between the query and the next dot or pipe means nothing.
    let after = after.find(['.', '|']).and_then(|at| after.get(at..)).unwrap_or_default();
    let Some(inner) = after.strip_prefix('.') else {
        return Some((Step::Find { query, all, rest: None }, after));
    };
    let (inner, after) = split_at_pipe(inner);
    Some((Step::Find { query, all, rest: Some(Path::nested(inner, depth + 1)) }, after))
}

/// Whether a pipe stands outside of brackets and strings.
pub(crate) fn has_pipe(path: &str) -> bool {
    !split_at_pipe(path).1.is_empty()
}

/// What stands before the first pipe, and that pipe with the rest. Only queries, and a multipath at the beginning, may
/// hold pipes of their own.
fn split_at_pipe(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut at = if text.starts_with('{') { closing(text).unwrap_or(0) } else { 0 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'#' if matches!(bytes.get(at + 1), Some(b'(' | b'[')) => {
                let query = text.get(at + 1..).unwrap_or_default();
                at += 1 + closing(query).unwrap_or(query.len());
            }
            // What follows `.#` is never a pipe to the reference: it belongs to the path of the elements.
            b'.' if bytes.get(at + 1) == Some(&b'#') && bytes.get(at + 2) == Some(&b'|') => at += 2,
            b'|' => return text.split_at_checked(at).unwrap_or((text, "")),
            _ => {}
        }
        at += 1;
    }
    (text, "")
}

/// As [`split_at_pipe`] for the argument of a modifier: whatever brackets and strings it has may hold pipes.
pub(crate) fn split_at_outer_pipe(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => at = scan::string_end(text, at).saturating_sub(1),
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
    let (mut name, mut pattern, mut wild, mut digits) = (String::new(), String::new(), false, true);
    let mut chars = rest.char_indices();
    let mut end = rest.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '|' => {
                end = at;
                break;
            }
            '\\' => {
                digits = false;
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
    let digits = digits && name.bytes().all(|byte| byte.is_ascii_digit());
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
