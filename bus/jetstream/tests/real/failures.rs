//! Every way not to get to a server is one sentence, and goes away by itself when its cause does.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_core::{Bus, BusError, Retention};
use bus_jetstream::{JetStreamBus, Options, Stream};
use connection_nats::{Login, Settings};
use zetes_api::Tls;
use zetes_services::{Certificates, NatsServer, NatsVersion, free_port};

use crate::harness::{event, failure, health, healthy, key, opened, options, secrets};

/// A user with this permission on the JetStream API denied.
fn denying(denied: &str) -> String {
    format!(
        "authorization {{ users: [ {{ user: u, password: p, permissions: {{ publish: {{ deny: \"{denied}\" }} }} }} ] }}"
    )
}

fn with(url: &str, secret: &str, values: &[(&str, &str)], tls: Option<Tls>) -> Options {
    let plain = options(url);
    let login = Login::AccessSecret((!secret.is_empty()).then(|| key(secret)));
    let connection = Settings { login, tls, secrets: secrets(values), ..plain.connection };
    Options { connection, ..plain }
}

async fn publishes(bus: &Arc<JetStreamBus>) {
    healthy(bus).await;
    bus.publish(vec![event("a")]).await.expect("the bus takes it");
}

/// The login `wrong` is refused with a message; put right, the same bus works.
async fn login(conf: &str, right: &str, wrong: &str) {
    let server = NatsServer::start(NatsVersion::Current, conf);
    let refused = with(&server.url(), "login", &[("login", wrong)], None);
    let bus = Arc::new(JetStreamBus::open(refused.clone()));
    let told = failure(&bus, "refused the login").await;
    let expected = format!(
        "{} refused the login; correct the name, password, token or key in secret `ci/s` key `login`",
        server.url()
    );
    assert_eq!(told, expected);
    let published = bus.publish(vec![event("a")]).await;
    assert!(matches!(&published, Err(BusError::Unavailable(why)) if *why == told), "{published:?}");
    refused.connection.secrets.replace(&secrets(&[("login", right)]));
    publishes(&bus).await;
}

#[tokio::test]
async fn a_wrong_token() {
    login("authorization { token: right }", "right", "wrong").await;
}

#[tokio::test]
async fn a_wrong_password() {
    let conf = "authorization { users: [ { user: u, password: p } ] }";
    login(conf, "username: u\npassword: p", "username: u\npassword: q").await;
}

#[tokio::test]
async fn a_wrong_nkey() {
    let (right, wrong) = (nkeys::KeyPair::new_user(), nkeys::KeyPair::new_user());
    let conf = format!("authorization {{ users: [ {{ nkey: {} }} ] }}", right.public_key());
    let seed = |pair: &nkeys::KeyPair| format!("nkey: {}", pair.seed().expect("it was made with one"));
    login(&conf, &seed(&right), &seed(&wrong)).await;
}

/// A signed token as `nsc` makes them.
fn jwt(issuer: &nkeys::KeyPair, subject: &nkeys::KeyPair, claims: &serde_json::Value) -> String {
    let claims = serde_json::json!({
        "jti": "x", "iat": 1_700_000_000, "iss": issuer.public_key(), "sub": subject.public_key(), "name": "test", "nats": claims,
    });
    let header = URL_SAFE_NO_PAD.encode("{\"typ\":\"JWT\",\"alg\":\"ed25519-nkey\"}");
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = issuer.sign(signed.as_bytes()).expect("it has a seed");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// A secret with the text of a credentials file.
fn credentials(account: &nkeys::KeyPair, user: &nkeys::KeyPair) -> String {
    let claims = serde_json::json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
    let (jwt, seed) = (jwt(account, user, &claims), user.seed().expect("it was made with one"));
    let file = [
        "-----BEGIN NATS USER JWT-----",
        &jwt,
        "------END NATS USER JWT------",
        "",
        "-----BEGIN USER NKEY SEED-----",
        &seed,
        "------END USER NKEY SEED------",
    ];
    format!("creds: |\n  {}\n", file.join("\n  "))
}

#[tokio::test]
async fn wrong_credentials() {
    let (operator, account) = (nkeys::KeyPair::new_operator(), nkeys::KeyPair::new_account());
    let system = nkeys::KeyPair::new_account();
    let limits = serde_json::json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let plain = serde_json::json!({"type": "account", "version": 2, "limits": {"subs": -1, "conn": -1, "data": -1, "payload": -1}});
    let with_storage = serde_json::json!({"type": "account", "version": 2, "limits": limits});
    let conf = format!(
        "operator: {}\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}",
        jwt(&operator, &operator, &serde_json::json!({"type": "operator", "version": 2})),
        system.public_key(),
        account.public_key(),
        jwt(&operator, &account, &with_storage),
        system.public_key(),
        jwt(&operator, &system, &plain),
    );
    let right = credentials(&account, &nkeys::KeyPair::new_user());
    let wrong = credentials(&nkeys::KeyPair::new_account(), &nkeys::KeyPair::new_user());
    login(&conf, &right, &wrong).await;
}

#[tokio::test]
async fn a_login_that_is_asked_for_and_not_named() {
    let server = NatsServer::start(NatsVersion::Current, "authorization { token: right }");
    let bus = JetStreamBus::open(options(&server.url()));
    let told = failure(&bus, "asks for a login").await;
    assert_eq!(
        told,
        format!("{} asks for a login; name a secret that has it with accessSecret", server.url())
    );
}

#[tokio::test]
async fn a_secret_that_is_missing_is_no_login_without_one() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let missing = with(&server.url(), "login", &[], None);
    let bus = Arc::new(JetStreamBus::open(missing.clone()));
    let told = failure(&bus, "can't be read").await;
    assert!(told.starts_with("the login can't be read: secret `ci/s` key `login` not found"), "{told}");
    missing.connection.secrets.replace(&secrets(&[("login", "any")]));
    publishes(&bus).await;
}

