//! How programs reach into values and change what is there: `.a`, `.[0]`, `.[1:2]`, `.[]`, read and updated.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;

use bytes::Bytes;
use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValX};

use crate::budget::spend;
use crate::value::{Val, bounds, wrapped};

/// Elements that an array may be made to have by writing behind its end.
const MAX_PADDED: usize = 1 << 20;

impl jaq_core::ValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        let number = text.parse().map(Self::Int).or_else(|_| text.parse().map(Self::Float));
        number.map_err(|_| Error::str("not a number"))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let named = members.into_iter().map(|(name, value)| match name.open() {
            Self::Str(name) => Ok((name, value)),
            other => Err(Error::typ(other, "the name of a member: a string")),
        });
        Ok(Self::object(named.collect::<Result<_, _>>()?))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self.open() {
            Self::Arr(list) => {
                let elements = Rc::unwrap_or_clone(list).elements.into_iter().enumerate();
                Box::new(elements.map(|(at, element)| Ok((Self::from(at), element))))
            }
            Self::Obj(object) => {
                let members = Rc::unwrap_or_clone(object).members.into_iter();
                Box::new(members.map(|(name, value)| Ok((Self::Str(name), value))))
            }
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self.open() {
            Self::Arr(list) => Box::new(Rc::unwrap_or_clone(list).elements.into_iter().map(Ok)),
            Self::Obj(object) => Box::new(Rc::unwrap_or_clone(object).members.into_values().map(Ok)),
            other => box_once(Err(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.find(index).map(Option::unwrap_or_default)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        self.slice(range)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self.open() {
            Self::Arr(list) => {
                let elements = Rc::unwrap_or_clone(list).elements.into_iter();
                elements.filter_map(|element| update(element).next()).collect()
            }
            Self::Obj(object) => {
                let members = Rc::unwrap_or_clone(object).members.into_iter();
                let members = members
                    .filter_map(|(name, value)| Some(update(value).next()?.map(|value| (name, value))));
                Ok(Self::object(members.collect::<Result<_, _>>()?))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "iterable (array or object)"))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let is_null = matches!(self.seen(), Self::Null);
        match (self.open(), index.seen()) {
            (value @ (Self::Null | Self::Arr(_) | Self::Str(_)), Self::Obj(range)) => {
                let bound = |name: &str| range.members.get(name.as_bytes());
                value.map_range(bound("start")..bound("end"), opt, update)
            }
            (Self::Null, Self::Str(name)) => {
                let members = update_member(BTreeMap::new(), name, update)?;
                Ok(if members.is_empty() { Self::Gone } else { Self::object(members) })
            }
            (Self::Obj(object), Self::Str(name)) => {
                Ok(Self::object(update_member(Rc::unwrap_or_clone(object).members, name, update)?))
            }
            (value @ (Self::Null | Self::Arr(_)), number @ (Self::Int(_) | Self::Float(_))) => {
                let elements = match value {
                    Self::Arr(list) => Rc::unwrap_or_clone(list).elements,
                    _ => Vec::new(),
                };
                let at = number
                    .as_index()
                    .and_then(|at| wrapped(at, elements.len()))
                    .filter(|at| *at <= MAX_PADDED);
                let Some(at) = at else {
                    let fails = |_| Exn::from(Error::str(format_args!("index {number} out of bounds")));
                    return opt.fail(Self::list(elements), fails);
                };
                let elements = update_element(elements, at, update)?;
                Ok(if is_null && elements.is_empty() { Self::Gone } else { Self::list(elements) })
            }
            (value, index) => opt.fail(value, |value| Exn::from(Error::index(value, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        update: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match self.open() {
            value @ (Self::Null | Self::Arr(_)) => {
                let is_null = matches!(value, Self::Null);
                let mut elements = match value {
                    Self::Arr(list) => Rc::unwrap_or_clone(list).elements,
                    _ => Vec::new(),
                };
                let (start, end) = match bounds(range, elements.len()) {
                    Ok(bounds) => bounds,
                    Err(error) => return opt.fail(Self::list(elements), |_| Exn::from(error)),
                };
                let part = if is_null {
                    Self::Null
                } else {
                    elements.get(start..end).unwrap_or_default().iter().cloned().collect()
                };
                let made = match update(part).next().transpose()?.map(Self::open) {
                    None if is_null => return Ok(Self::Gone),
                    None => Vec::new(),
                    Some(Self::Arr(list)) => Rc::unwrap_or_clone(list).elements,
                    Some(other) => return Err(Exn::from(Error::typ(other, "array"))),
                };
                drop(elements.splice(start..end, made));
                Ok(Self::list(elements))
            }
            other => opt.fail(other, |other| Exn::from(Error::typ(other, "array"))),
        }
    }

    fn as_bool(&self) -> bool {
        !matches!(self.seen(), Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self.open() {
            text @ Self::Str(_) => text,
            other => Self::text(other.to_json()),
        }
    }
}

/// A member that an update leaves out is not there.
fn update_member<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut members: BTreeMap<Bytes, Val>,
    name: &Bytes,
    update: impl Fn(Val) -> I,
) -> Result<BTreeMap<Bytes, Val>, Exn<'a, Val>> {
    match members.entry(name.clone()) {
        Entry::Occupied(mut member) => match update(std::mem::take(member.get_mut())).next().transpose()? {
            Some(made) => *member.get_mut() = made.kept(),
            None => drop(member.remove()),
        },
        Entry::Vacant(place) => match update(Val::Null).next().transpose()? {
            Some(Val::Gone) | None => {}
            Some(made) => drop(place.insert(made)),
        },
    }
    Ok(members)
}

/// Elements behind the end are null, up to the one that is made.
fn update_element<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut elements: Vec<Val>,
    at: usize,
    update: impl Fn(Val) -> I,
) -> Result<Vec<Val>, Exn<'a, Val>> {
    let old = elements.get_mut(at).map(std::mem::take);
    let is_there = old.is_some();
    match update(old.unwrap_or_default()).next().transpose()? {
        Some(Val::Gone) | None if !is_there => {}
        None => drop(elements.remove(at)),
        Some(made) => {
            if !is_there {
                spend(at - elements.len());
                elements.resize_with(at + 1, Val::default);
            }
            if let Some(place) = elements.get_mut(at) {
                *place = made.kept();
            }
        }
    }
    Ok(elements)
}
