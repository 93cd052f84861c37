//! The expression language of expr 1.15: compiled once, evaluated many times.
//!
//! ```
//! use serde_json::json;
//! use zetes_exprlang::{Environment, Expression, Value};
//! let expression = Expression::compile(r#"body.ref == "refs/heads/main" and any(body.commits, {.files > 2})"#)?;
//! let data = json!({"ref": "refs/heads/main", "commits": [{"files": 1}, {"files": 3}]});
//! let mut environment = Environment::default();
//! environment.set("body", Value::from_json(&data));
//! let value = expression.evaluate(&environment, jiff::Timestamp::UNIX_EPOCH)?;
//! assert!(matches!(value, Value::Bool(true)));
//! let error = Expression::compile("body.ref = 1").unwrap_err();
//! assert_eq!(error.span(), 9..10);
//! # Ok::<(), zetes_exprlang::Error>(())
//! ```
//!
//! Source: the documentation of expr 1.15.5, and the library's behaviour where it leaves room. What is typed in the expression
//! itself (`1 == "1"`) is checked when it is compiled; data is checked when it is met.

mod builtins;
mod check;
mod fold;
mod lex;
mod methods;
mod node;
mod operators;
mod parse;
mod run;
mod types;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use jiff::Timestamp;

pub use node::Elements;
pub use value::{Function, Namespace, Value, Values, Width};

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    root: node::Node,
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

/// The names that an expression may use. A name that is not here is nil.
#[derive(Clone, Debug, Default)]
pub struct Environment<'d> {
    names: BTreeMap<String, Value<'d>>,
}

impl<'d> Environment<'d> {
    /// Gives a name a value; an older one is replaced.
    pub fn set(&mut self, name: impl Into<String>, value: Value<'d>) {
        self.names.insert(name.into(), value);
    }

    /// Gives a name a function.
    pub fn set_function(
        &mut self,
        name: impl Into<String>,
        function: impl Fn(&[Value<'d>]) -> Result<Value<'d>, String> + 'd,
    ) {
        self.set(name, Value::Function(Rc::new(function)));
    }

    pub(crate) fn get(&self, name: &str) -> Value<'d> {
        self.names.get(name).cloned().unwrap_or(Value::Nil)
    }

    /// `$env`
    pub(crate) fn whole(&self) -> Value<'d> {
        Value::Map(Rc::new(self.names.clone()))
    }
}

impl Expression {
    /// Parses and checks an expression; patterns that are written out are compiled here.
    ///
    /// # Errors
    /// The text is no expression, or one that can't have a value.
    pub fn compile(text: &str) -> Result<Self, Error> {
        let mut root = parse::parse(lex::tokens(text)?)?;
        check::check(&mut root)?;
        fold::fold(&mut root)?;
        Ok(Self { root })
    }

    /// The value. `now` is what `now()` gives.
    ///
    /// # Errors
    /// As the library: a member of nil, a type that an operator can't take, an index out of range; or the expression takes too
    /// long or makes too much.
    pub fn evaluate<'d>(&self, environment: &Environment<'d>, now: Timestamp) -> Result<Value<'d>, Error> {
        run::run(&self.root, environment, now)
    }
}

#[cfg(test)]
mod tests;
