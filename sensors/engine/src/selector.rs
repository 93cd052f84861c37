//! A place inside an event's data: a gjson path (`path`, `dataKey`) or an RFC 9535 path (`jsonPath`).

use std::fmt;

use zetes_api::{Event, FieldPath, Finding};
use zetes_gjson::{Path, Value};
use zetes_jsonpath::JsonPath;

/// Compiled once; finds a value in the data of an event.
#[derive(Clone, Debug)]
pub enum Selector {
    Gjson(Path),
    JsonPath(JsonPath),
}

impl Selector {
    /// A gjson path. It never fails: a malformed one finds nothing, and [`Selector::remarks`] says what looks wrong.
    pub fn gjson(path: &str) -> Self {
        Self::Gjson(Path::compile(path))
    }

    /// An RFC 9535 path.
    ///
    /// # Errors
    /// A finding at the given field, with the wrong part underlined.
    pub fn json_path(text: &str, at: &FieldPath) -> Result<Self, Finding> {
        JsonPath::compile(text).map(Self::JsonPath).map_err(|error| {
            let finding = Finding::error("bad-json-path", at.clone(), error.message().to_owned());
            let finding = finding.span(error.span());
            match error.hint() {
                Some(hint) => finding.hint(hint),
                None => finding,
            }
        })
    }

    /// The one of the two that is written. `at` is the object that holds `path` and `jsonPath`.
    pub(crate) fn written(
        path: Option<&str>,
        json_path: Option<&str>,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Self {
        match json_path {
            Some(text) => Self::json_path(text, &at.key("jsonPath")).unwrap_or_else(|finding| {
                findings.push(finding);
                Self::gjson("")
            }),
            None => Self::gjson(path.unwrap_or_default()),
        }
    }

    /// What is probably a slip in a gjson path; RFC 9535 paths have errors instead.
    pub fn remarks(path: &str, at: &FieldPath) -> Vec<Finding> {
        let remarks = zetes_gjson::lint(path).into_iter();
        remarks
            .map(|remark| {
                let finding =
                    Finding::warning("suspicious-path", at.clone(), remark.message).span(remark.span);
                match remark.hint {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                }
            })
            .collect()
    }

    /// The value in the data of an event; `None` where there is none, or the data is not JSON.
    pub fn find<'e>(&self, event: &'e Event) -> Option<Value<'e>> {
        match self {
            Self::Gjson(path) => path.get(event.json_text()?),
            Self::JsonPath(path) => Some(Value::new(path.find(event.json()?)?.to_string())),
        }
    }

    /// The value's text, for a key: `None` where there is no value or it is null.
    pub(crate) fn key_in(&self, event: &Event) -> Option<String> {
        let value = self.find(event).filter(|value| value.kind() != zetes_gjson::Kind::Null)?;
        Some(value.string().into_owned())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gjson(path) => path.fmt(f),
            Self::JsonPath(path) => path.fmt(f),
        }
    }
}
