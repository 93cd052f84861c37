//! Calls to a real server: what is sent, and which answers are successes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use sensor_core::{Error, Parameters, Planning, Round, Trigger as _};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use zetes_api::Event;

use crate::{Call, Config, Http, Success};

fn round() -> Round {
    let event = Event::with_data("webhook", "shop", "order", "e1", r#"{"body":{"id":"a1","total":250}}"#);
    Round {
        key: "the-key".into(),
        namespace: "shop".into(),
        sensor: "orders".into(),
        trigger: "tell".into(),
        role: zetes_api::Role::Main,
        batch: Vec::new(),
        flow_key: "".into(),
        events: BTreeMap::from([("order".into(), Arc::new(event))]),
        complete_at: Timestamp::UNIX_EPOCH,
    }
}

fn http(config: Value, success: Success) -> Http {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let config: Config = serde_json::from_value(config).unwrap();
    Http {
        client: reqwest::Client::builder().no_proxy().build().unwrap(),
        document: serde_json::to_string(&config).unwrap(),
        parameters: Parameters::compile(&config.parameters).unwrap(),
        payload: Parameters::compile(&config.payload).unwrap(),
        dynamic_headers: Parameters::compile(&config.dynamic_headers).unwrap(),
        secure_headers: Vec::new(),
        basic: None,
        success,
    }
}

fn payload() -> Value {
    json!([
        {"src": {"dependencyName": "order", "dataKey": "body.id"}, "dest": "order"},
        {"src": {"dependencyName": "order", "dataKey": "body.total", "useRawData": true}, "dest": "total"},
    ])
}

#[test]
fn the_action_shows_what_will_be_sent() {
    let config = json!({
        "url": "http://old.example.com", "payload": payload(), "headers": {"Content-Type": "application/json"},
        "parameters": [{"src": {"dependencyName": "order", "value": "http://new.example.com"}, "dest": "url"},
                       {"src": {"dependencyName": "order", "dataKey": "body.missing", "value": "http://new.example.com"}, "dest": "url"}],
        "dynamicHeaders": [{"src": {"dependencyName": "order", "contextKey": "id"}, "dest": "X-Order-Event"}],
    });
    insta::assert_yaml_snapshot!(http(config, Success::Under400).plan(&Planning::of(&round())).unwrap());
}

#[test]
fn a_value_that_is_not_there_and_has_no_fallback_is_permanent() {
    let config = json!({"url": "http://x", "payload": [{"src": {"dependencyName": "order", "dataKey": "body.nothing"}, "dest": "x"}]});
    let error = http(config, Success::Under400).plan(&Planning::of(&round())).unwrap_err();
    assert!(!error.is_transient() && error.to_string().contains("body.nothing"), "{error}");
}

type Seen = Arc<Mutex<Vec<(String, String)>>>;

/// Answers with the status that the path names, and notes the key and the body.
async fn server() -> (String, Seen, AbortOnDropHandle<()>) {
    async fn answer(State(seen): State<Seen>, request: Request) -> (StatusCode, &'static str) {
        let status: u16 = request.uri().path().trim_start_matches('/').parse().unwrap();
        let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        let has_type = request.headers().contains_key("content-type");
        seen.lock().unwrap().push((key, format!("content type: {has_type}")));
        (StatusCode::from_u16(status).unwrap(), "the reason")
    }
    let seen = Seen::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(answer).with_state(seen.clone());
    #[expect(clippy::disallowed_methods, reason = "the handle is kept, and ends the task when it is dropped")]
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, seen, AbortOnDropHandle::new(serving))
}

fn call(url: String) -> Call {
    Call { method: "POST".to_owned(), url, headers: BTreeMap::new(), body: "{}".to_owned() }
}

#[tokio::test]
async fn statuses_are_success_transient_or_permanent() {
    let (url, seen, _serving) = server().await;
    let trigger = http(json!({"url": url}), Success::Under400);
    for (status, expected) in [
        (200, "done"),
        (204, "done"),
        (400, "permanent"),
        (404, "permanent"),
        (429, "transient"),
        (500, "transient"),
        (503, "transient"),
    ] {
        let got = match trigger.fire(&call(format!("{url}/{status}")), &"the-key".into()).await {
            Ok(_) => "done",
            Err(Error::Permanent(_)) => "permanent",
            Err(_) => "transient",
        };
        assert_eq!(got, expected, "{status}");
    }
    let seen = seen.lock().unwrap();
    assert!(seen.iter().all(|(key, _)| key == "the-key"), "{seen:?}");
    assert!(
        seen.iter().all(|(_, content_type)| content_type == "content type: false"),
        "none is added: {seen:?}"
    );
}

#[tokio::test]
async fn a_policy_says_exactly_which_statuses_are_successes() {
    let (url, _, _serving) = server().await;
    let trigger = http(json!({"url": url}), Success::Listed(vec![200, 404]));
    assert!(trigger.fire(&call(format!("{url}/404")), &"k".into()).await.is_ok());
    let error = trigger.fire(&call(format!("{url}/202")), &"k".into()).await.unwrap_err();
    assert!(
        error.is_transient()
            && error.to_string().contains("HTTP 202")
            && error.to_string().contains("the reason"),
        "{error}"
    );
    let any = http(json!({"url": url}), Success::Any);
    assert!(any.fire(&call(format!("{url}/500")), &"k".into()).await.is_ok());
}

#[tokio::test]
async fn a_target_that_is_not_there_is_transient_and_its_password_is_not_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let trigger = http(json!({"url": "http://x"}), Success::Under400);
    let error = trigger
        .fire(&call(format!("http://user:hunter2@127.0.0.1:{port}/x?token=t0ken")), &"k".into())
        .await
        .unwrap_err();
    assert!(error.is_transient());
    assert!(!error.to_string().contains("hunter2") && !error.to_string().contains("t0ken"), "{error}");
}

/// The reference's decoded template names what is empty; ours leaves it out.
fn without_empty(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    let members = members.iter().filter(|(_, value)| !value.is_null() && *value != "");
    Value::Object(members.map(|(name, value)| (name.clone(), without_empty(value))).collect())
}

#[test]
fn vectors_of_templates_with_parameters() {
    let rows = zetes_vectors::rows("events");
    let Some(push) = rows.first().map(|row| row.expect["push"].clone()) else { return };
    let mut round = round();
    let event = Event {
        data: Some(push["raw"].as_str().unwrap().to_owned().into()),
        document: zetes_api::Document::default(),
        ..(*round.events.pop_first().unwrap().1).clone()
    };
    round.events.insert("push".into(), Arc::new(event));
    let answer = |input: &Value| {
        let parameters = serde_json::from_value::<Vec<_>>(input["parameters"].clone()).ok();
        let parameters = parameters.and_then(|list| Parameters::compile(&list).ok());
        let template = input["template"].to_string();
        let applied =
            parameters.and_then(|parameters| parameters.apply(&template, &Planning::of(&round)).ok());
        let template = applied.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let decodes = |template: &Value| {
            template.get("http").is_none_or(|http| serde_json::from_value::<Config>(http.clone()).is_ok())
        };
        match template.filter(decodes) {
            Some(template) => json!({"template": template}),
            None => json!({"error": true}),
        }
    };
    let equal = |expected: &Value, got: &Value| without_empty(expected) == without_empty(got);
    zetes_vectors::check_as("params-template", answer, equal);
}
