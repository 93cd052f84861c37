//! Where a parameter's value comes from (spec/sensors.md 9.2, S29, S30).

use std::borrow::Cow;
use std::sync::Arc;

use sensor_engine::Selector;
use serde_json::Value as Json;
use zetes_api::{DependencyName, Event, FieldPath, Finding, ParameterSource};
use zetes_gjson::{Kind, Path};
use zetes_gotemplate::Template;

use crate::{Error, Planning};

/// What a template prints for a value that is missing.
const NO_VALUE: &str = "<no value>";

/// One source, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    dependency: DependencyName,
    wanted: Wanted,
    value: Option<String>,
    pub(crate) raw: bool,
}

/// What of the event is wanted. Data wins over context completely.
#[derive(Clone, Debug)]
enum Wanted {
    Whole,
    Data { template: Option<Rendered>, key: Option<Selector> },
    Context { template: Option<Rendered>, key: Option<Path> },
}

/// A template; one that can't be parsed gives its fallback for ever.
type Rendered = Result<Arc<Template>, String>;

/// A value as text, and what it was in the event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolved {
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

/// What is wrong with a source; paths are relative to it.
pub(crate) fn findings(src: &ParameterSource) -> Vec<Finding> {
    let mut findings = Vec::new();
    let has_fallback = |key: Option<&String>| src.value.is_some() || filled(key).is_some();
    let templates = [
        (
            "dataTemplate",
            src.data_template.as_ref(),
            has_fallback(src.data_key.as_ref()) || src.json_path.is_some(),
        ),
        ("contextTemplate", src.context_template.as_ref(), has_fallback(src.context_key.as_ref())),
    ];
    for (field, text, has_fallback) in templates {
        let Some(Err(error)) = filled(text).map(Template::parse) else { continue };
        let message = error.message().to_owned();
        let finding = if has_fallback {
            let message = format!("{message}; the parameter will always take its fallback");
            Finding::warning("bad-template", FieldPath::from(field), message)
        } else {
            Finding::error("bad-template", FieldPath::from(field), message)
        };
        findings.push(finding.span(error.span()));
    }
    match (filled(src.data_key.as_ref()), filled(src.json_path.as_ref())) {
        (Some(_), Some(_)) => {
            let message = "expected one of `dataKey` and `jsonPath`, found both";
            findings.push(Finding::error("bad-value", FieldPath::from("jsonPath"), message));
        }
        (Some(key), None) => findings.extend(Selector::remarks(key, &FieldPath::from("dataKey"))),
        (None, Some(text)) => findings.extend(Selector::json_path(text, &FieldPath::from("jsonPath")).err()),
        (None, None) => {}
    }
    if let Some(key) = filled(src.context_key.as_ref()) {
        findings.extend(Selector::remarks(key, &FieldPath::from("contextKey")));
    }
    findings
}

