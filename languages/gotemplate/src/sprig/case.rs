//! Upper and lower case, titles, and names in the styles of programming languages.

use std::sync::LazyLock;

use regex::Regex;
use zetes_gotext::{to_lower, to_upper};

use super::Table;
use super::texts::one;

pub(super) const FUNCTIONS: Table = &[
    ("upper", |call| one(call, zetes_gotext::upper)),
    ("lower", |call| one(call, zetes_gotext::lower)),
    ("title", |call| one(call, title)),
    ("untitle", |call| one(call, untitle)),
    ("swapcase", |call| one(call, swapcase)),
    ("camelcase", |call| one(call, camelcase)),
    ("snakecase", |call| one(call, |text| separated(text, '_'))),
    ("kebabcase", |call| one(call, |text| separated(text, '-'))),
];

/// The first letter of every word upper case; words end at whatever is no letter, digit or `_`.
fn title(text: &str) -> String {
    let is_separator = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => false,
        _ if c.is_ascii() => true,
        _ => !c.is_alphabetic() && !is_digit(c) && c.is_whitespace(),
    };
    let mut last = ' ';
    text.chars()
        .map(|c| {
            let mapped = if is_separator(last) { to_upper(c) } else { c };
            last = c;
            mapped
        })
        .collect()
}

fn untitle(text: &str) -> String {
    let mut is_start = true;
    text.chars()
        .map(|c| {
            let is_first = std::mem::replace(&mut is_start, c.is_whitespace());
            if is_first && !c.is_whitespace() { to_lower(c) } else { c }
        })
        .collect()
}

fn swapcase(text: &str) -> String {
    let swap = |c: char| {
        if c.is_uppercase() {
            to_lower(c)
        } else if c.is_lowercase() {
            to_upper(c)
        } else {
            c
        }
    };
    text.chars().map(swap).collect()
}

fn is_connector(c: char) -> bool {
    c == '-' || c == '_' || c.is_whitespace()
}

/// `hello_world` as `HelloWorld`. Connectors before the first word stay, and so do all but the first between two.
fn camelcase(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let lead = characters.iter().take_while(|c| is_connector(**c)).count();
    let (connectors, word) = characters.split_at(lead);
    let mut out: String = connectors.iter().collect();
    let Some((first, rest)) = word.split_first() else { return out };
    let mut lowers = first.is_uppercase();
    let mut pending = to_upper(*first);
    for next in rest {
        let mut next = *next;
        match (is_connector(pending), is_connector(next)) {
            (true, true) => out.push(pending),
            (true, false) => {
                lowers = next.is_uppercase();
                next = to_upper(next);
            }
            (false, _) => {
                // The rest of a word in capitals becomes lower case.
                lowers = lowers && next.is_uppercase();
                if lowers {
                    next = to_lower(next);
                }
                out.push(pending);
            }
        }
        pending = next;
    }
    out.push(pending);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// Whether a character is written with letters: the ideographs of Chinese are not.
fn is_letter(c: char) -> bool {
    let is_ideograph =
        matches!(c, '\u{3400}'..='\u{4d85}' | '\u{4e00}'..='\u{9fcc}' | '\u{20000}'..='\u{2b81d}');
    c.is_alphabetic() && !is_ideograph
}

fn is_punctuation(c: char) -> bool {
    static PUNCTUATION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\p{P}").expect("a constant"));
    PUNCTUATION.is_match(c.encode_utf8(&mut [0; 4]))
}

fn is_digit(c: char) -> bool {
    c.is_numeric()
}

/// The kind of the first word and the number of its characters.
fn word(text: &[char]) -> Option<(Kind, usize)> {
    let first = *text.first()?;
    let run = |fits: fn(char) -> bool| text.iter().take_while(|c| fits(**c)).count();
    let small = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|c| is_letter(**c) && !c.is_uppercase()).count()
    };
    Some(if is_connector(first) {
        (Kind::Connector, run(is_connector))
    } else if is_punctuation(first) {
        (Kind::Punctuation, run(|c| is_punctuation(c) && !is_connector(c)).max(1))
    } else if first.is_uppercase() {
        let capitals = run(char::is_uppercase);
        let before_small = text.get(capitals).is_some_and(|c| is_letter(*c));
        let length = match (capitals, before_small) {
            (1, _) => small(1),
            // The last capital begins the word that follows.
            (_, true) => capitals - 1,
            (_, false) => capitals,
        };
        (Kind::Upper, length)
    } else if is_letter(first) {
        (Kind::Letters, small(0))
    } else if is_digit(first) {
        (Kind::Number, run(is_digit))
    } else {
        let ends = |c: char| is_connector(c) || is_letter(c) || is_digit(c) || is_punctuation(c);
        (Kind::Other, text.iter().skip(1).take_while(|c| !ends(**c)).count() + 1)
    })
}

struct Words<'t> {
    rest: &'t [char],
    current: Option<(Kind, &'t [char])>,
}

impl Words<'_> {
    fn advance(&mut self) {
        self.current = word(self.rest).map(|(kind, length)| {
            let (found, rest) = self.rest.split_at(length);
            self.rest = rest;
            (kind, found)
        });
    }

    fn kind(&self) -> Option<Kind> {
        self.current.map(|(kind, _)| kind)
    }

    fn write(&self, out: &mut String, connector: char) {
        write(out, self.current, connector);
    }
}

/// Capitals become lower case and connectors the connector; everything else stays.
fn write(out: &mut String, word: Option<(Kind, &[char])>, connector: char) {
    let Some((kind, characters)) = word else { return };
    out.extend(characters.iter().map(|c| match kind {
        Kind::Upper | Kind::Connector if is_connector(*c) => connector,
        Kind::Upper if c.is_uppercase() => to_lower(*c),
        _ => *c,
    }));
}

/// `HTTPServer` as `http_server`.
fn separated(text: &str, connector: char) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len() + 8);
    let mut words = Words { rest: &characters, current: None };
    words.advance();
    let joins = |kind: Option<Kind>| !matches!(kind, None | Some(Kind::Punctuation | Kind::Connector));
    let takes_letters = |words: &mut Words<'_>, out: &mut String| {
        while matches!(words.kind(), Some(Kind::Letters | Kind::Number)) {
            words.write(out, connector);
            words.advance();
        }
        if joins(words.kind()) {
            out.push(connector);
        }
    };
    while !words.rest.is_empty() {
        if words.kind() != Some(Kind::Connector) {
            words.write(&mut out, connector);
        }
        let last = words.current;
        words.advance();
        match last.map(|(kind, _)| kind) {
            Some(Kind::Number) => takes_letters(&mut words, &mut out),
            Some(Kind::Connector) => write(&mut out, last, connector),
            Some(Kind::Punctuation) | None => {}
            Some(_) if words.kind() != Some(Kind::Number) => {
                if joins(words.kind()) {
                    out.push(connector);
                }
            }
            Some(_) if words.rest.is_empty() => {}
            Some(_) => {
                // A number between words belongs to the letters that follow it.
                let number = words.current;
                words.advance();
                if words.kind() == Some(Kind::Letters) {
                    out.push(connector);
                    write(&mut out, number, connector);
                    takes_letters(&mut words, &mut out);
                } else {
                    write(&mut out, number, connector);
                    if joins(words.kind()) {
                        out.push(connector);
                    }
                }
            }
        }
    }
    words.write(&mut out, connector);
    out
}
