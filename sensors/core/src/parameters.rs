//! Values copied out of events into documents (spec/sensors.md 9).

use zetes_api::{FieldPath, Finding, Parameter, parameter_findings};
use zetes_gjson::{Kind, Path, set_raw, set_string};

use crate::source::{self, Resolved, Source};
use crate::{Error, Planning};

/// A list of parameters, compiled.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<Compiled>);

#[derive(Clone, Debug)]
struct Compiled {
    source: Source,
    dest: String,
    /// `dest` as a path that can be read, for `append` and `prepend`.
    current: Path,
    operation: Operation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Overwrite,
    Append,
    Prepend,
}

/// Everything that is wrong with a list of parameters; paths begin with the index.
pub fn findings(parameters: &[Parameter], dest_may_be_empty: bool) -> Vec<Finding> {
    let mut findings = parameter_findings(parameters, dest_may_be_empty);
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(src) = &parameter.src else { continue };
        let path = FieldPath::root().index(index).key("src");
        findings.extend(source::findings(src).into_iter().map(|finding| finding.under(&path)));
        let path = FieldPath::root().index(index).key("dest");
        findings.extend(destination_remarks(&parameter.dest, &path));
    }
    findings
}

impl Parameters {
    /// Compiles the paths.
    ///
    /// # Errors
    /// What [`findings`] says, as one permanent error.
    pub fn compile(parameters: &[Parameter]) -> Result<Self, Error> {
        parameters.iter().map(Compiled::new).collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The document with every parameter applied in order, each seeing the result of the one before.
    ///
    /// # Errors
    /// A parameter has no value, or its place can't be set.
    pub fn apply(&self, document: &str, round: &Planning<'_>) -> Result<String, Error> {
        let mut document = document.to_owned();
        for parameter in &self.0 {
            if let Some(value) = parameter.source.resolve(round)? {
                document = parameter.put(&document, &value)?;
            }
        }
        Ok(document)
    }

    /// A document made of the parameters alone; empty when none has a value. An empty `dest` is the whole document (S31).
    ///
    /// # Errors
    /// As for [`Parameters::apply`].
    pub fn payload(&self, round: &Planning<'_>) -> Result<String, Error> {
        let mut payload = String::new();
        for parameter in &self.0 {
            let Some(value) = parameter.source.resolve(round)? else { continue };
            if parameter.dest.is_empty() {
                return Ok(value.text);
            }
            payload = parameter.overwrite(&payload, &value)?;
        }
        Ok(payload)
    }

    /// Each `dest` with its text, for headers.
    ///
    /// # Errors
    /// As for [`Parameters::apply`].
    pub fn texts(&self, round: &Planning<'_>) -> Result<Vec<(String, String)>, Error> {
        let values = self.0.iter().map(|parameter| {
            let value = parameter.source.resolve(round)?;
            Ok(value.map(|value| (parameter.dest.clone(), value.text)))
        });
        Ok(values.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
    }
}

impl Compiled {
    fn new(parameter: &Parameter) -> Result<Self, Error> {
        let src = parameter.src.as_ref().ok_or_else(|| Error::permanent("a parameter has no `src`"))?;
        let operation = match parameter.operation.as_deref().unwrap_or_default() {
            "" | "overwrite" => Operation::Overwrite,
            "append" => Operation::Append,
            "prepend" => Operation::Prepend,
            other => {
                return Err(Error::Permanent(format!(
                    "parameter `{}`: unknown operation `{other}`",
                    parameter.dest
                )));
            }
        };
        let dest = parameter.dest.clone();
        Ok(Self { source: Source::new(src)?, current: Path::compile(&dest), dest, operation })
    }

    fn put(&self, document: &str, value: &Resolved) -> Result<String, Error> {
        let current = self.current.get(document).filter(|_| self.operation != Operation::Overwrite);
        let Some(current) = current else { return self.overwrite(document, value) };
        let text = match self.operation {
            Operation::Prepend => format!("{}{}", value.text, current.string()),
            _ => format!("{}{}", current.string(), value.text),
        };
        set_string(document, &self.dest, &text).map_err(|error| self.not_set(error))
    }

    fn overwrite(&self, document: &str, value: &Resolved) -> Result<String, Error> {
        let as_text = value.kind == Kind::String || !self.source.raw;
        let set = if as_text {
            set_string(document, &self.dest, &value.text)
        } else {
            set_raw(document, &self.dest, &value.text)
        };
        set.map_err(|error| self.not_set(error))
    }

    fn not_set(&self, error: zetes_gjson::SetError) -> Error {
        Error::Permanent(format!("parameter dest `{}`: {error}", self.dest))
    }
}

/// What is probably a slip in a destination.
fn destination_remarks(dest: &str, at: &FieldPath) -> Vec<Finding> {
    let remarks = if dest.is_empty() { Vec::new() } else { zetes_gjson::lint_destination(dest) };
    let remarks = remarks.into_iter().map(|remark| {
        let finding = Finding::warning("suspicious-path", at.clone(), remark.message).span(remark.span);
        match remark.hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        }
    });
    remarks.collect()
}