#[tokio::test]
async fn nothing_listens_and_then_something_does() {
    let mut server = NatsServer::start(NatsVersion::Current, "");
    server.kill();
    let bus = opened_later(&server.url());
    let told = failure(&bus, "nothing listens").await;
    assert_eq!(told, format!("nothing listens at {}; start the server, or correct the url", server.url()));
    server.restart();
    publishes(&bus).await;
}

fn opened_later(url: &str) -> Arc<JetStreamBus> {
    Arc::new(JetStreamBus::open(options(url)))
}

#[tokio::test]
async fn a_host_that_is_not_known() {
    let bus = opened_later("nats://no-such-host.invalid:4222");
    let told = failure(&bus, "is not known").await;
    assert!(told.starts_with("the host name of nats://no-such-host.invalid:4222 is not known ("), "{told}");
}

#[tokio::test]
async fn an_address_that_is_none_and_a_server_without_jetstream() {
    let told = failure(&opened_later("http://a:1"), "no address").await;
    assert_eq!(told, "`http://a:1` is no address of a NATS server; write `nats://host:4222`");
    let server = NatsServer::start(
        NatsVersion::Current,
        "accounts { A: { users: [ { user: u, password: p } ] } }\nno_auth_user: u",
    );
    let told = failure(&opened_later(&server.url()), "JetStream").await;
    assert!(told.contains("JetStream not enabled for account"), "{told}");
}

#[tokio::test]
async fn a_certificate_of_another_ca() {
    let certificates = Certificates::new();
    let server = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(false));
    let tls = Tls { ca_cert_secret: Some(key("ca")), ..Tls::default() };
    let wrong = with(&server.tls_url(), "", &[("ca", &certificates.wrong_ca.certificate)], Some(tls));
    let bus = Arc::new(JetStreamBus::open(wrong.clone()));
    let told = failure(&bus, "not signed").await;
    let expected = format!(
        "the certificate of {} is not signed by the CA in secret `ci/s` key `ca`; put the server's CA there",
        server.tls_url()
    );
    assert_eq!(told, expected);
    wrong.connection.secrets.replace(&secrets(&[("ca", &certificates.ca.certificate)]));
    publishes(&bus).await;
    assert!(bus.health().warnings.is_empty(), "{:?}", bus.health());
}

#[tokio::test]
async fn a_client_certificate_that_is_asked_for() {
    let certificates = Certificates::new();
    let server = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(true));
    let client = &certificates.client;
    let values =
        [("ca", certificates.ca.certificate.as_str()), ("cert", &client.certificate), ("key", &client.key)];
    let without = Tls { ca_cert_secret: Some(key("ca")), ..Tls::default() };
    let bus = JetStreamBus::open(with(&server.tls_url(), "", &values, Some(without.clone())));
    let told = failure(&bus, "client certificate").await;
    assert_eq!(
        told,
        format!(
            "{} wants a client certificate that it knows; name one with tls.clientCertSecret and tls.clientKeySecret",
            server.tls_url()
        )
    );
    let with_it =
        Tls { client_cert_secret: Some(key("cert")), client_key_secret: Some(key("key")), ..without };
    publishes(&opened(with(&server.tls_url(), "", &values, Some(with_it))).await).await;
}

