//! What the commands say about mistakes.

use crate::harness::{Zetes, client, command, free_port};

const MISTAKES: &str = r#"apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata:
  name: deploy
spec:
  dependencies:
    - name: build
      eventSourceName: ci
      eventName: done
  triggers:
    - template:
        name: t
        conditions: biuld
        log: {}
      rateLimit:
        requestsPerUnit: many
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata:
  name: ci
spec:
  calendar:
    done:
      schedule: "61 * * * *"
"#;

fn good(port: u16) -> String {
    format!(
        r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {{name: hooks}}
spec:
  webhook:
    post: {{endpoint: /post, port: "{port}", method: POST}}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: good}}
spec:
  dependencies: [{{name: post, eventSourceName: hooks, eventName: post}}]
  triggers: [{{template: {{name: note, log: {{}}}}}}]
"#
    )
}

#[tokio::test]
async fn three_mistakes_in_two_documents_are_all_told_with_place_and_hint() {
    let zetes = Zetes::with(&[("bad.yaml", MISTAKES)]);
    let output = command(&["validate"]).arg(zetes.manifests()).output().await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for expected in [
        "bad.yaml:13:21",
        "sensor/default/deploy: spec.triggers[0].template.conditions",
        "did you mean `build`?",
        "bad.yaml:16:26",
        "spec.triggers[0].rateLimit.requestsPerUnit",
        "bad.yaml:25:18",
        "eventsource/default/ci: spec.calendar.done.schedule",
    ] {
        assert!(told.contains(expected), "missing `{expected}` in:\n{told}");
    }
}

#[tokio::test]
async fn findings_as_json_hold_the_place_in_fields() {
    let zetes = Zetes::with(&[("bad.yaml", MISTAKES)]);
    let output = command(&["validate", "-o", "json"]).arg(zetes.manifests()).output().await.unwrap();
    let found: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let places: Vec<_> = found
        .iter()
        .filter(|one| one["severity"] == "error")
        .map(|one| one["place"]["line"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [13, 16, 25], "one finding a mistake");
}

#[tokio::test]
async fn a_good_sensor_runs_beside_bad_ones() {
    let port = free_port();
    let mut zetes = Zetes::with(&[("bad.yaml", MISTAKES), ("good.yaml", &good(port))]);
    zetes.spawn();
    let answer = crate::harness::eventually("the good webhook to answer", || async {
        client().post(format!("http://127.0.0.1:{port}/post")).body("{}").send().await.ok()
    })
    .await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_path_that_is_not_there_is_wrong_usage() {
    let output = command(&["validate", "no/such/folder"]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/folder"));
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_is_told_so() {
    let mut first = Zetes::with(&[("good.yaml", &good(free_port()))]);
    first.start().await;
    let second = command(&["run"])
        .arg(first.manifests())
        .arg("--data")
        .arg(first.data())
        .args(["--admin", "127.0.0.1:0"])
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("another process") || told.contains("in use"), "{told}");
}

#[tokio::test]
async fn an_unknown_event_is_told_with_exit_code_1() {
    let mut zetes = Zetes::with(&[("good.yaml", &good(free_port()))]);
    zetes.start().await;
    let output = zetes.command(&["explain", "no-such-event"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-event"));
}

#[tokio::test]
async fn every_command_helps_with_an_example() {
    for name in ["run", "validate", "explain", "events", "demo", "schema", "git-hook"] {
        let output = command(&[name, "--help"]).output().await.unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Example"), "{name}: {help}");
    }
}
