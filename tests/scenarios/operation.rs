//! Running it: reload, stop, health.

use crate::harness::{Target, Zetes, client, eventually, free_port, post_to_call};

/// Fires when both have come.
fn join(port: u16, url: &str) -> String {
    format!(
        r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {{name: hooks}}
spec:
  webhook:
    a: {{endpoint: /a, port: "{port}", method: POST}}
    b: {{endpoint: /b, port: "{port}", method: POST}}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: joiner}}
spec:
  dependencies:
    - {{name: a, eventSourceName: hooks, eventName: a}}
    - {{name: b, eventSourceName: hooks, eventName: b}}
  triggers:
    - template:
        name: call
        conditions: a && b
        http:
          url: {url}
          method: POST
          payload:
            - {{src: {{dependencyName: a, dataKey: body.n}}, dest: a}}
            - {{src: {{dependencyName: b, dataKey: body.n}}, dest: b}}
"#
    )
}

async fn post(port: u16, path: &str, body: &str) -> String {
    let answer =
        client().post(format!("http://127.0.0.1:{port}{path}")).body(body.to_owned()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.headers()["x-event-id"].to_str().unwrap().to_owned()
}

async fn is_waiting(zetes: &Zetes, id: &str) {
    eventually("the event to wait", || async {
        let explanation = zetes.explain(id).await.into_iter().next()?;
        (explanation["decisions"][0]["verdict"]["verdict"] == "waiting").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_waiting_event_survives_a_restart_and_the_newest_wins() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &join(port, &target.url("/call")))]);
    zetes.start().await;
    post(port, "/a", r#"{"n": 1}"#).await;
    let newer = post(port, "/a", r#"{"n": 2}"#).await;
    is_waiting(&zetes, &newer).await;
    zetes.kill().await;
    zetes.start().await;
    post(port, "/b", r#"{"n": 3}"#).await;
    eventually("the join to fire", || async { (!target.calls().is_empty()).then_some(()) }).await;
    assert_eq!(
        target.calls().into_iter().map(|call| call.body).collect::<Vec<_>>(),
        [r#"{"a":"2","b":"3"}"#]
    );
}

#[tokio::test]
async fn an_edit_is_picked_up_and_keeps_the_waiting_event() {
    let (first, second, port) = (Target::start().await, Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &join(port, &first.url("/call")))]);
    zetes.start().await;
    let id = post(port, "/a", r#"{"n": 1}"#).await;
    is_waiting(&zetes, &id).await;
    zetes.write("manifest.yaml", &join(port, &second.url("/call")));
    eventually("the edit to be taken over", || async {
        (zetes.metric("zetes_config_generation_total", &["accepted"]).await >= 1.0).then_some(())
    })
    .await;
    post(port, "/b", r#"{"n": 2}"#).await;
    eventually("the join to fire at the new target", || async { (second.calls().len() == 1).then_some(()) })
        .await;
    assert!(first.calls().is_empty());
}

#[tokio::test]
async fn an_invalid_edit_leaves_the_last_valid_version_running() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    zetes.start().await;
    zetes.write(
        "manifest.yaml",
        &post_to_call(port, &target.url("/call")).replace("method: POST\n", "method: POSSST\n"),
    );
    eventually("the mistake to be told", || async {
        (zetes.metric("zetes_config_generation_total", &["refused"]).await >= 1.0).then_some(())
    })
    .await;
    post(port, "/post", r#"{"number": 1}"#).await;
    eventually("the call", || async { (target.calls().len() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_hand_and_ends_with_0() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    zetes.start().await;
    target.set_duration(std::time::Duration::from_millis(300));
    post(port, "/post", r#"{"number": 1}"#).await;
    let finished = zetes.stop().await;
    assert_eq!(finished.status.code(), Some(0), "{}", finished.stderr);
    assert_eq!(target.calls().len(), 1, "the call in hand was finished");
}

#[tokio::test]
async fn the_admin_port_tells_health_and_the_reference_s_metrics() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    zetes.start().await;
    assert_eq!(zetes.admin("/healthz").await.status(), 200);
    assert!(zetes.admin("/readyz?verbose").await.text().await.unwrap().contains("hooks"));
    let labels = ["sensor_name=\"caller\"", "trigger_name=\"call\"", "namespace=\"default\""];
    assert!(zetes.metric("argo_events_action_triggered_total", &labels).await < 0.5);
    assert!(
        zetes.admin("/metrics").await.text().await.unwrap().contains("argo_events_action_triggered_total{"),
        "zero from the start"
    );
    post(port, "/post", r#"{"number": 1}"#).await;
    eventually("the counters to move", || async {
        let triggered = zetes.metric("argo_events_action_triggered_total", &labels).await;
        let sent = zetes
            .metric("argo_events_events_sent_total", &["eventsource_name=\"hooks\"", "event_name=\"post\""])
            .await;
        (triggered >= 1.0 && sent >= 1.0).then_some(())
    })
    .await;
}
