//! jq programs on the jaq interpreter, meaning what gojq 0.12 means where the two differ.
//!
//! ```
//! use serde_json::json;
//! let program = zetes_jq::Program::compile("{id: .commits[0].id, n: (.commits | length)}")?;
//! assert_eq!(program.transform(&json!({"commits": [{"id": "c1"}]}), 0.0)?, r#"{"id":"c1","n":1}"#);
//! let error = zetes_jq::Program::compile("{id: nope}").unwrap_err();
//! assert_eq!(error.span(), 5..9);
//! # Ok::<(), zetes_jq::Error>(())
//! ```
//!
//! A program sees its input and nothing else: no environment, no further inputs, no modules. What can't be bounded is time and
//! memory: a program such as `[repeat(1)]` never ends, and nothing can stop it from outside. [`may_not_end`] points at
//! what looks like it; callers run programs where a stuck one holds up nobody.

mod depth;
mod value;

use std::fmt;
use std::ops::Range;

use jaq_core::load::{Arena, File, Loader, span};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::Val;

/// Replaces what would look outside, and adds what gojq has and jaq has not.
const PRELUDE: &str = r#"
def env: {};
def now: $__now__;
def input: error(null);
def inputs: empty;
def debug: .;
def debug(f): .;
def stderr: .;
def halt: error(null);
def halt(f): error(null);
def halt_error: error;
def halt_error(f): error;
def input_line_number: 0;
def input_filename: null;
def ascii: [.] | implode;
def date: todate;
def dateadd(unit; number): . + number;
def datesub(unit; number): . - number;
def toarray: if type == "array" then . else [.] end;
def trimstr(text): ltrimstr(text) | rtrimstr(text);
def isvalid(f): try (f | true) catch false;
def leaf_paths: paths(scalars);
def IN(values): . as $one | any(values; . == $one);
def IN(ones; values): any(ones; IN(values));
def INDEX(rows; key): reduce rows as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def truncate_stream($depth; events): events | select(.[0] | length > $depth) | .[0] |= .[$depth:];
def truncate_stream(events): . as $depth | truncate_stream($depth; events);
def __cell(quoted):
  if type == "string" then quoted
  elif type == "null" then ""
  elif type == "array" or type == "object" then error("a row has no cell of type \(type)")
  else tostring end;
def @csv: map(__cell("\"" + gsub("\""; "\"\"") + "\"")) | join(",");
def @tsv: map(__cell(gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"))) | join("\t");
def format($name):
  if $name == "text" then tostring
  elif $name == "json" then tojson
  elif $name == "csv" then @csv
  elif $name == "tsv" then @tsv
  elif $name == "html" then @html
  elif $name == "uri" then @uri
  elif $name == "sh" then @sh
  elif $name == "base64" then @base64
  elif $name == "base64d" then @base64d
  else error("\($name) is not a valid format") end;
def tostream: path(def r: (.[]?|r), .; r) as $p | getpath($p) | reduce path(.[]?) as $q ([$p, .]; [$p + $q]);
"#;

/// What every program can name.
const GLOBALS: [&str; 2] = ["$ENV", "$__now__"];

type Filter = jaq_core::Filter<data::JustLut<Val>>;

/// A compiled program.
pub struct Program {
    text: String,
    filter: Filter,
}

/// Why a text is no program, or what stopped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    span: Range<usize>,
}

impl Error {
    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The bytes of the program to underline; all of them for an error while it ran.
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

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.text).finish()
    }
}

impl Program {
    /// Compiles a program.
    ///
    /// # Errors
    /// A syntax error, a name that is not known, or an import: nothing is read from files.
    pub fn compile(text: &str) -> Result<Self, Error> {
        if let Some(span) = depth::too_deep(text) {
            return Err(Error { message: "the program is nested too deep, or too long".to_owned(), span });
        }
        let prelude = jaq_core::load::parse(PRELUDE, |parser| parser.defs()).unwrap_or_default();
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(prelude);
        let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
        let arena = Arena::default();
        let modules = Loader::new(defs)
            .load(&arena, File { code: text, path: () })
            .map_err(|errors| load_error(text, errors.into_iter().map(|(_, error)| error).next()))?;
        let filter = Compiler::default().with_funs(funs).with_global_vars(GLOBALS).compile(modules).map_err(
            |errors| {
                let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
                first.map_or_else(
                    || whole(text, "not a jq program"),
                    |(name, what)| at(text, name, format!("unknown {} `{name}`", what.as_str())),
                )
            },
        )?;
        Ok(Self { text: text.to_owned(), filter })
    }

