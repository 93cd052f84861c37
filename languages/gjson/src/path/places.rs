//! Where in the document the values stand that a path finds: what the setter needs.

use super::{Key, Path, Step};
use crate::scan;

impl Path {
    /// In order of the text. Empty where the path builds something, as multipaths and modifiers do.
    pub(crate) fn places(&self, json: &str) -> Vec<scan::Span> {
        let Some(steps) = &self.steps else { return Vec::new() };
        let mut places = vec![scan::Span { start: 0, end: json.len() }];
        for step in steps {
            places = places.into_iter().flat_map(|place| step.places(json, place)).collect();
        }
        places.sort_by_key(|span| span.start);
        places
    }
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
