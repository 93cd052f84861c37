//! Against calls as Slack documents them.

use eventsource_core::testkit::{Kit, Source, Upstream};
use eventsource_webhook::slack::Slack;
use serde_json::{Value, json};

use crate::calls::{Answer, post, seconds, served};
use crate::openssl::hmac;

const FORM: &str = "application/x-www-form-urlencoded";

fn kit() -> Kit {
    Kit::new().with_secret("slack", "token", "verification").with_secret("slack", "signing", "8f742231b10e")
}

fn config() -> Value {
    json!({
        "webhook": {"endpoint": "/slack", "port": "0", "maxPayloadSize": 10_000},
        "token": {"name": "slack", "key": "token"}, "signingSecret": {"name": "slack", "key": "signing"},
    })
}

async fn started() -> (Kit, Source) {
    let kit = kit();
    let source = kit.start::<Slack>(config());
    source.serving().await;
    served(&kit, "/slack").await;
    (kit, source)
}

async fn sent_at(kit: &Kit, time: i64, content_type: &str, body: &str) -> Answer {
    let mac = hmac("sha256", "8f742231b10e", format!("v0:{time}:{body}").as_bytes());
    let (signature, time) = (format!("v0={}", hex::encode(mac)), time.to_string());
    let headers = [
        ("content-type", content_type),
        ("x-slack-signature", &signature),
        ("x-slack-request-timestamp", &time),
    ];
    post(kit, "/slack", &headers, body).await
}

async fn sent(kit: &Kit, content_type: &str, body: &str) -> Answer {
    sent_at(kit, seconds(0), content_type, body).await
}

fn callback(id: &str, inner: &Value) -> String {
    json!({
        "token": "verification", "team_id": "T1", "api_app_id": "A1", "type": "event_callback",
        "event_id": id, "event_time": 1_700_000_000, "event": inner,
    })
    .to_string()
}

struct Workspace<'k>(&'k Kit);

impl Upstream for Workspace<'_> {
    async fn send(&mut self, number: usize) {
        let body = callback(&format!("Ev{number}"), &json!({"type": "message", "text": number.to_string()}));
        sent(self.0, "application/json", &body).await.is(200, "success");
        // Slack sends again what it had no answer to in three seconds.
        sent(self.0, "application/json", &body).await.is(200, "success");
    }

    fn number(&self, data: &Value) -> usize {
        data["Data"]["text"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    eventsource_core::testkit::every_message_becomes_one_event::<Slack>(
        &kit,
        &config(),
        &mut Workspace(&kit),
    )
    .await;
}

#[tokio::test]
async fn a_challenge_is_answered_with_itself_alone() {
    let (kit, source) = started().await;
    let body = json!({"token": "verification", "type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"});
    let answer = sent(&kit, "application/json", &body.to_string()).await;
    answer.is(200, "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let limited = json!({"token": "verification", "type": "app_rate_limited"});
    sent(&kit, "application/json", &limited.to_string()).await.is(200, "success");
    assert_eq!(kit.events_now().await.len(), 0);
    source.stop().await;
}

#[tokio::test]
async fn an_inner_event_is_passed_on_as_it_came() {
    let (kit, source) = started().await;
    let inner = json!({"type": "some_new_thing", "user": "U1", "nested": {"n": [1, 2.50]}});
    sent(&kit, "application/json", &callback("Ev1", &inner)).await.is(200, "success");
    let event = &kit.events(1).await[0];
    assert_eq!(event.id.as_str(), "Ev1");
    assert_eq!(event.time.unwrap().as_second(), 1_700_000_000);
    assert_eq!(kit.data(1).await[0], json!({"type": "some_new_thing", "Data": inner}));
    source.stop().await;
}

#[tokio::test]
async fn a_command_has_the_members_of_the_reference_and_an_empty_answer() {
    let (kit, source) = started().await;
    let body = "token=t&team_id=T1&team_domain=d&enterprise_id=E1&is_enterprise_install=true&channel_id=C1&channel_name=c\
                &user_id=U1&user_name=u&command=%2Fdeploy&text=prod+now%21&response_url=https%3A%2F%2Fx&trigger_id=13.7&api_app_id=A1";
    sent(&kit, FORM, body).await.is(200, "");
    assert_eq!(kit.events(1).await[0].id.as_str(), "13.7");
    let expected = json!({
        "token": "t", "team_id": "T1", "team_domain": "d", "enterprise_id": "E1", "is_enterprise_install": true,
        "channel_id": "C1", "channel_name": "c", "user_id": "U1", "user_name": "u", "command": "/deploy", "text": "prod now!",
        "response_url": "https://x", "trigger_id": "13.7", "api_app_id": "A1",
    });
    assert_eq!(kit.data(1).await[0], expected);
    sent(&kit, FORM, "ssl_check=1&token=t").await.is(200, "success");
    source.stop().await;
}

#[tokio::test]
async fn an_interaction_is_its_payload() {
    let (kit, source) = started().await;
    let payload = json!({"type": "block_actions", "trigger_id": "9.1", "actions": [{"action_id": "go", "value": "a&b=c%"}]});
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish();
    sent(&kit, FORM, &body).await.is(200, "");
    assert_eq!((kit.events(1).await[0].id.as_str(), &kit.data(1).await[0]), ("9.1", &payload));
    source.stop().await;
}

#[tokio::test]
async fn what_is_not_slacks_is_refused() {
    let (kit, source) = started().await;
    let body = callback("Ev1", &json!({"type": "message"}));
    for late in [-302, 305] {
        assert_eq!(sent_at(&kit, seconds(late), "application/json", &body).await.status, 401, "{late} s");
    }
    let unsigned = post(&kit, "/slack", &[("content-type", "application/json")], body.clone()).await;
    unsigned.is(401, "the signature is missing: no header `X-Slack-Signature`");
    let stranger = body.replace("verification", "another");
    sent(&kit, "application/json", &stranger)
        .await
        .is(401, "failed to extract event, invalid verification token");
    assert_eq!(sent(&kit, "application/json", body.trim_end_matches('}')).await.status, 400, "cut off");
    sent(&kit, FORM, "a=b").await.is(400, "could not determine slack type from form parameters");
    assert_eq!(sent(&kit, FORM, "payload=%7B").await.status, 400);
    let without = json!({"token": "verification", "type": "event_callback"}).to_string();
    assert_eq!(sent(&kit, "application/json", &without).await.status, 400);
    let large = callback("Ev1", &json!({"type": "message", "text": "x".repeat(10_000)}));
    assert_eq!(sent(&kit, "application/json", &large).await.status, 413);
    assert_eq!(kit.events_now().await.len(), 0);
    source.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let kit = Kit::new().with_secret("slack", "token", "verification").with_secret("slack", "signing", "");
    let source = kit.start::<Slack>(config());
    assert_eq!(source.failure().await, "signingSecret: the secret is empty, so that anybody could sign");
    kit.set_secret("slack", "signing", "8f742231b10e");
    source.serving().await;
    served(&kit, "/slack").await;
    let body = callback("Ev1", &json!({"type": "message"}));
    sent(&kit, "application/json", &body).await.is(200, "success");
    source.stop().await;
}
