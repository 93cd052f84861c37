//! What becomes of requests that are not as they should be, and of those that are.

use eventsource_core::HttpSource as _;
use eventsource_core::testkit::Kit;
use reqwest::Client;
use serde_json::{Value, json};

use super::{delivery, hex_mac, request};
use crate::gitea::Gitea;
use crate::github::Github;
use crate::hub::{Dialect, Reader};

const PUSH: &str = r#"{"ref":"refs/heads/main"}"#;

/// A form as browsers send it.
fn form(payload: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("payload", payload).finish()
}

fn github() -> Reader {
    let dialect: &'static Dialect = &crate::github::DIALECT;
    Reader { dialect, secret: Some("s3cret".to_owned().into()), metadata: None }
}

fn gitea() -> Reader {
    Reader { dialect: &crate::gitea::DIALECT, ..github() }
}

#[tokio::test]
async fn who_signs_what_is_accepted() {
    let (raw, of_form) = (hex_mac("s3cret", PUSH), hex_mac("s3cret", form(PUSH)));
    let (json, url_encoded) = ("application/json", "application/x-www-form-urlencoded");
    let rows = [
        ("json", json, PUSH.to_owned(), "x-hub-signature-256", format!("sha256={raw}")),
        (
            "json with a charset",
            "application/json; charset=utf-8",
            PUSH.to_owned(),
            "x-hub-signature-256",
            format!("sha256={raw}"),
        ),
        (
            "a form, signed as it came",
            url_encoded,
            form(PUSH),
            "x-hub-signature-256",
            format!("sha256={of_form}"),
        ),
        (
            "a form, signed as Gitea does",
            url_encoded,
            form(PUSH),
            "x-hub-signature-256",
            format!("sha256={raw}"),
        ),
    ];
    for (what, content_type, body, header, signature) in rows {
        for reader in [github(), gitea()] {
            let request = request(&[("content-type", content_type), (header, &signature)], body.clone());
            assert!(reader.read(&request).await.is_ok(), "{what}");
        }
    }
    let old = request(&[("content-type", json), ("x-gitea-signature", &raw)], PUSH);
    assert!(gitea().read(&old).await.is_ok(), "Gitea before 1.16 signs without a prefix");
    assert!(github().read(&old).await.is_err());
}

#[tokio::test]
async fn bad_requests_are_refused_with_a_reason_and_become_no_event() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    let source = kit.start::<Github>(json!({
        "webhook": {"endpoint": "/push", "port": "0", "maxPayloadSize": 1000}, "webhookSecret": {"name": "hook", "key": "secret"},
        "repositories": [{"owner": "example", "names": ["shop"]}],
    }));
    let url = format!("http://{}/push", kit.address().await);
    let json = "application/json";
    let rows: [(&str, &str, Vec<u8>, u16, &str); 8] = [
        ("truncated", json, br#"{"ref":"refs/he"#.to_vec(), 400, "not a JSON object"),
        ("a list", json, b"[1]".to_vec(), 400, "not a JSON object"),
        ("empty", json, Vec::new(), 400, "not a JSON object"),
        ("latin-1", json, b"{\"author\":\"Fran\xe7ois\"}".to_vec(), 400, "UTF-8"),
        ("XML", "application/xml", b"<a/>".to_vec(), 400, "unsupported Content-Type \"application/xml\""),
        ("no content type", "", PUSH.into(), 400, "unsupported Content-Type"),
        ("a form without a payload", "application/x-www-form-urlencoded", b"a=b".to_vec(), 400, "no payload"),
        ("too large", json, vec![b' '; 1001], 413, "1000 bytes"),
    ];
    let post = async |content_type: &str, body: Vec<u8>, signature: Option<String>| {
        let mut request = Client::new().post(&url).body(body);
        for (name, value) in
            [("content-type", Some(content_type.to_owned())), ("x-hub-signature-256", signature)]
        {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                request = request.header(name, value);
            }
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (what, content_type, body, status, text) in rows {
        let answer = post(content_type, body.clone(), Some(super::signed(&body))).await;
        assert!(answer.0 == status && answer.1.contains(text), "{what}: {answer:?}");
    }
    for (signature, text) in [
        (None, "missing signature"),
        (Some(format!("sha256={}", hex_mac("guessed", PUSH))), "signature check failed"),
        (Some("md5=00".to_owned()), "algorithm"),
    ] {
        let answer = post(json, PUSH.into(), signature).await;
        assert!(answer.0 == 401 && answer.1.contains(text), "{answer:?}");
    }
    assert!(kit.events_now().await.is_empty());
    source.stop().await;
}

#[tokio::test]
async fn gitea_names_its_deliveries_in_its_own_headers() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    let source = kit.start::<Gitea>(json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "webhookSecret": {"name": "hook", "key": "secret"}, "metadata": {"team": "a"},
    }));
    let url = format!("http://{}/push", kit.address().await);
    let signed = delivery("s3cret", PUSH);
    for _ in 0..2 {
        let request = Client::new().post(&url).headers(signed.headers.clone()).body(PUSH);
        let request = request.header("x-gitea-event", "push").header("x-gitea-delivery", "g-1");
        assert_eq!(request.send().await.unwrap().headers()["x-event-id"], "g-1");
    }
    let data = kit.data(1).await;
    let expected = json!({"ref": "refs/heads/main", "X-Gitea-Event": "push", "X-Gitea-Delivery": "g-1"});
    assert_eq!((data.len(), &data[0]["body"], &data[0]["metadata"]), (1, &expected, &json!({"team": "a"})));
    assert_eq!(data[0]["headers"]["X-Gitea-Event"], json!(["push"]));
    let events: Vec<Value> = kit.data(1).await;
    assert_eq!(events.len(), 1, "what comes again is one event");
    source.stop().await;
}
