//! Events and manifests against the reference's answers.

use std::path::PathBuf;

use serde_json::{Value, json};
use zetes_vectors::Answer;

use crate::manifest::{self, Manifests, Options, Source};
use crate::{Event, FieldPath, Severity};

fn shared() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"))
}

fn read(text: &str) -> Manifests {
    let options = Options { default_namespace: "default".into() };
    manifest::read(Source { file: "file.yaml", text }, &options)
}

/// Everything that is wrong, as `line:column code path`.
fn told(text: &str) -> Vec<String> {
    let manifests = read(text);
    let mut told: Vec<String> = manifests
        .diagnostics
        .iter()
        .map(|one| {
            let place = one
                .place
                .as_ref()
                .map_or_else(String::new, |place| format!("{}:{} ", place.line, place.column));
            format!("{place}{} {}", one.code, one.path)
        })
        .collect();
    for located in &manifests.objects {
        let object = located.object.object_ref();
        for finding in manifest::validate(&located.object, crate::EVENT_SOURCE_KINDS) {
            let place = located.origin.diagnostic(&object, &finding).place.unwrap();
            told.push(format!("{}:{} {} {}", place.line, place.column, finding.code, finding.path));
        }
    }
    told
}

#[test]
fn vectors_of_messages_on_the_bus() {
    zetes_vectors::check("bus-message", |input| {
        let text = |key: &str| input[key].as_str().unwrap_or_default().to_owned();
        let event = Event {
            // Event sources fill in what is empty.
            id: if text("id").is_empty() { "generated".into() } else { text("id").into() },
            source: text("source").into(),
            subject: text("subject").into(),
            event_type: text("type"),
            time: text("time").parse().ok().filter(|_| !text("time").starts_with("0001-")),
            datacontenttype: Some("application/json".to_owned()),
            extensions: std::collections::BTreeMap::new(),
            data: Some(text("data").into()),
            document: crate::Document::default(),
        };
        json!({"message": String::from_utf8(event.to_argo_json()).unwrap()})
    });
}

#[test]
fn vectors_of_the_documents_of_an_event() {
    zetes_vectors::check("event-documents", |input| {
        let Ok(event) = Event::from_json(input["message"].as_str().unwrap().as_bytes()) else {
            return json!({"error": true});
        };
        let data = String::from_utf8_lossy(event.data.as_deref().unwrap_or_default()).into_owned();
        json!({"context": event.context_json(), "data": data, "whole": event.whole_json()})
    });
}

#[test]
fn our_own_layout_keeps_data_byte_for_byte_and_extensions() {
    let message = r#"{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"e","data":{"b" : 1,"a":1.50},"traceparent":"00-x"}"#;
    let event = Event::from_json(message.as_bytes()).unwrap();
    assert_eq!(event.data_text(), Some(r#"{"b" : 1,"a":1.50}"#));
    let again = Event::from_json(&event.to_json()).unwrap();
    assert_eq!(again, event);
    assert_eq!(again.extensions["traceparent"], "00-x");
}

#[test]
fn an_event_that_was_passed_through_shows_its_origin_and_its_extensions() {
    let context = |extensions: Value| {
        let mut event = Event::with_data("com.example.paid", "hooks", "shop", "1", "{}");
        event.extensions = serde_json::from_value(extensions).unwrap();
        let wire = Event::from_json(&event.to_json()).unwrap();
        assert_eq!(wire, event, "the bus keeps it");
        serde_json::from_str::<Value>(&event.context_json()).unwrap()
    };
    let passed = context(json!({
        crate::ORIGIN_SOURCE: "/shop/<1>", crate::ORIGIN_SUBJECT: "order 7", "partitionkey": "k", "sequence": 3,
    }));
    assert_eq!(passed["source"], "hooks");
    assert_eq!(passed["subject"], "shop");
    assert_eq!(passed["originsource"], "/shop/<1>");
    assert_eq!(passed["originsubject"], "order 7");
    assert_eq!((&passed["partitionkey"], &passed["sequence"]), (&json!("k"), &json!(3)));
    let ours = context(json!({"traceparent": "00-1"}));
    assert_eq!(ours.get("traceparent"), None, "as in the reference");
}

const MISTAKES: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: deploy}
spec:
  dependencies:
    - name: build
      eventSourceName: ci
      evenName: done
  triggers:
    - template: {name: t, log: {}}
      rateLimit: {requestsPerUnit: many}
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: ci}
spec:
  calender: {}
";

#[test]
fn every_mistake_of_every_document_is_told_with_its_place() {
    assert_eq!(
        told(MISTAKES),
        [
            "8:7 unknown-field spec.dependencies[0].evenName",
            "11:36 wrong-type spec.triggers[0].rateLimit.requestsPerUnit",
            "6:7 missing-field spec.dependencies[0].eventName",
            "11:36 bad-value spec.triggers[0].rateLimit.requestsPerUnit",
            "17:3 unknown-field spec.calender",
        ]
    );
}

