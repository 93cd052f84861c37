//! The values of programs: what gojq makes of JSON, in jaq's terms.
//!
//! A document is read as deep as a program looks: a [`Val::Raw`] is the text of an object or an array until then.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::Bytes;
use jaq_core::val::Range;
use jaq_core::{Error, ValR};
use serde_json::{Number, Value};

use crate::budget::{self, Spent, spend, spend_bytes};

/// How deep values may be nested.
const MAX_DEPTH: usize = 512;
/// What a text that was not read yet is nested at most; a program that needs a deeper one whole ends.
const RAW_DEPTH: usize = 128;

/// A value. Numbers of documents are floats, those of programs are integers where they are written so: as gojq has them.
#[derive(Debug, Default)]
pub(crate) enum Val {
    #[default]
    Null,
    /// A null that stands for what an update took away; an object leaves its member out.
    Gone,
    Bool(bool),
    Int(isize),
    Float(f64),
    /// UTF-8, but where a program decoded something else.
    Str(Bytes),
    Arr(Rc<List>),
    Obj(Rc<Object>),
    Raw(Rc<Raw>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    pub(crate) elements: Vec<Val>,
    depth: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) members: BTreeMap<Bytes, Val>,
    depth: usize,
}

/// The JSON text of an object or an array, and what it is, once looked at.
#[derive(Debug)]
pub(crate) struct Raw {
    text: Bytes,
    /// How many levels of the document are around it.
    level: usize,
    /// The members as they are written, for who looks for one: less than an object to make and to drop.
    members: OnceCell<Vec<(Bytes, Val)>>,
    seen: OnceCell<Val>,
}

impl Clone for Val {
    fn clone(&self) -> Self {
        spend(1);
        match self {
            Self::Null => Self::Null,
            Self::Gone => Self::Gone,
            Self::Bool(value) => Self::Bool(*value),
            Self::Int(number) => Self::Int(*number),
            Self::Float(number) => Self::Float(*number),
            Self::Str(text) => Self::Str(text.clone()),
            Self::Arr(list) => Self::Arr(list.clone()),
            Self::Obj(object) => Self::Obj(object.clone()),
            Self::Raw(raw) => Self::Raw(raw.clone()),
        }
    }
}

impl Raw {
    fn new(text: Bytes, level: usize) -> Self {
        Self { text, level, members: OnceCell::new(), seen: OnceCell::new() }
    }

    fn json(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// One level of the text.
    fn look(&self) -> Val {
        if self.is_object() {
            return Val::object(self.members().iter().cloned().collect());
        }
        let elements = zetes_gjson::elements(self.json()).into_iter().flatten();
        Val::list(elements.map(|element| self.part(element)).inspect(|_| spend(1)).collect())
    }

    fn is_object(&self) -> bool {
        self.text.first() == Some(&b'{')
    }

    fn members(&self) -> &[(Bytes, Val)] {
        self.members.get_or_init(|| {
            let members = zetes_gjson::members(self.json()).into_iter().flatten();
            members
                .inspect(|_| spend(1))
                .map(|(name, value)| (self.text_of(&name), self.part(value)))
                .collect()
        })
    }

    /// Of members with one name the last.
    fn member(&self, name: &Bytes) -> Option<Val> {
        self.members().iter().rfind(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    fn whole(&self) -> Val {
        self.part(self.json())
    }

    fn part(&self, json: &str) -> Val {
        let value = zetes_gjson::Value::new(json);
        match value.kind() {
            zetes_gjson::Kind::Null => Val::Null,
            zetes_gjson::Kind::False => Val::Bool(false),
            zetes_gjson::Kind::True => Val::Bool(true),
            zetes_gjson::Kind::Number => Val::Float(json.parse().unwrap_or(f64::NAN)),
            zetes_gjson::Kind::String => Val::Str(self.text_of(&value)),
            zetes_gjson::Kind::Json => {
                Val::Raw(Rc::new(Raw::new(self.shared(Cow::Borrowed(json)), deeper(self.level))))
            }
        }
    }

    fn text_of(&self, value: &zetes_gjson::Value<'_>) -> Bytes {
        self.shared(value.string())
    }

    /// What is a part of the text is not copied.
    fn shared(&self, part: Cow<'_, str>) -> Bytes {
        let within = self.text.as_ptr_range();
        let bytes = part.as_bytes().as_ptr_range();
        if within.start <= bytes.start && bytes.end <= within.end {
            self.text.slice_ref(part.as_bytes())
        } else {
            Bytes::from(part.into_owned())
        }
    }
}

impl Val {
    /// A document, which must be JSON.
    pub(crate) fn document(json: &str) -> Self {
        let json = json.trim_matches([' ', '\t', '\n', '\r']);
        Raw::new(Bytes::copy_from_slice(json.as_bytes()), 0).whole()
    }

    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        spend_bytes(text.len());
        Self::Str(text)
    }

    pub(crate) fn list(elements: Vec<Self>) -> Self {
        let depth = elements.iter().map(Self::depth).max().unwrap_or_default();
        Self::Arr(Rc::new(List { elements, depth: deeper(depth) }))
    }

    pub(crate) fn object(members: BTreeMap<Bytes, Self>) -> Self {
        let depth = members.values().map(Self::depth).max().unwrap_or_default();
        Self::Obj(Rc::new(Object { members, depth: deeper(depth) }))
    }

    fn depth(&self) -> usize {
        match self {
            Self::Arr(list) => list.depth,
            Self::Obj(object) => object.depth,
            Self::Raw(raw) => raw.seen.get().map_or(RAW_DEPTH, Self::depth),
            _ => 0,
        }
    }

    /// What it is: never raw, never gone.
    pub(crate) fn seen(&self) -> &Self {
        match self {
            Self::Raw(raw) => raw.seen.get_or_init(|| raw.look()),
            Self::Gone => &Self::Null,
            other => other,
        }
    }

    /// As [`Val::seen`], for who owns it.
    pub(crate) fn open(self) -> Self {
        match self {
            Self::Raw(raw) => match Rc::try_unwrap(raw) {
                Ok(raw) => raw.seen.get().cloned().unwrap_or_else(|| raw.look()),
                Err(shared) => Self::Raw(shared).seen().clone(),
            },
            Self::Gone => Self::Null,
            other => other,
        }
    }

    /// A null where something was taken away.
    pub(crate) fn kept(self) -> Self {
        if matches!(self, Self::Gone) { Self::Null } else { self }
    }

    /// The number as an index: its fraction cut off.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, as the reference does")]
    pub(crate) fn as_index(&self) -> Option<isize> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Float(number) => Some(*number as isize),
            _ => None,
        }
    }

