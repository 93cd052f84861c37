//! `@ugly` and `@pretty`: the same document, laid out anew.

use crate::path::Path;
use crate::scan;

/// Documents are laid out no deeper than this; what is deeper stays as it is.
const MAX_DEPTH: usize = 512;

/// How `@pretty` lays a document out.
#[derive(Debug)]
pub(crate) struct Style {
    width: usize,
    prefix: String,
    indent: String,
    sort_keys: bool,
}

impl Style {
    /// Reads `{"sortKeys": …, "indent": …, "prefix": …, "width": …}`.
    pub(crate) fn read(argument: &str) -> Self {
        let get = |name: &str| Path::compile(name).get(argument);
        let blanks = |text: String| text.chars().filter(|c| c.is_whitespace()).collect::<String>();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and a width is a small number"
        )]
        let width = get("width").map_or(80, |width| width.number() as usize);
        Self {
            width,
            prefix: get("prefix").map_or_else(String::new, |prefix| blanks(prefix.string().into_owned())),
            indent: get("indent")
                .map_or_else(|| "  ".to_owned(), |indent| blanks(indent.string().into_owned())),
            sort_keys: get("sortKeys").is_some_and(|sort| sort.boolean()),
        }
    }
}

/// Without any blank outside of strings.
pub(crate) fn ugly(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let end = if rest.starts_with('"') {
            scan::string_end(json, at)
        } else {
            at + rest.chars().next().map_or(1, char::len_utf8)
        };
        let piece = json.get(at..end).unwrap_or_default();
        if piece.bytes().any(|byte| byte > b' ') {
            compact.push_str(piece);
        }
        at = end;
    }
    compact
}

/// One member or element a line; an array that fits into the width stays on one.
pub(crate) fn pretty(json: &str, style: &Style) -> String {
    let mut out = style.prefix.clone();
    let Some(value) = scan::value_at(json, 0) else { return String::new() };
    lay_out(value.of(json), style, 0, &mut out);
    out.push('\n');
    out
}

fn lay_out(json: &str, style: &Style, depth: usize, out: &mut String) {
    if depth > MAX_DEPTH {
        out.push_str(json);
    } else if let Some(members) = scan::members(json) {
        let mut pairs: Vec<(&str, &str)> =
            members.map(|(key, value)| (key.of(json), value.of(json))).collect();
        if style.sort_keys {
            pairs.sort_by(|a, b| a.0.cmp(b.0));
        }
        block('{', '}', &pairs, style, depth, out, |(key, value), out| {
            out.push_str(key);
            out.push_str(": ");
            lay_out(value, style, depth + 1, out);
        });
    } else if let Some(elements) = scan::elements(json) {
        let elements: Vec<&str> = elements.map(|element| element.of(json)).collect();
        let used = out.len() - out.rfind('\n').map_or(0, |at| at + 1);
        if let Some(line) = one_line(json, style.width.saturating_sub(used)) {
            out.push_str(&line);
            return;
        }
        block('[', ']', &elements, style, depth, out, |element, out| lay_out(element, style, depth + 1, out));
    } else {
        out.push_str(json);
    }
}

fn block<T>(
    open: char,
    close: char,
    items: &[T],
    style: &Style,
    depth: usize,
    out: &mut String,
    each: impl Fn(&T, &mut String),
) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        out.push_str(&style.prefix);
        out.push_str(&style.indent.repeat(depth + 1));
        each(item, out);
    }
    if !items.is_empty() {
        out.push('\n');
        out.push_str(&style.prefix);
        out.push_str(&style.indent.repeat(depth));
    }
    out.push(close);
}

/// An array without objects, if it has at most `width` characters on one line.
fn one_line(json: &str, width: usize) -> Option<String> {
    let longer = json.bytes().filter(|byte| *byte > b' ').nth(width).is_some();
    if width <= 3 || longer {
        return None;
    }
    let line = spaced(json, 0)?;
    (line.len() <= width).then_some(line)
}

fn spaced(json: &str, depth: usize) -> Option<String> {
    if json.starts_with('{') || depth > MAX_DEPTH {
        return None;
    }
    let Some(elements) = scan::elements(json) else { return Some(json.to_owned()) };
    let elements: Option<Vec<String>> = elements.map(|element| spaced(element.of(json), depth + 1)).collect();
    Some(format!("[{}]", elements?.join(", ")))
}