#[test]
fn a_value_that_can_not_be_read_hides_no_other_mistake() {
    let text = "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: s}
spec:
  dependencies: [{name: a, eventSourceName: ci, eventName: done}]
  triggers:
    - template: {name: t, log: {}}
      retryStrategy: {duration: 5x, factor: 2}
      rateLimit: {requestsPerUnit: 0}
    - template: {name: u, log: {}}
      retryStrategy: {duration: 7y}
";
    assert_eq!(
        told(text),
        [
            "8:33 bad-value spec.triggers[0].retryStrategy.duration",
            "11:33 bad-value spec.triggers[1].retryStrategy.duration",
            "9:36 bad-value spec.triggers[0].rateLimit.requestsPerUnit",
        ]
    );
}

#[test]
fn a_document_that_is_no_yaml_stops_no_other() {
    let manifests = read(
        "a: [\n---\napiVersion: argoproj.io/v1alpha1\nkind: Sensor\nmetadata: {name: s}\nspec: {dependencies: [], triggers: []}\n",
    );
    assert_eq!(manifests.objects.len(), 1);
    assert_eq!(manifests.diagnostics[0].code, "not-yaml");
}

#[test]
fn an_unrendered_helm_template_is_recognised() {
    let manifests = read("kind: Sensor\nmetadata:\n  name: {{ .Values.name }}\n");
    assert!(manifests.diagnostics[0].hint.as_ref().unwrap().contains("Helm"), "{:?}", manifests.diagnostics);
}

#[test]
fn the_same_object_twice_names_both_places() {
    let one = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";
    let manifests = read(&format!("{one}---\n{one}"));
    let found = manifest::check_duplicates(&manifests.objects);
    assert_eq!(found.len(), 1);
    assert!(found[0].message.contains("file.yaml:4:9"), "{}", found[0].message);
    assert_eq!(found[0].place.as_ref().unwrap().line, 9);
}

#[test]
fn a_misspelt_field_hints_at_the_right_one() {
    let (_, findings) = manifest::decode::<crate::RateLimit>(&json!({"requestPerUnit": 1}));
    assert_eq!(findings[0].hint.as_deref(), Some("did you mean `requestsPerUnit`?"));
    assert_eq!(findings[0].severity, Severity::Warning);
}

/// All files below a folder.
fn files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// `ZETES_MANIFESTS` names another folder.
#[test]
fn every_manifest_of_the_field_is_read_or_told_with_its_place() {
    let folder = std::env::var_os("ZETES_MANIFESTS").map_or_else(|| shared().join("compat"), PathBuf::from);
    let is_yaml =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let (mut objects, mut refused) = (0, 0);
    for file in files(&folder).into_iter().filter(is_yaml) {
        let manifests = read(&std::fs::read_to_string(&file).unwrap());
        objects += manifests.objects.len();
        for one in manifests.diagnostics.iter().filter(|one| one.severity == Severity::Error) {
            refused += 1;
            assert!(one.place.is_some(), "{}: no place: {one:?}", file.display());
        }
    }
    println!("manifests: {objects} objects, {refused} refusals, each with its place");
    assert!(objects > 0 || std::env::var_os("CI").is_none(), "no manifest under {}", folder.display());
}

#[test]
fn a_path_is_written_as_people_write_it() {
    let path = FieldPath::from("spec.triggers").index(0).key("a.b");
    assert_eq!(path.to_string(), r#"spec.triggers[0]["a.b"]"#);
}

#[test]
fn vectors_of_pauses_between_attempts() {
    const MEMBERS: [&str; 5] = ["duration", "steps", "factor", "jitter", "cap"];
    zetes_vectors::check("backoff", |input| {
        let Ok(value) = serde_json::from_str::<Value>(input["backoff"].as_str().unwrap()) else {
            return Answer::from(json!({"error": true}));
        };
        let value = if value.is_null() { json!({}) } else { value };
        let other_case =
            |key: &String| MEMBERS.iter().any(|name| name != key && name.eq_ignore_ascii_case(key));
        if value.as_object().is_some_and(|members| members.keys().any(other_case)) {
            return Answer::Decided(
                "keys are matched as written, as the reference's own controller matches them",
            );
        }
        let (Some(backoff), _) = manifest::decode::<crate::Backoff>(&value) else {
            return json!({"error": true}).into();
        };
        let number = |number: f64| {
            if number.fract() == 0.0 {
                json!(format!("{number}").parse::<i64>().unwrap())
            } else {
                json!(number)
            }
        };
        json!({
            "attempts": backoff.attempts(),
            "nanoseconds": backoff.nanoseconds(),
            "factor": number(backoff.factor.unwrap_or(1.0)),
            "jitter": number(backoff.jitter.unwrap_or(1.0)),
        })
        .into()
    });
}