    /// A member or an element; `None` where there is none.
    pub(crate) fn find(&self, index: &Self) -> ValR<Option<Self>, Self> {
        let fails = || Err(Error::index(self.clone(), index.clone()));
        if let (Self::Raw(raw), Self::Str(name)) = (self, index.seen())
            && raw.is_object()
        {
            return Ok(raw.member(name));
        }
        Ok(match (self.seen(), index.seen()) {
            (Self::Null, Self::Str(_) | Self::Int(_) | Self::Float(_) | Self::Arr(_) | Self::Obj(_)) => None,
            (Self::Obj(object), Self::Str(name)) => object.members.get(name).cloned(),
            (Self::Arr(list), number @ (Self::Int(_) | Self::Float(_))) => {
                let at = number.as_index().and_then(|at| wrapped(at, list.elements.len()));
                at.and_then(|at| list.elements.get(at)).cloned()
            }
            (Self::Str(text), number @ (Self::Int(_) | Self::Float(_))) => {
                let places = places(text);
                let at = number.as_index().and_then(|at| wrapped(at, places.len() - 1));
                let byte = |nth: usize| places.get(nth).copied();
                let ends = at.and_then(|at| Some((byte(at)?, byte(at + 1)?)));
                ends.map(|(start, end)| Self::Str(text.slice(start..end)))
            }
            (list @ Self::Arr(_), part @ Self::Arr(_)) => Some(list.indices(part)?),
            (Self::Arr(_) | Self::Str(_), Self::Obj(bounds)) => {
                let bound = |name: &'static str| bounds.members.get(name.as_bytes());
                return self.slice(bound("start")..bound("end")).map(Some);
            }
            _ => return fails(),
        })
    }

