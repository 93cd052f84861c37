//! Walking a document along a compiled path.

use std::borrow::Cow;

use super::{Key, Part, Path, Step};
use crate::query::{self, Query};
use crate::scan;
use crate::value::{Value, unquote};

/// A path that builds a longer text than this finds nothing: a short path could double a document at every step.
const MAX_BUILT: usize = 64 << 20;
/// Steps that are tried again for each member that fits a pattern.
const MAX_TRIED: usize = 64;

impl Path {
    pub(crate) fn get_in<'j>(&self, json: Cow<'j, str>) -> Option<Value<'j>> {
        let steps = self.steps.as_ref()?;
        let mut current = json;
        let mut lines = false;
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            at += 1;
            if matches!(step, Step::Lines) {
                lines = true;
                continue;
            }
            if !lines && !step.builds() {
                current = from_bracket(current)?;
            }
            // A member that another key leads into is not measured first: the key stops at its end by itself.
            if let (Step::Key(key), Some(Step::Key(_)), Cow::Borrowed(text), false) =
                (step, steps.get(at), &current, lines)
                && key.pattern.is_none()
                && scan::members(text).is_some()
            {
                current = Cow::Borrowed(key.enter(text)?);
                continue;
            }
            if let Some(length) = step.tries(steps.get(at..).unwrap_or_default())
                && !lines
            {
                let chain = steps.get(at - 1..at + length).unwrap_or_default();
                at += length;
                current = match chained(chain, &current) {
                    Ok(found) => found.into_raw(),
                    Err(Missing::AtTheEnd) if steps.get(at).is_some_and(Step::builds) => Cow::Borrowed(""),
                    Err(_) => return None,
                };
                continue;
            }
            current = match step.apply(&current, lines) {
                Some(found) if found.raw() == "[]" && step.ends_at(&current, lines) => return Some(found),
                Some(found) => found.into_raw(),
                None if step.may_miss(&current, lines, steps.get(at)) => Cow::Borrowed(""),
                None => return None,
            };
            if matches!(&current, Cow::Owned(built) if built.len() > MAX_BUILT) {
                return None;
            }
            lines = false;
        }
        Value::first_of(current)
    }
}

/// A borrowed text stays borrowed when a part of it is taken.
fn part<'j>(text: &Cow<'j, str>, span: scan::Span) -> Value<'j> {
    Value::new(match text {
        Cow::Borrowed(text) => Cow::Borrowed(span.of(text)),
        Cow::Owned(text) => Cow::Owned(span.of(text).to_owned()),
    })
}

impl Step {
    /// How many of the steps behind it a pattern leads to: where one member doesn't have them, the next that fits is tried.
    pub(super) fn tries(&self, behind: &[Self]) -> Option<usize> {
        if !matches!(self, Self::Key(key) if key.pattern.is_some() && key.goes_on) {
            return None;
        }
        let leads = |step: &&Self| matches!(step, Self::Key(key) if key.goes_on);
        let length = behind.iter().take_while(leads).count() + 1;
        (length <= MAX_TRIED).then_some(length)
    }

    pub(super) fn builds(&self) -> bool {
        matches!(self, Self::Modify(_) | Self::Multi { .. } | Self::Literal(_))
    }

    /// Whether the next step goes on although this one found nothing: those that build something do, from nothing.
    fn may_miss(&self, json: &str, lines: bool, next: Option<&Self>) -> bool {
        let matched = match self {
            Self::Find { query, all: false, rest: Some(_) } => any_matches(query, json, lines),
            _ => true,
        };
        next.is_some_and(Self::builds) && matched
    }

    /// All matches of a query that has none end the path where it goes on inside of each: a pipe behind is not looked at.
    fn ends_at(&self, json: &str, lines: bool) -> bool {
        match self {
            Self::Find { query, all: true, rest: Some(_) } => !any_matches(query, json, lines),
            _ => false,
        }
    }

    /// What stands behind `#.` and `#(…).` if it builds something: on an object, which has no elements, from nothing.
    fn built_on_nothing<'j>(&self, json: &str, lines: bool) -> Option<Value<'j>> {
        let (Self::Each(rest) | Self::Find { rest: Some(rest), .. }) = self else { return None };
        let builds = rest.steps.as_ref()?.first()?.builds();
        (!lines && builds && scan::members(json).is_some()).then(|| rest.get_in(Cow::Borrowed("")))?
    }

