//! Texts and characters between quotes, as Go quotes them.

use std::sync::LazyLock;

use regex::Regex;

pub(crate) fn quote(text: &str, ascii: bool) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            other => escape_into(&mut out, other, ascii),
        }
    }
    out.push('"');
    out
}

pub(crate) fn quoted_character(character: char, ascii: bool) -> String {
    let mut out = String::from("'");
    match character {
        '\'' => out.push_str("\\'"),
        other => escape_into(&mut out, other, ascii),
    }
    out.push('\'');
    out
}

fn escape_into(out: &mut String, character: char, ascii: bool) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if (ascii && !c.is_ascii()) || !is_printable(c) => {
            let code = u32::from(c);
            out.push_str(&if code < 0x1_0000 { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") });
        }
        c => out.push(c),
    }
}

/// What Go, which knows Unicode 15, prints as it is: letters, marks, numbers, punctuation, symbols and the blank.
pub(crate) fn is_printable(character: char) -> bool {
    static PRINTABLE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[[\p{L}\p{M}\p{N}\p{P}\p{S}]&&\p{age=15.0}]$").expect("a constant"));
    match character {
        ' '..='~' => true,
        character if character.is_control() => false,
        character => PRINTABLE.is_match(character.encode_utf8(&mut [0; 4])),
    }
}
