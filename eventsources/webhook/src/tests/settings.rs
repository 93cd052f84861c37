//! What is said at load.

use serde_json::{Value, json};

use super::{findings, with_members};
use crate::slack::Slack;
use crate::storage_grid::StorageGrid;
use crate::stripe::Stripe;
use crate::webhook::Webhook;

fn secret() -> Value {
    json!({"name": "n", "key": "k"})
}

fn hook() -> Value {
    json!({"endpoint": "/hook", "port": "12000", "url": "https://ci.example.com"})
}

/// Findings of a posted webhook with these members.
fn webhook(members: Value) -> Vec<String> {
    findings::<Webhook>(&with_members(
        json!({"endpoint": "/push", "port": "12000", "method": "POST"}),
        members,
    ))
}

fn verified(verify: Value) -> Vec<String> {
    let mut members = json!({});
    members["verify"] = verify;
    webhook(members)
}

fn hmac(members: Value) -> Vec<String> {
    verified(json!({"hmac": with_members(json!({"secret": secret(), "header": "X-Sign"}), members)}))
}

fn jwt(members: Value) -> Vec<String> {
    verified(json!({"jwt": with_members(json!({"secret": secret(), "algorithms": ["RS256"]}), members)}))
}

const NONE: [&str; 0] = [];

#[test]
fn an_empty_check_is_told_and_would_let_nobody_in() {
    assert_eq!(verified(json!({})), ["missing-field: verify"]);
    assert_eq!(
        verified(json!({"hmac": {}, "basic": {}})),
        [
            "missing-field: verify.hmac.secret",
            "missing-field: verify.hmac.header",
            "missing-field: verify.basic.username",
            "missing-field: verify.basic.password",
        ]
    );
}

#[test]
fn what_of_a_signature_does_not_fit_together_is_told() {
    for fine in [
        json!({}),
        json!({"algorithm": "sha512", "encoding": "base64", "prefix": "v1,", "secretEncoding": "hex"}),
        json!({"timestampHeader": "X-Time", "tolerance": "30s"}),
        json!({"fields": {"timestamp": "t", "signature": "v1"}, "signed": "{timestamp}.{body}"}),
        json!({"signed": "{header:X-Id}.{body}"}),
    ] {
        assert_eq!(hmac(fine.clone()), NONE, "{fine}");
    }
    let cases = [
        (json!({"algorithm": "md5"}), "algorithm"),
        (json!({"encoding": "base32"}), "encoding"),
        (json!({"secretEncoding": "ascii"}), "secretEncoding"),
        (json!({"signed": "{timestamp}.{body}"}), "signed"),
        (json!({"signed": "{body"}), "signed"),
        (json!({"signed": "{path}{body}"}), "signed"),
        (json!({"signed": "only this"}), "signed"),
        (json!({"signed": "{header:authorization}{body}"}), "signed"),
        (json!({"timestampHeader": "X-Time", "signed": "{body}"}), "signed"),
        (
            json!({"timestampHeader": "X-Time", "fields": {"timestamp": "t", "signature": "s"}}),
            "timestampHeader",
        ),
        (json!({"timestampHeader": "X-Time", "tolerance": "-1s"}), "tolerance"),
    ];
    for (members, field) in cases {
        assert_eq!(hmac(members.clone()), [format!("bad-value: verify.hmac.{field}")], "{members}");
    }
    assert_eq!(hmac(json!({"tolerance": "5m"})), ["missing-field: verify.hmac.tolerance"]);
    assert_eq!(hmac(json!({"fields": {}})), ["missing-field: verify.hmac.fields.signature"]);
}

#[test]
fn a_query_must_be_signed_where_there_is_no_body() {
    let got = |signed: &str| {
        let hmac = json!({"secret": secret(), "header": "X-Sign", "signed": signed});
        webhook(json!({"method": "GET", "verify": {"hmac": hmac}}))
    };
    assert_eq!(got("{query}"), NONE);
    assert_eq!(got("{body}"), ["bad-value: verify.hmac.signed"]);
}