    /// Where a part begins, in elements or characters: nowhere for an empty one. Null in null.
    pub(crate) fn indices(&self, part: &Self) -> ValR<Self> {
        let found = match (self.seen(), part.seen()) {
            (Self::Null, _) => return Ok(Self::Null),
            (Self::Str(_), Self::Str(part)) if part.is_empty() => Vec::new(),
            (Self::Arr(_), Self::Arr(part)) if part.elements.is_empty() => Vec::new(),
            (Self::Str(text), Self::Str(part)) => {
                spend_bytes(text.len());
                let starts = String::from_utf8_lossy(text);
                let starts = starts.char_indices().enumerate();
                let holds = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(part));
                starts.filter(|(_, (at, _))| holds(*at)).map(|(nth, _)| nth).collect::<Vec<_>>()
            }
            (Self::Arr(list), Self::Arr(part)) => {
                spend(list.elements.len());
                let windows = list.elements.windows(part.elements.len()).enumerate();
                windows.filter(|(_, window)| *window == part.elements).map(|(nth, _)| nth).collect()
            }
            (Self::Arr(list), one) => {
                let elements = list.elements.iter().enumerate();
                elements.filter(|(_, element)| element.seen() == one).map(|(nth, _)| nth).collect()
            }
            _ => return Err(Error::index(self.clone(), part.clone())),
        };
        Ok(found.into_iter().map(Self::from).collect())
    }

    pub(crate) fn slice(&self, range: Range<&Self>) -> ValR<Self> {
        match self.seen() {
            Self::Null => Ok(Self::Null),
            Self::Arr(list) => {
                let (start, end) = bounds(range, list.elements.len())?;
                Ok(list.elements.get(start..end).unwrap_or_default().iter().cloned().collect())
            }
            Self::Str(text) => {
                let places = places(text);
                let (start, end) = bounds(range, places.len() - 1)?;
                let byte = |nth: usize| places.get(nth).copied().unwrap_or(text.len());
                Ok(Self::Str(text.slice(byte(start)..byte(end))))
            }
            other => Err(Error::typ(other.clone(), "string or array")),
        }
    }

    /// For who reads it: JSON as Go writes it.
    pub(crate) fn to_json(&self) -> String {
        let json = zetes_gojson::to_string_unescaped(&self.to_tree());
        spend_bytes(json.len());
        json
    }

    /// Whether JSON has a form for all its numbers. What nobody looked into is JSON.
    pub(crate) fn is_finite(&self) -> bool {
        match self {
            Self::Float(number) => number.is_finite(),
            Self::Arr(list) => list.elements.iter().all(Self::is_finite),
            Self::Obj(object) => object.members.values().all(Self::is_finite),
            Self::Raw(raw) => raw.seen.get().is_none_or(Self::is_finite),
            _ => true,
        }
    }

    /// The value as a tree. An infinite number is the largest one, and what is no number is null.
    pub(crate) fn to_tree(&self) -> Value {
        spend(1);
        match self {
            Self::Null | Self::Gone => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::from(*number),
            Self::Float(number) if number.is_nan() => Value::Null,
            Self::Float(number) => {
                Number::from_f64(number.clamp(f64::MIN, f64::MAX)).map_or(Value::Null, Value::Number)
            }
            Self::Str(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
            Self::Arr(list) => Value::Array(list.elements.iter().map(Self::to_tree).collect()),
            Self::Obj(object) => {
                let members = object.members.iter();
                Value::Object(members.map(|(name, value)| (lossy(name), value.to_tree())).collect())
            }
            Self::Raw(raw) => raw.seen.get().map_or_else(|| tree_of(&raw.text), Self::to_tree),
        }
    }
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A text that nobody looked into, with its numbers as floats.
fn tree_of(text: &[u8]) -> Value {
    // The document is JSON: what can't be read is nested too deep.
    let mut tree = serde_json::from_slice(text).unwrap_or_else(|_| budget::stop(Spent::Depth));
    let mut open = vec![&mut tree];
    while let Some(value) = open.pop() {
        spend(1);
        match value {
            Value::Number(number) if !number.is_f64() => {
                if let Some(float) = number.as_f64().and_then(Number::from_f64) {
                    *number = float;
                }
            }
            Value::Array(elements) => open.extend(elements),
            Value::Object(members) => open.extend(members.values_mut()),
            _ => {}
        }
    }
    tree
}

fn deeper(depth: usize) -> usize {
    if depth >= MAX_DEPTH {
        budget::stop(Spent::Depth);
    }
    depth + 1
}

/// Counted from the end where it is negative.
pub(crate) fn wrapped(at: isize, length: usize) -> Option<usize> {
    if at < 0 { length.checked_sub(at.unsigned_abs()) } else { usize::try_from(at).ok() }
}

/// Where characters begin, and where the text ends.
pub(crate) fn places(text: &[u8]) -> Vec<usize> {
    spend_bytes(text.len());
    let starts = text.iter().enumerate().filter(|(_, byte)| (**byte & 0xc0) != 0x80).map(|(at, _)| at);
    starts.chain([text.len()]).collect()
}

/// Bounds of a slice inside of what has a length; the lower one is rounded down, the upper one up.
pub(crate) fn bounds(range: Range<&Val>, length: usize) -> ValR<(usize, usize), Val> {
    let bound = |bound: Option<&Val>, round: fn(f64) -> f64, otherwise: usize| {
        let at = match bound.map(Val::seen) {
            None | Some(Val::Null) => return Ok(otherwise),
            Some(Val::Float(number)) => Val::Float(round(*number)).as_index().unwrap_or_default(),
            Some(Val::Int(number)) => *number,
            Some(other) => return Err(Error::typ(other.clone(), "number")),
        };
        Ok(wrapped(at, length).unwrap_or_default().min(length))
    };
    let start = bound(range.start, f64::floor, 0)?;
    let end = bound(range.end, f64::ceil, length)?;
    Ok((start, end.max(start)))
}
