//! Signatures by a shared key: vectors of the RFCs and of providers' documentation, and of the `openssl` program.

use eventsource_core::Request;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{openssl, request, told};
use crate::verify::hmac::{Hmac, Signature};

fn signature(config: Value, secret: &str) -> Signature {
    let config: Hmac = serde_json::from_value(config).unwrap();
    Signature::new(&config, &secret.to_owned().into(), "verify.hmac").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn post(headers: &[(&str, &str)], body: &str) -> Request {
    request(Method::POST, headers, body.to_owned())
}

#[test]
fn vectors_of_rfc_2202_and_rfc_4231() {
    const BODY: &str = "what do ya want for nothing?";
    let vectors = [
        ("sha1", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        ("sha256", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            "sha512",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ];
    for (algorithm, hex) in vectors {
        let plain = signature(json!({"header": "X-Sign", "algorithm": algorithm}), "Jefe");
        assert_eq!(told(&plain.check(&post(&[("x-sign", hex)], BODY), at(0))), "ok", "{algorithm}");
        let prefix = format!("{algorithm}=");
        let prefixed =
            signature(json!({"header": "X-Sign", "algorithm": algorithm, "prefix": prefix}), "Jefe");
        let shown = format!("{prefix}{hex}");
        assert_eq!(told(&prefixed.check(&post(&[("x-sign", &shown)], BODY), at(0))), "ok", "{algorithm}");
        for wrong in [hex.to_owned(), format!("{prefix}{prefix}{hex}"), format!("{prefix}00"), prefix.clone()]
        {
            let refused = prefixed.check(&post(&[("x-sign", &wrong)], BODY), at(0));
            assert_eq!(told(&refused), "the signature is wrong", "{wrong}");
        }
        for body in ["", "what do ya want for nothing", "What do ya want for nothing?"] {
            let refused = plain.check(&post(&[("x-sign", hex)], body), at(0));
            assert_eq!(told(&refused), "the signature is wrong", "{body}");
        }
    }
}

/// <https://api.slack.com/authentication/verifying-requests-from-slack>
#[test]
fn the_documented_example_of_slack() {
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNED: i64 = 1_531_420_618;
    let slack = crate::slack::signature(&SECRET.to_owned().into()).unwrap();
    let time = SIGNED.to_string();
    let signed = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let headers = [("x-slack-signature", signed), ("x-slack-request-timestamp", time.as_str())];
    for now in [SIGNED - 300, SIGNED, SIGNED + 300] {
        assert_eq!(told(&slack.check(&post(&headers, BODY), at(now))), "ok");
    }
    let late = slack.check(&post(&headers, BODY), at(SIGNED + 301));
    assert_eq!(told(&late), "it was signed 301 s behind our time, 300 s are accepted");
    let early = slack.check(&post(&headers, BODY), at(SIGNED - 301));
    assert_eq!(told(&early), "it was signed 301 s ahead of our time, 300 s are accepted");
    // Another time makes another signature: an old request can't be made young.
    let moved = [("x-slack-signature", signed), ("x-slack-request-timestamp", "1531420900")];
    assert_eq!(told(&slack.check(&post(&moved, BODY), at(SIGNED + 301))), "the signature is wrong");
    assert_eq!(told(&slack.check(&post(&headers[..1], BODY), at(SIGNED))), "the time of signing is missing");
    assert_eq!(
        told(&slack.check(&post(&headers[1..], BODY), at(SIGNED))),
        "the signature is missing: no header `X-Slack-Signature`"
    );
    let version = [("x-slack-signature", signed.trim_start_matches("v0=")), headers[1]];
    assert_eq!(told(&slack.check(&post(&version, BODY), at(SIGNED))), "the signature is wrong");
}

/// The vector was made by `openssl dgst -sha256 -hmac whsec_test`.
#[test]
fn the_scheme_of_stripe() {
    const SIGNED: i64 = 1_614_265_330;
    const RIGHT: &str = "347e9afe3d74ec4c5cbefd270edc9246513ae3da7b375223e302560fbd4146eb";
    let stripe = crate::stripe::signature(&"whsec_test".to_owned().into(), None).unwrap();
    let check = |header: &str, body: &str, now: i64| {
        told(&stripe.check(&post(&[("stripe-signature", header)], body), at(now)))
    };
    let body = r#"{"id":"evt_1"}"#;
    let right = format!("t={SIGNED},v1={RIGHT}");
    assert_eq!(check(&right, body, SIGNED + 300), "ok");
    // While a secret is rotated there are two signatures; those of test events by an old scheme do not count.
    let other = "0".repeat(64);
    assert_eq!(check(&format!("t={SIGNED},v1={other},v1={RIGHT},v0={other}"), body, SIGNED), "ok");
    assert_eq!(check(&format!("t={SIGNED}, v1={RIGHT}"), body, SIGNED), "ok");
    for (header, why) in [
        (format!("t={SIGNED},v0={RIGHT}"), "the signature is wrong"),
        (format!("t={SIGNED},v1={other}"), "the signature is wrong"),
        (format!("t=1614265331,v1={RIGHT}"), "the signature is wrong"),
        (format!("v1={RIGHT}"), "the time of signing is missing"),
        (RIGHT.to_owned(), "the time of signing is missing"),
        (String::new(), "the time of signing is missing"),
    ] {
        assert_eq!(check(&header, body, SIGNED), why, "{header}");
    }
    assert_eq!(check(&right, r#"{"id":"evt_1"} "#, SIGNED), "the signature is wrong");
    assert_eq!(check(&right, body, SIGNED + 301), "it was signed 301 s behind our time, 300 s are accepted");
    assert_eq!(
        check(&right, body, SIGNED - 3600),
        "it was signed 3600 s ahead of our time, 300 s are accepted"
    );
}

/// The example of <https://www.standardwebhooks.com>.
#[test]
fn the_documented_example_of_standard_webhooks() {
    let config = json!({
        "header": "webhook-signature", "prefix": "v1,", "encoding": "base64", "secretEncoding": "base64",
        "timestampHeader": "webhook-timestamp", "signed": "{header:webhook-id}.{timestamp}.{body}",
    });
    let standard = signature(config, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let check = |id: &str, shown: &str| {
        let headers = [("webhook-id", id), ("webhook-timestamp", "1614265330"), ("webhook-signature", shown)];
        told(&standard.check(&post(&headers, r#"{"test": 2432232314}"#), at(1_614_265_330)))
    };
    let right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(check("msg_p5jXN8AQM9LWM0D4loKWxJek", right), "ok");
    assert_eq!(check("msg_p5jXN8AQM9LWM0D4loKWxJek", &format!("v1,AAAA v1a,{right} {right}")), "ok");
    assert_eq!(check("msg_other", right), "the signature is wrong");
    let many = "v1,AAAA ".repeat(8) + right;
    assert_eq!(check("msg_p5jXN8AQM9LWM0D4loKWxJek", &many), "the signature is wrong", "eight are looked at");
}

#[test]
fn whatever_is_signed_by_openssl_in_any_form_is_accepted() {
    let body = "\u{1f422} caf\u{e9} {\"a\": 1}\n";
    for digest in ["sha1", "sha256", "sha512"] {
        for encoding in ["hex", "base64"] {
            let bytes = openssl::hmac(digest, "a key", format!("POST\n1700000000\n{body}").as_bytes());
            let shown = match encoding {
                "hex" => hex::encode(bytes),
                _ => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes),
            };
            let config = json!({
                "header": "Sign", "algorithm": digest, "encoding": encoding, "signed": "POST\n{timestamp}\n{body}",
                "fields": {"timestamp": "at", "signature": "mac"}, "tolerance": "10s",
            });
            let header = format!("at=1700000000,mac={shown}");
            let checked =
                signature(config, "a key").check(&post(&[("sign", &header)], body), at(1_700_000_009));
            assert_eq!(told(&checked), "ok", "{digest} {encoding}");
        }
    }
}

#[test]
fn a_time_is_in_seconds_or_milliseconds_and_anything_else_is_refused() {
    let config = json!({"header": "Sign", "timestampHeader": "At"});
    let checked = |time: &str| {
        let shown = hex::encode(openssl::hmac("sha256", "k", format!("{time}.x").as_bytes()));
        told(
            &signature(config.clone(), "k")
                .check(&post(&[("sign", &shown), ("at", time)], "x"), at(1_700_000_000)),
        )
    };
    assert_eq!(checked("1700000000"), "ok");
    assert_eq!(checked("1700000000123"), "ok");
    for time in ["", "yesterday", "1.7e9", "99999999999999999999"] {
        assert_eq!(checked(time), "the time of signing is no number of seconds since 1970", "{time}");
    }
}

#[test]
fn a_key_that_anybody_has_is_none() {
    let new = |config: Value, secret: &str| {
        let config: Hmac = serde_json::from_value(config).unwrap();
        Signature::new(&config, &secret.to_owned().into(), "verify.hmac")
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let empty = "verify.hmac: the secret is empty, so that anybody could sign";
    assert_eq!(new(json!({"header": "X"}), ""), empty);
    assert_eq!(new(json!({"header": "X", "secretEncoding": "base64"}), "whsec_"), empty);
    let written = "verify.hmac: the secret is not written as `secretEncoding` says";
    assert_eq!(new(json!({"header": "X", "secretEncoding": "hex"}), "no hex"), written);
    assert!(crate::slack::signature(&String::new().into()).is_err(), "the reference would check nothing");
}
