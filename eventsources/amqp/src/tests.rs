//! The configuration, addresses, arguments, and messages as data.

use eventsource_core::Factory;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use serde_json::{Value, json};

use crate::address::Address;
use crate::{Amqp, Config, Data, arguments, time};

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Amqp>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

fn config(fields: &Value) -> Value {
    let mut config = json!({"url": "amqp://h", "exchangeName": "e", "exchangeType": "t", "routingKey": "k"});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

#[test]
fn what_is_wrong_is_told_at_once_and_behind_other_members_too() {
    let secret = json!({"name": "n", "key": "k"});
    let missing = [
        "Error missing-field url",
        "Error missing-field routingKey",
        "Error missing-field exchangeType",
        "Warning receives-nothing exchangeName",
    ];
    assert_eq!(told(&json!({})), missing);
    for (fields, expected) in [
        (json!({}), &[][..]),
        (json!({"urlSecret": secret}), &["Error bad-value urlSecret"]),
        (json!({"url": "", "urlSecret": secret}), &[]),
        (json!({"url": "http://h"}), &["Warning receives-nothing url"]),
        (json!({"tls": {"enabled": true}}), &["Warning no-tls tls"]),
        (
            json!({"url": "amqps://h", "tls": {"enabled": true}, "auth": {"username": secret}}),
            &["Error missing-field auth.password"],
        ),
        (json!({"routingKey": "k".repeat(256)}), &["Warning receives-nothing routingKey"]),
        (json!({"queueDeclare": {"arguments": "x-queue-type: quorum"}}), &[]),
        (
            json!({"queueDeclare": {"arguments": "quorum"}}),
            &["Warning receives-nothing queueDeclare.arguments"],
        ),
    ] {
        assert_eq!(told(&config(&fields)), expected, "{fields}");
    }
}

#[test]
fn a_partial_object_sets_its_other_members_to_false() {
    let config = config(&json!({"queueDeclare": {"name": "q"}, "exchangeDeclare": {}, "consume": {}}));
    let config: Config = serde_json::from_value(config).unwrap();
    assert!(!config.acknowledges_early());
    assert!(!config.queue_declare.unwrap().exclusive);
    assert!(!config.exchange_declare.unwrap().durable);
}

#[test]
fn an_address_has_a_virtual_host_and_never_tells_its_password() {
    for (text, expected) in [
        ("amqp://host", Some(("amqp://host:5672", "/", false))),
        ("amqp://host/", Some(("amqp://host:5672", "/", false))),
        ("amqp://u:p@host:1/%2Fshop", Some(("amqp://host:1", "/shop", false))),
        ("amqps://127.0.0.1/orders", Some(("amqps://127.0.0.1:5671", "orders", true))),
        ("amqp://[::1]:2", Some(("amqp://[::1]:2", "/", false))),
        ("http://host", None),
        ("host:5672", None),
        ("amqp://", None),
        ("", None),
    ] {
        let address = Address::parse(text);
        let found =
            address.as_ref().map(|found| (found.place(), found.vhost().to_owned(), found.speaks_tls()));
        assert_eq!(
            found,
            expected.map(|(place, vhost, tls)| (place.to_owned(), vhost.to_owned(), tls)),
            "{text}"
        );
    }
    let uri = Address::parse("amqp://a:b@host?heartbeat=3")
        .unwrap()
        .with_login("u".into(), "p@:".into())
        .into_uri();
    assert_eq!(
        (uri.authority.userinfo.username.as_str(), uri.authority.userinfo.password.as_str()),
        ("u", "p@:")
    );
    assert_eq!(uri.query.heartbeat, Some(3));
}

#[test]
fn arguments_are_a_table() {
    let table = arguments::parse(
        "x-queue-type: quorum\nx-max-length: 10\nx-single-active-consumer: true\nx-part: 0.5",
    )
    .unwrap();
    let mut expected = FieldTable::default();
    for (name, value) in [
        ("x-queue-type", AMQPValue::LongString("quorum".into())),
        ("x-max-length", AMQPValue::LongLongInt(10)),
        ("x-single-active-consumer", AMQPValue::Boolean(true)),
        ("x-part", AMQPValue::Double(0.5)),
    ] {
        expected.insert(ShortString::from(name), value);
    }
    assert_eq!(table, expected);
    assert_eq!(arguments::parse(" \n").unwrap(), FieldTable::default());
    for text in ["- a", "a: [", "text", "1"] {
        assert!(arguments::parse(text).is_err(), "{text}");
    }
    let long = format!("{}: 1", "n".repeat(256));
    assert_eq!(arguments::parse(&long).unwrap_err(), "expected names of at most 255 bytes, found one of 256");
}

fn data(payload: &[u8], properties: BasicProperties, fields: &Value) -> String {
    let mut message = Delivery::mock(1, "shop".into(), "orders.new".into(), false, payload.to_vec());
    message.properties = properties;
    let config: Config = serde_json::from_value(config(fields)).unwrap();
    let data = Data::of(&message, &config).map(|data| serde_json::to_string(&data).unwrap());
    data.unwrap_or_else(|error| error.to_string())
}

#[test]
fn a_message_is_its_properties_and_its_body() {
    assert_eq!(
        data(b"hi", BasicProperties::default(), &json!({})),
        r#"{"contentType":"","contentEncoding":"","deliveryMode":0,"priority":0,"correlationId":"","replyTo":"","expiration":"","messageId":"","timestamp":"0001-01-01 00:00:00 +0000 UTC","type":"","appId":"","exchange":"shop","routingKey":"orders.new","body":"aGk="}"#
    );
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        .with_delivery_mode(2)
        .with_priority(5)
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_expiration("60000".into())
        .with_message_id("m".into())
        .with_timestamp(1_767_304_923)
        .with_type("order".into())
        .with_app_id("a".into());
    let fields = json!({"jsonBody": true, "metadata": {"team": "x"}});
    assert_eq!(
        data(b"{\"n\": 1}", properties, &fields),
        r#"{"contentType":"application/json","contentEncoding":"utf-8","deliveryMode":2,"priority":5,"correlationId":"c","replyTo":"r","expiration":"60000","messageId":"m","timestamp":"2026-01-01 22:02:03 +0000 UTC","type":"order","appId":"a","exchange":"shop","routingKey":"orders.new","body":{"n": 1},"metadata":{"team":"x"}}"#
    );
    for payload in [&b"{"[..], b"", b"\xff"] {
        let told = data(payload, BasicProperties::default(), &fields);
        assert!(told.starts_with("`jsonBody` is set and the payload is no JSON"), "{told}");
    }
}

#[test]
fn a_time_that_no_calendar_knows_is_none() {
    assert_eq!(time(Some(0)), "1970-01-01 00:00:00 +0000 UTC");
    for none in [None, Some(u64::MAX), Some(i64::MAX as u64)] {
        assert_eq!(time(none), "0001-01-01 00:00:00 +0000 UTC", "{none:?}");
    }
}
