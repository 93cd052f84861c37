//! Deliveries over a socket.

use eventsource_core::testkit::Kit;
use reqwest::{Client, StatusCode};
use serde_json::json;

use crate::github::Github;
use crate::gitlab::Gitlab;

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn a_signed_delivery_that_comes_twice_is_one_event() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    let _source = kit.start::<Github>(json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "webhookSecret": {"name": "hook", "key": "secret"},
        "repositories": [{"owner": "example", "names": ["shop"]}],
    }));
    let url = format!("http://{}/push", kit.address().await);
    let signed = super::delivery("s3cret", r#"{"ref":"refs/heads/main","big":12345678901234567890}"#);
    for _ in 0..2 {
        let request = client().post(&url).headers(signed.headers.clone()).body(signed.body.clone());
        let answer = request.send().await.unwrap();
        assert_eq!(
            (answer.status(), answer.headers()["x-event-id"].to_str().unwrap()),
            (StatusCode::OK, "d-1")
        );
    }
    let events = kit.events_now().await;
    let data = events[0].data_text().unwrap();
    assert_eq!(events.len(), 1);
    assert!(data.contains("12345678901234567890"), "digits are kept: {data}");
    assert!(data.contains(r#""X-GitHub-Delivery":"d-1","X-GitHub-Event":"push""#), "{data}");
    let forged = super::delivery("guessed", "{}");
    let answer = client().post(&url).headers(forged.headers).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_gitlab_token_is_checked_even_when_no_hook_is_managed() {
    let kit = Kit::new().with_secret("hook", "token", "right");
    let _source = kit.start::<Gitlab>(json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "secretToken": {"name": "hook", "key": "token"},
        "accessToken": {"name": "hook", "key": "token"}, "gitlabBaseURL": "https://gitlab.example.com", "events": [],
        "projects": ["a/b"],
    }));
    let url = format!("http://{}/push", kit.address().await);
    let post = |token: &'static str| client().post(&url).header("x-gitlab-token", token).body("{}").send();
    assert_eq!(post("wrong").await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(post("right").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_secret_counts_soon_and_no_delivery_meets_a_closed_door() {
    let kit = Kit::new().with_secret("hook", "secret", "old");
    let _source = kit.start::<Github>(json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "webhookSecret": {"name": "hook", "key": "secret"},
        "repositories": [{"owner": "example", "names": ["shop"]}],
    }));
    let url = format!("http://{}/push", kit.address().await);
    kit.set_secret("hook", "secret", "new");
    let signed = super::delivery("new", "{}");
    eventsource_core::testkit::eventually("the new secret to count", async || {
        let request = client().post(&url).headers(signed.headers.clone()).body(signed.body.clone());
        match request.send().await.unwrap().status() {
            StatusCode::OK => Some(()),
            StatusCode::UNAUTHORIZED => None,
            other => panic!("neither the old secret nor the new one: {other}"),
        }
    })
    .await;
}
