//! CloudEvents through `webhook` onto the bus.

use std::sync::Arc;

use eventsource_core::testkit::Kit;
use eventsource_webhook::webhook::Webhook;
use serde_json::{Value, json};
use zetes_api::Event;

use crate::calls::{Answer, post, served, with_members};

const STRUCTURED: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json";

struct Passing {
    kit: Kit,
    _source: eventsource_core::testkit::Source,
}

impl Passing {
    async fn start(members: Value) -> Self {
        let kit = Kit::new();
        let config = with_members(
            json!({"endpoint": "/events", "port": "0", "method": "POST", "cloudEvents": true}),
            members,
        );
        let source = kit.start::<Webhook>(config);
        source.serving().await;
        served(&kit, "/events").await;
        Self { kit, _source: source }
    }

    async fn send(&self, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Answer {
        post(&self.kit, "/events", headers, body).await
    }

    async fn structured(&self, event: &Value) -> Answer {
        self.send(&[("content-type", STRUCTURED)], event.to_string()).await
    }

    async fn only(&self) -> Arc<Event> {
        let events = self.kit.events(1).await;
        assert_eq!(events.len(), 1);
        events[0].clone()
    }
}

fn context(event: &Event) -> Value {
    serde_json::from_str(&event.context_json()).unwrap()
}

fn event(members: Value) -> Value {
    with_members(
        json!({"specversion": "1.0", "id": "e-1", "source": "/shop", "type": "com.example.paid"}),
        members,
    )
}

#[tokio::test]
async fn a_binary_event_keeps_what_it_is_and_routes_as_ours() {
    let passing = Passing::start(json!({})).await;
    let headers = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A234-1234"),
        ("ce-source", "https://example.com/shop?a=%3Cb%3E"),
        ("ce-type", "com.example.paid"),
        ("ce-subject", "Z%C3%BCrich%20%22"),
        ("ce-time", "2018-04-05T17:31:00.5+02:00"),
        ("ce-partitionkey", "k"),
        ("ce-traceparent", "00-4bf9-01"),
    ];
    let answer = passing.send(&headers, r#"{"n": 12345678901234567890, "m":1.50}"#).await;
    answer.is(200, "success");
    assert_eq!(answer.header("x-event-id"), "A234-1234");
    let event = passing.only().await;
    assert_eq!((event.id.as_str(), event.event_type.as_str()), ("A234-1234", "com.example.paid"));
    assert_eq!(
        (event.source.as_str(), event.subject.as_str()),
        ("source", "event"),
        "dependencies match on these"
    );
    assert_eq!(event.time.unwrap().to_string(), "2018-04-05T15:31:00.5Z");
    assert_eq!(event.data_text(), Some(r#"{"n": 12345678901234567890, "m":1.50}"#), "as it is");
    let context = context(&event);
    assert_eq!(context["originsource"], "https://example.com/shop?a=<b>");
    assert_eq!(context["originsubject"], "Z\u{fc}rich \"");
    assert_eq!((&context["partitionkey"], &context["traceparent"]), (&json!("k"), &json!("00-4bf9-01")));
    // The same event again is the same event.
    passing.send(&headers, "{}").await.is(200, "success");
    passing.only().await;
}

#[tokio::test]
async fn a_structured_event_keeps_what_it_is() {
    let passing = Passing::start(json!({})).await;
    let sent = event(json!({
        "subject": "order-7", "time": "2026-01-31T08:30:00Z", "datacontenttype": "application/vnd.shop+json",
        "dataschema": "https://example.com/paid.json", "sequence": 7, "sampled": true, "nothing": null,
        "originsource": "somebody's own", "data": {"total": 5},
    }));
    passing.structured(&sent).await.is(200, "success");
    let event = passing.only().await;
    assert_eq!(event.data_text(), Some(r#"{"total":5}"#));
    let context = context(&event);
    let shown = [
        "id",
        "source",
        "subject",
        "type",
        "time",
        "originsource",
        "originsubject",
        "dataschema",
        "sequence",
        "sampled",
    ];
    let shown: Value = shown.iter().map(|name| ((*name).to_owned(), context[*name].clone())).collect();
    let expected = json!({
        "id": "e-1", "source": "source", "subject": "event", "type": "com.example.paid", "time": "2026-01-31T08:30:00Z",
        "originsource": "/shop", "originsubject": "order-7", "dataschema": "https://example.com/paid.json",
        "sequence": 7, "sampled": true,
    });
    assert_eq!(shown, expected);
    assert_eq!(context.get("nothing"), None);
}

#[tokio::test]
async fn a_batch_is_one_event_each() {
    let passing = Passing::start(json!({})).await;
    let batch = |events: &[Value]| json!(events).to_string();
    let send = async |text: String| passing.send(&[("content-type", BATCH)], text).await;
    let events: Vec<_> =
        (0..50).map(|number| event(json!({"id": format!("e-{number}"), "data": number}))).collect();
    let answer = send(batch(&events)).await;
    answer.is(200, "success");
    assert_eq!(answer.header("x-event-id"), "e-0");
    let data: Vec<_> = passing.kit.data(50).await;
    assert_eq!(data, (0..50).map(|number| json!(number)).collect::<Vec<_>>());
    // One that is wrong, and none is taken: the caller sends the batch again.
    let bad = send(batch(&[event(json!({"id": "new"})), event(json!({"id": ""}))])).await;
    bad.is(400, "event 1 of the batch: CloudEvents attribute `id`: expected a text that is not empty");
    assert_eq!(passing.kit.events_now().await.len(), 50);
    send("[]".to_owned()).await.is(200, "success");
    send("{}".to_owned())
        .await
        .is(400, "the batch is no JSON array: invalid type: map, expected a sequence at line 1 column 0");
    passing.kit.refuse();
    assert_eq!(send(batch(&[event(json!({"id": "new"}))])).await.status, 503);
    passing.kit.take();
}

#[tokio::test]
async fn data_is_json_as_it_is_or_base64_with_its_type() {
    let passing = Passing::start(json!({})).await;
    let png = |bytes: &str| json!({"datacontenttype": "image/png", "data_base64": bytes});
    let text = |bytes: &str| json!({"datacontenttype": "text/plain", "data_base64": bytes});
    let cases = [
        (event(json!({"data": null})), json!(null)),
        (event(json!({})), json!(null)),
        (event(json!({"data": "a text"})), json!("a text")),
        (event(json!({"data_base64": "eyJhIjoxfQ=="})), json!({"a": 1})),
        (event(json!({"datacontenttype": "image/png", "data_base64": "iVBORw=="})), png("iVBORw==")),
        (event(json!({"datacontenttype": "text/plain", "data": "hi"})), text("aGk=")),
        (event(json!({"datacontenttype": "text/plain", "data": {"a": 1}})), text("eyJhIjoxfQ==")),
        (event(json!({"datacontenttype": "text/plain", "data": null})), json!(null)),
    ];
    for (number, (mut event, expected)) in cases.into_iter().enumerate() {
        event["id"] = json!(format!("{number}"));
        passing.structured(&event).await.is(200, "success");
        assert_eq!(passing.kit.data(number + 1).await[number], expected, "{event}");
    }
    let headers = |content_type| {
        [
            ("content-type", content_type),
            ("ce-specversion", "1.0"),
            ("ce-id", "binary"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
        ]
    };
    passing.send(&headers("image/png"), *b"\x89PNG").await.is(200, "success");
    assert_eq!(passing.kit.data(9).await[8], png("iVBORw=="), "in both modes alike");
}

#[tokio::test]
async fn what_is_no_cloud_event_is_refused_with_the_attribute() {
    let passing = Passing::start(json!({})).await;
    let cases = [
        (event(json!({"specversion": "0.3"})), "`specversion`: expected `1.0`"),
        (event(json!({"specversion": null})), "`specversion`: expected `1.0`"),
        (event(json!({"id": null})), "`id`: expected a text that is not empty, found none"),
        (event(json!({"id": 5})), "`id`: expected a text that is not empty"),
        (event(json!({"source": ""})), "`source`: expected a text that is not empty"),
        (event(json!({"source": "a b"})), "`source`: expected a URI reference"),
        (event(json!({"type": null})), "`type`: expected a text that is not empty, found none"),
        (event(json!({"time": "yesterday"})), "`time`: expected an RFC 3339 time"),
        (event(json!({"subject": ["a"]})), "`subject`: expected a text that is not empty"),
        (event(json!({"some_name": "x"})), "`some_name`: expected a name of lower-case letters and digits"),
        (event(json!({"nested": {"a": 1}})), "`nested`: expected a text, a number or a boolean"),
        (event(json!({"data_base64": "%"})), "`data_base64`: expected base64 text"),
        (
            event(json!({"data": 1, "data_base64": "AA=="})),
            "`data`: expected `data` or `data_base64`, found both",
        ),
    ];
    for (event, expected) in cases {
        passing.structured(&event).await.is(400, &format!("CloudEvents attribute {expected}"));
    }
    let binary = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];
    let with = |more: &[(&'static str, &'static str)]| [&binary[..], more].concat();
    for (headers, body, expected) in [
        (
            with(&[("content-type", "application/json")]),
            "{",
            "`data`: expected JSON, as `application/json` says",
        ),
        (with(&[("ce-data", "1")]), "{}", "`data`: expected the header `Content-Type` and the body"),
        (with(&[("ce-id", "2")]), "{}", "`id`: expected one header of that name"),
        (with(&[("ce-some-name", "2")]), "{}", "`some-name`: expected a name"),
        (with(&[("ce-x", "%ff")]), "{}", "`x`: expected percent-encoded UTF-8 text"),
        (binary[..3].to_vec(), "{}", "`type`: expected a text that is not empty, found none"),
    ] {
        let answer = passing.send(&headers, body).await;
        assert_eq!(answer.status, 400, "{headers:?}");
        assert!(answer.text.starts_with(&format!("CloudEvents attribute {expected}")), "{}", answer.text);
    }
    for (content_type, body) in
        [("application/json", "{}"), ("application/cloudevents+avro", ""), (STRUCTURED, "{")]
    {
        assert_eq!(passing.send(&[("content-type", content_type)], body).await.status, 400, "{content_type}");
    }
    assert_eq!(passing.kit.events_now().await.len(), 0);
}

#[tokio::test]
async fn the_filter_sees_the_data_of_an_event() {
    let passing = Passing::start(json!({"filter": {"expression": "total > 4"}})).await;
    passing.structured(&event(json!({"id": "small", "data": {"total": 4}}))).await.is(200, "success");
    passing.structured(&event(json!({"id": "large", "data": {"total": 5}}))).await.is(200, "success");
    assert_eq!(passing.only().await.id.as_str(), "large");
}

#[tokio::test]
async fn without_the_field_a_cloud_event_is_a_body_like_any_other() {
    let passing = Passing::start(json!({"cloudEvents": false})).await;
    passing.structured(&event(json!({"data": 1}))).await.is(200, "success");
    let event = passing.only().await;
    assert_eq!(event.event_type, "webhook");
    let data: Value = serde_json::from_str(event.data_text().unwrap()).unwrap();
    assert_eq!(data["body"]["id"], "e-1");
    assert_eq!(context(&event).get("originsource"), None);
}