#[tokio::test]
async fn tls_on_one_side_only() {
    let certificates = Certificates::new();
    let plain = NatsServer::start(NatsVersion::Current, "");
    let tls = Tls { ca_cert_secret: Some(key("ca")), ..Tls::default() };
    let values = [("ca", certificates.ca.certificate.as_str())];
    let told = failure(&JetStreamBus::open(with(&plain.url(), "", &values, Some(tls))), "TLS").await;
    assert!(told.contains(&plain.url()) && told.contains("remove tls"), "{told}");
    let secured = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(false));
    let bus = opened(options(&secured.url())).await;
    let expected = format!(
        "the certificate of {} is not verified; write tls.caCertSecret, or tls:// for one of a public CA",
        secured.url()
    );
    assert_eq!(bus.health().warnings, [expected]);
    publishes(&bus).await;
    let insecure = Tls { insecure_skip_verify: true, ..Tls::default() };
    let bus = opened(with(&secured.url(), "", &[], Some(insecure))).await;
    assert!(
        bus.health().warnings.iter().any(|warning| warning.contains("insecureSkipVerify")),
        "{:?}",
        bus.health()
    );
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    for denied in ["$JS.API.STREAM.INFO.zetes_ci_b", "$JS.API.STREAM.CREATE.zetes_ci_b"] {
        let server = NatsServer::start(NatsVersion::Current, &denying(denied));
        let named = with(&server.url(), "login", &[("login", "username: u\npassword: p")], None);
        let told = failure(&JetStreamBus::open(named.clone()), "permissions").await;
        assert_eq!(
            told,
            format!(
                "the user of the NATS server may not use `{denied}`; allow it in the server's permissions"
            )
        );
        let checked = JetStreamBus::check(named.clone()).await;
        assert!(matches!(&checked, Err(BusError::Unavailable(why)) if *why == told), "{checked:?}");
        server.reload(&denying("nothing"));
        publishes(&opened(named).await).await;
    }
    let server = NatsServer::start(NatsVersion::Current, &denying("zetes.ci.b.hooks.push"));
    let bus = opened(with(&server.url(), "login", &[("login", "username: u\npassword: p")], None)).await;
    let published = bus.publish(vec![event("a")]).await;
    assert!(
        matches!(&published, Err(BusError::Unavailable(why)) if why.contains("zetes.ci.b.hooks.push")),
        "{published:?}"
    );
}

#[tokio::test]
async fn limits_smaller_than_asked_are_lowered_and_told() {
    let server = NatsServer::start(NatsVersion::Current, "jetstream { max_file_store: 100MB }");
    let plain = options(&server.url());
    let stream = Stream {
        retention: Retention { max_bytes: Some(80_000_000), ..Retention::default() },
        replicas: 3,
        discard_written: false,
    };
    let checked = JetStreamBus::check(Options { stream: stream.clone(), ..plain.clone() })
        .await
        .expect("it could be used");
    assert!(!checked.warnings.is_empty(), "{checked:?}");
    let bus = opened(Options { stream, ..plain }).await;
    let warnings = health(&bus, "warnings are told", |health| !health.warnings.is_empty()).await.warnings;
    let has = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(has("stream `zetes_ci_b` has 1 replicas instead of 3"), "{warnings:?}");
    assert!(has("stream `zetes_ci_b_decisions` holds at most"), "{warnings:?}");
    publishes(&bus).await;
}

#[tokio::test]
async fn a_check_leaves_nothing_and_says_what_is_wrong() {
    let server = NatsServer::start(NatsVersion::Current, "");
    JetStreamBus::check(options(&server.url())).await.expect("it could be used");
    let streams = server.monitoring("/jsz?streams=true").expect("it runs");
    assert!(!streams.contains("zetes_ci_b"), "{streams}");
    let nowhere = JetStreamBus::check(options(&format!("nats://127.0.0.1:{}", free_port()))).await;
    assert!(
        matches!(&nowhere, Err(BusError::Unavailable(why)) if why.contains("nothing listens")),
        "{nowhere:?}"
    );
}

#[tokio::test]
async fn changed_settings_are_applied_in_place() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let plain = options(&server.url());
    let bus = opened(plain.clone()).await;
    bus.publish(vec![event("a")]).await.expect("the bus takes it");
    bus.close().await.expect("it was open");
    let retention = Retention { max_events: Some(1), max_bytes: None, ..Retention::default() };
    let bus = opened(Options { stream: Stream { retention, ..Stream::default() }, ..plain }).await;
    assert!(bus.health().warnings.is_empty(), "{:?}", bus.health());
    bus.publish(vec![event("b")]).await.expect("nobody reads, so the first one gives way");
    assert_eq!(bus.stats().await.expect("the bus works").events, 1);
}
