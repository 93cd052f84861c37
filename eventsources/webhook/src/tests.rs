//! Requests and what they become, without a socket.

use eventsource_core::{EventSource as _, Request};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::github::Github;
use crate::webhook::Webhook;

fn findings<S: eventsource_core::EventSource>(config: &Value) -> Vec<String> {
    let factory = eventsource_core::Factory::of::<S>();
    factory.check(config).into_iter().map(|finding| format!("{}: {}", finding.code, finding.path)).collect()
}

#[test]
fn an_endpoint_without_a_slash_and_a_port_without_a_number_are_both_told() {
    let config = json!({"endpoint": "push", "port": "http", "method": "POST"});
    assert_eq!(findings::<Webhook>(&config), ["bad-value: endpoint", "bad-value: port"]);
}

#[test]
fn a_misspelt_field_is_a_warning_and_the_wrong_type_an_error() {
    let config = json!({"endpoint": "/push", "port": 12000, "method": "POST", "maxPayLoadSize": 5});
    assert_eq!(findings::<Webhook>(&config), ["wrong-type: port", "unknown-field: maxPayLoadSize"]);
}

#[test]
fn a_managed_hook_is_told_to_be_created_by_hand() {
    let config = json!({
        "webhook": {"endpoint": "/push", "port": "12000", "url": "https://ci.example.com"},
        "repositories": [{"owner": "argo", "names": ["ship"]}],
        "events": ["push"],
        "apiToken": {"name": "github", "key": "token"},
    });
    assert_eq!(findings::<Github>(&config), ["not-in-this-build: webhook.url"]);
}

#[test]
fn a_hook_that_is_to_be_created_needs_to_know_where_and_for_what() {
    let github = |fields: Value| {
        let mut config = json!({
            "webhook": {"endpoint": "/push", "port": "12000", "url": "https://ci.example.com"},
            "githubApp": {"privateKey": {"name": "github", "key": "pem"}, "appID": 1, "installationID": 2},
        });
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut told = findings::<Github>(&config);
        told.retain(|one| !one.starts_with("not-in-this-build"));
        told
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
fn a_certificate_without_its_key_is_told_to_be_no_tls() {
    let secret = json!({"name": "tls", "key": "crt"});
    let config = json!({"endpoint": "/", "port": "12000", "method": "POST", "serverCertSecret": secret});
    assert_eq!(findings::<Webhook>(&config), ["no-tls: serverCertSecret"]);
}

#[test]
fn two_events_that_want_one_place_can_be_found_by_their_routes() {
    let config =
        serde_json::from_value(json!({"endpoint": "/push", "port": "12000", "method": "POST"})).unwrap();
    assert_eq!(Webhook::routes(&config).len(), 1);
}

/// A signed delivery, as the provider makes it.
pub(crate) fn delivery(secret: &str, body: &str) -> Request {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let mut headers = HeaderMap::new();
    let fields = [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "d-1"),
        ("x-hub-signature-256", signature.as_str()),
    ];
    for (name, value) in fields {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    Request { method: Method::POST, path: "/push".into(), query: None, headers, body: body.to_owned().into() }
}

mod served;

mod signatures {
    use super::*;
    use crate::signature::{check, header};

    #[test]
    fn a_signature_over_the_raw_body_is_accepted_and_any_change_is_not() {
        let secret = "s3cret".to_owned().into();
        let request = delivery("s3cret", r#"{"ref": "refs/heads/main"}"#);
        let signed = header(&request, "x-hub-signature-256");
        assert!(check(signed, &secret, &request.body).is_ok());
        assert!(check(signed, &secret, br#"{"ref": "refs/heads/Main"}"#).is_err());
        assert!(check(signed, &"other".to_owned().into(), &request.body).is_err());
        assert!(check(None, &secret, &request.body).is_err());
        for malformed in ["", "sha256", "md5=00", "sha256=zz"] {
            assert!(check(Some(malformed), &secret, &request.body).is_err(), "{malformed}");
        }
    }
}
