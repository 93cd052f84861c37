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
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    line: usize,
    column: usize,
    length: usize,
    quote: Option<char>,
    /// The value, where the document writes it in another way: on several lines, or with escapes.
    text: Option<Arc<str>>,
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
        let Some(mark) = mark else { return self.nearest(&path) };
        let Some(span) = finding.span.clone().filter(|_| !about_key) else { return Some(self.at(mark)) };
        let (line, column) = self.position(mark, span.start);
        let (last_line, end) = self.position(mark, span.end);
        // What goes on underlines the rest of its first line.
        let rest = || self.lines.get(line).map_or(0, |text| text.chars().count()).saturating_sub(column);
        let length = if last_line == line { end.saturating_sub(column) } else { rest() };
        Some(self.at(&Mark { line, column, length, ..mark.clone() }))
    }

    /// Where in the document a byte of a value stands: line and column.
    fn position(&self, mark: &Mark, offset: usize) -> (usize, usize) {
        let start = (mark.line, mark.column + usize::from(mark.quote.is_some()));
        let mut cursor = Cursor { lines: &self.lines, line: start.0, column: start.1, quote: mark.quote };
        match &mark.text {
            None => {
                let mut bytes = 0;
                while bytes < offset
                    && let Some(c) = cursor.current().filter(|c| *c != '\n')
                {
                    bytes += c.len_utf8();
                    cursor.advance(1);
                }
                (cursor.line, cursor.column)
            }
            Some(text) => {
                let mut end = start;
                for (at, c) in text.char_indices() {
                    let found = cursor.find(c);
                    if at >= offset {
                        return found;
                    }
                    end = (found.0, found.1 + 1);
                }
                end
            }
        }
    }

    /// The place of a field, or of the nearest one above it.
    pub fn place(&self, path: &FieldPath) -> Option<Place> {
        let path = self.inside.join(path);
        self.places.values.get(&path).map(|mark| self.at(mark)).or_else(|| self.nearest(&path))
    }

    /// The key of the nearest field above, so that one word is underlined and not a block.
    fn nearest(&self, path: &FieldPath) -> Option<Place> {
        let mut path = path.clone();
        while !path.steps().is_empty() {
            if let Some(mark) = self.places.keys.get(&path).or_else(|| self.places.values.get(&path)) {
                return Some(self.at(mark));
            }
            path = path.parent();
        }
        self.places.values.get(&path).map(|mark| self.at(mark))
    }

    fn at(&self, mark: &Mark) -> Place {
        Place {
            file: self.file.to_string(),
            line: mark.line + self.lines_before + 1,
            column: mark.column + 1,
            length: mark.length.max(1),
            source: self.lines.get(mark.line).cloned().unwrap_or_default(),
        }
    }
}

/// Goes through the document's text as a value is read from it.
struct Cursor<'l> {
    lines: &'l Lines,
    line: usize,
    column: usize,
    quote: Option<char>,
}

impl Cursor<'_> {
    fn current(&self) -> Option<char> {
        let line = self.lines.get(self.line)?;
        Some(line.chars().nth(self.column).unwrap_or('\n'))
    }

    fn advance(&mut self, characters: usize) {
        if self.current() == Some('\n') {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += characters;
        }
    }

    /// The place of the value's next character, which is passed: indentation is skipped, a folded line break is a blank, and an
    /// escape is one character.
    fn find(&mut self, wanted: char) -> (usize, usize) {
        loop {
            let place = (self.line, self.column);
            let Some(found) = self.current() else { return place };
            let next = self.lines.get(self.line).and_then(|line| line.chars().nth(self.column + 1));
            let passed = match (self.quote, found) {
                (Some('"'), '\\') => match next {
                    Some('x') => 4,
                    Some('u') => 6,
                    Some('U') => 10,
                    _ => 2,
                },
                (Some('\''), '\'') if next == Some('\'') => 2,
                _ if found == wanted || (found == '\n' && wanted == ' ') => 1,
                _ if found.is_whitespace() => {
                    self.advance(1);
                    continue;
                }
                _ => 0,
            };
            self.advance(passed);
            return place;
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
            Event::Scalar(value, style, ..) => {
                let mark = mark(span, style, &value);
                scalar(&value, mark, &mut open, &mut places);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let path = next_path(&mut open);
                places.values.insert(path, mark(span, ScalarStyle::Plain, ""));
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let path = next_path(&mut open);
                let start = Mark { length: 1, ..mark(span, ScalarStyle::Plain, "") };
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

fn mark(span: Span, style: ScalarStyle, value: &str) -> Mark {
    let is_one_line = span.start.line() == span.end.line();
    let length = if is_one_line { span.end.col().saturating_sub(span.start.col()) } else { 1 };
    let quote = match style {
        ScalarStyle::SingleQuoted => Some('\''),
        ScalarStyle::DoubleQuoted => Some('"'),
        _ => None,
    };
    let quotes = if quote.is_some() { 2 } else { 0 };
    let is_as_written = is_one_line && length == value.chars().count() + quotes;
    Mark {
        line: span.start.line().saturating_sub(1),
        column: span.start.col(),
        length,
        quote,
        text: (!is_as_written && !value.is_empty()).then(|| value.into()),
    }
}
