//! Where in the document the values stand that a path finds: what the setter needs.

use super::{Key, Path, Step};
use crate::scan;

impl Path {
    /// In order of the text. Empty where the path builds something, as multipaths and modifiers do.
    pub(crate) fn places(&self, json: &str) -> Vec<scan::Span> {
        let Some(steps) = &self.steps else { return Vec::new() };
        let mut places = vec![scan::Span { start: 0, end: json.len() }];
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            at += 1;
            let length = step.tries(steps.get(at..).unwrap_or_default()).unwrap_or_default();
            let chain = steps.get(at - 1..at + length).unwrap_or_default();
            at += length;
            places = places.into_iter().flat_map(|place| chained(chain, json, place)).collect();
        }
        places.sort_by_key(|span| span.start);
        places
    }
}

/// Where keys, and one step behind them, lead.
fn chained(steps: &[Step], json: &str, inside: scan::Span) -> Vec<scan::Span> {
    let Some((step, rest)) = steps.split_first() else { return vec![inside] };
    if let Step::Key(key) = step
        && key.pattern.is_some()
        && let Some(members) = scan::members(inside.of(json))
    {
        let text = inside.of(json);
        let fitting = members.filter(|(name, value)| key.takes(name.of(text), value.of(text)));
        let moved = fitting.map(|(_, value)| scan::Span {
            start: value.start + inside.start,
            end: value.end + inside.start,
        });
        let mut tried = moved.map(|value| chained(rest, json, value));
        return tried.find(|places| !places.is_empty()).unwrap_or_default();
    }
    step.places(json, inside).into_iter().flat_map(|place| chained(rest, json, place)).collect()
}

impl Step {
    fn places(&self, json: &str, inside: scan::Span) -> Vec<scan::Span> {
        let text = inside.of(json);
        let moved =
            |span: scan::Span| scan::Span { start: span.start + inside.start, end: span.end + inside.start };
        match self {
            Self::Key(key) => key.place(text).map(moved).into_iter().collect(),
            Self::Each(rest) => {
                let elements = scan::elements(text).into_iter().flatten();
                elements.flat_map(|element| inner_places(json, moved(element), Some(rest))).collect()
            }
            Self::Find { query, all, rest } => {
                let matching =
                    scan::elements(text).into_iter().flatten().filter(|span| query.matches(span.of(text)));
                let taken: Vec<_> = matching.take(if *all { usize::MAX } else { 1 }).collect();
                taken
                    .into_iter()
                    .flat_map(|element| inner_places(json, moved(element), rest.as_ref()))
                    .collect()
            }
            Self::Count | Self::Modify(_) | Self::Multi { .. } | Self::Literal(_) | Self::Lines => Vec::new(),
        }
    }
}

fn inner_places(json: &str, element: scan::Span, rest: Option<&Path>) -> Vec<scan::Span> {
    let Some(rest) = rest else { return vec![element] };
    let places = rest.places(element.of(json)).into_iter();
    places
        .map(|span| scan::Span { start: span.start + element.start, end: span.end + element.start })
        .collect()
}

impl Key {
    fn place(&self, text: &str) -> Option<scan::Span> {
        match scan::members(text) {
            Some(mut members) => {
                members.find(|(key, value)| self.takes(key.of(text), value.of(text))).map(|(_, value)| value)
            }
            None => scan::elements(text)?.nth(self.index?),
        }
    }
}
