//! Where the fields of a document stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span};

use super::Lines;
use crate::diagnostic::{Diagnostic, FieldPath, Finding, Place};
use crate::object::ObjectRef;

/// Documents nested deeper than this keep the places of their upper part.
const MAX_DEPTH: usize = 128;

/// A key or a value in the document's text; lines and columns from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    line: usize,
    column: usize,
    length: usize,
    quoted: bool,
    one_line: bool,
}

/// Keys and values by field path.
#[derive(Debug, Default)]
pub(crate) struct Places {
    keys: BTreeMap<FieldPath, Mark>,
    values: BTreeMap<FieldPath, Mark>,
}

/// Where an object stands: turns findings into diagnostics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Origin {
    file: Arc<str>,
    lines_before: usize,
    lines: Lines,
    places: Arc<Places>,
    /// The object's own place in the document: `items[2]` of a list.
    inside: FieldPath,
}

impl Origin {
    pub(crate) fn new(file: &str, lines_before: usize, lines: Lines, places: Arc<Places>) -> Self {
        Self { file: file.into(), lines_before, lines, places, inside: FieldPath::root() }
    }

    pub(crate) fn inside(&self, path: &FieldPath) -> Self {
        Self { inside: path.clone(), ..self.clone() }
    }

    /// Says where the finding is: at its field, or at the nearest one above it that is there.
    pub fn diagnostic(&self, object: &ObjectRef, finding: &Finding) -> Diagnostic {
        Diagnostic { object: Some(object.clone()), ..self.unnamed(finding) }
    }

    pub(crate) fn unnamed(&self, finding: &Finding) -> Diagnostic {
        Diagnostic {
            severity: finding.severity,
            code: finding.code,
            object: None,
            path: finding.path.clone(),
            place: self.place_of(finding),
            message: finding.message.clone(),
            hint: finding.hint.clone(),
        }
    }

    fn place_of(&self, finding: &Finding) -> Option<Place> {
        let path = self.inside.join(&finding.path);
        let about_key = finding.code == "unknown-field";
        let mark = if about_key { self.places.keys.get(&path) } else { self.places.values.get(&path) };
        let Some(mark) = mark.copied() else { return self.nearest(&path) };
        let (column, length) = match &finding.span {
            Some(span) if mark.one_line => {
                (mark.column + usize::from(mark.quoted) + span.start, span.len().max(1))
            }
            _ => (mark.column, mark.length),
        };
        Some(self.at(Mark { column, length, ..mark }))
    }

    /// The place of a field, or of the nearest one above it.
    pub fn place(&self, path: &FieldPath) -> Option<Place> {
        let path = self.inside.join(path);
        self.places.values.get(&path).map(|mark| self.at(*mark)).or_else(|| self.nearest(&path))
    }

    /// The key of the nearest field above, so that one word is underlined and not a block.
    fn nearest(&self, path: &FieldPath) -> Option<Place> {
        let mut path = path.clone();
        while !path.steps().is_empty() {
            if let Some(mark) = self.places.keys.get(&path).or_else(|| self.places.values.get(&path)) {
                return Some(self.at(*mark));
            }
            path = path.parent();
        }
        self.places.values.get(&path).map(|mark| self.at(*mark))
    }

    fn at(&self, mark: Mark) -> Place {
        Place {
            file: self.file.to_string(),
            line: mark.line + self.lines_before + 1,
            column: mark.column + 1,
            length: mark.length.max(1),
            source: self.lines.get(mark.line).cloned().unwrap_or_default(),
        }
    }
}

/// A second pass over the text. What the first pass has read can be read again; after an error the rest has no places.
pub(crate) fn places(text: &str) -> Places {
    let mut places = Places::default();
    let mut open: Vec<Container> = Vec::new();
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        match event {
            Event::Scalar(value, style, ..) => scalar(&value, mark(span, style), &mut open, &mut places),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let path = next_path(&mut open);
                places.values.insert(path, mark(span, ScalarStyle::Plain));
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let path = next_path(&mut open);
                let start = Mark { length: 1, one_line: false, ..mark(span, ScalarStyle::Plain) };
                places.values.insert(path.clone(), start);
                if open.len() >= MAX_DEPTH {
                    break;
                }
                let sequence = matches!(event, Event::SequenceStart(..));
                open.push(Container { path, key: None, index: sequence.then_some(0) });
            }
            Event::MappingEnd | Event::SequenceEnd => drop(open.pop()),
            _ => {}
        }
    }
    places
}

/// A mapping or a sequence that has begun and not ended.
struct Container {
    path: FieldPath,
    /// Of a mapping: the key whose value comes next.
    key: Option<String>,
    /// Of a sequence: the index that comes next.
    index: Option<usize>,
}

/// The path of the node that comes now.
fn next_path(open: &mut [Container]) -> FieldPath {
    let Some(container) = open.last_mut() else { return FieldPath::root() };
    match &mut container.index {
        Some(index) => {
            *index += 1;
            container.path.index(*index - 1)
        }
        None => container.path.key(container.key.take().unwrap_or_default()),
    }
}

/// A key if a mapping waits for one, else a value.
fn scalar(value: &str, mark: Mark, open: &mut [Container], places: &mut Places) {
    if let Some(container) = open.last_mut()
        && container.index.is_none()
        && container.key.is_none()
    {
        places.keys.insert(container.path.key(value), mark);
        container.key = Some(value.to_owned());
        return;
    }
    let path = next_path(open);
    places.values.insert(path, mark);
}

fn mark(span: Span, style: ScalarStyle) -> Mark {
    let one_line = span.start.line() == span.end.line();
    let length = if one_line { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    Mark {
        line: span.start.line().saturating_sub(1),
        column: span.start.col(),
        length,
        quoted: matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted),
        one_line,
    }
}
