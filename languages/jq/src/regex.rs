//! Regular expressions, in Go's syntax and in linear time. The last ones are kept compiled: programs name few.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;
use jaq_core::native::bome;
use jaq_core::{Cv, DataT, Error, ValR, ValXs};
use regex::bytes::{Match, Regex};

use crate::budget::{spend, spend_bytes};
use crate::value::Val;

/// Compiled expressions that a thread keeps.
const KEPT: usize = 16;

/// What is asked of the places where an expression matches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// A list of groups for each match, the whole first.
    Matches,
    /// The texts between matches.
    Parts,
    /// Both, in the order of the text.
    Both,
}

thread_local! {
    static COMPILED: RefCell<VecDeque<(String, Regex)>> = const { RefCell::new(VecDeque::new()) };
}

/// `input | f(expression; flags)`.
pub(crate) fn apply<'a, D: for<'v> DataT<V<'v> = Val>>(mut cv: Cv<'a, D>, wanted: Wanted) -> ValXs<'a, Val> {
    let flags = cv.0.pop_var();
    let expression = cv.0.pop_var();
    bome(matches(&cv.1, &expression, &flags, wanted))
}

fn matches(input: &Val, expression: &Val, flags: &Val, wanted: Wanted) -> ValR<Val> {
    let Val::Str(input) = input.seen() else {
        return Err(Error::typ(input.clone(), "string"));
    };
    let flags = match flags.seen() {
        Val::Null => String::new(),
        Val::Str(flags) => String::from_utf8_lossy(flags).into_owned(),
        other => return Err(Error::typ(other.clone(), "flags: a string")),
    };
    let Val::Str(expression) = expression.seen() else {
        return Err(Error::typ(expression.clone(), "regular expression: a string"));
    };
    let regex = compiled(&String::from_utf8_lossy(expression), &flags)?;
    spend_bytes(input.len());
    let mut found = Vec::new();
    let mut end_of_last = 0;
    for groups in regex.captures_iter(input) {
        let Some(whole) = groups.get(0) else { break };
        if flags.contains('n') && whole.is_empty() {
            continue;
        }
        spend(groups.len());
        if wanted != Wanted::Matches {
            found.push(Val::Str(input.slice(end_of_last..whole.start())));
            end_of_last = whole.end();
        }
        if wanted != Wanted::Parts {
            let names = regex.capture_names();
            let groups = groups.iter().zip(names).enumerate();
            let groups = groups.map(|(nth, (group, name))| {
                let name = name.map_or(Val::Null, |name| Val::text(name.to_owned()));
                described(input, group, (nth > 0).then_some(name))
            });
            found.push(groups.collect());
        }
        if !flags.contains('g') {
            break;
        }
    }
    if wanted != Wanted::Matches {
        found.push(Val::Str(input.slice(end_of_last..)));
    }
    Ok(found.into_iter().collect())
}

/// Places are counted in characters. A group that took no part has no text and stands nowhere. The whole is no group: it has no
/// name, not even null.
fn described(input: &Bytes, group: Option<Match<'_>>, name: Option<Val>) -> Val {
    let characters = |bytes: &[u8]| Val::from(bytes.iter().filter(|byte| (**byte & 0xc0) != 0x80).count());
    let before = group.as_ref().map_or(0, Match::start);
    spend_bytes(before);
    let (offset, length, text) = match group {
        Some(group) => (
            characters(input.get(..before).unwrap_or_default()),
            characters(group.as_bytes()),
            Val::Str(input.slice(group.range())),
        ),
        None => (Val::Int(-1), Val::Int(0), Val::Null),
    };
    let members =
        [("offset", Some(offset)), ("length", Some(length)), ("string", Some(text)), ("name", name)];
    let named =
        members.into_iter().filter_map(|(name, value)| Some((Bytes::from_static(name.as_bytes()), value?)));
    Val::object(named.collect())
}

fn compiled(expression: &str, flags: &str) -> ValR<Regex, Val> {
    let mut switches = String::new();
    for flag in flags.chars() {
        switches.push_str(match flag {
            'g' | 'n' | 'l' => "",
            'i' => "i",
            'x' => {
                return Err(Error::str(
                    "the flag x is not supported: leave blanks and comments out of the expression",
                ));
            }
            's' | 'p' => "s",
            other => return Err(Error::str(format_args!("unknown flag of a regular expression: {other}"))),
        });
    }
    let text = if switches.is_empty() { expression.to_owned() } else { format!("(?{switches}){expression}") };
    COMPILED.with_borrow_mut(|kept| {
        if let Some((_, regex)) = kept.iter().find(|(known, _)| *known == text) {
            return Ok(regex.clone());
        }
        let regex = zetes_re2::compile(&text).map_err(|error| Error::str(&error))?;
        kept.truncate(KEPT - 1);
        kept.push_front((text, regex.clone()));
        Ok(regex)
    })
}
