//! Requests and what they become, without a socket.

use bytes::Bytes;
use eventsource_core::Request;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::gitea::Gitea;
use crate::github::Github;

pub(crate) fn findings<S: eventsource_core::EventSource>(config: &Value) -> Vec<String> {
    let factory = eventsource_core::Factory::of::<S>();
    factory.check(config).into_iter().map(|finding| format!("{}: {}", finding.code, finding.path)).collect()
}

#[test]
fn a_hook_that_would_be_inactive_is_told() {
    let mut config = json!({
        "webhook": {"endpoint": "/push", "port": "12000", "url": "https://ci.example.com"},
        "repositories": [{"owner": "argo", "names": ["ship"]}],
        "events": ["push"],
        "apiToken": {"name": "github", "key": "token"},
    });
    assert_eq!(findings::<Github>(&config), ["inactive-hook: active"]);
    for active in [true, false] {
        config["active"] = json!(active);
        assert_eq!(findings::<Github>(&config), [""; 0]);
    }
}

#[test]
fn a_hook_that_is_to_be_created_needs_to_know_where_and_for_what() {
    let github = |fields: Value| {
        let mut config = json!({
            "webhook": {"endpoint": "/push", "port": "12000", "url": "https://ci.example.com"},
            "githubApp": {"privateKey": {"name": "github", "key": "pem"}, "appID": 1, "installationID": 2}, "active": true,
        });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        findings::<Github>(&config)
    };
    let repositories = json!([{"owner": "argo", "names": ["ship"]}]);
    assert_eq!(github(json!({})), ["missing-field: repositories", "missing-field: events"]);
    assert_eq!(github(json!({"organizations": [], "events": ["*"]})), [""; 0]);
    assert_eq!(github(json!({"owner": "argo", "repository": "ship", "events": ["*"]})), [""; 0]);
    assert_eq!(
        github(
            json!({"repositories": repositories, "organizations": [], "events": ["*"], "contentType": "xml"})
        ),
        ["bad-value: organizations", "bad-value: contentType"]
    );
    assert_eq!(
        github(
            json!({"repositories": repositories, "events": ["*"], "githubBaseURL": "https://git.example.com"})
        ),
        ["missing-field: githubUploadURL"]
    );
}

#[test]
fn a_hook_at_gitea_needs_to_know_where_and_for_what() {
    let gitea = |fields: Value| {
        let mut config = json!({
            "webhook": {"endpoint": "/push", "port": "12000", "url": "https://ci.example.com"},
            "accessToken": {"name": "gitea", "key": "token"},
        });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        findings::<Gitea>(&config)
    };
    assert_eq!(
        gitea(json!({})),
        ["missing-field: giteaBaseURL", "missing-field: repositories", "missing-field: events"]
    );
    let whole = json!({"giteaBaseURL": "https://git.example.com", "organizations": ["argo"], "events": ["push", "*"]});
    assert_eq!(gitea(whole), [""; 0]);
    let unknown =
        json!({"giteaBaseURL": "https://git.example.com", "organizations": ["argo"], "events": ["ping"]});
    assert_eq!(gitea(unknown), ["unknown-event: events"]);
    assert_eq!(findings::<Gitea>(&json!({"webhook": {"endpoint": "/push", "port": "12000"}})), [""; 0]);
}

/// The header of a body that is signed with `s3cret`.
fn signed(body: &[u8]) -> String {
    format!("sha256={}", hex_mac("s3cret", body))
}

fn hex_mac(secret: &str, body: impl AsRef<[u8]>) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_ref());
    hex::encode(mac.finalize().into_bytes())
}

/// A signed delivery, as the provider makes it.
pub(crate) fn delivery(secret: &str, body: &str) -> Request {
    let signature = format!("sha256={}", hex_mac(secret, body));
    let fields = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "d-1"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    request(&fields, body.to_owned())
}

pub(crate) fn request(headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Request { method: Method::POST, path: "/push".into(), query: None, headers, body: body.into() }
}

mod deliveries;
mod served;

mod signatures {
    use super::*;
    use crate::signature::check;

    #[test]
    fn a_signature_over_the_raw_body_is_accepted_and_any_change_is_not() {
        let secret = "s3cret".to_owned().into();
        let request = delivery("s3cret", r#"{"ref": "refs/heads/main"}"#);
        let signed = request.header("x-hub-signature-256");
        assert!(check(signed, &secret, &request.body).is_ok());
        assert!(check(signed, &secret, br#"{"ref": "refs/heads/Main"}"#).is_err());
        assert!(check(signed, &"other".to_owned().into(), &request.body).is_err());
        assert!(check(None, &secret, &request.body).is_err());
        for malformed in ["", "sha256", "md5=00", "sha256=zz"] {
            assert!(check(Some(malformed), &secret, &request.body).is_err(), "{malformed}");
        }
    }
}
