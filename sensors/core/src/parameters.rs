//! Values copied out of events into documents (spec/sensors.md 9).

use std::borrow::Cow;

use sensor_engine::Round;
use zetes_api::{DependencyName, Event, Finding, Parameter, ParameterSource, parameter_findings};
use zetes_gjson::{Kind, Path, set_raw, set_string};

use crate::Error;

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

/// Where a value comes from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    dependency: DependencyName,
    context_key: Option<Path>,
    data_key: Option<Path>,
    value: Option<String>,
    raw: bool,
}

/// A value as text, and what it was in the event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// Everything that is wrong with a list of parameters; paths begin with the index.
pub fn findings(parameters: &[Parameter], dest_may_be_empty: bool) -> Vec<Finding> {
    let mut findings = parameter_findings(parameters, dest_may_be_empty);
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(src) = &parameter.src else { continue };
        for (field, template) in
            [("dataTemplate", &src.data_template), ("contextTemplate", &src.context_template)]
        {
            if template.as_ref().is_some_and(|template| !template.is_empty()) {
                let path = zetes_api::FieldPath::root().index(index).key("src").key(field);
                findings.push(Finding::error(
                    "not-in-this-build",
                    path,
                    "templates are not in this build yet",
                ));
            }
        }
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
    pub fn apply(&self, document: &str, round: &Round) -> Result<String, Error> {
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
    pub fn payload(&self, round: &Round) -> Result<String, Error> {
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
    pub fn texts(&self, round: &Round) -> Result<Vec<(String, String)>, Error> {
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
        Ok(Self { source: Source::new(src), current: Path::compile(&dest), dest, operation })
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

impl Source {
    pub(crate) fn new(src: &ParameterSource) -> Self {
        let path = |key: &Option<String>| key.as_deref().filter(|key| !key.is_empty()).map(Path::compile);
        Self {
            dependency: src.dependency_name.clone(),
            context_key: path(&src.context_key),
            data_key: path(&src.data_key),
            value: src.value.clone(),
            raw: src.use_raw_data,
        }
    }

    /// `None`: there is nothing to set, because the dependency has no event in this round.
    pub(crate) fn resolve(&self, round: &Round) -> Result<Option<Resolved>, Error> {
        let fallback = || self.value.clone().map(|text| Resolved { text, kind: Kind::String });
        let Some(event) = round.events.get(&self.dependency) else { return Ok(fallback()) };
        let found = match (&self.data_key, &self.context_key) {
            (None, None) => return Ok(fallback().or_else(|| Some(whole(event)))),
            (Some(key), _) => data(event).map(|data| look_up(key, &data)),
            (None, Some(key)) => Ok(look_up(key, &event.context_json())),
        };
        match (found, fallback()) {
            (Ok(Some(value)), _) | (_, Some(value)) => Ok(Some(value)),
            (Err(why), None) => Err(Error::Permanent(format!("the event of `{}`: {why}", self.dependency))),
            (Ok(None), None) => Err(Error::Permanent(self.missing())),
        }
    }

    fn missing(&self) -> String {
        let (what, key) = match (&self.data_key, &self.context_key) {
            (Some(key), _) => ("dataKey", key.to_string()),
            (None, key) => ("contextKey", key.as_ref().map(ToString::to_string).unwrap_or_default()),
        };
        format!(
            "{what} `{key}` does not exist in the event of `{}`, and the parameter has no `value`",
            self.dependency
        )
    }
}

fn whole(event: &Event) -> Resolved {
    Resolved { text: event.whole_json(), kind: Kind::String }
}

fn look_up(key: &Path, document: &str) -> Option<Resolved> {
    let value = key.get(document)?;
    let text = match value.kind() {
        Kind::Json => value.raw().to_owned(),
        Kind::Null => "null".to_owned(),
        _ => value.string().into_owned(),
    };
    Some(Resolved { text, kind: value.kind() })
}

/// The data as JSON text.
fn data(event: &Event) -> Result<Cow<'_, str>, String> {
    let text = event.data_text().ok_or("its data is not UTF-8")?;
    match event.datacontenttype.as_deref().unwrap_or_default() {
        "application/json" => match serde_json::from_str::<&serde_json::value::RawValue>(text) {
            Ok(_) => Ok(Cow::Borrowed(text)),
            Err(error) => Err(format!("its data is not JSON: {error}")),
        },
        "application/yaml" => {
            let value: serde_json::Value =
                serde_saphyr::from_str(text).map_err(|error| format!("its data is not YAML: {error}"))?;
            Ok(Cow::Owned(value.to_string()))
        }
        other => Err(format!("its data is `{other}`, expected application/json or application/yaml")),
    }
}