fn filled(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn parsed(text: Option<&String>) -> Option<Rendered> {
    filled(text).map(|text| Template::parse(text).map(Arc::new).map_err(|error| error.to_string()))
}

impl Source {
    pub(crate) fn new(src: &ParameterSource) -> Result<Self, Error> {
        let json_path = filled(src.json_path.as_ref())
            .map(|text| Selector::json_path(text, &FieldPath::from("jsonPath")));
        let json_path = json_path.transpose().map_err(|finding| Error::Permanent(finding.message))?;
        let data = (
            parsed(src.data_template.as_ref()),
            json_path.or(filled(src.data_key.as_ref()).map(Selector::gjson)),
        );
        let context =
            (parsed(src.context_template.as_ref()), filled(src.context_key.as_ref()).map(Path::compile));
        let wanted = match (data, context) {
            ((None, None), (None, None)) => Wanted::Whole,
            ((None, None), (template, key)) => Wanted::Context { template, key },
            ((template, key), _) => Wanted::Data { template, key },
        };
        Ok(Self {
            dependency: src.dependency_name.clone(),
            wanted,
            value: src.value.clone(),
            raw: src.use_raw_data,
        })
    }

    /// `None`: there is nothing to set, because the dependency has no event in this round.
    pub(crate) fn resolve(&self, round: &Planning<'_>) -> Result<Option<Resolved>, Error> {
        let value = || self.value.clone().map(|text| Resolved { text, kind: Kind::String });
        let Some(event) = round.events.get(&self.dependency) else { return Ok(value()) };
        let (found, why) = match &self.wanted {
            Wanted::Whole => {
                return Ok(
                    value().or_else(|| Some(Resolved { text: event.whole_json(), kind: Kind::String }))
                );
            }
            Wanted::Data { template, key } => Self::in_data(event, template.as_ref(), key.as_ref(), round),
            Wanted::Context { template, key } => {
                Self::in_context(event, template.as_ref(), key.as_ref(), round)
            }
        };
        if let Some(found) = found {
            if let Some(why) = why {
                round.note(format!("the event of `{}`: {why}, took the key instead", self.dependency));
            }
            return Ok(Some(found));
        }
        let why = why.unwrap_or_else(|| "there is no value".to_owned());
        match value() {
            Some(value) => {
                round.note(format!("the event of `{}`: {why}, took the `value` instead", self.dependency));
                Ok(Some(value))
            }
            None => Err(Error::Permanent(format!(
                "the event of `{}`: {why}, and the parameter has no `value`",
                self.dependency
            ))),
        }
    }

    /// The value, and why a template or a key before it gave none.
    fn in_data(
        event: &Event,
        template: Option<&Rendered>,
        key: Option<&Selector>,
        round: &Planning<'_>,
    ) -> (Option<Resolved>, Option<String>) {
        let converted = match as_json(event) {
            Ok(converted) => converted,
            Err(why) => return (None, Some(why)),
        };
        let event = converted.as_ref();
        let mut why = None;
        if let Some(template) = template {
            match rendered(template, event.json().unwrap_or(&Json::Null), round) {
                Ok(found) => return (Some(found), None),
                Err(error) => why = Some(format!("dataTemplate: {error}")),
            }
        }
        let Some(key) = key else { return (None, why) };
        let found = key.find(event).as_ref().map(resolved);
        let why = if found.is_some() { why } else { Some(format!("dataKey `{key}` does not exist in it")) };
        (found, why)
    }

    fn in_context(
        event: &Event,
        template: Option<&Rendered>,
        key: Option<&Path>,
        round: &Planning<'_>,
    ) -> (Option<Resolved>, Option<String>) {
        let document = event.context_json();
        let mut why = None;
        if let Some(template) = template {
            let context = serde_json::from_str(&document).unwrap_or(Json::Null);
            match rendered(template, &context, round) {
                Ok(found) => return (Some(found), None),
                Err(error) => why = Some(format!("contextTemplate: {error}")),
            }
        }
        let Some(key) = key else { return (None, why) };
        let found = key.get(&document).as_ref().map(resolved);
        let why =
            if found.is_some() { why } else { Some(format!("contextKey `{key}` does not exist in it")) };
        (found, why)
    }
}

fn rendered(template: &Rendered, input: &Json, round: &Planning<'_>) -> Result<Resolved, String> {
    let template = template.as_ref().map_err(Clone::clone)?;
    // The time of the round, not of the attempt: every attempt plans the same action.
    let text = template.render(input, round.complete_at).map_err(|error| error.to_string())?;
    match text.as_str() {
        "" => Err("it gives an empty text".to_owned()),
        NO_VALUE => Err(format!("it gives {NO_VALUE}")),
        _ => Ok(Resolved { text, kind: Kind::String }),
    }
}

fn resolved(value: &zetes_gjson::Value<'_>) -> Resolved {
    let text = match value.kind() {
        Kind::Json => value.raw().to_owned(),
        Kind::Null => "null".to_owned(),
        _ => value.string().into_owned(),
    };
    Resolved { text, kind: value.kind() }
}

/// The event with data that is JSON; YAML is converted.
fn as_json(event: &Event) -> Result<Cow<'_, Event>, String> {
    match event.datacontenttype.as_deref().unwrap_or_default() {
        "application/json" if event.json_text().is_some() => Ok(Cow::Borrowed(event)),
        "application/json" => Err("its data is not JSON".to_owned()),
        "application/yaml" => {
            let text = event.data_text().ok_or("its data is not UTF-8")?;
            let value: Json =
                serde_saphyr::from_str(text).map_err(|error| format!("its data is not YAML: {error}"))?;
            Ok(Cow::Owned(Event {
                data: Some(value.to_string().into()),
                document: zetes_api::Document::default(),
                ..event.clone()
            }))
        }
        other => Err(format!("its data is `{other}`, expected application/json or application/yaml")),
    }
}
