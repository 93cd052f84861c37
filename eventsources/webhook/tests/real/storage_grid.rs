//! Against calls and answers as StorageGRID documents them.

use std::sync::{Arc, Mutex};

use eventsource_core::testkit::{Kit, Upstream, eventually};
use eventsource_webhook::storage_grid::StorageGrid;
use eventsource_webhook::webhook::Webhook;
use http::Method;
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::calls::{Answer, client, post, served, with_members};
use crate::provider::Provider;

const TOPIC: &str = "urn:sgws:sns:us-east-1:1:ci&cd";

fn kit() -> Kit {
    Kit::new().with_secret("grid", "token", "t0ken")
}

fn config(members: Value) -> Value {
    with_members(
        json!({
            "webhook": {"endpoint": "/grid", "port": "0"}, "topicArn": TOPIC, "apiURL": "http://127.0.0.1:1/api/v2",
            "authToken": {"name": "grid", "key": "token"}, "bucket": "builds", "events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        }),
        members,
    )
}

fn record(key: &str, sequencer: &str) -> Value {
    json!({
        "eventVersion": "2.0", "eventSource": "sgws:s3", "eventTime": "2026-01-31T08:30:00Z", "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "p"}, "requestParameters": {"sourceIPAddress": "10.0.0.1"},
        "responseElements": {"x-amz-request-id": "r"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "c",
            "bucket": {"name": "builds", "ownerIdentity": {"principalId": "o"}, "arn": "a"},
            "object": {"key": key, "size": 5, "eTag": "e", "sequencer": sequencer},
        },
    })
}

fn form(message: &str) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("Action", "Publish").append_pair("Message", message);
    form.append_pair("TopicArn", TOPIC).append_pair("Version", "2010-03-31").finish()
}

async fn sent(kit: &Kit, records: &[Value]) -> Answer {
    let body = form(&json!({"Records": records}).to_string());
    post(kit, "/grid", &[("content-type", "application/x-www-form-urlencoded")], body).await
}

struct Bucket<'k>(&'k Kit);

