//! What is wrong with a manifest, said once by whoever knows it.
//!
//! A check that sees only a configuration makes [`Finding`]s with paths relative to it; the reader of manifests, who
//! knows object, file and place, turns them into [`Diagnostic`]s.

use std::fmt;
use std::ops::Range;

use serde::{Serialize, Serializer};

use crate::object::ObjectRef;

/// How bad it is. Only an error keeps an object from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// A path into a document: `spec.triggers[0].template.conditions`. Empty means the document itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Key(String),
    Index(usize),
}

impl FieldPath {
    pub fn root() -> Self {
        Self::default()
    }

    /// The path one key deeper. The key is taken whole, dots and all.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Key(key.into()));
        path
    }

    /// The path one list element deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Step::Index(index));
        path
    }

    /// This path continued by a relative one.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        let mut path = self.clone();
        path.0.extend(rest.0.iter().cloned());
        path
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path without its last step; the root stays the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut path = self.clone();
        path.0.pop();
        path
    }
}

impl From<&str> for FieldPath {
    /// `a.b` as two keys: for paths written in code.
    fn from(text: &str) -> Self {
        Self(text.split('.').filter(|part| !part.is_empty()).map(|part| Step::Key(part.to_owned())).collect())
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if key.contains(['.', '[', ' ']) => write!(f, "[{key:?}]")?,
                Step::Key(key) if at == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One thing that is wrong inside a configuration; its path is relative to that configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Kebab-case words, stable: `unknown-dependency`.
    pub code: &'static str,
    pub path: FieldPath,
    /// Bytes inside the string value at `path`, where only a part of it is wrong.
    pub span: Option<Range<usize>>,
    /// Lower-case fragment without a full stop: what was found and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    pub fn error(code: &'static str, path: impl Into<FieldPath>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            path: path.into(),
            span: None,
            message: message.into(),
            hint: None,
        }
    }

    pub fn warning(code: &'static str, path: impl Into<FieldPath>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, path, message) }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn span(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    /// The same finding seen from further out.
    #[must_use]
    pub fn under(mut self, outer: &FieldPath) -> Self {
        self.path = outer.join(&self.path);
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Why a configuration can't be used: everything that is wrong with it, at least one error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Invalid(pub Vec<Finding>);

impl Invalid {
    /// `Ok` if it fits, else one error `bad-value` that says what was expected at `path`.
    pub fn unless(fits: bool, path: impl Into<FieldPath>, expected: impl fmt::Display) -> Result<(), Self> {
        if fits {
            Ok(())
        } else {
            Err(Self(vec![Finding::error("bad-value", path, format!("expected {expected}"))]))
        }
    }

    /// `Ok` if nothing in the list is an error. Warnings alone are dropped; ask for them with `lint`.
    pub fn from_findings(findings: Vec<Finding>) -> Result<(), Self> {
        if findings.iter().any(Finding::is_error) { Err(Self(findings)) } else { Ok(()) }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, finding) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", finding.path, finding.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Where something stands in a file. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// Characters to underline, at least 1.
    pub length: usize,
    /// The whole source line, for the underlining.
    pub source: String,
}

/// A finding with its object and place: what `zetes validate` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    /// Absent when the document could not be read far enough to tell.
    #[serde(serialize_with = "object_text")]
    pub object: Option<ObjectRef>,
    pub path: FieldPath,
    pub place: Option<Place>,
    pub message: String,
    pub hint: Option<String>,
}

#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn object_text<S: Serializer>(object: &Option<ObjectRef>, serializer: S) -> Result<S::Ok, S::Error> {
    match object {
        Some(object) => serializer.collect_str(object),
        None => serializer.serialize_none(),
    }
}
