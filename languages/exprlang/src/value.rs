//! The values that an expression works with.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use jiff::{SignedDuration, Zoned};
use serde_json::Value as Json;

use crate::node::{Elements, Literal};
use crate::operators;

/// A function that the caller gives.
pub type Function<'d> = Rc<dyn Fn(&[Value<'d>]) -> Result<Value<'d>, String> + 'd>;

/// Members by name, made when they are asked for.
pub type Namespace<'d> = Rc<dyn Fn(&str) -> Option<Value<'d>> + 'd>;

/// A value. Cloning is cheap: documents are borrowed, lists and maps are shared.
#[derive(Clone)]
pub enum Value<'d> {
    Nil,
    Bool(bool),
    Int(i64, Width),
    Float(f64),
    Text(Cow<'d, str>),
    List(Rc<Vec<Value<'d>>>, Elements),
    Map(Rc<BTreeMap<String, Value<'d>>>),
    /// A map with anything for keys.
    Pairs(Rc<Vec<(Value<'d>, Value<'d>)>>, Values),
    /// A list or a map of the data, looked at only where the expression goes.
    Json(&'d Json),
    Time(Box<Zoned>),
    Duration(SignedDuration),
    /// From 1.
    Month(i8),
    /// From Sunday, 0.
    Weekday(i8),
    Function(Function<'d>),
    /// A map that is asked for its members one by one.
    Namespace(Namespace<'d>),
}

/// What the values of a map with anything for keys are declared to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Any,
    Lists,
}

impl Values {
    /// What such a map gives for a key that it doesn't have.
    pub(crate) fn missing<'d>(self) -> Value<'d> {
        match self {
            Self::Any => Value::Nil,
            Self::Lists => Value::absent_list(),
        }
    }
}

/// Go's integer types that expressions meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Int,
    Int64,
    Byte,
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print())
    }
}

/// The elements of a list, or of what loops take for one.
pub(crate) enum List<'v, 'd> {
    Json(&'d [Json]),
    Own(&'v [Value<'d>]),
    /// A text is looped over byte by byte.
    Bytes(&'v [u8]),
    /// A map is only counted: its elements have no order.
    Counted(usize),
}

impl<'d> List<'_, 'd> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(elements) => elements.len(),
            Self::Own(elements) => elements.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Counted(count) => *count,
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<Value<'d>> {
        match self {
            Self::Json(elements) => elements.get(at).map(Value::from_json),
            Self::Own(elements) => elements.get(at).cloned(),
            Self::Bytes(bytes) => bytes.get(at).map(|byte| Value::Int(i64::from(*byte), Width::Byte)),
            Self::Counted(_) => None,
        }
    }

    pub(crate) fn to_vec(&self) -> Vec<Value<'d>> {
        (0..self.len()).filter_map(|at| self.get(at)).collect()
    }
}

