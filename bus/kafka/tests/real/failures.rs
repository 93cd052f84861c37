//! What keeps the bus from working is told in one sentence, and goes away when its cause does.

use bus_core::{Bus as _, BusError};
use bus_kafka::{KafkaBus, Options};
use connection_kafka::Settings;
use zetes_api::Tls;
use zetes_services::{Certificates, KafkaBroker, Proxy};

use crate::harness::{
    PATIENCE, at, event, eventually, login, opened, options, secret, secrets, shared, subscription,
    trusting_ca,
};

fn text(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).expect("the shared broker's certificates are there")
}

fn user(name: &str, password: &str) -> Settings {
    let secrets = secrets(&[("user", name), ("password", password)]);
    Settings { sasl: Some(login("SCRAM-SHA-512")), secrets, ..at(&shared().sasl_plaintext) }
}

async fn told(connection: Settings) -> String {
    let error = KafkaBus::check(options(connection)).await.expect_err("it can't be used");
    assert!(matches!(error, BusError::Unavailable(_)), "{error:?}");
    error.to_string()
}

fn check(told: &str, expected: &[&str]) {
    for part in expected {
        assert!(told.contains(part), "expected `{part}` in: {told}");
    }
    assert!(!told.contains("secret-of-nobody"), "a password is told: {told}");
}

async fn works(connection: Settings) {
    let checked = KafkaBus::check(options(connection)).await;
    assert!(checked.as_ref().is_ok_and(|health| health.failure.is_none()), "{checked:?}");
}

#[tokio::test]
async fn every_login_and_tls_that_is_right_works() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        works(Settings { sasl: Some(login(mechanism)), ..user("zetes", "zetes-secret") }).await;
    }
    let shared = shared();
    let ca = text(&shared.ca);
    let secrets = secrets(&[
        ("user", "zetes"),
        ("password", "zetes-secret"),
        ("ca", &ca),
        ("certificate", &text(&shared.client_certificate)),
        ("key", &text(&shared.client_key)),
    ]);
    let tls = trusting_ca();
    works(Settings {
        tls: Some(tls.clone()),
        sasl: Some(login("PLAIN")),
        secrets: secrets.clone(),
        ..at(&shared.sasl_ssl)
    })
    .await;
    let tls = Tls {
        client_cert_secret: Some(secret("certificate")),
        client_key_secret: Some(secret("key")),
        ..tls
    };
    works(Settings { tls: Some(tls), secrets, ..at(&shared.ssl) }).await;
}

#[tokio::test]
async fn a_wrong_password_names_the_secrets() {
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let wrong = Settings { sasl: Some(login(mechanism)), ..user("zetes", "secret-of-nobody") };
        check(&told(wrong).await, &["refused the login by", mechanism, "kafka/user", "kafka/password"]);
    }
}

#[tokio::test]
async fn a_login_by_token_is_told_to_be_none_of_a_bus() {
    let by_token = Settings { sasl: Some(login("OAUTHBEARER")), ..user("zetes", "secret-of-nobody") };
    check(&told(by_token).await, &["OAUTHBEARER", "use SCRAM-SHA-512 or a client certificate"]);
}

#[tokio::test]
async fn a_wrong_authority_says_where_the_right_one_goes() {
    let wrong = Certificates::new().wrong_ca.certificate;
    let secrets = secrets(&[("user", "zetes"), ("password", "zetes-secret"), ("ca", &wrong)]);
    let settings =
        Settings { tls: Some(trusting_ca()), sasl: Some(login("PLAIN")), secrets, ..at(&shared().sasl_ssl) };
    check(&told(settings).await, &["certificate", "was not accepted", "tls.caCertSecret"]);
}

#[tokio::test]
async fn tls_on_the_wrong_side_is_told() {
    let without = Settings { sasl: Some(login("PLAIN")), ..at(&shared().sasl_ssl) };
    let secrets = secrets(&[("user", "zetes"), ("password", "zetes-secret"), ("ca", &text(&shared().ca))]);
    check(&told(Settings { secrets: secrets.clone(), ..without }).await, &["set `tls` or `sasl`"]);
    let with = Settings {
        tls: Some(trusting_ca()),
        sasl: Some(login("PLAIN")),
        secrets,
        ..at(&shared().sasl_plaintext)
    };
    check(&told(with).await, &["speak no TLS there", "remove `tls`"]);
}

#[tokio::test]
async fn unreachable_brokers_are_named() {
    let mut proxy = Proxy::to_port(9);
    proxy.cut();
    let address = proxy.address().to_string();
    check(&told(at(&address)).await, &[&address, "can be reached", "refused"]);
}

#[tokio::test]
async fn topics_that_may_not_be_created_come_with_the_commands_that_do() {
    let options = Options { replication: Some(3), ..options(user("limited", "limited-secret")) };
    let topic = format!("zetes.ci.{}", options.bus);
    let error = KafkaBus::check(options).await.expect_err("this user may do nothing");
    let told = error.to_string();
    let expected = [
        "no right on topic",
        "create what is missing first",
        &format!("--create --topic {topic} --partitions 6 --replication-factor 3 --config retention.ms=-1"),
        &format!(
            "--topic {topic}.state --partitions 1 --replication-factor 3 --config cleanup.policy=compact"
        ),
        &format!("--topic {topic}.decisions"),
    ];
    check(&told, &expected);
}

#[tokio::test]
async fn a_missing_right_names_the_topic() {
    let all = options(user("zetes", "zetes-secret"));
    drop(opened(all.clone()).await);
    let topic = format!("zetes.ci.{}", all.bus);
    let limited = Options { connection: user("limited", "limited-secret"), ..all };
    let error = KafkaBus::check(limited).await.expect_err("this user may do nothing");
    check(&error.to_string(), &["no right on topic", &topic]);
}

#[tokio::test]
async fn a_corrected_password_is_taken_without_opening_anew() {
    let wrong = user("zetes", "secret-of-nobody");
    let given = wrong.secrets.clone();
    let bus = KafkaBus::open(options(wrong));
    let failure = eventually("the login is refused", || {
        bus.health().failure.filter(|failure| failure.error.contains("refused the login"))
    });
    let since = failure.await.since;
    let refused = bus.publish(vec![event("a")]).await;
    assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");
    assert_eq!(bus.health().failure.expect("it still fails").since, since);
    given.replace(&secrets(&[("user", "zetes"), ("password", "zetes-secret")]));
    bus.connected().await;
    bus.publish(vec![event("a")]).await.expect("the bus works");
    assert_eq!(bus.health().failure, None);
}

#[tokio::test]
async fn a_lost_connection_is_told_and_comes_back() {
    let (_broker, mut proxy) = KafkaBroker::start_behind_proxy();
    let bus = opened(options(at(&proxy.address().to_string()))).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    proxy.cut();
    eventually("the loss is told", || bus.health().failure).await;
    let refused = bus.publish(vec![event("a")]).await;
    assert!(matches!(refused, Err(BusError::Unavailable(_))), "{refused:?}");
    proxy.heal();
    eventually("the bus works again", || bus.health().failure.is_none().then_some(())).await;
    bus.publish(vec![event("b")]).await.expect("the bus works");
    let taken = tokio::time::timeout(PATIENCE, consumer.fetch(10)).await.expect("it comes");
    assert_eq!(taken.expect("the bus works")[0].event.id.as_str(), "b");
}
