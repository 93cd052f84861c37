//! A team that outgrows one machine: what the embedded bus still has to do is done on another one.

use serde_json::Value;
use zetes_services::{NatsServer, NatsVersion};

use crate::harness::{Target, Zetes, client, command, eventually, free_port};

fn manifest(port: u16, target: &Target) -> String {
    let hook = |name: &str| format!("{{endpoint: /{name}, port: \"{port}\", method: POST}}");
    let url = |path: &str| target.url(path);
    format!(
        r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {{name: hooks}}
spec:
  webhook:
    left: {left}
    right: {right}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: s}}
spec:
  dependencies:
    - {{name: left, eventSourceName: hooks, eventName: left}}
    - {{name: right, eventSourceName: hooks, eventName: right}}
  triggers:
    - template:
        name: both
        conditions: left && right
        http: {{url: "{both}", method: POST, payload: [{{src: {{dependencyName: left, dataKey: body.number}}, dest: left}}]}}
    - template:
        name: stubborn
        conditions: left
        http: {{url: "{stubborn}", method: POST, payload: [{{src: {{dependencyName: left, dataKey: body.number}}, dest: left}}]}}
      retryStrategy: {{steps: 100000, duration: 50ms, jitter: 0}}
    - template:
        name: given-up
        conditions: left
        http: {{url: "{given_up}", method: POST, payload: [{{src: {{dependencyName: left, dataKey: body.number}}, dest: left}}]}}
      retryStrategy: {{steps: 1}}
"#,
        left = hook("left"),
        right = hook("right"),
        both = url("/both"),
        stubborn = url("/stubborn"),
        given_up = url("/given-up"),
    )
}

async fn post(port: u16, path: &str, number: u32) {
    let url = format!("http://127.0.0.1:{port}/{path}");
    let answer = client().post(url).body(format!(r#"{{"number": {number}}}"#)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn dead_letters(zetes: &Zetes) -> Vec<Value> {
    let listed = zetes.command(&["dlq", "list", "-o", "json"]).await;
    serde_json::from_slice(&listed.stdout).unwrap_or_default()
}

fn called(target: &Target, path: &str) -> Vec<String> {
    let calls = target.calls().into_iter().filter(|call| call.path == path);
    let mut bodies: Vec<_> = calls.map(|call| call.body).collect();
    bodies.sort_unstable();
    bodies.dedup();
    bodies
}

#[tokio::test]
async fn unread_events_waiting_state_and_dead_letters_are_carried_to_a_server() {
    let (target, port) = (Target::start().await, free_port());
    target.set_down(true);
    let mut laptop = Zetes::with(&[("manifest.yaml", &manifest(port, &target))]);
    laptop.start().await;
    for number in 1..=3 {
        post(port, "left", number).await;
    }
    eventually("three dead letters", || async { (dead_letters(&laptop).await.len() == 3).then_some(()) })
        .await;
    laptop.kill().await;

    let server = NatsServer::start(NatsVersion::Current, "");
    let bus = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\nspec: {{jetstreamExotic: {{url: '{}'}}}}\n",
        server.url()
    );
    let mut team = Zetes::with(&[("manifest.yaml", &manifest(port, &target)), ("bus.yaml", &bus)]);
    let copy = || async {
        let mut copy = command(&["bus", "copy", "-o", "json", "--from"]);
        copy.arg(laptop.data()).arg("--to").arg(team.manifests().join("bus.yaml"));
        let output = copy.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let copied = copy().await;
    assert_eq!((&copied["events"], &copied["deadLetters"]), (&Value::from(3), &Value::from(3)), "{copied}");
    let again = copy().await;
    assert_eq!((&again["events"], &again["duplicates"]), (&Value::from(0), &Value::from(3)), "{again}");

    target.set_down(false);
    team.start().await;
    eventually("the unread events", || async { (called(&target, "/stubborn").len() == 3).then_some(()) })
        .await;
    assert_eq!(dead_letters(&team).await.len(), 3);
    assert!(called(&target, "/given-up").is_empty(), "what was given up is not fired again by itself");
    // The newest `left` waited on the laptop; its other half comes on the server.
    post(port, "right", 1).await;
    let both = eventually("the other half", || async {
        Some(called(&target, "/both")).filter(|calls| !calls.is_empty())
    });
    assert_eq!(both.await, [r#"{"left":"3"}"#]);
}
