//! What programs calculate, and how values are ordered.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use jaq_core::ops::Math;
use jaq_core::{Error, ValR};

use crate::budget::{BYTES_PER_STEP, spend, spend_bytes};
use crate::value::Val;

impl Val {
    #[expect(clippy::cast_precision_loss, reason = "as the reference counts")]
    pub(crate) fn as_float(&self) -> Option<f64> {
        match self.seen() {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// Two numbers: exactly where both are integers and so is what comes out, else in floats.
    fn numbers(
        &self,
        other: &Self,
        exact: fn(isize, isize) -> Option<isize>,
        float: fn(f64, f64) -> f64,
    ) -> Option<Self> {
        if let (Self::Int(left), Self::Int(right)) = (self.seen(), other.seen())
            && let Some(number) = exact(*left, *right)
        {
            return Some(Self::Int(number));
        }
        Some(Self::Float(float(self.as_float()?, other.as_float()?)))
    }
}

fn fails(left: Val, math: Math, right: Val) -> ValR<Val> {
    Err(Error::math(left, math, right))
}

impl Add for Val {
    type Output = ValR<Self>;

    fn add(self, other: Self) -> ValR<Self> {
        if let Some(number) = self.numbers(&other, isize::checked_add, |left, right| left + right) {
            return Ok(number);
        }
        match (self.open(), other.open()) {
            (Self::Null, value) | (value, Self::Null) => Ok(value),
            (Self::Str(left), Self::Str(right)) => {
                spend_bytes(right.len());
                // Grows in place where nobody else holds the text.
                let mut text = BytesMut::from(left);
                text.extend_from_slice(&right);
                Ok(Self::Str(text.freeze()))
            }
            (Self::Arr(left), Self::Arr(right)) => {
                let mut elements = Rc::unwrap_or_clone(left).elements;
                elements.extend(right.elements.iter().cloned());
                Ok(Self::list(elements))
            }
            (Self::Obj(left), Self::Obj(right)) => {
                let mut members = Rc::unwrap_or_clone(left).members;
                members.extend(right.members.iter().map(|(name, value)| (name.clone(), value.clone())));
                Ok(Self::object(members))
            }
            (left, right) => fails(left, Math::Add, right),
        }
    }
}

impl Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, other: Self) -> ValR<Self> {
        if let Some(number) = self.numbers(&other, isize::checked_sub, |left, right| left - right) {
            return Ok(number);
        }
        match (self.open(), other.open()) {
            (Self::Arr(left), Self::Arr(right)) => {
                let mut elements = Rc::unwrap_or_clone(left).elements;
                spend(elements.len().saturating_mul(right.elements.len()));
                elements.retain(|element| !right.elements.contains(element));
                Ok(Self::list(elements))
            }
            (left, right) => fails(left, Math::Sub, right),
        }
    }
}

impl Mul for Val {
    type Output = ValR<Self>;

    fn mul(self, other: Self) -> ValR<Self> {
        if let Some(number) = self.numbers(&other, isize::checked_mul, |left, right| left * right) {
            return Ok(number);
        }
        match (self.open(), other.open()) {
            (Self::Str(text), times) | (times, Self::Str(text)) if times.as_float().is_some() => {
                Ok(repeated(&text, times.as_float().unwrap_or_default()))
            }
            (Self::Obj(left), Self::Obj(right)) => {
                let mut members = Rc::unwrap_or_clone(left).members;
                merge(&mut members, &right.members)?;
                Ok(Self::object(members))
            }
            (left, right) => fails(left, Math::Mul, right),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, is not negative, and the fraction does not count"
)]
fn repeated(text: &Bytes, times: f64) -> Val {
    if times < 0.0 || times.is_nan() {
        return Val::Null;
    }
    let times = times as usize;
    spend_bytes(text.len().saturating_mul(times));
    Val::Str(text.repeat(times).into())
}

fn merge(into: &mut BTreeMap<Bytes, Val>, from: &BTreeMap<Bytes, Val>) -> Result<(), Error<Val>> {
    for (name, value) in from {
        let made = match (into.remove(name).map(Val::open), value.seen()) {
            (Some(left @ Val::Obj(_)), Val::Obj(_)) => (left * value.clone())?,
            _ => value.clone(),
        };
        into.insert(name.clone(), made);
    }
    Ok(())
}

impl Div for Val {
    type Output = ValR<Self>;

