//! The expression language of govaluate (its version of October 2017, without functions): parsed once, evaluated many times.
//!
//! ```
//! use zetes_govaluate::{Expression, Value};
//! let expression = Expression::compile("branch =~ '^release/' && commits > 2")?;
//! let lookup = |name: &str| match name {
//!     "branch" => Some(Value::String("release/7".into())),
//!     "commits" => Some(Value::Number(3.0)),
//!     _ => None,
//! };
//! assert_eq!(expression.evaluate(&lookup), Ok(Value::Bool(true)));
//! let error = Expression::compile("a == ==").unwrap_err();
//! assert_eq!(error.span(), 5..7);
//! # Ok::<(), zetes_govaluate::Error>(())
//! ```
//!
//! Source: the language as its library behaves, spec/sensors.md 4.3.

mod evaluate;
mod parse;
mod token;
mod value;

use std::fmt;
use std::ops::Range;

pub use value::Value;

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: Option<parse::Node>,
}

/// Why a text is no expression, or why one has no value.
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

    /// The bytes of the expression to underline.
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

impl Expression {
    /// Parses an expression; patterns that are written out are compiled here.
    ///
    /// # Errors
    /// The text is no expression.
    pub fn compile(text: &str) -> Result<Self, Error> {
        let tokens = token::tokens(text)?;
        Ok(Self { root: parse::parse(text, &tokens)? })
    }

    /// The value; `lookup` gives the variables.
    ///
    /// # Errors
    /// A variable is missing, or an operator does not take its operands.
    pub fn evaluate<'v>(&'v self, lookup: &impl Fn(&str) -> Option<Value<'v>>) -> Result<Value<'v>, Error> {
        self.root.as_ref().map_or(Ok(Value::Nil), |root| evaluate::evaluate(root, lookup))
    }

    /// The variables it names, each as often as it does.
    #[must_use]
    pub fn variables(&self) -> Vec<&str> {
        let mut names = Vec::new();
        if let Some(root) = &self.root {
            root.variables(&mut names);
        }
        names
    }
}

#[cfg(test)]
mod tests;
