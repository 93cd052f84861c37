//! The configuration, and messages as data.

use async_nats::{HeaderMap, Message};
use eventsource_core::Factory;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::connection::{self, Heard, heard};
use crate::{Config, Data, Nats};

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Nats>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

#[test]
fn what_is_wrong_is_told_at_once_and_behind_other_members_too() {
    let secret = json!({"name": "n", "key": "k"});
    for (config, expected) in [
        (json!({"url": "nats://h:4222", "subject": "s"}), &[][..]),
        (
            json!({"tls": {}}),
            &["Error missing-field url", "Error missing-field subject", "Error missing-field tls"],
        ),
        (
            json!({"url": "u", "subject": "s", "queue": "", "tls": {"enabled": true}}),
            &["Error bad-value queue"],
        ),
        (
            json!({"url": "u", "subject": "s", "auth": {"basic": {"username": secret}}}),
            &["Warning receives-nothing auth.basic.password"],
        ),
        (json!({"url": "u", "subject": "s", "auth": {}}), &[]),
    ] {
        assert_eq!(told(&config), expected, "{config}");
    }
}

fn message(subject: &str, payload: &'static [u8], headers: &[(&str, &str)]) -> Message {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    Message {
        subject: subject.into(),
        reply: Some("answer.here".into()),
        payload: payload.into(),
        headers: (!headers.is_empty()).then_some(map),
        status: None,
        description: None,
        length: payload.len(),
    }
}

fn data(message: &Message, config: Value) -> String {
    let config: Config = serde_json::from_value(config).unwrap();
    let data = Data::of(message, &config).map(|data| serde_json::to_string(&data).unwrap());
    data.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_message_is_its_subject_its_body_and_its_headers_as_sent() {
    let plain = message("orders.new", b"{\"n\": 1}", &[]);
    assert_eq!(data(&plain, json!({})), r#"{"subject":"orders.new","body":"eyJuIjogMX0="}"#);
    assert_eq!(
        data(&plain, json!({"jsonBody": true, "metadata": {"team": "a"}})),
        r#"{"subject":"orders.new","body":{"n": 1},"metadata":{"team":"a"}}"#
    );
    let headed = message("s", b"", &[("x-Trace", "1"), ("Nats-Msg-Id", "m"), ("x-Trace", "2")]);
    assert_eq!(
        data(&headed, json!({})),
        r#"{"subject":"s","body":"","header":{"Nats-Msg-Id":["m"],"x-Trace":["1","2"]}}"#
    );
}

#[test]
fn a_payload_that_is_no_json_is_unreadable_where_json_is_asked_for() {
    for payload in [&b"{"[..], b"", b"\xff"] {
        let told = data(&message("s", payload, &[]), json!({"jsonBody": true}));
        assert!(told.starts_with("`jsonBody` is set and the payload is no JSON"), "{told}");
    }
}

#[test]
fn the_end_of_a_connection_stands_behind_what_has_come() {
    let messages = || stream::iter((0..3).map(|_| message("s", b"", &[])));
    let (sender, notices) = mpsc::channel(4);
    for notice in [Heard::End("revoked".to_owned()), Heard::Loss, Heard::End("lost".to_owned())] {
        sender.try_send(notice).unwrap();
    }
    // More messages might follow, and none does.
    let mut heard = heard(messages().chain(stream::pending()), notices, "nats://h".to_owned());
    let told: Vec<_> = std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(kind).collect();
    assert_eq!(told, ["loss", "message", "message", "message", "revoked"]);
    let (_sender, notices) = mpsc::channel(1);
    let mut heard = connection::heard(messages(), notices, "nats://h".to_owned());
    let told: Vec<_> = std::iter::from_fn(|| heard.next().now_or_never().flatten()).map(kind).collect();
    assert_eq!(told, ["message", "message", "message", "the connection to nats://h is lost"]);
}

fn kind(heard: Heard) -> String {
    match heard {
        Heard::Message(_) => "message".to_owned(),
        Heard::Loss => "loss".to_owned(),
        Heard::End(why) => why,
    }
}