impl Upstream for Bucket<'_> {
    async fn send(&mut self, number: usize) {
        for _ in 0..2 {
            let answer = sent(self.0, &[record(&number.to_string(), "16")]).await;
            assert_eq!(answer.status, 200);
        }
    }

    fn number(&self, data: &Value) -> usize {
        data["notification"]["Message"]["Records"][0]["s3"]["object"]["key"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    eventsource_core::testkit::every_message_becomes_one_event::<StorageGrid>(
        &kit,
        &config(json!({})),
        &mut Bucket(&kit),
    )
    .await;
}

#[tokio::test]
async fn the_answer_is_xml_alone_and_the_data_what_the_reference_writes() {
    let kit = kit();
    let source = kit.start::<StorageGrid>(config(json!({"metadata": {"from": "grid"}})));
    source.serving().await;
    served(&kit, "/grid").await;
    // What ends a key or a form must not end it inside a key.
    let key = "a=b&c%20+d/\u{e9}.tar";
    let answer = sent(&kit, &[record(key, "17")]).await;
    assert_eq!(answer.header("content-type"), "text/xml; charset=utf-8");
    let begins = "<PublishResponse xmlns=\"http://argoevents-sns-server/\"><PublishResult><MessageId>";
    assert!(
        answer.text.starts_with(begins) && answer.text.ends_with("</ResponseMetadata></PublishResponse>"),
        "{}",
        answer.text
    );
    let mut expected = record(key, "17");
    let source_name = expected.as_object_mut().unwrap().shift_remove("eventSource").unwrap();
    expected["storageGridEventSource"] = source_name;
    let notification = json!({
        "Action": "Publish", "Message": {"Records": [expected]}, "TopicArn": TOPIC, "Version": "2010-03-31",
    });
    assert_eq!(kit.data(1).await[0], json!({"notification": notification, "metadata": {"from": "grid"}}));
    let id = format!("ObjectCreated:Put/builds/{key}/17");
    assert_eq!(kit.events(1).await[0].id.as_str(), id);
    sent(&kit, &[json!({"s3": null, "eventName": null})]).await;
    let empty = &kit.data(2).await[1]["notification"]["Message"]["Records"][0];
    assert_eq!(empty["eventTime"], "0001-01-01T00:00:00Z");
    assert_eq!(empty["s3"]["object"], json!({"key": "", "size": 0, "eTag": "", "sequencer": ""}));
    // Whether it is there.
    let url = format!("http://{}/grid", kit.address().await);
    Answer::to(client().head(&url)).await.is(200, "");
    sent(&kit, &[record("after", "18")]).await;
    kit.events(3).await;
    source.stop().await;
}

#[tokio::test]
async fn only_meant_objects_become_events() {
    let kit = kit();
    let source = kit.start::<StorageGrid>(config(json!({"filter": {"prefix": "builds/", "suffix": ".tar"}})));
    source.serving().await;
    served(&kit, "/grid").await;
    for key in ["builds/a.zip", "other/a.tar", "builds/", ".tar"] {
        assert_eq!(sent(&kit, &[record(key, "1")]).await.status, 200);
    }
    assert_eq!(sent(&kit, &[]).await.status, 200, "the reference crashes");
    sent(&kit, &[record("builds/a.tar", "1")]).await;
    assert_eq!(kit.events(1).await.len(), 1);
    source.stop().await;
}

#[tokio::test]
async fn what_is_no_notification_is_refused_and_a_full_bus_told() {
    let kit = kit();
    let source = kit.start::<StorageGrid>(config(json!({})));
    source.serving().await;
    served(&kit, "/grid").await;
    for body in [
        String::new(),
        "Action=Publish".to_owned(),
        form("no JSON"),
        form("[]"),
        form(r#"{"Records":[{"s3":7}]}"#),
    ] {
        let answer = post(&kit, "/grid", &[], body.clone()).await;
        assert!(answer.status == 400 && answer.text.starts_with("no notification: "), "{body}: {answer:?}");
    }
    assert_eq!(post(&kit, "/grid", &[], vec![b'a'; (1 << 20) + 1]).await.status, 413);
    kit.refuse();
    assert_eq!(sent(&kit, &[record("a", "1")]).await.status, 503);
    source.stop().await;
}

#[tokio::test]
async fn the_endpoint_and_the_notifications_are_registered() {
    let known = Arc::new(Mutex::new(vec![json!({"endpointURN": "urn:other"})]));
    let endpoints = known.clone();
    let provider = Provider::start(move |asked| {
        let mut endpoints = endpoints.lock().unwrap();
        if asked.method == Method::POST {
            endpoints.push(serde_json::from_str(&asked.body).unwrap());
            return (
                201,
                json!({"responseTime": "", "status": "success", "data": endpoints.last()}).to_string(),
            );
        }
        (200, json!({"responseTime": "", "status": "success", "data": *endpoints}).to_string())
    })
    .await;
    let kit = kit();
    let webhook = json!({"endpoint": "grid", "port": "0", "url": "https://ci.example.com/"});
    let mut config = config(json!({"apiURL": format!("{}/api/v2/", provider.url())}));
    config["webhook"] = webhook;
    config["webhook"]["endpoint"] = json!("/grid");
    let source = kit.start::<StorageGrid>(config.clone());
    eventually("the registration", async || (provider.asked().len() == 3).then_some(())).await;
    source.retire().await;
    let asked = provider.asked();
    let lines = [
        "GET /api/v2/org/endpoints",
        "POST /api/v2/org/endpoints",
        "PUT /api/v2/org/containers/builds/notification",
    ];
    assert_eq!(provider.lines(), lines, "and nothing is removed at the end");
    assert!(asked.iter().all(|one| one.header("authorization") == "Bearer t0ken"));
    let endpoint = json!({
        "displayName": "event", "endpointURI": "https://ci.example.com/grid", "endpointURN": TOPIC, "authType": "anonymous",
        "insecureTLS": true,
    });
    assert_eq!(serde_json::from_str::<Value>(&asked[1].body).unwrap(), endpoint);
    let notification = "<NotificationConfiguration><TopicConfiguration><Id>event</Id><Topic>urn:sgws:sns:us-east-1:1:ci&amp;cd</Topic>\
                        <Event>s3:ObjectCreated:*</Event><Event>s3:ObjectRemoved:*</Event></TopicConfiguration></NotificationConfiguration>";
    assert_eq!(serde_json::from_str::<Value>(&asked[2].body).unwrap(), json!({"notification": notification}));
    // The endpoint is known now.
    let source = kit.start::<StorageGrid>(config);
    eventually("the registration", async || (provider.asked().len() == 5).then_some(())).await;
    assert_eq!(provider.asked()[4].method, Method::PUT);
    source.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    // A server that speaks TLS and knows no path of the API.
    let certificates = Certificates::new();
    let secure = Kit::new().with_secret("tls", "crt", &certificates.server.certificate).with_secret(
        "tls",
        "key",
        &certificates.server.key,
    );
    let secret = |key: &str| json!({"name": "tls", "key": key});
    let server = secure.start::<Webhook>(json!({
        "endpoint": "/none", "port": "0", "method": "POST", "serverCertSecret": secret("crt"), "serverKeySecret": secret("key"),
    }));
    let api = format!("https://localhost:{}", secure.address().await.port());
    let kit = kit().with_secret("ca", "right", &certificates.ca.certificate).with_secret(
        "ca",
        "wrong",
        &certificates.wrong_ca.certificate,
    );
    for (key, expected) in [
        ("wrong", "does not answer: invalid peer certificate: UnknownIssuer"),
        ("right", "StorageGRID answers 404 Not Found"),
    ] {
        let mut config = config(json!({"apiURL": api, "tls": {"caCertSecret": {"name": "ca", "key": key}}}));
        config["webhook"]["url"] = json!("https://ci.example.com");
        let source = kit.start::<StorageGrid>(config);
        let told = source.trouble().await;
        assert!(told.contains(expected), "{key}: {told}");
        source.stop().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let provider = Provider::start(|asked| match asked.header("authorization") {
        "Bearer fresh" => (200, json!({"data": [{"endpointURN": TOPIC}]}).to_string()),
        _ => (
            401,
            json!({"status": "error", "message": {"text": "The token has expired", "key": "k"}}).to_string(),
        ),
    })
    .await;
    let kit = kit();
    let mut config = config(json!({"apiURL": format!("{}/api/v2", provider.url())}));
    config["webhook"]["url"] = json!("https://ci.example.com");
    let source = kit.start::<StorageGrid>(config);
    let expected = "not registered upstream: the endpoints can't be listed: StorageGRID answers 401 Unauthorized: \
                    The token has expired; `authToken` may have expired: sign in for a new one";
    assert_eq!(source.trouble().await, expected);
    served(&kit, "/grid").await;
    assert_eq!(sent(&kit, &[record("a", "1")]).await.status, 200, "events flow all the same");
    kit.set_secret("grid", "token", "fresh");
    eventually("the trouble to be over", async || source.status().trouble.is_none().then_some(())).await;
    source.stop().await;
}