    fn apply<'j>(&self, json: &Cow<'j, str>, lines: bool) -> Option<Value<'j>> {
        self.found(json, lines).or_else(|| self.built_on_nothing(json, lines))
    }

    fn found<'j>(&self, json: &Cow<'j, str>, lines: bool) -> Option<Value<'j>> {
        match self {
            Self::Key(key) => key.find(json, lines),
            Self::Count | Self::Each(_) if !lines && scan::members(json).is_some() => {
                // An object has no elements, but perhaps a member of this name.
                let Self::Each(rest) = self else { return Key::hash(false).find(json, lines) };
                rest.get_in(Key::hash(true).find(json, lines)?.into_raw())
            }
            Self::Count => Some(Value::new(elements(json, lines)?.whole()?.len().to_string())),
            Self::Each(rest) => {
                let elements = elements(json, lines)?.whole()?.into_iter();
                let found = elements.filter_map(|span| rest.get(span.of(json)));
                Some(Value::new(joined('[', ']', found.map(Value::into_raw))))
            }
            Self::Find { query, all: false, rest } => {
                let span = elements(json, lines)?.find(|span| query.matches(span.of(json)))?;
                let found = part(json, span);
                rest.as_ref().map_or(Some(found.clone()), |rest| rest.get_in(found.into_raw()))
            }
            Self::Find { query, all: true, rest } => {
                let elements = elements(json, lines)?.whole()?.into_iter();
                let found = elements.map(|span| span.of(json)).filter(|element| query.matches(element));
                let found = found.filter_map(|element| match rest {
                    None => Some(Cow::Borrowed(element)),
                    Some(rest) => rest.get(element).map(Value::into_raw),
                });
                Some(Value::new(joined('[', ']', found)))
            }
            Self::Modify(modifier) => Value::first_of(Cow::Owned(modifier.apply(json))),
            Self::Multi { object, parts } => Some(Value::new(multi(*object, parts, json))),
            Self::Literal(text) => Value::first_of(Cow::Owned(text.clone())),
            Self::Lines => None,
        }
    }
}

/// Where nothing was found.
enum Missing {
    OnTheWay,
    /// There was something for the last step to look into.
    AtTheEnd,
}

/// What keys, and one step behind them, find.
fn chained<'j>(steps: &[Step], json: &Cow<'j, str>) -> Result<Value<'j>, Missing> {
    let (step, rest) = steps.split_first().ok_or(Missing::OnTheWay)?;
    if rest.is_empty() {
        return step.found(json, false).ok_or(Missing::AtTheEnd);
    }
    let mut missing = Missing::OnTheWay;
    if let Step::Key(key) = step
        && key.pattern.is_some()
    {
        for (name, value) in scan::members(json).into_iter().flatten() {
            if !key.takes(name.of(json), value.of(json)) {
                continue;
            }
            match chained(rest, &part(json, value).into_raw()) {
                Ok(found) => return Ok(found),
                Err(Missing::OnTheWay) => {}
                Err(end) => missing = end,
            }
        }
        return Err(missing);
    }
    chained(rest, &step.found(json, false).ok_or(missing)?.into_raw())
}

/// A path looks for the first bracket, wherever it stands; `None` where there is none.
fn from_bracket(json: Cow<'_, str>) -> Option<Cow<'_, str>> {
    let at = json.bytes().position(|byte| matches!(byte, b'{' | b'['))?;
    Some(match json {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(at..)?),
        Cow::Owned(text) if at == 0 => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(text.get(at..)?.to_owned()),
    })
}

fn any_matches(query: &Query, json: &str, lines: bool) -> bool {
    elements(json, lines).is_some_and(|mut elements| elements.any(|span| query.matches(span.of(json))))
}

fn elements(json: &str, lines: bool) -> Option<scan::Elements<'_>> {
    if lines { Some(scan::lines(json)) } else { scan::elements(json) }
}

/// Texts between brackets. Ends early when it got too long to be found at all.
fn joined<'t>(open: char, close: char, texts: impl Iterator<Item = Cow<'t, str>>) -> String {
    let mut built = String::from(open);
    for text in texts {
        if built.len() > MAX_BUILT {
            return built;
        }
        if built.len() > 1 {
            built.push(',');
        }
        built.push_str(&text);
    }
    built.push(close);
    built
}

fn multi(object: bool, parts: &[Part], json: &str) -> String {
    let found = parts.iter().filter_map(|part| {
        let value = part.path.get(json)?.into_raw();
        Some(if object { Cow::Owned(format!("{}:{value}", part.name)) } else { value })
    });
    if object { joined('{', '}', found) } else { joined('[', ']', found) }
}

impl Key {
    /// The member whose name is `#`.
    fn hash(goes_on: bool) -> Self {
        Self { name: "#".to_owned(), pattern: None, index: None, goes_on }
    }

    fn find<'j>(&self, json: &Cow<'j, str>, lines: bool) -> Option<Value<'j>> {
        if !lines && let Some(mut members) = scan::members(json) {
            let (_, value) = members.find(|(key, value)| self.takes(key.of(json), value.of(json)))?;
            return Some(part(json, value));
        }
        let span = elements(json, lines)?.nth(self.index?)?;
        self.fits(span.of(json)).then(|| part(json, span))
    }

    /// The document from the member's value on.
    fn enter<'j>(&self, json: &'j str) -> Option<&'j str> {
        let mut members = scan::members(json)?;
        loop {
            let (key, start) = members.next_key()?;
            let value = json.get(start..)?;
            if self.fits(value) && self.names(key.of(json)) {
                return Some(value);
            }
            members.pass(start)?;
        }
    }

    pub(super) fn takes(&self, quoted: &str, value: &str) -> bool {
        self.names(quoted) && self.fits(value)
    }

    fn fits(&self, value: &str) -> bool {
        !self.goes_on || value.starts_with(['{', '['])
    }

    #[inline]
    fn names(&self, quoted: &str) -> bool {
        let key = unquote(quoted);
        self.pattern.as_ref().map_or_else(|| *key == *self.name, |pattern| query::glob(pattern, &key))
    }
}
