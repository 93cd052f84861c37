//! The reference's answers on parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sensor_engine::Round;
use serde_json::{Value, json};
use zetes_api::{Event, Parameter, ParameterSource};
use zetes_gjson::Kind;

use crate::Parameters;
use crate::parameters::Source;

/// Rows of a vector file, or nothing (said loudly; a failure in CI) when the folder is not there.
fn rows(kind: &str) -> Vec<Value> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let file = root.join("vectors").join(format!("{kind}.jsonl"));
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing: put the vectors beside the checkout",
            file.display()
        );
        eprintln!("NOT RUN: {} is missing", file.display());
        return Vec::new();
    };
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The events by dependency that all rows use.
fn round() -> Option<Round> {
    let rows = rows("events");
    let events = rows.first()?["expect"].as_object()?.clone();
    let events: BTreeMap<_, _> =
        events.iter().map(|(name, event)| (name.as_str().into(), Arc::new(event_of(event)))).collect();
    let complete_at = Timestamp::UNIX_EPOCH;
    Some(Round {
        key: "k".into(),
        namespace: "ci".into(),
        sensor: "s".into(),
        trigger: "t".into(),
        events,
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
    }
}

/// Templates come later: rows with one are counted and left out.
fn has_template(row: &Value) -> bool {
    let text = row["input"].to_string();
    ["dataTemplate", "contextTemplate"]
        .iter()
        .any(|name| text.contains(&format!("\"{name}\":\"")) && !text.contains(&format!("\"{name}\":\"\"")))
}

fn check(kind: &str, answer: impl Fn(&Value, &Round) -> Value) {
    let Some(round) = round() else { return };
    let (rows, left_out): (Vec<_>, Vec<_>) = rows(kind).into_iter().partition(|row| !has_template(row));
    // Where the reference crashes on an event that is not there, the parameter is passed over (spec/sensors.md 9.4).
    let crashed =
        |row: &Value| row["reference_error"].as_str().is_some_and(|text| text.starts_with("panic:"));
    let expected = |row: &Value| {
        if crashed(row) { json!({"payload": ""}) } else { row.get("zetes").unwrap_or(&row["expect"]).clone() }
    };
    let wrong: Vec<String> = rows
        .iter()
        .map(|row| (row, answer(&row["input"], &round)))
        .filter(|(row, got)| *got != expected(row))
        .map(|(row, got)| {
            format!("{}: {}\n  expected {}\n  got      {got}", row["id"], row["input"], expected(row))
        })
        .collect();
    println!(
        "{kind}: {} of {}, {} with templates left out",
        rows.len() - wrong.len(),
        rows.len(),
        left_out.len()
    );
    assert!(wrong.is_empty(), "{} rows differ\n{}", wrong.len(), wrong.join("\n"));
}

fn parameters(input: &Value) -> Option<Parameters> {
    let list: Option<Vec<Parameter>> = serde_json::from_value(input["parameters"].clone()).ok()?;
    Parameters::compile(&list.unwrap_or_default()).ok()
}

fn error() -> Value {
    json!({"error": true})
}

#[test]
fn parameters_resolve_to_what_the_reference_resolves() {
    check("params-resolve", |input, round| {
        let Ok(source) = serde_json::from_value::<ParameterSource>(input.clone()) else { return error() };
        match Source::new(&source).resolve(round) {
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

#[test]
fn parameters_change_a_document_as_the_reference_does() {
    check("params-apply", |input, round| {
        let document = input["document"].as_str().unwrap_or_default();
        let applied = parameters(input).and_then(|parameters| parameters.apply(document, round).ok());
        // The reference decodes the result: what is no JSON any more is an error there, and at the trigger here.
        let applied = applied.filter(|document| serde_json::from_str::<Value>(document).is_ok());
        applied.map_or_else(error, |document| json!({"document": document}))
    });
}

#[test]
fn payloads_are_the_reference_s() {
    check("params-payload", |input, round| {
        let payload = parameters(input).and_then(|parameters| parameters.payload(round).ok());
        payload.map_or_else(error, |payload| json!({"payload": payload}))
    });
}
