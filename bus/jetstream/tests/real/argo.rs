//! A bus that Argo Events has left is taken over: its stream as it is, its consumers at their positions, its messages' bytes.

use std::path::PathBuf;
use std::sync::Arc;

use async_nats::{Client, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bus_core::{Bus, Change, Delivery, EntryKind, Interest, Publication, ReadFilter, Subscription};
use bus_jetstream::{JetStreamBus, Names, Options};
use serde_json::{Value, json};
use zetes_api::Event;
use zetes_services::{NatsServer, NatsVersion};

use crate::harness::{opened, options, subscription};

/// What was captured; `None`, said loudly, where it isn't there. `ZETES_SHARED` names the folder that is else beside the checkout.
fn capture() -> Option<Vec<Value>> {
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let file =
        std::env::var_os("ZETES_SHARED").map_or(beside, PathBuf::from).join("captures/jetstream.jsonl");
    let Ok(text) = std::fs::read_to_string(&file) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{} is missing; ZETES_SHARED names its folder",
            file.display()
        );
        println!("SKIPPED: {} is missing; ZETES_SHARED names its folder", file.display());
        return None;
    };
    Some(text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect())
}

async fn ask(client: &Client, subject: &str, body: &Value) -> Value {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.request(format!("$JS.API.{subject}"), body.into()).await.expect("it answers");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert!(answer.get("error").is_none(), "{subject}: {answer}");
    answer
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Puts everything back as it was, in the order in which it was written down.
async fn restore(client: &Client, capture: &[Value]) {
    for line in capture {
        let stream = text(line, "stream");
        if line.get("consumer").is_some() {
            let body = json!({"stream_name": stream, "config": line["config"]});
            ask(client, &format!("CONSUMER.DURABLE.CREATE.{stream}.{}", text(line, "consumer")), &body).await;
        } else if line.get("message").is_some() {
            let mut headers = HeaderMap::new();
            if let Some(id) = line["header"]["Nats-Msg-Id"][0].as_str() {
                headers.insert("Nats-Msg-Id", id);
            }
            let body = text(line, "body").to_owned();
            let stored =
                client.request_with_headers(text(line, "subject").to_owned(), headers, body.into()).await;
            stored.expect("the stream has it");
        } else {
            ask(client, &format!("STREAM.CREATE.{stream}"), &line["config"]).await;
        }
    }
}

fn argo(url: &str) -> Options {
    Options { names: Names::Argo, ..options(url) }
}

fn interest(source: &str, subject: &str, dependency: &str) -> Interest {
    let some = |text: &str| (text != "*").then(|| text.to_owned());
    Interest {
        source: some(source).map(Into::into),
        subject: some(subject).map(Into::into),
        dependency: dependency.into(),
    }
}

fn sensor(interests: Vec<Interest>) -> Subscription {
    let mut subscription = Subscription { interests, ..subscription("http") };
    subscription.consumer.sensor = "http".into();
    subscription
}

async fn take(bus: &Arc<JetStreamBus>, subscription: Subscription, count: usize) -> Vec<Delivery> {
    let mut consumer = bus.subscribe(subscription).await.expect("the consumer is there");
    let mut taken = Vec::new();
    while taken.len() < count {
        let fetched = tokio::time::timeout(crate::harness::PATIENCE, consumer.fetch(10))
            .await
            .expect("deliveries come");
        let fetched = fetched.expect("the bus works");
        let acks = fetched.iter().map(|delivery| Change::Ack(delivery.ticket.clone())).collect();
        bus.commit(acks).await.expect("the bus works");
        taken.extend(fetched);
    }
    taken
}

#[tokio::test]
async fn what_argo_events_left_is_continued() {
    let Some(capture) = capture() else { return };
    let server = NatsServer::start(NatsVersion::Current, "");
    let client = async_nats::connect(server.url()).await.expect("it runs");
    restore(&client, &capture).await;
    let config = ask(&client, "STREAM.INFO.default", &Value::Null).await["config"].clone();
    let bus = opened(argo(&server.url())).await;
    assert_eq!(
        ask(&client, "STREAM.INFO.default", &Value::Null).await["config"],
        config,
        "the stream is left as it is"
    );

    // Its consumer begins with what came after it was made: only at its position are there three.
    let taken = take(&bus, sensor(vec![interest("webhook", "example", "dep")]), 3).await;
    let bodies: Vec<&str> = capture
        .iter()
        .filter(|line| text(line, "subject") == "default.webhook.example")
        .map(|line| text(line, "body"))
        .collect();
    for (delivery, body) in taken.iter().zip(&bodies) {
        assert_eq!(*delivery.event, Event::from_json(body.as_bytes()).expect("an event"));
        assert!(delivery.event.data_text().expect("text").contains("\"kind\":"), "{delivery:?}");
    }
    let info = ask(&client, "CONSUMER.INFO.default.group-4174172596", &Value::Null).await;
    assert_eq!((&info["ack_floor"]["stream_seq"], &info["num_pending"]), (&json!(3), &json!(0)), "{info}");

    // What we publish is what Argo Events would have, but for the id by which the server knows duplicates.
    let mut event = (*taken[0].event).clone();
    let body = bodies[0].replace(event.id.as_str(), "another");
    event.id = "another".into();
    let publication = Publication { namespace: "ci".into(), event: Arc::new(event) };
    bus.publish(vec![publication.clone()]).await.expect("the bus takes it");
    let stored = ask(&client, "STREAM.MSG.GET.default", &json!({"seq": 4})).await["message"].clone();
    let decoded =
        |key: &str| String::from_utf8(STANDARD.decode(text(&stored, key)).expect("base64")).expect("text");
    assert_eq!(decoded("data"), body);
    assert_eq!(decoded("hdrs"), "NATS/1.0\r\nNats-Msg-Id: webhook/example/another\r\n\r\n");
    assert_eq!(text(&stored, "subject"), "default.webhook.example");
    assert!(bus.publish(vec![publication]).await.expect("the bus takes it")[0].duplicate);

    let about = ReadFilter { namespace: None, about: Some(taken[1].event.id.clone()) };
    let page = bus.read(EntryKind::Event, 0..u64::MAX, about).await.expect("the bus works");
    assert_eq!(page.entries.len(), 1, "Argo's message ids are ids of events, too");
    let stats = bus.stats().await.expect("the bus works");
    assert_eq!((stats.events, stats.consumers.len(), stats.consumers[0].lag), (4, 1, 1), "{stats:?}");
}

#[tokio::test]
async fn an_event_of_two_dependencies_is_handed_out_once_and_settled_for_both() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let bus = opened(argo(&server.url())).await;
    let both = sensor(vec![interest("hooks", "push", "one"), interest("*", "push", "two")]);
    let consumer = bus.subscribe(both.clone()).await.expect("the consumer is created");
    let ids = ["a", "b", "c"];
    bus.publish(ids.map(crate::harness::event).to_vec()).await.expect("the bus takes it");
    drop(consumer);
    let taken: Vec<String> =
        take(&bus, both.clone(), 3).await.iter().map(|delivery| delivery.event.id.to_string()).collect();
    assert_eq!(taken, ids);
    // What the other consumer brings later is settled without being handed out.
    bus.publish(vec![crate::harness::event("d")]).await.expect("the bus takes it");
    let last = take(&bus, both, 1).await;
    assert_eq!(last[0].event.id.as_str(), "d");
}

#[tokio::test]
async fn a_name_that_the_layout_has_no_place_for_is_refused_in_words() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let bus = opened(argo(&server.url())).await;
    let refused = bus.subscribe(sensor(vec![interest("a.b", "push", "d")])).await.map(drop);
    let told = refused.expect_err("it can't be stored").to_string();
    assert!(told.contains("`a.b` can't stand in Argo's layout"), "{told}");
}
