//! The same manifests on another bus, and what a bus that can't be used says.

use std::collections::BTreeSet;

use serde_json::Value;
use zetes_services::{KafkaBroker, NatsServer, NatsVersion};

use crate::harness::{Target, Zetes, client, command, eventually, free_port, post_to_call};

fn example(path: &str) -> String {
    std::fs::read_to_string(format!("{}/examples/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The example with its ports and addresses replaced, posted to; the event's story has to end with a fired trigger.
async fn runs(folder: &str, replaced: &[(&str, &str)], port: &str) {
    let ours = free_port().to_string();
    let text = |file: &str| {
        let text = example(&format!("{folder}/{file}")).replace(port, &ours);
        replaced.iter().fold(text, |text, (from, to)| text.replace(from, to))
    };
    let mut zetes = Zetes::with(&[("bus.yaml", &text("bus.yaml")), ("orders.yaml", &text("orders.yaml"))]);
    zetes.start().await;
    let answer = client()
        .post(format!("http://127.0.0.1:{ours}/orders"))
        .body(r#"{"id": "a1"}"#)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let id = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
    eventually("the event to be fired", || async {
        let explained = zetes.explain(&id).await.into_iter().next()?;
        (explained["decisions"].as_array()?.first()?["verdict"]["verdict"] == "fired").then_some(())
    })
    .await;
    let stats = zetes.command(&["bus", "stats", "-o", "json"]).await;
    let stats: Vec<Value> = serde_json::from_slice(&stats.stdout).unwrap();
    assert_eq!(stats.len(), 1, "the embedded bus is not even opened: {stats:?}");
    assert_eq!((&stats[0]["events"], &stats[0]["consumers"][0]["lag"]), (&Value::from(1), &Value::from(0)));
    assert_eq!(zetes.stop().await.status.code(), Some(0));
}

#[tokio::test]
async fn the_example_runs_on_jetstream() {
    let server = NatsServer::start(NatsVersion::Current, "authorization { user: zetes, password: fleece }");
    runs("bus-jetstream", &[("nats://127.0.0.1:4222", &server.url())], "12021").await;
}

#[tokio::test]
async fn the_example_runs_on_kafka() {
    let broker = KafkaBroker::shared();
    let namespace = format!("on-kafka-{}", zetes_runtime::random_id());
    runs("bus-kafka", &[("127.0.0.1:9092", &broker.plaintext), ("on-kafka", &namespace)], "12022").await;
}

fn event_bus(server: &NatsServer, password: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\nspec:\n  jetstreamExotic:\n    url: {}\n    \
         accessSecret: {{name: nats, key: login}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: nats}}\nstringData:\n  login: |\n    \
         username: zetes\n    password: {password}\n",
        server.url()
    )
}

#[tokio::test]
async fn a_wrong_password_is_told_everywhere_and_a_right_one_is_taken_without_a_restart() {
    let server = NatsServer::start(NatsVersion::Current, "authorization { user: zetes, password: right }");
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[
        ("manifest.yaml", &post_to_call(port, &target.url("/call"))),
        ("bus.yaml", &event_bus(&server, "wrong")),
    ]);
    let validated = command(&["validate", "--connect"]).arg(zetes.manifests()).output().await.unwrap();
    let told = String::from_utf8_lossy(&validated.stdout).into_owned();
    assert_eq!(validated.status.code(), Some(1), "{told}");
    assert!(told.contains("bus-unusable") && told.contains("password"), "{told}");

    zetes.spawn();
    let verbose = eventually("the status to name the bus", || async {
        let text = zetes.try_admin("/readyz?verbose").await?;
        text.contains("bus/default/default: failed").then_some(text)
    })
    .await;
    assert!(verbose.contains("password"), "{verbose}");
    assert!(verbose.contains("waits for its bus"), "the event source opens nothing yet: {verbose}");
    assert!(client().post(format!("http://127.0.0.1:{port}/post")).send().await.is_err());

    zetes.write("bus.yaml", &event_bus(&server, "right"));
    zetes.ready().await;
    let answer =
        client().post(format!("http://127.0.0.1:{port}/post")).body(r#"{"number": 1}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    eventually("the call", || async { target.calls().first().cloned() }).await;
    let log = zetes.stop().await.stderr;
    let told = log.lines().filter(|line| line.contains("refused the login")).count();
    assert_eq!(told, 1, "the reason is told once, not with every attempt:\n{log}");
}

#[tokio::test]
async fn a_webhook_answers_503_while_its_bus_is_away_and_goes_on_when_it_is_back() {
    let mut server =
        NatsServer::start(NatsVersion::Current, "authorization { user: zetes, password: right }");
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[
        ("manifest.yaml", &post_to_call(port, &target.url("/call"))),
        ("bus.yaml", &event_bus(&server, "right")),
    ]);
    zetes.start().await;
    let sent = || client().post(format!("http://127.0.0.1:{port}/post")).body(r#"{"number": 1}"#).send();
    assert_eq!(sent().await.unwrap().status(), 200);
    server.kill();
    let refused = eventually("a 503", || async {
        let answer = sent().await.ok()?;
        (answer.status() == 503).then_some(answer)
    })
    .await;
    assert!(refused.headers().contains_key("retry-after"), "{refused:?}");
    server.restart();
    eventually("a 200", || async { (sent().await.ok()?.status() == 200).then_some(()) }).await;
    zetes.ready().await;
}

#[tokio::test]
async fn two_processes_on_one_bus_share_the_events_of_a_trigger() {
    let server = NatsServer::start(NatsVersion::Current, "authorization { user: zetes, password: right }");
    let target = Target::start().await;
    let ports = [free_port(), free_port()];
    let mut pair = ports.map(|port| {
        Zetes::with(&[
            ("manifest.yaml", &post_to_call(port, &target.url("/call"))),
            ("bus.yaml", &event_bus(&server, "right")),
        ])
    });
    for zetes in &mut pair {
        zetes.start().await;
    }
    for number in 0..100 {
        let url = format!("http://127.0.0.1:{}/post", ports[number % 2]);
        let body = format!(r#"{{"number": {number}}}"#);
        assert_eq!(client().post(url).body(body).send().await.unwrap().status(), 200);
    }
    eventually("all calls", || async { (target.effects().len() == 100).then_some(()) }).await;
    assert_eq!(target.calls().len(), 100, "each was fired by one of them");
    let bodies: BTreeSet<_> = target.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies.len(), 100);
}
