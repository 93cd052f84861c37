//! How functions are called.

use jiff::Timestamp;

use crate::sprig::Patterns;
use crate::value::{IntKind, Value};

/// Bytes that one value may take.
pub(crate) const MAX_BYTES: usize = 16 << 20;
/// Elements that one list may have.
pub(crate) const MAX_ELEMENTS: usize = 1_000_000;

/// A function of templates. Its error is told with the place of the call.
pub(crate) type Function = for<'d> fn(&Call<'d>) -> Result<Value<'d>, String>;

/// What a name stands for.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    Function(Function),
    /// It would look outside, or make secrets.
    Refused(&'static str),
    Unknown,
}

/// The arguments of one call.
pub(crate) struct Call<'d> {
    pub(crate) arguments: Vec<Value<'d>>,
    pub(crate) now: Timestamp,
    pub(crate) patterns: &'d Patterns,
}

impl<'d> Call<'d> {
    /// Go checks the number of arguments before it calls.
    pub(crate) fn expect(&self, count: usize) -> Result<(), String> {
        if self.arguments.len() == count {
            return Ok(());
        }
        Err(format!("wrong number of arguments: want {count}, got {}", self.arguments.len()))
    }

    pub(crate) fn expect_least(&self, count: usize) -> Result<(), String> {
        if self.arguments.len() >= count {
            return Ok(());
        }
        Err(format!("wrong number of arguments: want at least {count}, got {}", self.arguments.len()))
    }

    /// An argument of any type; a missing value is nil.
    pub(crate) fn any(&self, at: usize) -> Value<'d> {
        match self.arguments.get(at) {
            None | Some(Value::Missing) => Value::Nil,
            Some(value) => value.clone().shallow(),
        }
    }

    /// All arguments, each of any type.
    pub(crate) fn all(&self) -> impl Iterator<Item = Value<'d>> {
        (0..self.arguments.len()).map(|at| self.any(at))
    }

    /// An argument that must be a string.
    pub(crate) fn text(&self, at: usize) -> Result<String, String> {
        match self.any(at) {
            Value::String(text) => Ok(text.into_owned()),
            other => Err(wrong("string", &other)),
        }
    }

    /// An argument that must be an `int`; an `int64` is none.
    pub(crate) fn int(&self, at: usize) -> Result<i64, String> {
        match self.any(at) {
            Value::Int(number, IntKind::Int) => Ok(number),
            other => Err(wrong("int", &other)),
        }
    }

    pub(crate) fn bool(&self, at: usize) -> Result<bool, String> {
        match self.any(at) {
            Value::Bool(value) => Ok(value),
            other => Err(wrong("bool", &other)),
        }
    }
}

pub(crate) fn wrong(expected: &str, found: &Value<'_>) -> String {
    format!("wrong type for value: expected {expected}, got {}", found.type_name())
}

/// Refuses what would take too much memory.
pub(crate) fn bounded(bytes: usize) -> Result<(), String> {
    if bytes > MAX_BYTES { Err("the result is over 16 MiB".to_owned()) } else { Ok(()) }
}
