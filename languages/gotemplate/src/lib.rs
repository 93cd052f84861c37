//! Go's `text/template` with sprig's functions: parsed once, rendered many times.
//!
//! ```
//! use jiff::Timestamp;
//! use serde_json::json;
//! let template = zetes_gotemplate::Template::parse("{{ range .Input.commits }}{{ .id | trunc 3 | upper }} {{ end }}")?;
//! let text = template.render(&json!({"commits": [{"id": "abcdef"}, {"id": "123456"}]}), Timestamp::UNIX_EPOCH)?;
//! assert_eq!(text, "ABC 123 ");
//! let error = zetes_gotemplate::Template::parse("{{ nope }}").unwrap_err();
//! assert_eq!(error.span(), 3..7);
//! # Ok::<(), zetes_gotemplate::Error>(())
//! ```
//!
//! The root `.` is a map with the one member `Input`. Sources: the documentation of Go's packages `text/template` and `fmt`
//! (Go 1.26) and of sprig 3.3; where it leaves room, what they do.

#![expect(clippy::format_push_string, reason = "printing is made of many small pieces")]

mod builtins;
mod escape;
mod execute;
mod floats;
mod function;
mod lex;
mod literal;
mod node;
mod objects;
mod parse;
mod print;
mod printf;
mod quote;
mod sprig;
mod value;
mod weight;

use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::Value as Json;

pub use value::{IntKind, Object, Value};

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    root: node::List,
    defined: node::Defined,
    patterns: sprig::Patterns,
}

/// Why a text is no template, or what stopped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    span: Range<usize>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span }
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The bytes of the template to underline.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// A syntax error, a function or variable that is not known, or a function that is refused because it would look
    /// outside.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (root, defined) = parse::parse(text)?;
        Ok(Self { root, defined, patterns: sprig::Patterns::default() })
    }

    /// Renders it for a document. `now` is what `now` gives.
    ///
    /// # Errors
    /// As Go: a field of a text, a wrong argument, an index past the end; or the template made too much.
    pub fn render(&self, input: &Json, now: Timestamp) -> Result<String, Error> {
        execute::render(self, Value::Json(input), now)
    }

    /// As [`Template::render`], for a text.
    ///
    /// # Errors
    /// As for [`Template::render`].
    pub fn render_text(&self, input: &str, now: Timestamp) -> Result<String, Error> {
        execute::render(self, Value::String(input.into()), now)
    }
}

/// Sprig's functions by themselves, for other languages that offer them.
#[derive(Clone, Debug, Default)]
pub struct Sprig {
    patterns: sprig::Patterns,
}

impl Sprig {
    /// Whether there is a function of that name.
    #[must_use]
    pub fn has(name: &str) -> bool {
        matches!(sprig::lookup(name), function::Found::Function(_))
    }

    /// Calls a function; `now` is what `now` gives.
    ///
    /// # Errors
    /// There is no such function, or it can't take these arguments.
    pub fn call<'d>(
        &'d self,
        name: &str,
        arguments: Vec<Value<'d>>,
        now: Timestamp,
    ) -> Result<Value<'d>, String> {
        match sprig::lookup(name) {
            function::Found::Function(function) => {
                function(&function::Call { arguments, now, patterns: &self.patterns })
            }
            function::Found::Refused(why) => Err(format!("`{name}` is refused: {why}")),
            function::Found::Unknown => Err(format!("there is no function `{name}`")),
        }
    }
}

#[cfg(test)]
mod tests;
