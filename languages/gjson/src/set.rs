//! The setter: the same document with one place changed (sjson).
//!
//! Text outside of the changed place is kept byte for byte.

use std::fmt;

use crate::path::Path;
use crate::scan;
use crate::value::{quote, unquote};

/// Gaps in front of a new element are filled with `null`; more than this many are refused.
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

/// Sets the place to a text, escaped as Go does.
///
/// # Errors
/// See [`SetError`].
pub fn set_string(json: &str, path: &str, text: &str) -> Result<String, SetError> {
    change(json, path, Some(&quote(text)))
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

/// One component of the path.
#[derive(Clone, Debug)]
struct Component {
    name: String,
    /// `:name`: a key even if it looks like an index.
    forced: bool,
}

impl Component {
    fn index(&self) -> Option<usize> {
        // A component without a character counts as element 0, as in the reference.
        let digits = self.name.bytes().all(|byte| byte.is_ascii_digit());
        if digits && !self.forced { format!("0{}", self.name).parse().ok() } else { None }
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
    let changed = changed(document, &components, raw)?;
    Ok(changed.map_or_else(
        || json.to_owned(),
        |changed| format!("{}{changed}", json.get(..start).unwrap_or_default()),
    ))
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

/// A new value with everything around it that the path needs.
fn built(components: &[Component], raw: &str, root: bool) -> Result<String, SetError> {
    let Some((first, rest)) = components.split_first() else { return Ok(raw.to_owned()) };
    let inner = built(rest, raw, false)?;
    match first.index() {
        Some(index) if index > MAX_GAP => Err(SetError::TooFar),
        Some(index) => Ok(format!("[{}{inner}]", "null,".repeat(index))),
        None if first.appends() && !root => Ok(format!("[{inner}]")),
        None => Ok(format!("{{{}:{inner}}}", quote(&first.name))),
    }
}

/// The text with the place changed, everything behind the container included; `None` when there is nothing to remove.
fn changed(json: &str, components: &[Component], raw: Option<&str>) -> Result<Option<String>, SetError> {
    let Some((first, rest)) = components.split_first() else { return Ok(raw.map(str::to_owned)) };
    if json.starts_with('[') { in_array(json, first, rest, raw) } else { in_object(json, first, rest, raw) }
}

fn in_object(
    json: &str,
    first: &Component,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<String>, SetError> {
    let members: Vec<_> = scan::members(json).into_iter().flatten().collect();
    let found = members.iter().position(|(key, _)| unquote(key.of(json)) == first.name.as_str());
    match (found, raw) {
        (None, None) => Ok(None),
        (None, Some(raw)) => {
            let value = built(rest, raw, false)?;
            let member = format!("{}:{value}", quote(&first.name));
            Ok(Some(inserted(json, members.last().map(|(_, value)| value.end), &member)))
        }
        (Some(at), None) if rest.is_empty() => {
            let spans: Vec<_> =
                members.iter().map(|(key, value)| scan::Span { start: key.start, end: value.end }).collect();
            Ok(Some(removed(json, &spans, at)))
        }
        (Some(at), _) => members.get(at).map_or(Ok(None), |(_, value)| replaced(json, *value, rest, raw)),
    }
}

fn in_array(
    json: &str,
    first: &Component,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<String>, SetError> {
    let elements: Vec<_> = scan::elements(json).into_iter().flatten().collect();
    let last = elements.last().map(|element| element.end);
    let index = match (first.index(), raw) {
        (Some(index), _) => index,
        (None, Some(_)) if first.appends() => elements.len(),
        (None, None) if first.appends() && rest.is_empty() && !elements.is_empty() => elements.len() - 1,
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(SetError::NotAnIndex),
    };
    match (elements.get(index), raw) {
        (Some(_), None) if rest.is_empty() => Ok(Some(removed(json, &elements, index))),
        (Some(element), _) => replaced(json, *element, rest, raw),
        (None, None) => Ok(None),
        (None, Some(raw)) => {
            let gap = index - elements.len();
            if gap > MAX_GAP {
                return Err(SetError::TooFar);
            }
            let value = format!("{}{}", "null,".repeat(gap), built(rest, raw, false)?);
            Ok(Some(inserted(json, last, &value)))
        }
    }
}

/// A new last member or element.
fn inserted(json: &str, behind: Option<usize>, text: &str) -> String {
    let (at, comma) = behind.map_or((1, ""), |end| (end, ","));
    let (before, after) = json.split_at_checked(at).unwrap_or((json, ""));
    if behind.is_none() {
        // An empty container may hold blanks, which go.
        return format!("{before}{text}{}", after.trim_start());
    }
    format!("{before}{comma}{text}{after}")
}

/// Without one member or element, and the comma that belonged to it.
fn removed(json: &str, spans: &[scan::Span], at: usize) -> String {
    let (Some(span), before) = (spans.get(at), at.checked_sub(1).and_then(|at| spans.get(at))) else {
        return json.to_owned();
    };
    let (start, end) = match (before, spans.get(at + 1)) {
        (Some(before), _) => (before.end, span.end),
        (None, Some(next)) => (span.start, next.start),
        (None, None) => (span.start, span.end),
    };
    format!("{}{}", json.get(..start).unwrap_or_default(), json.get(end..).unwrap_or_default())
}

fn replaced(
    json: &str,
    span: scan::Span,
    rest: &[Component],
    raw: Option<&str>,
) -> Result<Option<String>, SetError> {
    let inner = span.of(json);
    let value = match raw {
        Some(raw) if !rest.is_empty() && !inner.starts_with(['{', '[']) => Some(built(rest, raw, false)?),
        None if !inner.starts_with(['{', '[']) => None,
        _ => changed(inner, rest, raw)?,
    };
    Ok(value.map(|value| {
        format!(
            "{}{value}{}",
            json.get(..span.start).unwrap_or_default(),
            json.get(span.end..).unwrap_or_default()
        )
    }))
}

/// Changes every place that the path finds; nothing found leaves the document as it is.
fn change_found(json: &str, path: &str, raw: &str) -> String {
    if path.contains(['|', '@']) {
        return json.to_owned();
    }
    let found = Path::compile(path).places(json);
    let mut changed = json.to_owned();
    for span in found.into_iter().rev() {
        if let (Some(before), Some(after)) = (changed.get(..span.start), changed.get(span.end..)) {
            changed = format!("{before}{raw}{after}");
        }
    }
    changed
}
