//! jq's functions that are about the kinds of values.

use bytes::Bytes;
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::native::{Filter, Fun, bome, run, unary, v};
use jaq_core::{DataT, Error, Native, RunPtr, ValR};

use crate::budget::{spend, spend_bytes};
use crate::calls::{CHAINED_STEP, CHAINED_STEPS, STEP};
use crate::regex::{self, Wanted};
use crate::value::Val;

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.open() {
            Self::Arr(list) => Ok(list.elements.iter().cloned().collect()),
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        self.as_isize().is_some()
    }

    fn as_isize(&self) -> Option<isize> {
        match self.seen() {
            Self::Float(number) if number.fract() != 0.0 => None,
            other => other.as_index(),
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.as_float()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Str(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        match self {
            Self::Str(text) => Self::Str(text.slice_ref(part)),
            _ => Self::Null,
        }
    }

    fn from_utf8_bytes(text: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::text(Bytes::from_owner(text))
    }
}

/// What is written for these values.
pub(crate) fn functions<D: for<'a> DataT<V<'a> = Val>>() -> impl Iterator<Item = Fun<D>> {
    all().into_iter().map(run).chain([step::<D, 1>(STEP), step::<D, CHAINED_STEPS>(CHAINED_STEP)])
}

/// The identity, also as a path, at a cost.
fn step<D: for<'a> DataT<V<'a> = Val>, const STEPS: usize>(name: &'static str) -> Fun<D> {
    fn paid<'a, const STEPS: usize, T: 'a>(value: T) -> BoxIter<'a, T> {
        spend(STEPS);
        box_once(value)
    }
    let native = Native::new(|cv| paid::<STEPS, _>(Ok(cv.1)))
        .with_paths(|cv| paid::<STEPS, _>(Ok(cv.1)))
        .with_update(|cv, update| {
            spend(STEPS);
            update(cv.1)
        });
    (name, v(0), native)
}

fn all<D: for<'a> DataT<V<'a> = Val>>() -> Vec<Filter<RunPtr<D>>> {
    vec![
        ("fromjson", v(0), |cv| bome(cv.1.json_inside())),
        ("tojson", v(0), |cv| bome(Ok(Val::text(cv.1.to_json())))),
        ("length", v(0), |cv| bome(cv.1.length())),
        ("nan", v(0), |_| bome(Ok(Val::Float(f64::NAN)))),
        ("infinite", v(0), |_| bome(Ok(Val::Float(f64::INFINITY)))),
        ("type", v(0), |cv| bome(Ok(Val::Str(Bytes::from_static(cv.1.kind().as_bytes()))))),
        ("keys", v(0), |cv| bome(cv.1.keys())),
        ("contains", v(1), |cv| unary(cv, |value, part| value.contains(&part).map(Val::Bool))),
        ("has", v(1), |cv| unary(cv, |value, index| value.has(&index).map(Val::Bool))),
        ("indices", v(1), |cv| unary(cv, |value, part| value.indices(&part))),
        ("join", v(1), |cv| unary(cv, |value, by| value.joined(&by))),
        ("bsearch", v(1), |cv| unary(cv, |value, wanted| value.bsearch(&wanted))),
        ("matches", v(2), |cv| regex::apply(cv, Wanted::Matches)),
        ("split_matches", v(2), |cv| regex::apply(cv, Wanted::Both)),
        ("split_", v(2), |cv| regex::apply(cv, Wanted::Parts)),
    ]
}

