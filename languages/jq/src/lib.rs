//! jq programs on the jaq interpreter, meaning what gojq 0.12 means where the two differ.
//!
//! ```
//! use zetes_jq::{Program, Run};
//! let program = Program::compile("{id: .commits[0].id, n: (.commits | length)}")?;
//! assert_eq!(program.transform(r#"{"commits": [{"id": "c1"}]}"#, &Run::default())?, r#"{"id":"c1","n":1}"#);
//! let error = Program::compile("{id: nope}").unwrap_err();
//! assert_eq!(error.span(), 5..9);
//! # Ok::<(), zetes_jq::Error>(())
//! ```
//!
//! A program sees its input and nothing else: no environment, no further inputs, no modules. It is bounded in steps, memory
//! and depth ([`Run`]), and reads of a document what it looks at.

mod budget;
mod calls;
mod depth;
mod functions;
mod ops;
mod path;
mod regex;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader, span};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};

use crate::budget::{Spent, Stack, Stopped};
use crate::calls::Counter;
use crate::value::Val;

/// Replaces what would look outside, and adds what gojq has and jaq has not.
const PRELUDE: &str = r#"
def __number: if type == "number" then . else error("\(.) is not a number") end;
def __array: if type == "array" then . else error("\(.) is not an array") end;
def __string: if type == "string" then . else error("\(.) is not a string") end;
def __count: if . >= 0 then . else error("\(.) is less than nothing") end;
def tonumber: if type == "number" then . else fromjson | if type == "number" then . else error("not a number") end end;
def toboolean: if type == "boolean" then . else fromjson | if type == "boolean" then . else error("not a boolean") end end;
def abs: __number | if . < 0 then -. else . end;
def isnan: . // 0 | __number | . < nan and nan < .;
def nearbyint: rint;
def range($from; $to; $by):
  if $by == 0 then empty else __range($from | __number; $to | __number; $by | __number) end;
def range($from; $to): range($from; $to; 1);
def range($to): range(0; $to; 1);
def limit($count; f): __limit($count | __count; f);
def skip($count; f): __skip($count | __count; f);
def nth($at): .[$at];
def nth($at; f): first(skip($at; f));
def __flatten($depth): .[] | if type == "array" and $depth != 0 then __flatten($depth - 1) else . end;
def flatten($depth): [__flatten($depth | __number | __count)];
def flatten: [__flatten(-1)];
def combinations: if length == 0 then [] else .[0][] as $one | [$one] + (.[1:] | combinations) end;
def combinations(count): [limit(count; repeat(.))] | combinations;
def split($by): ($by | __string) as $by | __string | if . == "" and $by != "" then [""] else . / $by end;
def sub($expression; f; $flags):
  reduce split_matches($expression; $flags)[] as $part
    (""; . + ($part | if type == "array" then capture_of_match | f end));
