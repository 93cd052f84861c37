//! One document: cut out of its file, parsed, with the places of its fields.

use std::sync::Arc;

use serde_json::Value;
use serde_saphyr::options;

use super::places::{Origin, places};
use super::{Lines, Source, unreadable};
use crate::diagnostic::{Diagnostic, Place};

/// A document in its file.
pub(crate) struct Document<'a> {
    file: &'a str,
    text: &'a str,
    /// Lines of the file in front of the document.
    lines_before: usize,
}

/// Cuts a file at its `---` lines.
pub(crate) fn split(source: Source<'_>) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut at, mut line, mut start_line) = (0, 0, 0, 0);
    let document = |start: usize, end: usize, lines_before: usize| Document {
        file: source.file,
        text: source.text.get(start..end).unwrap_or_default(),
        lines_before,
    };
    for text in source.text.split_inclusive('\n') {
        if text.trim_end() == "---" || text.starts_with("--- ") {
            documents.push(document(start, at, start_line));
            // What follows on the separator's own line belongs to the document.
            (start, start_line) =
                if text.trim_end() == "---" { (at + text.len(), line + 1) } else { (at + 4, line) };
        }
        at += text.len();
        line += 1;
    }
    documents.push(document(start, at, start_line));
    documents
}

impl Document<'_> {
    /// The document's value, `None` when it is empty.
    pub(crate) fn parse(&self) -> Result<Option<(Value, Origin)>, Box<Diagnostic>> {
        // Kubernetes' own reader: 0644 is octal, `yes` is true.
        let options = options! { legacy_octal_numbers: true, strict_booleans: false, with_snippet: false };
        let value: Option<Value> = match serde_saphyr::from_str_with_options(self.text, options) {
            Ok(value) => value,
            Err(error) => return Err(Box::new(self.unreadable(&error))),
        };
        let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
        let origin = Origin::new(self.file, self.lines_before, self.lines(), Arc::new(places(self.text)));
        Ok(Some((value, origin)))
    }

    fn lines(&self) -> Lines {
        Arc::new(self.text.lines().map(str::to_owned).collect())
    }

    fn unreadable(&self, error: &serde_saphyr::Error) -> Diagnostic {
        let place = error.location().map(|location| {
            let line = usize::try_from(location.line()).unwrap_or(1).max(1);
            let source = self.text.lines().nth(line - 1).unwrap_or_default().to_owned();
            let column =
                usize::try_from(location.column()).unwrap_or(1).max(1).min(source.chars().count() + 1);
            Place { file: self.file.to_owned(), line: line + self.lines_before, column, length: 1, source }
        });
        let helm = place.as_ref().is_some_and(|place| place.source.contains("{{"));
        let hint = helm.then(|| {
            "this looks like a Helm template: render it first, `helm template … | zetes validate -`"
                .to_owned()
        });
        let message = error.to_string().lines().next().unwrap_or_default().to_owned();
        unreadable(place, "not-yaml", message, hint)
    }
}
