//! The configuration, addresses, events as data, and the wire.

use eventsource_core::Factory;
use prost::Message as _;
use serde_json::{Value, json};

use crate::{Config, Data, Event, Generic, Wanted};

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Generic>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

fn config(fields: &Value) -> Value {
    let mut config = json!({"url": "h:1", "config": "c"});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

#[test]
fn what_is_wrong_is_told_at_once() {
    let secret = json!({"name": "n", "key": "k"});
    assert_eq!(told(&json!({})), ["Error missing-field url", "Error missing-field config"]);
    for (fields, expected) in [
        (json!({}), &[][..]),
        (json!({"insecure": true}), &[]),
        (json!({"tls": {}}), &["Error missing-field tls"]),
        (json!({"insecure": true, "tls": {"enabled": true}}), &["Warning no-tls tls"]),
        (json!({"insecure": true, "authSecret": secret}), &["Warning no-tls authSecret"]),
        (json!({"url": "host"}), &["Warning receives-nothing url"]),
    ] {
        assert_eq!(told(&config(&fields)), expected, "{fields}");
    }
}

#[test]
fn an_address_is_host_and_port() {
    for (url, expected) in [
        ("host:50051", Some("host:50051")),
        ("dns:///host.example:1", Some("host.example:1")),
        ("https://host:443/", Some("host:443")),
        ("[::1]:5", Some("[::1]:5")),
        ("host", None),
        ("host:1/path", None),
        ("unix:///tmp/socket", None),
        ("a b:1", None),
        (":1", None),
    ] {
        let config = Config { url: url.to_owned(), ..Config::default() };
        assert_eq!(config.target().as_deref(), expected, "{url}");
    }
}

fn data(payload: &'static [u8], fields: &Value) -> String {
    let event = Event { name: "ignored".to_owned(), payload: payload.into() };
    let config: Config = serde_json::from_value(config(fields)).unwrap();
    let data = Data::of(&event, &config).map(|data| serde_json::to_string(&data).unwrap());
    data.unwrap_or_else(|error| error.to_string())
}

#[test]
fn an_event_is_its_payload() {
    assert_eq!(data(b"hi", &json!({})), r#"{"body":"aGk="}"#);
    let fields = json!({"jsonBody": true, "metadata": {"team": "a"}});
    assert_eq!(data(b"{\"n\": 1}", &fields), r#"{"body":{"n": 1},"metadata":{"team":"a"}}"#);
    for payload in [&b"{"[..], b"", b"\xff"] {
        let told = data(payload, &fields);
        assert!(told.starts_with("`jsonBody` is set and the payload is no JSON"), "{told}");
    }
}

/// As every other implementation of the `.proto` writes them: field numbers and types.
#[test]
fn messages_are_those_of_the_proto() {
    let wanted = Wanted { name: "a".to_owned(), config: "b".into() };
    assert_eq!(wanted.encode_to_vec(), [0x0a, 1, b'a', 0x12, 1, b'b']);
    let event = Event::decode(&[0x0a, 1, b'n', 0x12, 2, b'h', b'i'][..]).unwrap();
    assert_eq!(event, Event { name: "n".to_owned(), payload: "hi".into() });
}
