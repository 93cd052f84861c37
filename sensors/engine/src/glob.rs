//! Which events a dependency means: the pair `eventSourceName`, `eventName` as a glob (S46, spec/sensors.md 1.3).

use std::fmt::Write;

use regex::{Regex, RegexBuilder};
use zetes_api::{EventName, ObjectName};

/// Characters that make a name a pattern. `}` and `]` alone are ordinary.
const SPECIAL: [char; 5] = ['*', '?', '[', '{', '\\'];

/// The pair joined by `__` and matched against the event's `source__subject`; equal names match before any pattern does.
///
/// `*` and `**` are any text, `?` one character, `[a-z]`, `[!a-z]`, `[abc]` and `[!abc]` one of a set, `{x,y}`
/// alternatives, `\` takes the next character as it is. Nothing separates: `*` spans everything.
#[derive(Clone, Debug)]
pub struct Glob {
    source: String,
    subject: String,
    /// Absent where no character is special.
    pattern: Option<Regex>,
}

/// Why a pair is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    #[error("`[` without its `]`")]
    UnclosedRange,
    #[error("`[...]` takes `a-z`, `!a-z`, or a list of characters")]
    BadRange,
    #[error("the pattern is too large")]
    TooLarge,
}

impl Glob {
    /// # Errors
    /// A range that is empty, open or not one range; more than 64 KiB when compiled.
    pub fn new(source: &str, subject: &str) -> Result<Self, GlobError> {
        let plain = !source.contains(SPECIAL) && !subject.contains(SPECIAL);
        let pattern = if plain { None } else { Some(compile(&format!("{source}__{subject}"))?) };
        Ok(Self { source: source.to_owned(), subject: subject.to_owned(), pattern })
    }

    pub fn matches(&self, source: &str, subject: &str) -> bool {
        (self.source == source && self.subject == subject)
            || self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(&format!("{source}__{subject}")))
    }

    /// What to ask the bus for. A pattern in the source widens both: `h*` may also swallow a `__` of the subject.
    pub fn asks_for(&self) -> (Option<ObjectName>, Option<EventName>) {
        let source = (!self.source.contains(SPECIAL)).then(|| ObjectName::from(self.source.as_str()));
        let subject = (source.is_some() && !self.subject.contains(SPECIAL))
            .then(|| EventName::from(self.subject.as_str()));
        (source, subject)
    }
}

/// The pattern as a regular expression, which takes linear time whatever the pattern.
fn compile(pattern: &str) -> Result<Regex, GlobError> {
    let mut translator = Translator { rest: pattern.chars(), out: String::from("^(?:"), depth: 0 };
    translator.run()?;
    let text = translator.out;
    RegexBuilder::new(&text)
        .dot_matches_new_line(true)
        .size_limit(64 * 1024)
        .nest_limit(64)
        .build()
        .map_err(|_| GlobError::TooLarge)
}

struct Translator<'a> {
    rest: std::str::Chars<'a>,
    out: String,
    /// Braces that are open.
    depth: usize,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), GlobError> {
        while let Some(character) = self.rest.next() {
            self.one(character)?;
        }
        // a brace that is never closed ends with the pattern
        self.out.push_str(&")".repeat(self.depth + 1));
        self.out.push('$');
        Ok(())
    }

    fn one(&mut self, character: char) -> Result<(), GlobError> {
        match character {
            '*' => self.out.push_str(".*"),
            '?' => self.out.push('.'),
            '[' => self.range()?,
            '{' => {
                self.depth += 1;
                self.out.push_str("(?:");
            }
            ',' if self.depth > 0 => self.out.push('|'),
            '}' if self.depth > 0 => {
                self.depth -= 1;
                self.out.push(')');
            }
            '\\' => {
                if let Some(escaped) = self.rest.next() {
                    self.literal(escaped);
                }
            }
            other => self.literal(other),
        }
        Ok(())
    }

    /// After `[`: `!`, then either one `lo-hi` or a list of characters, then `]`.
    fn range(&mut self) -> Result<(), GlobError> {
        let mut first = self.rest.next().ok_or(GlobError::UnclosedRange)?;
        let negated = first == '!';
        if negated {
            first = self.rest.next().ok_or(GlobError::UnclosedRange)?;
        }
        self.out.push_str(if negated { "[^" } else { "[" });
        if self.rest.as_str().starts_with('-') {
            self.interval(first)?;
        } else {
            self.list(first)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn interval(&mut self, low: char) -> Result<(), GlobError> {
        self.rest.next();
        let high = self.rest.next().ok_or(GlobError::UnclosedRange)?;
        match self.rest.next() {
            None => return Err(GlobError::UnclosedRange),
            Some(']') if low <= high => {}
            Some(_) => return Err(GlobError::BadRange),
        }
        self.literal(low);
        self.out.push('-');
        self.literal(high);
        Ok(())
    }

    fn list(&mut self, first: char) -> Result<(), GlobError> {
        let mut next = Some(first);
        let mut any = false;
        while let Some(character) = next {
            let character = match character {
                ']' if any => return Ok(()),
                ']' => return Err(GlobError::BadRange),
                '\\' => self.rest.next().ok_or(GlobError::UnclosedRange)?,
                other => other,
            };
            any = true;
            self.literal(character);
            next = self.rest.next();
        }
        Err(GlobError::UnclosedRange)
    }

    /// Never read as anything but itself, inside a class or outside.
    fn literal(&mut self, character: char) {
        write!(self.out, "\\x{{{:X}}}", u32::from(character)).expect("writing to a String can't fail");
    }
}
