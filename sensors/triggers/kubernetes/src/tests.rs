//! Objects planned from rounds, and written once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use sensor_core::{Parameters, Planning, Round};
use serde_json::{Value, json};
use zetes_api::{Event, Parameter};

use crate::flags::{FlagError, Flags};
use crate::{Maker, create};

fn round(key: &str) -> Round {
    let event = Event::with_data("github", "github", "push", "d-1", r#"{"body":{"after":"c0ffee"}}"#);
    Round {
        key: key.into(),
        namespace: "ci".into(),
        sensor: "build-on-push".into(),
        trigger: "build".into(),
        role: zetes_api::Role::Main,
        batch: Vec::new(),
        flow_key: "".into(),
        events: BTreeMap::from([("push".into(), Arc::new(event))]),
        complete_at: Timestamp::from_second(1_800_000_000).unwrap(),
    }
}

fn maker(template: &Value, parameters: &Value, args: &[&str], objects: &std::path::Path) -> Maker {
    let parameters: Vec<Parameter> = serde_json::from_value(parameters.clone()).unwrap();
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    Maker {
        template: template.to_string(),
        parameters: Parameters::compile(&parameters).unwrap(),
        flags: Flags::parse("submit", &args).unwrap(),
        namespace: "ci".to_owned(),
        sensor: "build-on-push".to_owned(),
        trigger: "build".to_owned(),
        objects: objects.to_owned(),
    }
}

fn workflow() -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": {"generateName": "build-"},
        "spec": {"arguments": {"parameters": [{"name": "commit", "value": "old"}, {"name": "keep", "value": "1"}]}},
    })
}

fn commit() -> Value {
    json!([{"src": {"dependencyName": "push", "dataKey": "body.after"}, "dest": "spec.arguments.parameters.0.value"}])
}

#[test]
fn a_workflow_holds_the_commit_its_name_and_who_made_it() {
    let maker = maker(
        &workflow(),
        &commit(),
        &["-p", "extra=x", "--serviceaccount=builder", "-l", "team=a"],
        "objects".as_ref(),
    );
    insta::assert_yaml_snapshot!(maker.plan(&Planning::of(&round("0123456789abcdef"))).unwrap());
}

#[test]
fn flags_are_those_of_the_operation() {
    let parse = |operation: &str, args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Flags::parse(operation, &args).map(drop)
    };
    for (operation, args) in [
        ("submit", &["-p", "a=b", "--name=x", "-l", "k=v", "--priority", "5"][..]),
        ("retry", &["--restart-successful", "--node-field-selector", "phase=Failed", "-p", "a=b"]),
        ("stop", &["--message=enough", "--node-field-selector=name=x"]),
        ("terminate", &["-l", "app=x", "-n", "ci"]),
        ("resubmit", &["--memoized", "--wait"]),
    ] {
        assert_eq!(parse(operation, args), Ok(()), "{operation} {args:?}");
    }
    for (operation, args, told) in [
        (
            "submit",
            &["--node-field-selector", "x=y"][..],
            "unknown flag `--node-field-selector` of `argo submit`",
        ),
        ("stop", &["--no-such-flag"], "unknown flag `--no-such-flag` of `argo stop`"),
        ("suspend", &["--wait"], "unknown flag `--wait`"),
        ("submit", &["-p", "novalue"], "expected `name=value` after `-p`, found `novalue`"),
        ("submit", &["--priority", "high"], "expected a number"),
        ("retry", &["--node-field-selector"], "has no value"),
        ("submit", &["main"], "expected a flag"),
    ] {
        let error = parse(operation, args).unwrap_err();
        assert!(
            matches!(&error, FlagError::Bad(message) if message.contains(told)),
            "{operation} {args:?}: {error:?}"
        );
    }
    for args in
        [&["--wait"][..], &["-n", "ci"], &["--parameter-file", "x.yaml"], &["--dry-run", "-o", "json"]]
    {
        assert!(matches!(parse("submit", args), Err(FlagError::NotInThisBuild(_))), "{args:?}");
    }
}

#[test]
fn a_name_from_an_event_can_not_leave_the_folder() {
    let template = json!({"kind": "ConfigMap", "metadata": {"name": "../../etc"}});
    assert!(maker(&template, &json!([]), &[], "objects".as_ref()).plan(&Planning::of(&round("k"))).is_err());
}

#[tokio::test]
async fn the_same_round_writes_once_and_another_one_does_not_overwrite() {
    let folder = tempfile::tempdir().unwrap();
    let template = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fixed"}});
    let maker = maker(&template, &json!([]), &[], folder.path());
    let first = maker.plan(&Planning::of(&round("round-1"))).unwrap();
    assert!(create(&first).await.unwrap().summary.contains("since no cluster is named"));
    assert!(create(&first).await.unwrap().summary.contains("already written"));
    let other = maker.plan(&Planning::of(&round("round-2"))).unwrap();
    let error = create(&other).await.unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("generateName"), "{error}");
    let text = std::fs::read_to_string(&first.path).unwrap();
    assert!(text.contains("round-1") && !text.contains("round-2"), "{text}");
}
