//! Go's regular expressions (RE2) on the regex crate, which takes linear time, too.
//!
//! `\d \w \s \b` are ASCII in RE2; braces that are no repetition are ordinary; `\Q…\E` quotes. A class is taken apart and
//! put together again, because `[a&&b]` and `[[]` mean something else to the crate.
//!
//! ```
//! let push = zetes_re2::compile(r"^refs/heads/(?P<branch>\w+)$")?;
//! assert!(push.is_match(b"refs/heads/main"));
//! let error = zetes_re2::compile("a(b").unwrap_err();
//! assert_eq!(error.span("a(b"), 1..2);
//! # Ok::<(), zetes_re2::Error>(())
//! ```

use std::fmt::Write;
use std::ops::Range;

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a compiled expression, at most.
const SIZE_LIMIT: usize = 1 << 20;
/// Repetitions that RE2 allows in one `{n,m}`.
const MAX_REPEAT: u32 = 1000;

/// Why a text is no regular expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a regular expression: {message}")]
pub struct Error {
    message: String,
    /// Where in the text; `None` if it can't be told.
    at: Option<usize>,
}

impl Error {
    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The bytes of the text to underline.
    pub fn span(&self, text: &str) -> Range<usize> {
        match self.at {
            Some(at) => {
                at..text
                    .len()
                    .min(at + text.get(at..).and_then(|t| t.chars().next()).map_or(1, char::len_utf8))
            }
            None => 0..text.len(),
        }
    }
}

/// Compiles Go's syntax. The expression is searched in the bytes of a text, unanchored; groups keep their names.
pub fn compile(text: &str) -> Result<Regex, Error> {
    let mut translator = Translator {
        text,
        position: 0,
        out: String::new(),
        open: Vec::new(),
        names: Vec::new(),
        last: Last::Nothing,
    };
    translator.run()?;
    RegexBuilder::new(&translator.out).size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT).build().map_err(
        |error| {
            let message = match error {
                regex::Error::CompiledTooBig(_) => "it is too large when compiled".to_owned(),
                other => other
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned(),
            };
            Error { message, at: None }
        },
    )
}

/// What a repetition would repeat.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Something,
    Repetition,
}

