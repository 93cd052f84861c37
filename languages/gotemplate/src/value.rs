//! The values that a template works with: Go's kinds, as far as templates can tell them apart.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

/// A value while a template runs. Cloning is cheap: documents are borrowed, lists and maps are shared.
#[derive(Clone, Debug)]
pub enum Value<'d> {
    /// What a missing key gives; printed `<no value>`.
    Missing,
    Nil,
    Bool(bool),
    Int(i64, IntKind),
    Float(f64),
    String(Cow<'d, str>),
    List(Rc<Vec<Value<'d>>>),
    /// Shared, as in Go: `set` changes the map that everybody sees.
    Map(Rc<RefCell<BTreeMap<String, Value<'d>>>>),
    /// A part of the input, looked at only where the template goes.
    Json(&'d Json),
    /// A Go value with methods: a time, a duration, a version.
    Object(Rc<dyn Object<'d> + 'd>),
}

/// Go's integer types that templates meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntKind {
    Int,
    Int32,
    Int64,
    Uint8,
    Uint32,
    Uint64,
}

/// A Go value that is neither a number, a text, a list nor a map.
pub trait Object<'d>: std::fmt::Debug {
    /// Go's name of the type, `time.Time`.
    fn type_name(&self) -> &'static str;
    /// Go's kind, `struct`, `int64`.
    fn kind(&self) -> &'static str;
    /// What `{{ . }}` prints.
    fn print(&self) -> String;
    /// A field, or a method called with arguments; `None` where the type has none of that name.
    fn member(&self, name: &str, arguments: &[Value<'d>]) -> Option<Result<Value<'d>, String>>;
    /// For functions that want the concrete type back.
    fn as_any(&self) -> &dyn std::any::Any;
}

impl<'d> Value<'d> {
    /// Turns a borrowed part of the input into a value of its own kind; members and elements stay borrowed.
    #[must_use]
    pub fn shallow(self) -> Self {
        let Self::Json(json) = self else { return self };
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::String(Cow::Borrowed(text)),
            Json::Array(elements) => Self::List(Rc::new(elements.iter().map(Self::Json).collect())),
            Json::Object(members) => Self::Map(Rc::new(RefCell::new(
                members.iter().map(|(name, value)| (name.clone(), Self::Json(value))).collect(),
            ))),
        }
    }
}
