use eventsource_core::Factory;
use serde_json::{Value, json};

use super::*;

/// The data of a message.
fn data(payload: &[u8], json_body: bool, metadata: &Value) -> Value {
    let body = if json_body {
        Payload::Json(Body::of(payload, true).unwrap())
    } else {
        Payload::Text(String::from_utf8_lossy(payload))
    };
    let metadata: Option<BTreeMap<String, String>> = serde_json::from_value(metadata.clone()).unwrap();
    serde_json::to_value(Data { channel: "orders", pattern: "", body, metadata: metadata.as_ref() }).unwrap()
}

#[test]
fn a_body_is_text_or_the_json_that_it_is() {
    for (payload, json_body, expected) in [
        (&b"hello"[..], false, json!("hello")),
        (b"{\"n\":1}", false, json!("{\"n\":1}")),
        (b"", false, json!("")),
        (b"a\xff\0b", false, json!("a\u{fffd}\0b")),
        (b"{\"n\":1}", true, json!({"n": 1})),
        (b" [null] ", true, json!([null])),
    ] {
        let whole = json!({"channel": "orders", "pattern": "", "body": expected});
        assert_eq!(data(payload, json_body, &Value::Null), whole, "{payload:?}");
    }
    let whole = json!({"channel": "orders", "pattern": "", "body": "x", "metadata": {"team": "shop"}});
    assert_eq!(data(b"x", false, &json!({"team": "shop"})), whole);
}

#[test]
fn what_is_missing_is_told() {
    let told = |config: Value| -> Vec<String> {
        let findings = Factory::of::<Redis>().check(&config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let secret = json!({"name": "n", "key": "k"});
    assert_eq!(
        told(json!({"hostAddress": "h", "channels": ["c"], "password": secret, "namespace": "n"})),
        [""; 0]
    );
    assert_eq!(told(json!({"hostAddress": "h", "channels": []})), ["Warning receives-nothing channels"]);
    assert_eq!(
        told(json!({"password": secret, "tls": {}})),
        [
            "Error missing-field hostAddress",
            "Error missing-field tls",
            "Error missing-field channels",
            "Error missing-field namespace"
        ]
    );
}