    fn div(self, other: Self) -> ValR<Self> {
        if other.as_float() == Some(0.0) && self.as_float().is_some() {
            return Err(Error::str(format_args!("cannot divide {self} by 0")));
        }
        let exact = |left: isize, right: isize| {
            left.checked_rem(right).filter(|rest| *rest == 0).map(|_| left / right)
        };
        if let Some(number) = self.numbers(&other, exact, |left, right| left / right) {
            return Ok(number);
        }
        match (self.open(), other.open()) {
            (Self::Str(text), Self::Str(by)) => Ok(split(&text, &by)),
            (left, right) => fails(left, Math::Div, right),
        }
    }
}

/// An empty separator parts characters.
fn split(text: &Bytes, by: &Bytes) -> Val {
    spend_bytes(text.len());
    if text.is_empty() {
        return Val::list(Vec::new());
    }
    let ends: Vec<usize> = if by.is_empty() {
        crate::value::places(text).into_iter().skip(1).collect()
    } else {
        let lossless = memchr::memmem::find_iter(text, by);
        lossless.chain([text.len()]).collect()
    };
    let mut start = 0;
    let parts = ends.into_iter().map(|end| {
        let part = text.slice(start..end);
        start = end + by.len();
        Val::Str(part)
    });
    parts.collect()
}

impl Rem for Val {
    type Output = ValR<Self>;

    fn rem(self, other: Self) -> ValR<Self> {
        let (Some(left), Some(right)) = (self.seen().as_index(), other.seen().as_index()) else {
            return fails(self, Math::Rem, other);
        };
        if self.as_float().is_some_and(f64::is_nan) || other.as_float().is_some_and(f64::is_nan) {
            return Ok(Self::Float(f64::NAN));
        }
        match right {
            0 => Err(Error::str(format_args!("cannot divide {self} by 0, for the rest"))),
            _ => Ok(Self::Int(left.checked_rem(right).unwrap_or_default())),
        }
    }
}

impl Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match self.seen() {
            Self::Int(number) if *number != isize::MIN => Ok(Self::Int(-number)),
            other => {
                let number = other.as_float().ok_or_else(|| Error::typ(other.clone(), "number"))?;
                Ok(Self::Float(-number))
            }
        }
    }
}

impl From<bool> for Val {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<isize> for Val {
    fn from(number: isize) -> Self {
        spend(1);
        Self::Int(number)
    }
}

impl From<usize> for Val {
    #[expect(clippy::cast_precision_loss, reason = "nothing is that long")]
    fn from(number: usize) -> Self {
        isize::try_from(number).map_or(Self::Float(number as f64), Self::Int)
    }
}

impl From<f64> for Val {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<jaq_core::val::Range<Val>> for Val {
    fn from(range: jaq_core::val::Range<Val>) -> Self {
        let bound = |(name, bound): (&'static str, Option<Self>)| {
            (Bytes::from_static(name.as_bytes()), bound.unwrap_or_default())
        };
        Self::object([("start", range.start), ("end", range.end)].map(bound).into())
    }
}

impl FromIterator<Self> for Val {
    fn from_iter<T: IntoIterator<Item = Self>>(elements: T) -> Self {
        // An element takes the memory of some steps.
        Self::list(elements.into_iter().inspect(|_| spend(3)).collect())
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self.seen(), other.seen()) {
            (left, right) if left.as_float().is_some() && right.as_float().is_some() => {
                left.as_float() == right.as_float()
            }
            (left, right) => left.cmp(right) == Ordering::Equal,
        }
    }
}

impl Eq for Val {}

#[expect(
    clippy::non_canonical_partial_ord_impl,
    reason = "to `<`, what is no number is less than itself; to a sort it must not be"
)]
impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let is_nan = |value: &Self| matches!(value.seen(), Self::Float(number) if number.is_nan());
        Some(if is_nan(self) && is_nan(other) { Ordering::Less } else { self.cmp(other) })
    }
}

impl Ord for Val {
    /// null, false, true, numbers, strings, arrays, objects; what is no number is less than every number.
    fn cmp(&self, other: &Self) -> Ordering {
        spend(1);
        match (self.seen(), other.seen()) {
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Str(left), Self::Str(right)) => {
                spend(left.len().min(right.len()) / BYTES_PER_STEP);
                left.cmp(right)
            }
            (Self::Arr(left), Self::Arr(right)) => left.elements.cmp(&right.elements),
            (Self::Obj(left), Self::Obj(right)) => {
                let names = left.members.keys().cmp(right.members.keys());
                names.then_with(|| left.members.values().cmp(right.members.values()))
            }
            (left, right) => match (left.as_float(), right.as_float()) {
                (Some(left), Some(right)) => {
                    left.partial_cmp(&right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan()))
                }
                _ => left.rank().cmp(&right.rank()),
            },
        }
    }
}

impl Val {
    fn rank(&self) -> u8 {
        match self {
            Self::Null | Self::Gone => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Int(_) | Self::Float(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
            Self::Raw(_) => self.seen().rank(),
        }
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}
