//! The values that a template works with: Go's kinds, as far as templates can tell them apart.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

/// Members of a map, shared: as in Go, `set` changes the map that everybody sees.
pub(crate) type Members<'d> = Rc<RefCell<BTreeMap<String, Value<'d>>>>;

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
    Map(Members<'d>),
    /// A part of the input, looked at only where the template goes.
    Json(&'d Json),
    /// A Go value with methods: a time, a duration, a version.
    Object(Object),
}

/// Go's integer types that templates meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntKind {
    Int,
    Int64,
    Uint8,
}

pub use crate::objects::Object;

impl Value<'_> {
    pub(crate) const fn int(number: i64) -> Self {
        Self::Int(number, IntKind::Int)
    }

    pub(crate) const fn int64(number: i64) -> Self {
        Self::Int(number, IntKind::Int64)
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(Cow::Owned(text.into()))
    }

    pub(crate) fn list(elements: Vec<Self>) -> Self {
        Self::List(Rc::new(elements))
    }

    pub(crate) fn map(members: BTreeMap<String, Self>) -> Self {
        Self::Map(Rc::new(RefCell::new(members)))
    }

    /// Turns a borrowed part of the input into a value of its own kind; members and elements stay borrowed.
    pub(crate) fn shallow(self) -> Self {
        let Self::Json(json) = self else { return self };
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::String(Cow::Borrowed(text)),
            Json::Array(elements) => Self::list(elements.iter().map(Self::Json).collect()),
            Json::Object(members) => {
                Self::map(members.iter().map(|(name, value)| (name.clone(), Self::Json(value))).collect())
            }
        }
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil | Self::Json(Json::Null))
    }

    /// A member of a map; `None` where this is no map.
    pub(crate) fn member(&self, name: &str) -> Option<Self> {
        match self {
            Self::Json(Json::Object(members)) => Some(members.get(name).map_or(Self::Missing, Self::Json)),
            Self::Map(members) => Some(members.borrow().get(name).cloned().unwrap_or(Self::Missing)),
            _ => None,
        }
    }

    /// The elements of a list; `None` where this is none.
    pub(crate) fn elements(&self) -> Option<Rc<Vec<Self>>> {
        match self {
            Self::List(elements) => Some(elements.clone()),
            Self::Json(Json::Array(elements)) => Some(Rc::new(elements.iter().map(Self::Json).collect())),
            _ => None,
        }
    }

    /// The members of a map, sorted; `None` where this is none.
    pub(crate) fn members(&self) -> Option<BTreeMap<String, Self>> {
        match self {
            Self::Map(members) => Some(members.borrow().clone()),
            Self::Json(Json::Object(members)) => {
                Some(members.iter().map(|(name, value)| (name.clone(), Self::Json(value))).collect())
            }
            _ => None,
        }
    }

    /// What counts as true: what is not zero, empty or nil.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Nil | Self::Json(Json::Null) => false,
            Self::Bool(value) | Self::Json(Json::Bool(value)) => *value,
            Self::Int(number, _) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::String(text) => !text.is_empty(),
            Self::List(elements) => !elements.is_empty(),
            Self::Map(members) => !members.borrow().is_empty(),
            Self::Object(object) => object.truth(),
            Self::Json(Json::Number(number)) => number.as_f64() != Some(0.0),
            Self::Json(Json::String(text)) => !text.is_empty(),
            Self::Json(Json::Array(elements)) => !elements.is_empty(),
            Self::Json(Json::Object(members)) => !members.is_empty(),
        }
    }

    /// Go's name of the type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil | Self::Json(Json::Null) => "<nil>",
            Self::Bool(_) | Self::Json(Json::Bool(_)) => "bool",
            Self::Int(_, IntKind::Int) => "int",
            Self::Int(_, IntKind::Int64) => "int64",
            Self::Int(_, IntKind::Uint8) => "uint8",
            Self::Float(_) | Self::Json(Json::Number(_)) => "float64",
            Self::String(_) | Self::Json(Json::String(_)) => "string",
            Self::List(_) | Self::Json(Json::Array(_)) => "[]interface {}",
            Self::Map(_) | Self::Json(Json::Object(_)) => "map[string]interface {}",
            Self::Object(object) => object.type_name(),
        }
    }

    /// The value of a document that nobody else holds.
    #[must_use]
    pub fn owned(json: Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::text(text),
            Json::Array(elements) => Self::list(elements.into_iter().map(Self::owned).collect()),
            Json::Object(members) => {
                Self::map(members.into_iter().map(|(name, value)| (name, Self::owned(value))).collect())
            }
        }
    }

    /// The same content, with no map shared.
    pub(crate) fn deep_copy(&self) -> Self {
        match self {
            Self::List(elements) => Self::list(elements.iter().map(Self::deep_copy).collect()),
            Self::Map(members) => Self::map(
                members.borrow().iter().map(|(name, value)| (name.clone(), value.deep_copy())).collect(),
            ),
            other => other.clone(),
        }
    }

    /// As plain JSON; what JSON has no form for as its print.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Self::Missing | Self::Nil => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(number, _) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::String(text) => Json::from(text.as_ref()),
            Self::List(elements) => Json::Array(elements.iter().map(Self::to_json).collect()),
            Self::Map(members) => Json::Object(
                members.borrow().iter().map(|(name, value)| (name.clone(), value.to_json())).collect(),
            ),
            Self::Json(json) => as_floats(json),
            Self::Object(object) => object.to_json(),
        }
    }
}

/// The text of some bytes. Every byte that is part of no character becomes `\u{FFFD}`, as where Go writes JSON.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The same document with floats for numbers: what a float can't hold is rounded, as Go's are.
fn as_floats(json: &Json) -> Json {
    match json {
        Json::Number(number) => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(elements) => Json::Array(elements.iter().map(as_floats).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect())
        }
        other => other.clone(),
    }
}