#[test]
fn tokens_need_pinned_algorithms_and_one_place_of_keys() {
    assert_eq!(jwt(json!({"algorithms": ["RS256", "PS256"], "issuer": "i", "leeway": "1m"})), NONE);
    let url = "https://issuer.example.com/jwks.json";
    assert_eq!(
        jwt(json!({"secret": null, "jwksURL": url, "audience": "zetes", "algorithms": ["RS256", "ES256"]})),
        NONE
    );
    let cases = [
        (json!({"algorithms": []}), "missing-field: verify.jwt.algorithms"),
        (json!({"algorithms": ["none"]}), "bad-value: verify.jwt.algorithms[0]"),
        (json!({"algorithms": ["HS256", "RS256"]}), "bad-value: verify.jwt.algorithms"),
        (json!({"secret": null}), "missing-field: verify.jwt.secret"),
        (json!({"jwksURL": url, "audience": "a"}), "bad-value: verify.jwt.jwksURL"),
        (
            json!({"secret": null, "jwksURL": url, "audience": "a", "algorithms": ["HS256"]}),
            "bad-value: verify.jwt.algorithms",
        ),
        (json!({"secret": null, "jwksURL": "ftp://x", "audience": "a"}), "bad-value: verify.jwt.jwksURL"),
        (
            json!({"secret": null, "jwksURL": "http://x/jwks", "audience": "a"}),
            "plain-http: verify.jwt.jwksURL",
        ),
        (json!({"secret": null, "jwksURL": url}), "any-audience: verify.jwt.jwksURL"),
        (json!({"leeway": "soon"}), "bad-value: verify.jwt.leeway"),
        (json!({"header": ""}), "bad-value: verify.jwt.header"),
    ];
    for (members, expected) in cases {
        assert_eq!(jwt(members.clone()), [expected], "{members}");
    }
}

#[test]
fn one_header_can_not_hold_two_proofs() {
    let basic = json!({"username": secret(), "password": secret()});
    let jwt = json!({"secret": secret(), "algorithms": ["RS256"]});
    assert_eq!(verified(json!({"basic": basic, "jwt": jwt})), ["bad-value: verify.basic"]);
    assert_eq!(
        webhook(json!({"authSecret": secret(), "verify": {"jwt": jwt}})),
        ["bad-value: verify.jwt.header"]
    );
    let mut elsewhere = jwt.clone();
    elsewhere["header"] = json!("X-Token");
    assert_eq!(webhook(json!({"authSecret": secret(), "verify": {"jwt": elsewhere}})), NONE);
    assert_eq!(verified(json!({"basic": basic, "jwt": elsewhere})), NONE);
}

#[test]
fn client_certificates_need_https_and_their_ca() {
    let tls = json!({
        "serverCertSecret": secret(), "serverKeySecret": secret(),
        "verify": {"mtls": {"clientCASecret": secret(), "allowedNames": ["ci"]}},
    });
    assert_eq!(webhook(tls), NONE);
    assert_eq!(
        verified(json!({"mtls": {}})),
        ["missing-field: verify.mtls.clientCASecret", "missing-field: verify.mtls"]
    );
    let mut everywhere = hook();
    everywhere["mtls"] = json!({"clientCASecret": secret()});
    assert_eq!(
        findings::<Slack>(&json!({"webhook": everywhere, "token": secret(), "signingSecret": secret()})),
        ["missing-field: webhook.mtls"]
    );
}

#[test]
fn cloud_events_are_posted_and_stay_as_they_are() {
    assert_eq!(webhook(json!({"cloudEvents": true})), NONE);
    assert_eq!(webhook(json!({"cloudEvents": true, "method": "GET"})), ["bad-value: cloudEvents"]);
    assert_eq!(webhook(json!({"cloudEvents": true, "metadata": {"a": "b"}})), ["bad-value: metadata"]);
    assert_eq!(webhook(json!({"cloudEvents": true, "idHeader": "X-Id"})), ["bad-value: idHeader"]);
}

#[test]
fn what_the_others_miss_is_told_at_once() {
    assert_eq!(
        findings::<Slack>(&json!({})),
        ["missing-field: token", "missing-field: signingSecret", "missing-field: webhook"]
    );
    let stripe = |members: Value| findings::<Stripe>(&with_members(json!({"webhook": hook()}), members));
    assert_eq!(stripe(json!({})), NONE);
    assert_eq!(stripe(json!({"createWebhook": true})), ["missing-field: apiKey"]);
    assert_eq!(stripe(json!({"eventFilter": []})), ["receives-nothing: eventFilter"]);
    assert_eq!(
        stripe(json!({"signatureTolerance": "0s"})),
        ["bad-value: signatureTolerance", "missing-field: webhookSigningSecret"]
    );
    let unknown = json!({"endpoint": "/hook", "port": "12000"});
    assert_eq!(
        stripe(json!({"createWebhook": true, "apiKey": secret(), "webhook": unknown})),
        ["not-registered: webhook.url"]
    );
    assert_eq!(
        findings::<StorageGrid>(&json!({})),
        [
            "missing-field: topicArn",
            "missing-field: apiURL",
            "missing-field: authToken",
            "missing-field: bucket",
            "missing-field: events",
            "missing-field: webhook",
        ]
    );
}
