//! Lua scripts over JSON values: 5.1 meaning, on Luau.
//!
//! ```
//! use serde_json::json;
//! use zetes_lua::{Limits, Script};
//! let script = Script::compile("return event.body.n > 4")?;
//! assert!(script.filter(&json!({"body": {"n": 5}}), &Limits::default())?);
//! let script = Script::compile("return { n = event.n + 1 }")?;
//! assert_eq!(script.transform(&json!({"n": 1}), &Limits::default())?, r#"{"n":2}"#);
//! let error = Script::compile("local x =\nreturn )").unwrap_err();
//! assert_eq!(error.line(), Some(2));
//! # Ok::<(), zetes_lua::Error>(())
//! ```
//!
//! A script sees its data as the global `event` and nothing else: no files, no processes, no modules, no other script's globals.
//! Steps, memory and time are bounded, inside `pcall`, too. What only Luau has (`continue`, `+=`) works, what it lacks of 5.1 is `goto`
//! and the loading of code.

mod convert;
mod paths;
mod state;

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mlua::Value;
use mlua::chunk::Compiler;
use serde_json::Value as Json;

use paths::Wanted;

/// Tells scripts apart in the states that have loaded them.
static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// A compiled script. Calls from several threads run at the same time.
pub struct Script {
    id: u64,
    text: String,
    bytecode: Vec<u8>,
    wanted: Wanted,
}

/// What one call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Loop rounds and calls, at most; a million takes some tens of milliseconds.
    pub steps: u64,
    /// Bytes of memory, at most, the interpreter's own among them.
    pub memory: usize,
    /// At most so long, by the clock: for steps that are dear, such as a sort. Far above what the steps of a script take otherwise,
    /// so that equal events have equal answers.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 2_000_000, memory: 32 << 20, time: Duration::from_secs(2) }
    }
}

/// Why a text is no script, or what stopped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    line: Option<usize>,
    span: Range<usize>,
    is_goto: bool,
}

impl Error {
    /// What is wrong, in Lua's words, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The script uses `goto`, which Luau does not have.
    #[must_use]
    pub fn is_goto(&self) -> bool {
        self.is_goto
    }

    /// The line, from 1, where Lua tells it.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }

    /// The bytes of the script to underline: the line, or all of it.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(crate) fn new(text: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), line: None, span: 0..text.len(), is_goto: false }
    }

    fn of(text: &str, error: &mlua::Error) -> Self {
        let full = innermost(error);
        let first = full.lines().next().unwrap_or_default();
        let Some((line, message)) = placed(first) else { return Self::new(text, first) };
        let mut error = Self::new(text, message);
        if let Some(span) = span_of_line(text, line) {
            error.line = Some(line);
            error.span = span;
        }
        error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.text).finish()
    }
}

impl Script {
    /// Compiles a script.
    ///
    /// # Errors
    /// A syntax error, with its line.
    pub fn compile(text: &str) -> Result<Self, Error> {
        let bytecode = Compiler::new()
            .set_optimization_level(1)
            .set_debug_level(1)
            .compile(text)
            .map_err(|error| Error { is_goto: uses_goto(text), ..Error::of(text, &error) })?;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, text: text.to_owned(), bytecode, wanted: Wanted::of(text) })
    }

    /// Whether the last value that the script returns is `true`, and nothing but `true`. Null is an object without members.
    ///
    /// # Errors
    /// The data is no object, the script failed, or it needed more than it may.
    pub fn filter(&self, data: &Json, limits: &Limits) -> Result<bool, Error> {
        self.call(data, limits, |value| Ok(matches!(value, Value::Boolean(true))))
    }

    /// The last value that the script returns, which must be a table, as Go writes JSON.
    ///
    /// # Errors
    /// As for [`Script::filter`]; or it is no table, or holds what JSON has no form for.
    pub fn transform(&self, data: &Json, limits: &Limits) -> Result<String, Error> {
        let json = self.call(data, limits, |value| match value {
            Value::Table(_) => convert::from_lua(&value, 0),
            other => Err(format!("the script returned a {}, expected a table", other.type_name())),
        })?;
        Ok(zetes_gojson::to_string(&json))
    }

    fn call<T>(
        &self,
        data: &Json,
        limits: &Limits,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<T, Error> {
        let nothing = serde_json::Map::new();
        let members = match data {
            Json::Object(members) => members,
            Json::Null => &nothing,
            _ => return Err(Error::new(&self.text, "the data is no JSON object")),
        };
        let state = state::take().map_err(|error| Error::of(&self.text, &error))?;
        let values = state
            .call(self.id, &self.bytecode, limits, |lua| self.wanted.table(lua, members))
            .map_err(|error| Error::of(&self.text, &error))?;
        // Read before the state is given back: what is read belongs to it.
        let last = values.into_iter().next_back().unwrap_or(Value::Nil);
        let result = read(last).map_err(|message| Error::new(&self.text, message));
        state::give_back(state);
        result
    }
}

/// Only asked of a script that Luau does not take.
fn uses_goto(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == "goto")
}

fn innermost(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => innermost(cause),
        mlua::Error::RuntimeError(message)
        | mlua::Error::MemoryError(message)
        | mlua::Error::SyntaxError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// Line and message of `3: message`, `[string "script"]:3: message` or `script:3: message`.
fn placed(text: &str) -> Option<(usize, &str)> {
    if let Some((line, message)) = text.split_once(':')
        && let Ok(line) = line.trim().parse()
    {
        return Some((line, message.trim()));
    }
    let after_name = match text.strip_prefix("[string \"") {
        Some(rest) => rest.split_once("\"]:")?.1,
        None => text.split_once(':')?.1,
    };
    let (line, message) = after_name.split_once(':')?;
    Some((line.trim().parse().ok()?, message.trim()))
}

fn span_of_line(text: &str, line: usize) -> Option<Range<usize>> {
    let mut start = 0;
    for (at, one) in text.split_inclusive('\n').enumerate() {
        if at + 1 == line {
            let indent = one.len() - one.trim_start().len();
            let end = start + one.trim_end().len();
            return Some((start + indent).min(end)..end);
        }
        start += one.len();
    }
    (line > 0).then_some(text.len()..text.len())
}

#[cfg(test)]
mod tests;