impl<'d> Value<'d> {
    /// The value of a document; numbers are floats, as the reference reads them.
    pub fn from_json(json: &'d Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    /// The value of a document that nobody else holds.
    pub fn from_owned_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Self::text(text),
            Json::Array(elements) => Self::list(elements.into_iter().map(Self::from_owned_json).collect()),
            Json::Object(members) => Self::Map(Rc::new(
                members.into_iter().map(|(name, value)| (name, Self::from_owned_json(value))).collect(),
            )),
        }
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Cow::Owned(text.into()))
    }

    pub const fn int(number: i64) -> Self {
        Self::Int(number, Width::Int)
    }

    pub(crate) fn count(count: usize) -> Self {
        Self::int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    pub fn list(elements: Vec<Self>) -> Self {
        Self::List(Rc::new(elements), Elements::Any)
    }

    pub(crate) fn texts(texts: impl IntoIterator<Item = String>) -> Self {
        Self::List(Rc::new(texts.into_iter().map(Self::text).collect()), Elements::Texts)
    }

    pub(crate) fn literal(literal: &Literal) -> Self {
        match literal {
            Literal::Nil => Self::Nil,
            Literal::Bool(value) => Self::Bool(*value),
            Literal::Int(number) => Self::int(*number),
            Literal::Float(number) => Self::Float(*number),
            Literal::Text(text) => Self::text(text.clone()),
        }
    }

    pub fn is_nil(&self) -> bool {
        match self {
            Self::Nil | Self::List(_, Elements::Absent) => true,
            // There is no map until there is a group.
            Self::Pairs(pairs, Values::Lists) => pairs.is_empty(),
            _ => false,
        }
    }

    /// What a map of Go has where a list is missing.
    pub(crate) fn absent_list() -> Self {
        Self::List(Rc::default(), Elements::Absent)
    }

    /// Whether it can be a key of a map.
    pub(crate) fn is_hashable(&self) -> bool {
        !matches!(
            self,
            Self::List(..)
                | Self::Json(_)
                | Self::Map(_)
                | Self::Pairs(..)
                | Self::Function(_)
                | Self::Namespace(_)
        )
    }

    /// The elements; `None` where this is no list.
    pub(crate) fn elements(&self) -> Option<List<'_, 'd>> {
        match self {
            Self::Json(Json::Array(elements)) => Some(List::Json(elements)),
            Self::List(elements, _) => Some(List::Own(elements)),
            _ => None,
        }
    }

    /// What a loop goes through; `None` where there is nothing.
    pub(crate) fn looped(&self) -> Option<List<'_, 'd>> {
        match self {
            Self::Text(text) => Some(List::Bytes(text.as_bytes())),
            Self::Map(members) => Some(List::Counted(members.len())),
            Self::Pairs(pairs, _) => Some(List::Counted(pairs.len())),
            Self::Json(Json::Object(members)) => Some(List::Counted(members.len())),
            _ => self.elements(),
        }
    }

    /// The members, by name; `None` where this is no map with texts for keys.
    pub(crate) fn members(&self) -> Option<Vec<(String, Self)>> {
        match self {
            Self::Json(Json::Object(members)) => {
                Some(members.iter().map(|(name, value)| (name.clone(), Self::from_json(value))).collect())
            }
            Self::Map(members) => {
                Some(members.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            _ => None,
        }
    }

    /// The type, as errors name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_, Width::Byte) => "uint",
            Self::Int(..) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "string",
            Self::List(..) | Self::Json(Json::Array(_)) => "array",
            Self::Map(_) | Self::Pairs(..) | Self::Json(_) | Self::Namespace(_) => "map",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
            Self::Function(_) => "func",
        }
    }

    /// Equal down to the types: 1 is not 1.0 here.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            _ if self.is_nil() && other.is_nil() => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Int(one, width), Self::Int(other, other_width)) => one == other && width == other_width,
            #[expect(clippy::float_cmp, reason = "equality of numbers is what is asked for")]
            (Self::Float(one), Self::Float(other)) => one == other,
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Time(one), Self::Time(other)) => one == other,
            (Self::Duration(one), Self::Duration(other)) => one == other,
            (Self::Month(one), Self::Month(other)) | (Self::Weekday(one), Self::Weekday(other)) => {
                one == other
            }
            (Self::Pairs(one, values), Self::Pairs(other, other_values)) => {
                values == other_values
                    && one.len() == other.len()
                    && one.iter().all(|(key, value)| {
                        other.iter().any(|(other, found)| key.is_same(other) && value.is_same(found))
                    })
            }
            _ => {
                if let (Some(one), Some(other_list)) = (self.elements(), other.elements()) {
                    return self.element_kind() == other.element_kind()
                        && one.len() == other_list.len()
                        && one
                            .to_vec()
                            .iter()
                            .zip(other_list.to_vec())
                            .all(|(one, other)| one.is_same(&other));
                }
                let (Some(mut one), Some(mut other)) = (self.members(), other.members()) else {
                    return false;
                };
                one.sort_by(|(one, _), (other, _)| one.cmp(other));
                other.sort_by(|(one, _), (other, _)| one.cmp(other));
                one.len() == other.len()
                    && one.iter().zip(&other).all(|(one, other)| one.0 == other.0 && one.1.is_same(&other.1))
            }
        }
    }

    fn element_kind(&self) -> Elements {
        match self {
            Self::List(_, kind) => *kind,
            _ => Elements::Any,
        }
    }

    /// As Go prints it (`%v`).
    pub fn print(&self) -> String {
        match self {
            Self::Nil => "<nil>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(number, _) => number.to_string(),
            Self::Float(number) => zetes_gotext::print_float(*number),
            Self::Text(text) => text.to_string(),
            Self::Time(at) => zetes_gotime::format(zetes_gotime::DEFAULT, at),
            Self::Duration(duration) => zetes_gotime::duration::format(*duration),
            Self::Month(month) => zetes_gotime::month(*month).to_owned(),
            Self::Weekday(day) => zetes_gotime::weekday(*day).to_owned(),
            Self::Json(json) => zetes_gotext::print(json),
            Self::List(elements, _) => {
                format!("[{}]", elements.iter().map(Self::print).collect::<Vec<_>>().join(" "))
            }
            Self::Map(members) => {
                let members = members.iter().map(|(name, value)| format!("{name}:{}", value.print()));
                format!("map[{}]", members.collect::<Vec<_>>().join(" "))
            }
            Self::Pairs(pairs, _) => {
                let mut pairs = pairs.to_vec();
                pairs.sort_by(|(one, _), (other, _)| {
                    let order = operators::order(one, other, "<").ok().flatten();
                    order.unwrap_or_else(|| one.print().cmp(&other.print()))
                });
                let pairs = pairs.iter().map(|(key, value)| format!("{}:{}", key.print(), value.print()));
                format!("map[{}]", pairs.collect::<Vec<_>>().join(" "))
            }
            Self::Function(_) | Self::Namespace(_) => "func".to_owned(),
        }
    }

    /// As JSON; `None` where it has no form there.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Self::Nil | Self::List(_, Elements::Absent) => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(number, _) => Json::from(*number),
            Self::Float(number) if number.is_finite() => Json::from(*number),
            Self::Text(text) => Json::from(text.as_ref()),
            Self::Time(at) => Json::from(zetes_gotime::format(zetes_gotime::RFC3339_NANO, at)),
            Self::Duration(duration) => Json::from(i64::try_from(duration.as_nanos()).ok()?),
            Self::Month(number) | Self::Weekday(number) => Json::from(*number),
            Self::Json(json) => as_floats(json),
            Self::List(elements, _) => {
                elements.iter().map(Self::to_json).collect::<Option<_>>().map(Json::Array)?
            }
            Self::Map(members) => {
                let members = members.iter().map(|(name, value)| Some((name.clone(), value.to_json()?)));
                members.collect::<Option<_>>().map(Json::Object)?
            }
            Self::Float(_) | Self::Pairs(..) | Self::Function(_) | Self::Namespace(_) => return None,
        })
    }
}

/// A document whose numbers are floats, as everywhere in an expression.
fn as_floats(json: &Json) -> Json {
    match json {
        Json::Number(number) => number.as_f64().map_or(Json::Null, Json::from),
        Json::Array(elements) => elements.iter().map(as_floats).collect(),
        Json::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect()
        }
        other => other.clone(),
    }
}
