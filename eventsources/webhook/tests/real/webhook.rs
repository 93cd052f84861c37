//! Against callers with every kind of proof.

use eventsource_core::testkit::{Kit, Upstream};
use eventsource_webhook::webhook::Webhook;
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::calls::{Answer, post, seconds, served, tls_client, with_members};
use crate::openssl::hmac;

fn config(members: Value) -> Value {
    with_members(json!({"endpoint": "/hook", "port": "0", "method": "POST"}), members)
}

/// Signed like Stripe's deliveries, with a header for the delivery's name.
fn signed() -> Value {
    config(json!({
        "idHeader": "X-Delivery", "maxPayloadSize": 1000,
        "verify": {"hmac": {
            "secret": {"name": "hook", "key": "secret"}, "header": "X-Signature",
            "fields": {"timestamp": "t", "signature": "v1"}, "tolerance": "1m",
        }},
    }))
}

fn signature(key: &str, time: i64, body: &[u8]) -> String {
    let text = [format!("{time}.").as_bytes(), body].concat();
    format!("t={time},v1={}", hex::encode(hmac("sha256", key, &text)))
}

struct Caller<'k>(&'k Kit);

impl Upstream for Caller<'_> {
    async fn send(&mut self, number: usize) {
        let (body, id) = (json!({"number": number}).to_string(), format!("delivery-{number}"));
        let signature = signature("s3cret", seconds(0), body.as_bytes());
        let headers = [("x-signature", signature.as_str()), ("x-delivery", &id)];
        let answer = post(self.0, "/hook", &headers, body.clone()).await;
        answer.is(200, "success");
        assert_eq!(answer.header("x-event-id"), id);
        // A delivery that comes again is the same event.
        post(self.0, "/hook", &headers, body).await.is(200, "success");
    }

    fn number(&self, data: &Value) -> usize {
        data["body"]["number"].as_u64().unwrap().try_into().unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    eventsource_core::testkit::every_message_becomes_one_event::<Webhook>(&kit, &signed(), &mut Caller(&kit))
        .await;
}

#[tokio::test]
async fn a_signature_is_of_the_raw_body_and_of_a_time_that_is_now() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    let source = kit.start::<Webhook>(signed());
    source.serving().await;
    served(&kit, "/hook").await;
    let body = "{\"a\": 1 }".as_bytes();
    let right = signature("s3cret", seconds(0), body);
    let sent = async |signature: &str, body: &[u8]| {
        post(&kit, "/hook", &[("x-signature", signature)], body).await.status
    };
    assert_eq!(sent(&right, body).await, 200);
    assert_eq!(sent(&right, b"{\"a\":1}").await, 401, "the same JSON in other bytes");
    assert_eq!(sent(&right, &body[..5]).await, 401, "cut off");
    assert_eq!(sent(&signature("other", seconds(0), body), body).await, 401);
    assert_eq!(sent(&signature("s3cret", seconds(-62), body), body).await, 401, "sent again later");
    assert_eq!(sent(&signature("s3cret", seconds(65), body), body).await, 401, "from the future");
    assert_eq!(sent("", body).await, 401);
    // Who is not known does not hear what is wrong with the body; who is known does.
    assert_eq!(sent("t=1,v1=00", b"no JSON").await, 401);
    assert_eq!(sent(&signature("s3cret", seconds(0), b"no JSON"), b"no JSON").await, 400);
    let large = vec![b' '; 1001];
    assert_eq!(sent(&signature("s3cret", seconds(0), &large), &large).await, 413);
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let kit = Kit::new();
    let source = kit.start::<Webhook>(signed());
    let told = source.failure().await;
    assert!(told.starts_with("secret `default/hook` key `secret` not found"), "{told}");
    kit.set_secret("hook", "secret", "s3cret");
    source.serving().await;
    served(&kit, "/hook").await;
    let body = b"{}";
    let of = |key: &str| signature(key, seconds(0), body);
    assert_eq!(post(&kit, "/hook", &[("x-signature", &of("s3cret"))], *body).await.status, 200);
    // A rotation: within seconds the new key counts, and the old one does not.
    kit.set_secret("hook", "secret", "new");
    eventsource_core::testkit::eventually("the new key to count", async || {
        (post(&kit, "/hook", &[("x-signature", &of("new"))], *body).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(post(&kit, "/hook", &[("x-signature", &of("s3cret"))], *body).await.status, 401);
    source.stop().await;
}

#[tokio::test]
async fn a_user_and_a_password_are_asked_for() {
    let kit = Kit::new().with_secret("login", "user", "ci").with_secret("login", "password", "p:w");
    let secret = |key: &str| json!({"name": "login", "key": key});
    let basic = json!({"username": secret("user"), "password": secret("password")});
    let source = kit.start::<Webhook>(config(json!({"verify": {"basic": basic}})));
    source.serving().await;
    served(&kit, "/hook").await;
    let sent = async |value: &str| post(&kit, "/hook", &[("authorization", value)], "{}").await;
    let basic = |text: &str| {
        format!("Basic {}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text))
    };
    sent(&basic("ci:p:w")).await.is(200, "success");
    for wrong in ["ci:p", "ci", "ci:", ":p:w", "ci:p:w ", "CI:p:w"] {
        let refused = sent(&basic(wrong)).await;
        refused.is(401, "wrong user name or password");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"zetes\", charset=\"UTF-8\"");
    }
    for none in ["", "Bearer x", "Basic", "Basic %%%"] {
        assert_eq!(sent(none).await.status, 401, "{none}");
    }
    let header = &kit.data(1).await[0]["header"]["Authorization"];
    assert_eq!(header, &json!(["*** Masked Auth Secret ***"]), "no password in an event");
    source.stop().await;
}

#[tokio::test]
async fn a_token_is_no_part_of_an_event() {
    let kit = Kit::new().with_secret("key", "key", "shared");
    let jwt = json!({"secret": {"name": "key", "key": "key"}, "algorithms": ["HS256"], "header": "X-Token"});
    let source = kit.start::<Webhook>(config(json!({"verify": {"jwt": jwt}})));
    source.serving().await;
    served(&kit, "/hook").await;
    let part = |value: Value| {
        base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, value.to_string())
    };
    let token = |expires: i64| {
        let text = format!("{}.{}", part(json!({"alg": "HS256"})), part(json!({"exp": expires})));
        let signature = hmac("sha256", "shared", text.as_bytes());
        format!(
            "{text}.{}",
            base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, signature)
        )
    };
    let sent = async |token: &str| post(&kit, "/hook", &[("x-token", token)], "{}").await;
    let right = token(seconds(60));
    sent(&right).await.is(200, "success");
    let expired = sent(&token(seconds(-60))).await;
    expired.is(401, "the token has expired");
    assert_eq!(expired.header("www-authenticate"), "Bearer");
    assert_eq!(kit.data(1).await[0]["header"]["X-Token"], Value::Null);
    assert!(!kit.events(1).await[0].data_text().unwrap().contains(&right));
    source.stop().await;
}

