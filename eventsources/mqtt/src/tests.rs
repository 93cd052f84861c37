//! The configuration, addresses, and messages as data.

use eventsource_core::Factory;
use rumqttc::{Publish, QoS};
use serde_json::{Value, json};

use crate::broker::Address;
use crate::{Config, Data, Mqtt};

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Mqtt>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

fn config(fields: &Value) -> Value {
    let mut config = json!({"url": "tcp://h:1883", "topic": "t", "clientId": "c"});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

#[test]
fn what_is_wrong_is_told_at_once_and_behind_other_members_too() {
    let secret = json!({"name": "n", "key": "k"});
    let missing = ["Error missing-field url", "Error missing-field topic", "Error missing-field clientId"];
    assert_eq!(told(&json!({})), missing);
    for (fields, expected) in [
        (json!({}), &[][..]),
        (
            json!({"url": "ssl://h", "tls": {"enabled": true}, "auth": {"username": secret}}),
            &["Error missing-field auth.password"],
        ),
        (json!({"tls": {"enabled": true}}), &["Warning no-tls tls"]),
        (json!({"url": "http://h"}), &["Warning receives-nothing url"]),
        (json!({"topic": "a/#/b"}), &["Warning receives-nothing topic"]),
        (json!({"qos": 3}), &["Error bad-value qos"]),
        (json!({"cleanSession": false}), &["Warning keeps-nothing cleanSession"]),
        (json!({"cleanSession": false, "qos": 1}), &[]),
        (json!({"keepAlive": "soon"}), &["Error bad-value keepAlive"]),
    ] {
        assert_eq!(told(&config(&fields)), expected, "{fields}");
    }
}

#[test]
fn a_broker_is_asked_after_whole_seconds() {
    for (text, expected) in
        [("", 30), ("5s", 5), ("100ms", 1), ("1500ms", 1), ("2m", 120), ("100h", u16::MAX)]
    {
        let config: Config = serde_json::from_value(json!({"keepAlive": text})).unwrap();
        assert_eq!(config.keep_alive_seconds(), expected, "{text}");
    }
}

#[test]
fn an_address_tells_how_it_is_spoken_with_and_never_its_password() {
    for (text, expected) in [
        ("tcp://host", Some((false, "tcp://host:1883"))),
        ("mqtt://u:p@host:18", Some((false, "mqtt://host:18"))),
        ("ssl://host", Some((true, "ssl://host:8883"))),
        ("mqtts://host:1", Some((true, "mqtts://host:1"))),
        ("ws://host/mqtt", Some((false, "ws://host:80"))),
        ("wss://u:p@host:444/mqtt", Some((true, "wss://host:444"))),
        ("tcp://[::1]:5", Some((false, "tcp://[::1]:5"))),
        ("host:1883", None),
        ("tcp://", None),
        ("http://host", None),
        ("", None),
    ] {
        let found = Address::parse(text).map(|address| (address.speaks_tls(), address.place()));
        assert_eq!(found, expected.map(|(tls, place)| (tls, place.to_owned())), "{text}");
    }
}

fn data(topic: &str, pkid: u16, payload: &[u8], fields: &Value) -> String {
    let mut message = Publish::new(topic, QoS::AtLeastOnce, payload);
    message.pkid = pkid;
    let config: Config = serde_json::from_value(config(fields)).unwrap();
    let data = Data::of(&message, &config).map(|data| serde_json::to_string(&data).unwrap());
    data.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_message_is_its_topic_its_number_and_its_body() {
    assert_eq!(data("a/b", 0, b"{}", &json!({})), r#"{"topic":"a/b","messageId":0,"body":"e30="}"#);
    let fields = json!({"jsonBody": true, "metadata": {"team": "a"}});
    assert_eq!(
        data("a/b", 7, b"[1, 2]", &fields),
        r#"{"topic":"a/b","messageId":7,"body":[1, 2],"metadata":{"team":"a"}}"#
    );
    for payload in [&b"{"[..], b"", b"\xff"] {
        let told = data("a", 1, payload, &fields);
        assert!(told.starts_with("`jsonBody` is set and the payload is no JSON"), "{told}");
    }
}
