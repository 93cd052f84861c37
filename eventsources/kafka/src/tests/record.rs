use eventsource_core::Draft;
use rdkafka::message::{Header, OwnedHeaders, OwnedMessage, Timestamp};
use serde_json::json;

use crate::record::Shape;

fn shape(json_body: bool) -> Shape {
    Shape { origin: "shop:orders:one:9092".to_owned(), json_body, metadata: None }
}

fn record(key: Option<&[u8]>, value: Option<&[u8]>, headers: Option<OwnedHeaders>) -> OwnedMessage {
    let at = Timestamp::CreateTime(1_767_323_045_120);
    let (key, value) = (key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec));
    OwnedMessage::new(value, key, "orders".to_owned(), at, 3, 42, headers)
}

/// What a draft shows of itself, as it has no other window: its debug text.
fn check(shape: &Shape, record: &OwnedMessage, expected: &serde_json::Value) {
    let draft: Draft = shape.draft(record).unwrap();
    let expected = Draft::json(Some("shop:orders:one:9092:orders:3:42".into()), expected).unwrap();
    assert_eq!(format!("{draft:?}"), format!("{expected:?}"));
}

#[test]
fn a_record_has_the_shape_and_the_id_that_the_reference_gives_it() {
    let headers = OwnedHeaders::new()
        .insert(Header { key: "trace", value: Some("first") })
        .insert(Header { key: "trace", value: Some("last") })
        .insert(Header::<&str> { key: "empty", value: None });
    check(
        &shape(true),
        &record(Some(b"k1"), Some(br#"{"n":1}"#), Some(headers)),
        &json!({
            "topic": "orders", "key": "k1", "partition": 3, "body": {"n": 1},
            "timestamp": "2026-01-02 03:04:05.12 +0000 UTC", "headers": {"empty": "", "trace": "last"},
        }),
    );
    check(
        &Shape { metadata: Some([("team".to_owned(), "shop".to_owned())].into()), ..shape(false) },
        &record(None, Some(b"\xff\xfe"), None),
        &json!({
            "topic": "orders", "key": "", "partition": 3, "body": "//4=",
            "timestamp": "2026-01-02 03:04:05.12 +0000 UTC", "headers": {}, "metadata": {"team": "shop"},
        }),
    );
}

#[test]
fn a_tombstone_has_no_body_and_a_record_may_have_no_time() {
    for json_body in [true, false] {
        let without_time =
            OwnedMessage::new(None, None, "orders".to_owned(), Timestamp::NotAvailable, 3, 42, None);
        check(
            &shape(json_body),
            &without_time,
            &json!({
                "topic": "orders", "key": "", "partition": 3, "body": null,
                "timestamp": "0001-01-01 00:00:00 +0000 UTC", "headers": {},
            }),
        );
    }
}

#[test]
fn a_key_that_is_no_text_is_shown_as_far_as_it_is() {
    check(
        &shape(false),
        &record(Some(b"a\xffb"), Some(b""), None),
        &json!({
            "topic": "orders", "key": "a\u{fffd}b", "partition": 3, "body": "",
            "timestamp": "2026-01-02 03:04:05.12 +0000 UTC", "headers": {},
        }),
    );
}

#[test]
fn a_body_that_is_no_json_is_unreadable_under_the_records_id() {
    for value in [&b""[..], b"{", b"\xff"] {
        let told = format!("{:?}", shape(true).draft(&record(None, Some(value), None)).unwrap());
        assert!(told.contains("Unreadable") && told.contains("shop:orders:one:9092:orders:3:42"), "{told}");
    }
}