impl Val {
    fn json_inside(self) -> ValR<Self> {
        let Self::Str(text) = self.open() else {
            return Err(Error::str("only a string can be read as JSON"));
        };
        spend_bytes(text.len());
        let text = String::from_utf8_lossy(&text);
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(Self::document(&text)),
            Err(error) => Err(Error::str(format_args!("not JSON: {error}"))),
        }
    }

    fn length(&self) -> ValR<Self> {
        Ok(match self.seen() {
            Self::Null => Self::Int(0),
            Self::Int(number) => number.checked_abs().map_or(Self::Float(f64::MAX), Self::Int),
            Self::Float(number) => Self::Float(number.abs()),
            Self::Str(text) => {
                spend_bytes(text.len());
                Self::from(String::from_utf8_lossy(text).chars().count())
            }
            Self::Arr(list) => Self::from(list.elements.len()),
            Self::Obj(object) => Self::from(object.members.len()),
            other => return Err(Error::typ(other.clone(), "something that has a length")),
        })
    }

    fn kind(&self) -> &'static str {
        match self.seen() {
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::Arr(_) => "array",
            Self::Obj(_) => "object",
            _ => "null",
        }
    }

    fn keys(&self) -> ValR<Self> {
        match self.seen() {
            Self::Arr(list) => Ok((0..list.elements.len()).map(Self::from).collect()),
            Self::Obj(object) => Ok(object.members.keys().cloned().map(Self::Str).collect()),
            other => Err(Error::typ(other.clone(), "iterable (array or object)")),
        }
    }

    /// A part of a string; in some element each element; in each member what is named alike.
    fn contains(&self, part: &Self) -> ValR<bool, Self> {
        match (self.seen(), part.seen()) {
            (Self::Str(text), Self::Str(part)) => {
                spend_bytes(text.len());
                Ok(memchr::memmem::find(text, part).is_some())
            }
            (Self::Arr(list), Self::Arr(part)) => {
                for part in &part.elements {
                    let mut found = false;
                    for element in &list.elements {
                        found = found || element.kind() == part.kind() && element.contains(part)?;
                    }
                    if !found {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Self::Obj(object), Self::Obj(part)) => {
                for (name, part) in &part.members {
                    match object.members.get(name) {
                        Some(value) if value.contains(part)? => {}
                        _ => return Ok(false),
                    }
                }
                Ok(true)
            }
            (value, part) if value.kind() == part.kind() => Ok(value == part),
            (value, part) => Err(Error::str(format_args!(
                "{value} and {part} are of different kinds, none contains the other"
            ))),
        }
    }

    fn has(&self, index: &Self) -> ValR<bool, Self> {
        match (self.seen(), index.seen()) {
            (Self::Obj(object), Self::Str(name)) => Ok(object.members.contains_key(name)),
            (Self::Arr(list), number @ (Self::Int(_) | Self::Float(_))) => {
                let at = number.as_index().and_then(|at| usize::try_from(at).ok());
                Ok(at.is_some_and(|at| at < list.elements.len()))
            }
            (Self::Null, _) => Ok(false),
            (value, index) => Err(Error::index(value.clone(), index.clone())),
        }
    }

    /// Texts in a row; numbers and booleans as they are written, null as nothing.
    fn joined(&self, by: &Self) -> ValR<Self> {
        let parts: Vec<&Self> = match self.seen() {
            Self::Arr(list) => list.elements.iter().collect(),
            Self::Obj(object) => object.members.values().collect(),
            other => return Err(Error::typ(other.clone(), "iterable (array or object)")),
        };
        let mut text = Self::text("");
        for (nth, part) in parts.into_iter().enumerate() {
            if nth > 0 {
                text = (text + by.clone())?;
            }
            let part = match part.seen() {
                one @ (Self::Bool(_) | Self::Int(_) | Self::Float(_)) => Self::text(one.to_json()),
                other => other.clone(),
            };
            text = (text + part)?;
        }
        Ok(text)
    }

    /// Where a sorted array has a value, or the complement of where it would stand.
    fn bsearch(&self, wanted: &Self) -> ValR<Self> {
        let Self::Arr(list) = self.seen() else {
            return Err(Error::typ(self.clone(), "array"));
        };
        let at = list.elements.partition_point(|element| element < wanted);
        match list.elements.get(at) {
            Some(found) if found == wanted => Ok(Self::from(at)),
            _ => Self::Int(-1) - Self::from(at),
        }
    }
}
