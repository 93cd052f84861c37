//! The setter: the same document with one place changed (sjson).
//!
//! Text outside of the changed place is kept byte for byte.

use std::fmt;

use crate::path::{Path, has_pipe};
use crate::scan;
use crate::value::{quote, unquote};

/// Gaps in front of new elements are filled with `null`; more than this many are refused.
const MAX_GAP: usize = 65_536;
/// Paths with more components are refused.
const MAX_COMPONENTS: usize = 256;

/// Why nothing was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// The path is empty.
    EmptyPath,
    /// An array was to be changed at something that is no index.
    NotAnIndex,
    /// The index is more than 65,536 past the end, or the path has more than 256 components.
    TooFar,
    /// Something can only be removed where the path names one place, without wildcards and queries.
    NotOnePlace,
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyPath => "the path is empty",
            Self::NotAnIndex => "an array has elements by number, and the path names none",
            Self::NotOnePlace => "a path with wildcards or queries names no single place to remove",
            Self::TooFar => "the path reaches too far: at most 65,536 elements past the end, 256 components",
        })
    }
}

impl std::error::Error for SetError {}

/// Sets the place to a text. Printable ASCII that needs no escape is written as it is, anything else as by [`quote`].
///
/// # Errors
/// See [`SetError`].
pub fn set_string(json: &str, path: &str, text: &str) -> Result<String, SetError> {
    change(json, path, Some(&literal(text)))
}

/// Sets the place to JSON text, spliced in unchecked.
///
/// # Errors
/// See [`SetError`].
pub fn set_raw(json: &str, path: &str, raw: &str) -> Result<String, SetError> {
    change(json, path, Some(raw))
}

/// Removes the place; one that isn't there is no error.
///
/// # Errors
/// See [`SetError`].
pub fn delete(json: &str, path: &str) -> Result<String, SetError> {
    change(json, path, None)
}

/// As the reference writes keys and texts: `<`, `>` and `&` are escaped only where something else has to be.
fn literal(text: &str) -> String {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
    if plain { format!("\"{text}\"") } else { quote(text) }
}

/// One component of the path.
#[derive(Clone, Debug)]
struct Component {
    name: String,
    /// `:name`: a key even if it looks like an index. In an array it still finds an element that is there.
    forced: bool,
}

impl Component {
    fn index(&self) -> Option<usize> {
        // A component without a character makes an array of one element, as in the reference.
        let digits = self.name.bytes().all(|byte| byte.is_ascii_digit());
        if digits { format!("0{}", self.name).parse().ok() } else { None }
    }

    fn is_empty(&self) -> bool {
        self.name.is_empty()
    }

    /// The index, if this makes a new container an array.
    fn new_index(&self) -> Option<usize> {
        if self.forced { None } else { self.index() }
    }

    fn appends(&self) -> bool {
        self.name == "-1" && !self.forced
    }
}

fn change(json: &str, path: &str, raw: Option<&str>) -> Result<String, SetError> {
    if path.is_empty() {
        return Err(SetError::EmptyPath);
    }
    let Some(components) = components(path)? else {
        return raw.map_or(Err(SetError::NotOnePlace), |raw| Ok(change_found(json, path, raw)));
    };
    let start = scan::skip_blanks(json, 0);
    let document = json.get(start..).unwrap_or_default();
    if !document.starts_with(['{', '[']) {
        return Ok(match raw {
            None => json.to_owned(),
            Some(raw) => built(&components, raw, true)?,
        });
    }
    Ok(match changed(document, &components, raw)? {
        None => json.to_owned(),
        Some(Changed::Grown(grown)) => grown,
        Some(Changed::Within(changed)) => format!("{}{changed}", json.get(..start).unwrap_or_default()),
    })
}

/// `None`: the path has wildcards, queries or modifiers.
fn components(path: &str) -> Result<Option<Vec<Component>>, SetError> {
    let mut components = Vec::new();
    let mut name = String::new();
    let mut forced = false;
    let mut fresh = true;
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '.' => {
                components.push(Component { name: std::mem::take(&mut name), forced });
                (forced, fresh) = (false, true);
                continue;
            }
            ':' if fresh => forced = true,
            '\\' => name.extend(chars.next()),
            '*' | '?' | '#' | '|' | '@' => return Ok(None),
            _ => name.push(c),
        }
        fresh = false;
    }
    components.push(Component { name, forced });
    if components.len() > MAX_COMPONENTS { Err(SetError::TooFar) } else { Ok(Some(components)) }
}

/// A new value with everything around it that the path needs. Where it stands for a value that is there (`replaces`), or
/// for the whole document, `-1` is a key.
fn built(components: &[Component], raw: &str, replaces: bool) -> Result<String, SetError> {
    let Some((first, rest)) = components.split_first() else { return Ok(raw.to_owned()) };
    if components.iter().filter_map(Component::new_index).fold(0, usize::saturating_add) > MAX_GAP {
        return Err(SetError::TooFar);
    }
    let inner = built(rest, raw, false)?;
    match first.new_index() {
        Some(index) => Ok(format!("[{}{inner}]", "null,".repeat(index))),
        None if first.appends() && !replaces => Ok(format!("[{inner}]")),
        None => Ok(format!("{{{}:{inner}}}", literal(&first.name))),
    }
}

/// The text of a container after a change.
enum Changed {
    /// One place in it differs; what stands behind the container is still there.
    Within(String),
    /// It got a new last member or element, and ends with its bracket: blanks around a whole document go.
    Grown(String),
}

