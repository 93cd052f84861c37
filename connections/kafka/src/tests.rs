use rdkafka::ClientContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use zetes_api::{SecretKeyRef, Tls};
use zetes_runtime::Secrets;

use super::*;

fn settings() -> Settings {
    let mut secrets = Secrets::builder();
    secrets.environment([
        ("ZETES_SECRET_KAFKA_USER".to_owned(), "alice".to_owned()),
        ("ZETES_SECRET_KAFKA_PASSWORD".to_owned(), "wonder".to_owned()),
    ]);
    Settings {
        url: "one:9092, two:9092".to_owned(),
        tls: None,
        sasl: None,
        version: String::new(),
        namespace: "ci".into(),
        secrets: secrets.build(),
    }
}

fn key(key: &str) -> SecretKeyRef {
    SecretKeyRef { name: "kafka".to_owned(), key: key.to_owned(), optional: None }
}

fn login(mechanism: &str) -> Sasl {
    Sasl { mechanism: mechanism.to_owned(), user_secret: key("user"), password_secret: key("password") }
}

#[test]
fn tls_and_login_choose_the_protocol() {
    let tls = Some(Tls { enabled: true, ..Tls::default() });
    for (tls, sasl, protocol) in [
        (None, None, "plaintext"),
        (tls.clone(), None, "ssl"),
        (None, Some(login("PLAIN")), "sasl_plaintext"),
        (tls, Some(login("SCRAM-SHA-512")), "sasl_ssl"),
    ] {
        let config = Settings { tls, sasl, ..settings() }.client_config().unwrap();
        assert_eq!(config.get("security.protocol"), Some(protocol));
        assert_eq!(config.get("bootstrap.servers"), Some("one:9092,two:9092"));
    }
}

#[test]
fn what_cannot_be_used_says_so_before_anything_is_opened() {
    let only_certificate = Tls { client_cert_secret: Some(key("user")), ..Tls::default() };
    let missing = Sasl { user_secret: key("nobody"), ..login("PLAIN") };
    let rows = [
        (Settings { sasl: Some(login("GSSAPI")), ..settings() }, "Kerberos (GSSAPI) is not built in"),
        (Settings { sasl: Some(login("plane")), ..settings() }, "expected PLAIN, SCRAM-SHA-256"),
        (Settings { sasl: Some(missing), ..settings() }, "nobody"),
        (Settings { tls: Some(only_certificate), ..settings() }, "a client certificate needs both"),
        (Settings { url: " , ".to_owned(), ..settings() }, "`url` names no broker"),
    ];
    for (settings, expected) in rows {
        let failure = settings.client_config().unwrap_err();
        assert!(failure.text.contains(expected), "expected `{expected}`, got `{failure}`");
        assert_eq!(failure.kind, FailureKind::Settings);
    }
}

#[test]
fn what_librdkafka_told_beside_a_time_out_is_the_reason() {
    use RDKafkaErrorCode as Code;
    let tls = Settings { tls: Some(Tls::default()), ..settings() };
    let rows = [
        (settings(), Code::Authentication, "Invalid username or password", FailureKind::Login),
        (settings(), Code::SSL, "certificate verify failed", FailureKind::Certificate),
        (tls, Code::SSL, "wrong version number: connecting to a PLAINTEXT", FailureKind::Protocol),
        (settings(), Code::BrokerTransportFailure, "(connecting to a SSL listener?)", FailureKind::Protocol),
        (settings(), Code::BrokerTransportFailure, "Connection refused", FailureKind::Unreachable),
    ];
    for (settings, code, reason, kind) in rows {
        let context = Context::new(settings);
        context.error(KafkaError::Global(code), reason);
        context.error(KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
        let timed_out = KafkaError::MetadataFetch(Code::OperationTimedOut);
        let failure = context.explain(&timed_out, &About::Cluster);
        assert_eq!(failure.kind, kind, "{reason}: {failure}");
        context.forget();
        assert_eq!(context.explain(&timed_out, &About::Cluster).kind, FailureKind::Unreachable);
    }
}

#[test]
fn a_missing_right_names_its_topic_or_group() {
    let context = Context::new(settings());
    let error = KafkaError::MetadataFetch(RDKafkaErrorCode::TopicAuthorizationFailed);
    let told = context.explain(&error, &About::Topic("orders")).text;
    assert!(told.contains("no right on topic orders"), "{told}");
    let error = KafkaError::OffsetFetch(RDKafkaErrorCode::GroupAuthorizationFailed);
    let told = context.explain(&error, &About::Group("billing")).text;
    assert!(told.contains("no right on consumer group billing"), "{told}");
}