#[tokio::test]
async fn a_bus_that_refuses_is_told_to_the_caller_and_a_repetition_is_one_event() {
    let kit = Kit::new().with_secret("hook", "secret", "s3cret");
    let source = kit.start::<Webhook>(signed());
    source.serving().await;
    served(&kit, "/hook").await;
    let signature = signature("s3cret", seconds(0), b"{}");
    let headers = [("x-signature", signature.as_str()), ("x-delivery", "1")];
    kit.refuse();
    let answer = post(&kit, "/hook", &headers, "{}").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    kit.take();
    post(&kit, "/hook", &headers, "{}").await.is(200, "success");
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

fn certified(kit: Kit, name: &str, certificates: &Certificates) -> Kit {
    kit.with_secret(name, "crt", &certificates.server.certificate)
        .with_secret(name, "key", &certificates.server.key)
        .with_secret(name, "ca", &certificates.ca.certificate)
}

fn over_tls(allowed: &[&str]) -> Value {
    let secret = |key: &str| json!({"name": "tls", "key": key});
    config(json!({
        "serverCertSecret": secret("crt"), "serverKeySecret": secret("key"),
        "verify": {"mtls": {"clientCASecret": secret("ca"), "allowedNames": allowed}},
    }))
}

#[tokio::test]
async fn tls_is_verified() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let kit = certified(Kit::new(), "tls", &ours);
    let source = kit.start::<Webhook>(over_tls(&["other", "zetes-client"]));
    source.serving().await;
    let url = format!("https://localhost:{}/hook", kit.address().await.port());
    let post = |shown| Answer::to(tls_client(&ours, shown).post(&url).body("{}"));
    post(Some(&ours)).await.is(200, "success");
    post(None).await.is(401, "a client certificate is required");
    // Of another CA: the handshake ends.
    let refused = tls_client(&ours, Some(&others)).post(&url).body("{}").send().await;
    assert!(refused.is_err(), "{refused:?}");
    // Health needs no certificate.
    let health = format!("https://localhost:{}/health", kit.address().await.port());
    Answer::to(tls_client(&ours, None).get(&health)).await.is(200, "OK");
    // Another CA by rotation: a connection that was let in by the old one is not any more.
    let before = tls_client(&ours, Some(&ours));
    Answer::to(before.post(&url).body("{}")).await.is(200, "success");
    kit.set_secret("tls", "ca", &others.ca.certificate);
    eventsource_core::testkit::eventually("the new CA to count", async || {
        let answer = tls_client(&ours, Some(&others)).post(&url).body("{}").send().await;
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    })
    .await;
    let after = before.post(&url).body("{}").send().await;
    assert!(after.map_or(true, |answer| answer.status() == 401));
    source.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_let_in() {
    let ours = Certificates::new();
    let kit = certified(Kit::new(), "tls", &ours);
    let source = kit.start::<Webhook>(over_tls(&["zetes", "client", "ZETES-CLIENT"]));
    source.serving().await;
    let url = format!("https://localhost:{}/hook", kit.address().await.port());
    let refused = Answer::to(tls_client(&ours, Some(&ours)).post(&url).body("{}")).await;
    refused.is(401, "the client certificate has none of the allowed names");
    source.stop().await;
}

#[tokio::test]
async fn a_ca_that_is_none_is_told() {
    let ours = Certificates::new();
    let kit = certified(Kit::new(), "tls", &ours).with_secret("tls", "ca", "no PEM");
    let source = kit.start::<Webhook>(over_tls(&[]));
    assert_eq!(source.failure().await, "clientCASecret: it holds no PEM certificate");
    source.stop().await;
}
