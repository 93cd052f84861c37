//! How deep a program is nested: the parser calls itself for every level, and must not run out of stack.

use std::ops::Range;

/// Levels that a program may have.
pub(crate) const MAX_DEPTH: usize = 100;
/// Words and signs that open a level and are closed by no bracket.
const MAX_PREFIXES: usize = 500;

/// The place where the program goes deeper than it may.
pub(crate) fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut open: Vec<char> = Vec::new();
    let mut prefixes = 0;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let in_text = open.last() == Some(&'"');
        match c {
            '\\' if in_text => {
                if let Some((_, '(')) = characters.next() {
                    open.push('(');
                }
            }
            '"' if in_text => drop(open.pop()),
            _ if in_text => {}
            '"' | '(' | '[' | '{' => open.push(c),
            ')' | ']' | '}' => drop(open.pop()),
            '-' | '|' | ',' | '/' | '?' => prefixes += 1,
            '#' => while characters.next_if(|(_, c)| *c != '\n').is_some() {},
            _ if c.is_alphabetic() => {
                while characters.next_if(|(_, c)| c.is_alphanumeric() || *c == '_').is_some() {}
                let end = characters.peek().map_or(text.len(), |(at, _)| *at);
                let word = text.get(at..end).unwrap_or_default();
                let opens =
                    ["if", "elif", "try", "reduce", "foreach", "def", "label", "as", "and", "or", "not"];
                prefixes += usize::from(opens.contains(&word));
            }
            _ => {}
        }
        if open.len() > MAX_DEPTH || prefixes > MAX_PREFIXES {
            return Some(at..at + c.len_utf8());
        }
    }
    None
}
