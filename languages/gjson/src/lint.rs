//! What in a path is probably a slip. Paths never fail, so nothing else would tell.

use std::ops::Range;

/// One thing worth a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The bytes of the path to underline.
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
}

const MODIFIERS: [&str; 13] = [
    "this", "reverse", "ugly", "pretty", "valid", "flatten", "join", "keys", "values", "tostr", "fromstr",
    "group", "dig",
];

/// What looks wrong in a path; empty for one that looks right.
pub fn lint(path: &str) -> Vec<Remark> {
    let remark = |span: Range<usize>, message: &str, hint: Option<String>| {
        vec![Remark { span, message: message.to_owned(), hint }]
    };
    let whole = 0..path.len();
    if path.is_empty() {
        return remark(
            whole,
            "an empty path finds nothing",
            Some("for the whole document write `@this`".to_owned()),
        );
    }
    if let Some(rest) = path.strip_prefix("$.") {
        return remark(0..2, "`$` is the name of a member here", Some(format!("write `{rest}`")));
    }
    if let Some(at) = unclosed(path) {
        return remark(at..path.len(), "a bracket or a quote is not closed", None);
    }
    if let Some(span) = unknown_modifier(path) {
        let message = format!("there is no modifier `{}`", path.get(span.clone()).unwrap_or_default());
        let hint = format!("known are {}", MODIFIERS.map(|name| format!("@{name}")).join(", "));
        return vec![Remark { span, message, hint: Some(hint) }];
    }
    plain(path)
}

/// Slips that can only be told in a path of plain names.
fn plain(path: &str) -> Vec<Remark> {
    let first = |text: &str| path.find(text);
    let is_plain = !path.contains(['{', '(', '"', '\\', '!', '@', '#', '|']) && !path.starts_with('[');
    if !is_plain {
        return Vec::new();
    }
    let mut remarks = Vec::new();
    let mut add = |span: Range<usize>, message: &str, hint: Option<String>| {
        remarks.push(Remark { span, message: message.to_owned(), hint });
    };
    if let Some(open) = first("[") {
        let hint = path.replace("['", ".").replace("']", "").replace('[', ".").replace(']', "");
        let close = path.get(open..).and_then(|rest| rest.find(']')).map_or(path.len(), |at| open + at + 1);
        add(open..close, "brackets are part of the name here", Some(format!("write `{hint}`")));
    } else if path.contains(',') {
        let at = first(",").unwrap_or_default();
        add(at..at + 1, "a list of paths needs brackets", Some(format!("write `[{path}]`")));
    }
    if path.ends_with('.') {
        add(path.len() - 1..path.len(), "a path that ends with a dot finds nothing", None);
    } else if path.starts_with('.') && !path.starts_with("..") {
        add(
            0..1,
            "a path that begins with a dot finds nothing",
            path.get(1..).map(|rest| format!("write `{rest}`")),
        );
    } else if let Some(at) = path.get(1..).and_then(|rest| rest.find("..")) {
        add(at + 1..at + 3, "a name is missing between two dots", None);
    }
    remarks
}

/// What looks wrong in a destination: such places are only ever changed where they are found, and silently left alone
/// elsewhere.
pub fn lint_destination(dest: &str) -> Vec<Remark> {
    let mut escaped = false;
    for (at, character) in dest.char_indices() {
        if !escaped && matches!(character, '|' | '#' | '@' | '*' | '?') {
            return vec![Remark {
                span: at..at + 1,
                message: format!("`{character}` makes this a search: where nothing is found, nothing is set"),
                hint: Some(format!("for the character itself write `\\{character}`")),
            }];
        }
        escaped = !escaped && character == '\\';
    }
    Vec::new()
}

/// Where the first bracket or quote is opened that is never closed.
fn unclosed(path: &str) -> Option<usize> {
    if !path.contains(['#', '{']) && !path.starts_with('[') {
        return None;
    }
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut characters = path.char_indices();
    while let Some((at, character)) = characters.next() {
        let in_text = open.last().is_some_and(|(_, opened)| *opened == '"');
        match character {
            '\\' => drop(characters.next()),
            '"' if in_text => drop(open.pop()),
            _ if in_text => {}
            '"' | '(' | '[' | '{' => open.push((at, character)),
            ')' | ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.first().map(|(at, _)| *at)
}

/// `@name` at the beginning of a component.
fn unknown_modifier(path: &str) -> Option<Range<usize>> {
    let at = if path.starts_with('@') { Some(0) } else { path.find("|@").map(|at| at + 1) }?;
    let name = path.get(at + 1..)?;
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
    let name = name.get(..length)?;
    (!MODIFIERS.contains(&name)).then_some(at..at + 1 + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_with_their_place() {
        for (path, span) in [
            ("", 0..0),
            ("$.a.b", 0..2),
            ("a[0].b", 1..4),
            ("a['x']", 1..6),
            ("a,b", 1..2),
            ("a.", 1..2),
            (".a", 0..1),
            ("a..b", 1..3),
            ("@thi", 0..4),
            ("a|@revers", 2..9),
            ("a.#(b==\"x\"", 3..10),
            ("{a,b", 0..4),
        ] {
            let remarks = lint(path);
            assert_eq!(remarks.first().map(|remark| remark.span.clone()), Some(span), "{path}: {remarks:?}");
        }
    }

    #[test]
    fn what_looks_right_is_left_alone() {
        for path in [
            "body.ref",
            "a.0.b",
            "a.#",
            "a.#.b",
            "a.#(b==\"x\")#.c",
            "@this",
            "a|@reverse|0",
            "[a,b]",
            "{a,\"x\":b}",
            "..#.a",
            "a\\.b",
            "header.X-Github-Event.0",
            "a.*.b",
            "!\"x\"",
            "a.@flatten",
            "@dig:x",
            "a.@tostr",
            "a@b.c",
        ] {
            assert_eq!(lint(path), [], "{path}");
        }
        for dest in ["a.b", "a.-1", "a.:1", "metadata.labels.app\\.kubernetes\\.io/name", "a\\@b", ""] {
            assert_eq!(lint_destination(dest), [], "{dest}");
        }
        for dest in ["a@b", "a|b", "a.#.b", "a.*"] {
            assert_eq!(lint_destination(dest).len(), 1, "{dest}");
        }
    }
}
