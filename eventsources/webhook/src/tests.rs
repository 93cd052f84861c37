//! Requests and what they become, without a socket.

use eventsource_core::EventSource as _;
use serde_json::{Value, json};

use crate::webhook::Webhook;

fn findings<S: eventsource_core::EventSource>(config: &Value) -> Vec<String> {
    let factory = eventsource_core::Factory::of::<S>();
    factory.check(config).into_iter().map(|finding| format!("{}: {}", finding.code, finding.path)).collect()
}

#[test]
fn an_endpoint_without_a_slash_and_a_port_without_a_number_are_both_told() {
    let config = json!({"endpoint": "push", "port": "http", "method": "POST"});
    assert_eq!(findings::<Webhook>(&config), ["bad-value: endpoint", "bad-value: port"]);
}

#[test]
fn a_misspelt_field_is_a_warning_and_the_wrong_type_an_error() {
    let config = json!({"endpoint": "/push", "port": 12000, "method": "POST", "maxPayLoadSize": 5});
    assert_eq!(findings::<Webhook>(&config), ["wrong-type: port", "unknown-field: maxPayLoadSize"]);
}

#[test]
fn a_certificate_without_its_key_is_told_to_be_no_tls() {
    let secret = json!({"name": "tls", "key": "crt"});
    let config = json!({"endpoint": "/", "port": "12000", "method": "POST", "serverCertSecret": secret});
    assert_eq!(findings::<Webhook>(&config), ["no-tls: serverCertSecret"]);
}

#[test]
fn two_events_that_want_one_place_can_be_found_by_their_routes() {
    let config =
        serde_json::from_value(json!({"endpoint": "/push", "port": "12000", "method": "POST"})).unwrap();
    assert_eq!(Webhook::routes(&config).len(), 1);
}

#[path = "../tests/openssl/mod.rs"]
mod openssl;
mod served;
mod settings;
mod signatures;
mod tokens;

/// A request as it reaches an event source.
fn request(
    method: http::Method,
    headers: &[(&str, &str)],
    body: impl Into<bytes::Bytes>,
) -> eventsource_core::Request {
    let mut map = http::HeaderMap::new();
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        map.append(name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    eventsource_core::Request {
        method,
        path: "/hook".to_owned(),
        query: None,
        headers: map,
        body: body.into(),
    }
}

/// An object with more members, or others.
fn with_members(mut object: Value, members: Value) -> Value {
    if let (Value::Object(object), Value::Object(members)) = (&mut object, members) {
        object.extend(members);
    }
    object
}

/// What a refused caller is told; `ok` for one that is not.
fn told<T>(result: &Result<T, eventsource_core::Refusal>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(refusal) => refusal.text().to_owned(),
    }
}