impl Changed {
    fn into_text(self) -> String {
        match self {
            Self::Within(text) | Self::Grown(text) => text,
        }
    }
}

/// `None` when there is nothing to remove.
fn changed(json: &str, components: &[Component], raw: Option<&str>) -> Result<Option<Changed>, SetError> {
    let Some((first, rest)) = components.split_first() else {
        return Ok(raw.map(|raw| Changed::Within(raw.to_owned())));
    };
    if json.starts_with('[') { in_array(json, first, rest, raw) } else { in_object(json, first, rest, raw) }
}

fn in_object(
    json: &str,
    first: &Component,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<Changed>, SetError> {
    let members: Vec<_> = scan::members(json).into_iter().flatten().collect();
    let found = members.iter().position(|(key, _)| unquote(key.of(json)) == first.name.as_str());
    match (found, raw) {
        (None, None) => Ok(None),
        (None, Some(raw)) => {
            let value = built(rest, raw, false)?;
            let member = format!("{}:{value}", literal(&first.name));
            Ok(Some(appended(json, members.is_empty(), &member)))
        }
        (Some(at), None) if rest.is_empty() => {
            let spans: Vec<_> =
                members.iter().map(|(key, value)| scan::Span { start: key.start, end: value.end }).collect();
            Ok(Some(removed(json, &spans, at, 1)))
        }
        (Some(at), _) => members.get(at).map_or(Ok(None), |(_, value)| replaced(json, *value, rest, raw)),
    }
}

fn in_array(
    json: &str,
    first: &Component,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<Changed>, SetError> {
    let elements: Vec<_> = scan::elements(json).into_iter().flatten().collect();
    let index = match (first.index().filter(|_| !first.is_empty()), raw) {
        (Some(index), _) => index,
        (None, Some(raw)) if first.appends() || (first.is_empty() && !first.forced) => {
            return Ok(Some(appended(json, elements.is_empty(), &built(rest, raw, false)?)));
        }
        (None, None) if first.appends() && !elements.is_empty() => elements.len() - 1,
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(SetError::NotAnIndex),
    };
    match (elements.get(index), raw) {
        (Some(element), None) if rest.is_empty() => Ok(Some(removed(json, &elements, index, element.start))),
        (Some(element), _) => replaced(json, *element, rest, raw),
        (None, None) => Ok(None),
        (None, Some(_)) if first.forced => Err(SetError::NotAnIndex),
        (None, Some(raw)) => {
            let gap = index - elements.len();
            if gap > MAX_GAP {
                return Err(SetError::TooFar);
            }
            let value = built(rest, raw, false)?;
            let there = elements.iter().map(|element| element.of(json));
            let all: Vec<_> = there
                .chain(std::iter::repeat_n("null", gap))
                .chain(std::iter::once(value.as_str()))
                .collect();
            Ok(Some(Changed::Grown(format!("[{}]", all.join(",")))))
        }
    }
}

/// A new last member or element; blanks before the closing bracket stay before it.
fn appended(json: &str, empty: bool, text: &str) -> Changed {
    let container = scan::value_at(json, 0).map_or(json, |span| span.of(json));
    let open = container.strip_suffix(['}', ']']).unwrap_or(container);
    let comma = if empty { "" } else { "," };
    let close = if json.starts_with('[') { ']' } else { '}' };
    Changed::Grown(format!("{open}{comma}{text}{close}"))
}

/// Without one member or element, and the comma before it. The first goes with the comma behind it; `first` is where
/// that cut begins.
fn removed(json: &str, spans: &[scan::Span], at: usize, first: usize) -> Changed {
    let comma = |from: usize| scan::skip_blanks(json, from);
    let before = at.checked_sub(1).and_then(|at| spans.get(at));
    let end = spans.get(at).map_or(json.len(), |span| span.end);
    let (start, end) = match (before, spans.get(at + 1)) {
        (Some(before), _) => (comma(before.end), end),
        (None, Some(_)) => (first, comma(end) + 1),
        (None, None) => (first, end),
    };
    Changed::Within(format!(
        "{}{}",
        json.get(..start).unwrap_or_default(),
        json.get(end..).unwrap_or_default()
    ))
}

fn replaced(
    json: &str,
    span: scan::Span,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<Changed>, SetError> {
    let inner = span.of(json);
    let value = match raw {
        Some(raw) if !rest.is_empty() && !inner.starts_with(['{', '[']) => Some(built(rest, raw, true)?),
        None if !inner.starts_with(['{', '[']) => None,
        _ => changed(inner, rest, raw)?.map(Changed::into_text),
    };
    Ok(value.map(|value| {
        Changed::Within(format!(
            "{}{value}{}",
            json.get(..span.start).unwrap_or_default(),
            json.get(span.end..).unwrap_or_default()
        ))
    }))
}

/// Changes every place that the path finds; nothing found leaves the document as it is, and nothing is ever found behind
/// a pipe or a modifier.
fn change_found(json: &str, path: &str, raw: &str) -> String {
    if has_pipe(path) {
        return json.to_owned();
    }
    let mut changed = String::with_capacity(json.len());
    let mut at = 0;
    for span in Path::compile(path).places(json) {
        if let Some(before) = json.get(at..span.start) {
            changed.push_str(before);
            changed.push_str(raw);
            at = span.end;
        }
    }
    changed.push_str(json.get(at..).unwrap_or_default());
    changed
}