struct Translator<'a> {
    text: &'a str,
    position: usize,
    out: String,
    /// Where each open group began.
    open: Vec<usize>,
    names: Vec<String>,
    last: Last,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Error> {
        while let Some(character) = self.peek() {
            let start = self.position;
            self.position += character.len_utf8();
            self.one(character, start)?;
        }
        match self.open.pop() {
            Some(at) => Err(wrong("missing closing `)`", at)),
            None => Ok(()),
        }
    }

    fn one(&mut self, character: char, start: usize) -> Result<(), Error> {
        match character {
            '(' => self.group(start),
            ')' => {
                self.open.pop().ok_or_else(|| wrong("unexpected `)`", start))?;
                self.emit(")", Last::Something);
                Ok(())
            }
            '|' => {
                self.emit("|", Last::Nothing);
                Ok(())
            }
            '[' => self.class(start),
            '*' | '+' | '?' => self.repetition(character.encode_utf8(&mut [0; 4]), start),
            '{' => {
                if let Some(repetition) = self.counted(start)? {
                    self.repetition(&repetition, start)
                } else {
                    self.literal('{');
                    Ok(())
                }
            }
            '\\' => self.escape(start),
            '.' | '^' | '$' => {
                self.emit(character.encode_utf8(&mut [0; 4]), Last::Something);
                Ok(())
            }
            other => {
                self.literal(other);
                Ok(())
            }
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &str {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// Steps over a text if it comes next.
    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    fn emit(&mut self, text: &str, last: Last) {
        self.out.push_str(text);
        self.last = last;
    }

    fn literal(&mut self, character: char) {
        push_literal(&mut self.out, character);
        self.last = Last::Something;
    }

    fn repetition(&mut self, text: &str, start: usize) -> Result<(), Error> {
        match self.last {
            Last::Nothing => return Err(wrong(format!("nothing to repeat before `{text}`"), start)),
            Last::Repetition => return Err(wrong("a repetition of a repetition", start)),
            Last::Something => {}
        }
        let text = text.to_owned();
        self.emit(&text, Last::Repetition);
        if self.take("?") {
            self.out.push('?');
        }
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}` after the brace; `None` where the brace is an ordinary character.
    fn counted(&mut self, start: usize) -> Result<Option<String>, Error> {
        let Some((inside, _)) = self.rest().split_once('}') else { return Ok(None) };
        let (low, high) = inside.split_once(',').unwrap_or((inside, inside));
        let is_count = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !is_count(low) || !(is_count(high) || high.is_empty()) {
            return Ok(None);
        }
        let count = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MAX_REPEAT);
        let bad = || wrong(format!("bad repetition count `{{{inside}}}`, at most {MAX_REPEAT}"), start);
        let low_count = count(low).ok_or_else(bad)?;
        if !high.is_empty() && count(high).ok_or_else(bad)? < low_count {
            return Err(bad());
        }
        let repetition = format!("{{{inside}}}");
        self.position += inside.len() + 1;
        Ok(Some(repetition))
    }

    /// After `(`: a group, named or not, or flags.
    fn group(&mut self, start: usize) -> Result<(), Error> {
        if !self.take("?") {
            self.open.push(start);
            self.emit("(", Last::Nothing);
            return Ok(());
        }
        if self.take("P<")
            || (self.rest().starts_with('<')
                && !self.rest().starts_with("<=")
                && !self.rest().starts_with("<!")
                && self.take("<"))
        {
            return self.named(start);
        }
        self.flags(start)
    }

    fn named(&mut self, start: usize) -> Result<(), Error> {
        let name = self.rest().split_once('>').map(|(name, _)| name.to_owned()).unwrap_or_default();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(wrong("bad group name", start));
        }
        self.position += name.len() + 1;
        self.open.push(start);
        if name.starts_with(|c: char| c.is_ascii_digit()) || self.names.contains(&name) {
            // The crate has no such names, and none twice; by its number the group is found.
            self.emit("(", Last::Nothing);
        } else {
            self.emit(&format!("(?P<{name}>"), Last::Nothing);
        }
        self.names.push(name);
        Ok(())
    }

    /// `(?i)`, `(?i-s:`: letters of `imsU`.
    fn flags(&mut self, start: usize) -> Result<(), Error> {
        let end = self.rest().find([':', ')']).ok_or_else(|| wrong("missing closing `)`", start))?;
        let flags = self.rest().get(..end).unwrap_or_default().to_owned();
        let (set, unset) = flags.split_once('-').unwrap_or((&flags, "i"));
        let known = |flags: &str| flags.chars().all(|flag| "imsU".contains(flag));
        if !known(set) || !known(unset) || unset.is_empty() {
            return Err(wrong(format!("unknown group `(?{flags}`; look-around is not supported"), start));
        }
        self.position += end + 1;
        let flags = deduplicated(&flags);
        if self.text.get(..self.position).is_some_and(|text| text.ends_with(':')) {
            self.open.push(start);
            self.emit(&format!("(?{flags}:"), Last::Nothing);
        } else if !flags.is_empty() {
            write!(self.out, "(?{flags})").expect("writing to a String can't fail");
        }
        Ok(())
    }

    /// After a backslash outside a class.
    fn escape(&mut self, start: usize) -> Result<(), Error> {
        if self.take("Q") {
            self.quoted();
            return Ok(());
        }
        // Within a character there is no `\B`: nothing of Unicode's is there.
        let inside = r"(?:(?-u:\B)(?:\b|\B))";
        let boundary = [("A", r"\A"), ("z", r"\z"), ("b", r"(?-u:\b)"), ("B", inside)];
        for (written, meant) in boundary {
            if self.take(written) {
                self.emit(meant, Last::Something);
                return Ok(());
            }
        }
        match self.class_escape(start)? {
            Item::Set(set) => self.emit(&set, Last::Something),
            Item::Character(character) => self.literal(character),
        }
        Ok(())
    }

    /// After `\Q`: everything up to `\E`, or to the end, as it is.
    fn quoted(&mut self) {
        let rest = self.rest();
        let (quoted, length) = match rest.split_once(r"\E") {
            Some((quoted, _)) => (quoted.to_owned(), quoted.len() + 2),
            None => (rest.to_owned(), rest.len()),
        };
        self.position += length;
        for character in quoted.chars() {
            self.literal(character);
        }
    }

    /// After `[`: items up to `]`, which is ordinary in the first place.
    fn class(&mut self, start: usize) -> Result<(), Error> {
        let mut class = String::from(if self.take("^") { "[^" } else { "[" });
        let mut first = true;
        loop {
            match self.peek() {
                None => return Err(wrong("missing closing `]`", start)),
                Some(']') if !first => {
                    self.position += 1;
                    break;
                }
                Some(_) => self.class_item(&mut class, start)?,
            }
            first = false;
        }
        class.push(']');
        self.emit(&class, Last::Something);
        Ok(())
    }

    fn class_item(&mut self, class: &mut String, start: usize) -> Result<(), Error> {
        let at = self.position;
        if self.rest().starts_with("[:") && self.posix(class)? {
            return Ok(());
        }
        let low = match self.item(start)? {
            Item::Set(set) => {
                class.push_str(&set);
                return Ok(());
            }
            Item::Character(low) => low,
        };
        push_literal(class, low);
        if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
            self.position += 1;
            match self.item(start)? {
                Item::Character(high) if low <= high => {
                    class.push('-');
                    push_literal(class, high);
                }
                _ => return Err(wrong("bad range in a class", at)),
            }
        }
        Ok(())
    }

    /// `[:alpha:]`; `false` if it isn't one and the bracket is ordinary.
    fn posix(&mut self, class: &mut String) -> Result<bool, Error> {
        let Some((name, _)) = self.rest().get(2..).unwrap_or_default().split_once(":]") else {
            return Ok(false);
        };
        let name = name.to_owned();
        let known = [
            "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
            "space", "upper", "word", "xdigit",
        ];
        if !known.contains(&name.strip_prefix('^').unwrap_or(&name)) {
            return Err(wrong(format!("unknown class `[:{name}:]`"), self.position));
        }
        self.position += name.len() + 4;
        class.push_str("[:");
        class.push_str(&name);
        class.push_str(":]");
        Ok(true)
    }

    fn item(&mut self, start: usize) -> Result<Item, Error> {
        let at = self.position;
        let character = self.peek().ok_or_else(|| wrong("missing closing `]`", start))?;
        self.position += character.len_utf8();
        if character == '\\' { self.class_escape(at) } else { Ok(Item::Character(character)) }
    }

    /// After a backslash: what means the same inside a class and outside.
    fn class_escape(&mut self, start: usize) -> Result<Item, Error> {
        let character = self.peek().ok_or_else(|| wrong("a backslash at the end", start))?;
        self.position += character.len_utf8();
        let set = |set: &str| Ok(Item::Set(set.to_owned()));
        match character {
            'd' => set("[0-9]"),
            'D' => set("[^0-9]"),
            's' => set(r"[\t\n\x0C\r ]"),
            'S' => set(r"[^\t\n\x0C\r ]"),
            'w' => set("[0-9A-Za-z_]"),
            'W' => set("[^0-9A-Za-z_]"),
            'p' | 'P' => self.property(character, start),
            'a' => Ok(Item::Character('\x07')),
            'f' => Ok(Item::Character('\x0C')),
            'n' => Ok(Item::Character('\n')),
            'r' => Ok(Item::Character('\r')),
            't' => Ok(Item::Character('\t')),
            'v' => Ok(Item::Character('\x0B')),
            'x' => self.hexadecimal(start),
            '0' => Ok(Item::Character(self.octal(0, start)?)),
            '1'..='7' if self.peek().is_some_and(|next| next.is_digit(8)) => {
                Ok(Item::Character(self.octal(character.to_digit(8).unwrap_or_default(), start)?))
            }
            other if other.is_ascii() && !other.is_ascii_alphanumeric() => Ok(Item::Character(other)),
            other => Err(wrong(format!("unknown escape `\\{other}`"), start)),
        }
    }

    /// Up to two more octal digits after the first.
    fn octal(&mut self, first: u32, start: usize) -> Result<char, Error> {
        let mut value = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|next| next.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.position += 1;
        }
        char::from_u32(value).ok_or_else(|| wrong("no such character", start))
    }

    /// `\x41` or `\x{1F422}`.
    fn hexadecimal(&mut self, start: usize) -> Result<Item, Error> {
        let rest = self.rest();
        let digits = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').map(|(digits, _)| digits.to_owned()),
            None => rest.get(..2).map(str::to_owned),
        };
        let braces = if rest.starts_with('{') { 2 } else { 0 };
        let character = digits.as_ref().and_then(|digits| {
            let fits = !digits.is_empty()
                && digits.len() <= 8
                && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if fits { char::from_u32(u32::from_str_radix(digits, 16).ok()?) } else { None }
        });
        self.position += digits.map_or(0, |digits| digits.len()) + braces;
        character.map(Item::Character).ok_or_else(|| wrong("bad `\\x` escape", start))
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`.
    fn property(&mut self, letter: char, start: usize) -> Result<Item, Error> {
        let rest = self.rest();
        let (name, length) = if let Some(inside) = rest.strip_prefix('{') {
            let (name, _) = inside.split_once('}').ok_or_else(|| wrong("missing closing `}`", start))?;
            (name.to_owned(), name.len() + 2)
        } else {
            let letter = rest.chars().next().ok_or_else(|| wrong("a class name is missing", start))?;
            (letter.to_string(), letter.len_utf8())
        };
        self.position += length;
        let (name, inverted) = match name.strip_prefix('^') {
            Some(name) => (name.to_owned(), true),
            None => (name, false),
        };
        let class = unicode_class(&name).ok_or_else(|| wrong("unknown class name", start))?;
        let is_inverted = (letter == 'P') != inverted;
        Ok(Item::Set(match class {
            Class::Named(class) => format!("\\{}{{{class}}}", if is_inverted { 'P' } else { 'p' }),
            Class::Surrogates if is_inverted => r"[\x{0}-\x{10FFFF}]".to_owned(),
            Class::Surrogates => r"[^\x{0}-\x{10FFFF}]".to_owned(),
        }))
    }
}

enum Item {
    Character(char),
    /// Text that means a set both inside a class and outside.
    Set(String),
}

fn wrong(message: impl Into<String>, at: usize) -> Error {
    Error { message: message.into(), at: Some(at) }
}

/// Each letter once, where it was last: the crate refuses repetitions, Go doesn't.
fn deduplicated(flags: &str) -> String {
    let mut kept = String::new();
    for (at, flag) in flags.char_indices() {
        if !flags.get(at + 1..).is_some_and(|rest| rest.contains(flag)) {
            kept.push(flag);
        }
    }
    kept
}

enum Class {
    /// As the crate names it.
    Named(String),
    /// No text has one of them.
    Surrogates,
}

/// The long names of Unicode's general categories, in the form that Go compares.
const CATEGORIES: [&str; 41] = [
    "casedletter",
    "closepunctuation",
    "cntrl",
    "combiningmark",
    "connectorpunctuation",
    "control",
    "currencysymbol",
    "dashpunctuation",
    "decimalnumber",
    "digit",
    "enclosingmark",
    "finalpunctuation",
    "format",
    "initialpunctuation",
    "letter",
    "letternumber",
    "lineseparator",
    "lowercaseletter",
    "mark",
    "mathsymbol",
    "modifierletter",
    "modifiersymbol",
    "nonspacingmark",
    "number",
    "openpunctuation",
    "other",
    "otherletter",
    "othernumber",
    "otherpunctuation",
    "othersymbol",
    "paragraphseparator",
    "privateuse",
    "punct",
    "punctuation",
    "separator",
    "spaceseparator",
    "spacingmark",
    "symbol",
    "titlecaseletter",
    "unassigned",
    "uppercaseletter",
];

/// Scripts of four letters; other names of four letters are the crate's short ones, which Go doesn't know.
const SHORT_SCRIPTS: [&str; 8] = ["ahom", "cham", "kawi", "miao", "modi", "newa", "thai", "toto"];

/// A class by its name, whose case, blanks and dashes don't count: a general category or a script, and no other property.
fn unicode_class(name: &str) -> Option<Class> {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    if plain.is_empty() || plain.starts_with("is") || !plain.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    Some(match plain.as_str() {
        "cs" | "surrogate" => Class::Surrogates,
        "any" | "ascii" | "assigned" => Class::Named(plain),
        short if short.len() <= 2 || CATEGORIES.contains(&short) => Class::Named(format!("gc={plain}")),
        script if script.len() == 4 && !SHORT_SCRIPTS.contains(&script) => return None,
        _ => Class::Named(format!("sc={plain}")),
    })
}

/// A character that is nothing but itself, inside a class or outside.
fn push_literal(out: &mut String, character: char) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        out.push(character);
    } else {
        write!(out, "\\x{:02X}", u32::from(character)).expect("writing to a String can't fail");
    }
}

#[cfg(test)]
mod tests;
