use eventsource_core::Factory;
use redis::Value;
use serde_json::json;

use super::*;

fn bytes(text: &[u8]) -> Value {
    Value::BulkString(text.to_vec())
}

/// An answer to XREADGROUP: streams with their entries.
fn answer(streams: &[(&str, Vec<Value>)]) -> Value {
    Value::Map(
        streams
            .iter()
            .map(|(name, entries)| (bytes(name.as_bytes()), Value::Array(entries.clone())))
            .collect(),
    )
}

fn entry(id: &str, values: Value) -> Value {
    Value::Array(vec![bytes(id.as_bytes()), values])
}

fn fields(values: &[&[u8]]) -> Value {
    Value::Array(values.iter().map(|value| bytes(value)).collect())
}

/// The data of each entry, or why there is none.
fn data(answer: Value, metadata: &serde_json::Value) -> Vec<serde_json::Value> {
    let metadata: Option<BTreeMap<String, String>> = serde_json::from_value(metadata.clone()).unwrap();
    let told = |entry: &Entry| {
        let Some(values) = &entry.values else { return json!("deleted") };
        let (stream, message_id) = (entry.stream.as_str(), entry.id.to_string());
        serde_json::to_value(Data { stream, message_id, values, metadata: metadata.as_ref() }).unwrap()
    };
    entries(answer).unwrap().iter().map(told).collect()
}

#[test]
fn an_entry_becomes_its_stream_its_id_and_its_values() {
    let read = answer(&[
        ("orders", vec![entry("1700-0", fields(&[b"sku", b"a1", b"n", b"2"])), entry("1700-1", fields(&[]))]),
        ("old", vec![]),
        ("returns", vec![entry("5-3", fields(&[b"sku", b"b", b"sku", b"c"])), entry("5-4", Value::Nil)]),
    ]);
    let expected = [
        json!({"stream": "orders", "message_id": "1700-0", "values": {"sku": "a1", "n": "2"}, "metadata": {"team": "shop"}}),
        json!({"stream": "orders", "message_id": "1700-1", "values": {}, "metadata": {"team": "shop"}}),
        json!({"stream": "returns", "message_id": "5-3", "values": {"sku": "c"}, "metadata": {"team": "shop"}}),
        json!("deleted"),
    ];
    assert_eq!(data(read, &json!({"team": "shop"})), expected);
}

#[test]
fn what_is_no_text_keeps_its_place() {
    let read = answer(&[("orders", vec![entry("1-0", fields(&[b"\xffname", b"a\xfe\xfdb\0"]))])]);
    let expected = [
        json!({"stream": "orders", "message_id": "1-0", "values": {"\u{fffd}name": "a\u{fffd}\u{fffd}b\0"}}),
    ];
    assert_eq!(data(read, &json!(null)), expected);
}

#[test]
fn an_answer_is_entries_or_none() {
    assert_eq!(entries(Value::Nil), Some(Vec::new()));
    for odd in [
        Value::Int(1),
        Value::Map(vec![(bytes(b"orders"), Value::Int(1))]),
        answer(&[("orders", vec![Value::Nil])]),
        answer(&[("orders", vec![entry("no id", fields(&[]))])]),
        answer(&[("orders", vec![entry("1-0", Value::Int(1))])]),
        answer(&[("orders", vec![Value::Array(vec![])])]),
    ] {
        assert_eq!(entries(odd.clone()), None, "{odd:?}");
    }
}

#[test]
fn ids_are_in_order() {
    let id = |text: &str| text.parse::<EntryId>().unwrap();
    assert!(id("9-0") < id("10-0") && id("10-9") < id("10-10"));
    assert_eq!(id("18446744073709551615-1").to_string(), "18446744073709551615-1");
    for none in ["", "1", "a-b", "1-", "-1", "99999999999999999999-0"] {
        assert!(none.parse::<EntryId>().is_err(), "{none}");
    }
}

#[test]
fn a_stream_whose_last_answer_was_empty_is_read_on() {
    let zero = EntryId::default();
    let before = BTreeMap::from([("a".to_owned(), zero), ("b".to_owned(), zero)]);
    let batch =
        entries(answer(&[("a", vec![entry("1-0", Value::Nil), entry("2-0", Value::Nil)]), ("b", vec![])]))
            .unwrap();
    let after = still_unacknowledged(&before, &batch);
    assert_eq!(after, BTreeMap::from([("a".to_owned(), "2-0".parse().unwrap())]));
    // A new entry of `b` does not bring it back.
    let batch = entries(answer(&[("b", vec![entry("3-0", Value::Nil)])])).unwrap();
    assert_eq!(still_unacknowledged(&after, &batch), BTreeMap::new());
}

#[test]
fn what_is_missing_is_told() {
    let told = |config: serde_json::Value| -> Vec<String> {
        let findings = Factory::of::<RedisStream>().check(&config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    assert_eq!(told(json!({"hostAddress": "h", "streams": ["s"]})), [""; 0]);
    assert_eq!(
        told(json!({"tls": {}})),
        ["Error missing-field hostAddress", "Error missing-field tls", "Error missing-field streams"]
    );
    assert_eq!(
        told(json!({"hostAddress": "h", "streams": [], "db": -1})),
        ["Error bad-value db", "Warning receives-nothing streams"]
    );
}

#[test]
fn what_is_left_out_is_as_in_the_reference() {
    let group = |config: Config| {
        config.group().map(|group| (group.name, group.streams)).map_err(|error| error.to_string())
    };
    let of = |streams: &[&str]| Some(streams.iter().map(|stream| (*stream).to_owned()).collect());
    let config = Config { streams: of(&["b", "a", "b"]), ..Config::default() };
    assert_eq!(
        group(config.clone()),
        Ok(("argo-events-cg".to_owned(), vec!["a".to_owned(), "b".to_owned()]))
    );
    assert!(group(Config::default()).unwrap_err().contains("nothing would be received"));
    for (given, count) in [(0, 10), (-5, 10), (1, 1), (500, 500), (1_000_000, 10_000)] {
        assert_eq!(Config { max_msg_count_per_read: given, ..config.clone() }.count(), count, "{given}");
    }
}