def sub($expression; f): sub($expression; f; null);
def gsub($expression; f; $flags): sub($expression; f; $flags + "g");
def gsub($expression; f): sub($expression; f; "g");
def transpose: __array | [range(map(__array | length) | max // 0) as $i | [.[][$i]]];
def in(values): . as $one | values | has($one);
def inside(values): . as $one | values | contains($one);
def index($part): indices($part)[0];
def rindex($part): indices($part)[-1];
def @json: tojson;
def null: [][0];
def env: {};
def now: $__now__;
def halt: error(null);
def halt_error: error;
def halt_error(f): error;
def from_entries:
  reduce .[] as $one ({}; .[$one | .key // .Key // .name // .Name | __string] = ($one | if has("value") then .value else .Value end));
def @base64d:
  tostring | gsub("[\\r\\n]"; "") | split("=")[0] // "" | . + "=" * ((4 - length % 4) % 4) | decode_base64;
def getpath($path): reduce ($path | __array[]) as $part (.; .[$part]);
def setpath($path; $value): getpath($path) = $value;
def delpaths($paths):
  reduce ($paths | sort | reverse[]) as $path (.; if $path == [] then null else getpath($path) |= empty end);
def del(places): delpaths([path(places)]);
def paths: path(..) | select(. != []);
def paths(f): path(.. | select(f)) | select(. != []);
def pick(places): . as $from | reduce path(places) as $path (null; setpath($path; $from | getpath($path)));
def __fields:
  gsub("%c"; "%a %b %e %H:%M:%S %Y") | gsub("%x"; "%m/%d/%y") | gsub("%r"; "%I:%M:%S %p") | gsub("%v"; "%e-%b-%Y") | gsub("%f"; "%6f");
def strftime($format): __strftime($format | __string | __fields);
def strflocaltime($format): __strflocaltime($format | __string | __fields);
def strptime($format):
  if ($format | endswith("%z")) and endswith("Z") then .[:-1] + "+0000" end | __strptime($format);
def fromdateiso8601: if contains(".") then error("\(.) has a fraction of a second") else strptime("%Y-%m-%dT%H:%M:%S%z") | mktime end;
def fromdate: fromdateiso8601;
def todateiso8601: strftime("%Y-%m-%dT%H:%M:%SZ");
def todate: todateiso8601;
def trimstr(text): ltrimstr(text) | rtrimstr(text);
def IN(values): any(values == .; .);
def IN(ones; values): any(ones == values; .);
def INDEX(rows; key): reduce rows as $row ({}; .[$row | key | tostring] = $row);
def INDEX(key): INDEX(.[]; key);
def JOIN($index; rows; key): rows | [., $index[key]];
def JOIN($index; key): [JOIN($index; .[]; key)];
def JOIN($index; rows; key; joined): JOIN($index; rows; key) | joined;
def truncate_stream(events):
  . as $depth | null | events | if .[0] | length > $depth then .[0] |= .[$depth:] else empty end;
def fromstream(events):
  foreach events as $event (
    null;
    if .whole then null end | ($event | __array) as [$path, $value] |
    if $event | length == 2 then setpath(["value"] + $path; $value) | .whole = ($path | length == 0)
    else .whole = ($path | length == 1) end;
    if .whole then .value else empty end
  );
def __cell(quoted):
  if type == "string" then quoted
  elif type == "null" then ""
  elif type == "array" or type == "object" then error("a row has no cell of type \(type)")
  else tostring end;
def @csv: __array | map(__cell("\"" + gsub("\""; "\"\"") + "\"")) | join(",");
def @tsv: __array | map(__cell(gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r"))) | join("\t");
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

/// Functions of the interpreter that stand behind a definition of the prelude with their name.
const RENAMED: [(&str, &str); 6] = [
    ("range", "__range"),
    ("limit", "__limit"),
    ("skip", "__skip"),
    ("strftime", "__strftime"),
    ("strflocaltime", "__strflocaltime"),
    ("strptime", "__strptime"),
];

/// The program itself, as a definition.
const MAIN: &str = "__main";
/// What every program can name.
const GLOBALS: [&str; 2] = ["$ENV", "$__now__"];

type Data = data::JustLut<Val>;
type Filter = jaq_core::Filter<Data>;

/// What a run is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// What the program's `now` gives, in seconds since 1970.
    pub now: f64,
    /// Values that a program may touch; 16 bytes built count as one, too. A million takes some tens of milliseconds, and
    /// holds at most some tens of megabytes.
    pub steps: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self { now: 0.0, steps: 2_000_000 }
    }
}

/// A compiled program.
pub struct Program {
    text: String,
    filter: Filter,
    stack: Stack,
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
        let standard = jaq_std::defs().filter(|def| !["type", "keys", "nan", "infinite"].contains(&def.name));
        let arena = Arena::default();
        let syntax = Loader::new([]).load(&arena, File { code: text, path: () });
        syntax.map_err(|errors| load_error(text, errors.into_iter().map(|(_, error)| error).next()))?;
        let mut body = jaq_core::load::parse(text, |parser| parser.term())
            .ok_or_else(|| whole(text, "not a jq program, or one that is a module"))?;
        let mut counter = Counter::default();
        counter.count(&mut body);
        if let Some(name) = counter.foreign {
            return Err(at(text, name, format!("unknown filter `{name}`")));
        }
        let stack = if counter.is_chained { Stack::Chained } else { Stack::Usual };
        let main = Def { name: MAIN, args: Vec::new(), body };
        let mut defs: Vec<Def<&str>> = Vec::new();
        let core = jaq_core::defs().filter(|def| def.name != "join");
        for def in core.chain(standard).chain(prelude) {
            defs.push(def);
        }
        defs.push(main);
        let own: Vec<_> = functions::functions().collect();
        let is_own = |name: &str| own.iter().any(|(known, ..)| *known == name);
        let standard = jaq_std::funs().filter(|(name, ..)| !is_own(name)).collect::<Vec<_>>();
        let renamed = jaq_core::funs().chain(jaq_std::funs()).filter_map(|(name, arguments, native)| {
            let (_, own_name) = RENAMED.iter().find(|(known, _)| *known == name)?;
            Some((*own_name, arguments, native))
        });
        let funs = jaq_core::funs().chain(renamed).chain(standard).chain(own);
        let modules = Loader::new(defs)
            .load(&arena, File { code: MAIN, path: () })
            .map_err(|_| whole(text, "not a jq program"))?;
        let filter = Compiler::default().with_funs(funs).with_global_vars(GLOBALS).compile(modules).map_err(
            |errors| {
                let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
                first.map_or_else(
                    || whole(text, "not a jq program"),
                    |(name, what)| at(text, name, format!("unknown {} `{name}`", what.as_str())),
                )
            },
        )?;
        Ok(Self { text: text.to_owned(), filter, stack })
    }

    /// The first output as Go writes JSON: compact, members sorted, `<>&` escaped. The document must be JSON: a caller who is not
    /// sure checks it before.
    ///
    /// # Errors
    /// The program failed, took too much, gave nothing, or gave something else than an object.
    pub fn transform(&self, json: &str, run: &Run) -> Result<String, Error> {
        let ended = budget::within(run.steps, self.stack, || {
            let globals = Vars::new([Val::object(BTreeMap::new()), Val::from(run.now)]);
            let cx = Ctx::<Data>::new(&self.filter.lut, globals);
            match self.filter.id.run((cx, Val::document(json))).map(unwrap_valr).next() {
                None => Err("the program gave nothing, expected an object".to_owned()),
                Some(Err(error)) => Err(error.to_string()),
                Some(Ok(output)) if !output.is_finite() => {
                    Err("the output holds a number that JSON has no form for".to_owned())
                }
                Some(Ok(output)) => match output.to_tree() {
                    output if output.is_object() => Ok(zetes_gojson::to_string(&output)),
                    _ => Err("the program gave something else than an object".to_owned()),
                },
            }
        });
        let ended = ended.unwrap_or_else(|stopped| Err(stopped.to_string()));
        ended.map_err(|message| whole(&self.text, message))
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spent(Spent::Steps) => f.write_str("the program takes too many steps, or builds too much"),
            Self::Spent(Spent::Stack) => f.write_str("the program calls itself too deep"),
            Self::Spent(Spent::Depth) => f.write_str("the program nests a value too deep"),
            Self::Broken(Some(message)) => write!(f, "the interpreter gave up: {message}"),
            Self::Broken(None) => f.write_str("the interpreter gave up"),
        }
    }
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
