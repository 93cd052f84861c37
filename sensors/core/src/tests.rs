//! The reference's answers on parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sensor_engine::Round;
use serde_json::{Value, json};
use zetes_api::{Event, Parameter, ParameterSource};
use zetes_gjson::Kind;

use crate::source::Source;
use crate::{Parameters, Planning};

/// The events by dependency that all rows use.
fn round() -> Option<Round> {
    let rows = zetes_vectors::rows("events");
    let events = rows.first()?.expect.as_object()?.clone();
    let events: BTreeMap<_, _> =
        events.iter().map(|(name, event)| (name.as_str().into(), Arc::new(event_of(event)))).collect();
    let complete_at = Timestamp::UNIX_EPOCH;
    Some(Round {
        key: "k".into(),
        namespace: "ci".into(),
        sensor: "s".into(),
        trigger: "t".into(),
        role: zetes_api::Role::Main,
        events,
        batch: Vec::new(),
        flow_key: "".into(),
        complete_at,
    })
}

fn event_of(event: &Value) -> Event {
    let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let data = match event["raw"].as_str() {
        Some(raw) => raw.to_owned(),
        None => event["data"].to_string(),
    };
    Event {
        id: text("id").into(),
        source: text("source").into(),
        subject: text("subject").into(),
        event_type: text("type"),
        time: event["time"].as_str().and_then(|time| time.parse().ok()),
        datacontenttype: event["datacontenttype"].as_str().map(str::to_owned),
        extensions: BTreeMap::new(),
        data: Some(data.into()),
        document: zetes_api::Document::default(),
    }
}

fn check(kind: &str, answer: impl Fn(&Value, &Planning<'_>) -> Value) {
    let Some(round) = round() else { return };
    zetes_vectors::check(kind, |input| answer(input, &Planning::of(&round)));
}

fn parameters(input: &Value) -> Option<Parameters> {
    let list: Option<Vec<Parameter>> = serde_json::from_value(input["parameters"].clone()).ok()?;
    Parameters::compile(&list.unwrap_or_default()).ok()
}

fn error() -> Value {
    json!({"error": true})
}

#[test]
fn vectors_of_sources() {
    check("params-resolve", |input, round| {
        let Ok(source) = serde_json::from_value::<ParameterSource>(input.clone()) else { return error() };
        let resolved = Source::new(&source).and_then(|source| source.resolve(round));
        match resolved {
            Err(_) => error(),
            Ok(None) => json!({"type": "String", "value": null}),
            Ok(Some(value)) => {
                let kind = match value.kind {
                    Kind::Null => "Null",
                    Kind::False => "False",
                    Kind::True => "True",
                    Kind::Number => "Number",
                    Kind::String => "String",
                    Kind::Json => "JSON",
                };
                json!({"type": kind, "value": value.text})
            }
        }
    });
}

/// An empty text and `<no value>` are errors to those who ask the reference.
#[test]
fn vectors_of_templates() {
    let Some(mut round) = round() else { return };
    // When the reference was asked: to its templates, the date of a number is the current one.
    round.complete_at = "2026-11-23T12:00:00Z".parse().unwrap();
    zetes_vectors::check("templates", |input| {
        let source = json!({"dependencyName": input["dependency"], "dataTemplate": input["template"]});
        let source: ParameterSource = serde_json::from_value(source).unwrap();
        let resolved = Source::new(&source).and_then(|source| source.resolve(&Planning::of(&round)));
        match resolved {
            Ok(Some(value)) if !value.text.is_empty() && value.text != "<no value>" => {
                json!({"value": value.text})
            }
            _ => error(),
        }
    });
}

#[test]
fn vectors_of_parameters() {
    check("params-apply", |input, round| {
        let document = input["document"].as_str().unwrap_or_default();
        let applied = parameters(input).and_then(|parameters| parameters.apply(document, round).ok());
        // The reference decodes the result: what is no JSON any more is an error there, and at the trigger here.
        let applied = applied.filter(|document| serde_json::from_str::<Value>(document).is_ok());
        applied.map_or_else(error, |document| json!({"document": document}))
    });
}

#[test]
fn vectors_of_payloads() {
    check("params-payload", |input, round| {
        let payload = parameters(input).and_then(|parameters| parameters.payload(round).ok());
        payload.map_or_else(error, |payload| json!({"payload": payload}))
    });
}