    /// The first output as Go writes JSON: compact, members sorted, `<>&` escaped. `now` is what the program's `now` gives, in
    /// seconds since 1970.
    ///
    /// # Errors
    /// The program failed, gave nothing, or gave something else than an object.
    pub fn transform(&self, data: &serde_json::Value, now: f64) -> Result<String, Error> {
        let globals = Vars::new([Val::obj(jaq_json::Map::default()), Val::from(now)]);
        let cx = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, globals);
        let first = self.filter.id.run((cx, value::to_jaq(data))).map(unwrap_valr).next();
        let output = match first {
            None => return Err(whole(&self.text, "the program gave nothing, expected an object")),
            Some(Err(error)) => return Err(whole(&self.text, error.to_string())),
            Some(Ok(output)) => output,
        };
        if !matches!(output, Val::Obj(_)) {
            return Err(whole(&self.text, "the program gave something else than an object"));
        }
        let output = value::from_jaq(&output, 0);
        let output = output.ok_or_else(|| whole(&self.text, "the program gave what JSON has no form for"))?;
        Ok(zetes_gojson::to_string(&output))
    }
}

/// What in a program may never end, or build without bound: `repeat`, `until`, `while`, `recurse(f)`, `range` without an end.
/// Most uses are harmless; it is worth a look.
pub fn may_not_end(text: &str) -> Option<Range<usize>> {
    ["repeat(", "until(", "while(", "infinite"].iter().find_map(|word| {
        let start = text.find(word)?;
        let is_word = !text.get(..start)?.ends_with(|before: char| before.is_alphanumeric() || before == '_');
        is_word.then(|| start..start + word.trim_end_matches('(').len())
    })
}

fn load_error(text: &str, error: Option<jaq_core::load::Error<&str>>) -> Error {
    use jaq_core::load::Error as Load;
    match error {
        Some(Load::Io(errors)) => errors.into_iter().next().map_or_else(
            || whole(text, "imports are not allowed"),
            |(path, _)| at(text, path, "imports are not allowed"),
        ),
        Some(Load::Lex(errors)) => errors.into_iter().next().map_or_else(
            || whole(text, "not a jq program"),
            |(expected, found)| expectation(text, expected.as_str(), found),
        ),
        Some(Load::Parse(errors)) => errors.into_iter().next().map_or_else(
            || whole(text, "not a jq program"),
            |(expected, found)| expectation(text, expected.as_str(), found),
        ),
        None => whole(text, "not a jq program"),
    }
}

fn expectation(text: &str, expected: &str, found: &str) -> Error {
    let shown: String = found.chars().take(20).collect();
    let found_text = if shown.is_empty() { "the end".to_owned() } else { format!("`{shown}`") };
    let mut error = at(text, found, format!("expected {expected}, found {found_text}"));
    // Underline one word, not the rest of the program.
    let length = found.find(char::is_whitespace).unwrap_or(found.len()).max(1).min(found.len());
    error.span.end = (error.span.start + length).max(error.span.start);
    error
}

fn whole(text: &str, message: impl Into<String>) -> Error {
    Error { message: message.into(), span: 0..text.len() }
}

/// An error at a part of the text, which must be a slice of it; the whole text otherwise.
fn at(text: &str, part: &str, message: impl Into<String>) -> Error {
    let inside = text.as_bytes().as_ptr_range();
    let is_inside = inside.start <= part.as_ptr() && part.as_bytes().as_ptr_range().end <= inside.end;
    let span = if is_inside { span(text, part) } else { 0..text.len() };
    Error { message: message.into(), span }
}

#[cfg(test)]
mod tests;
