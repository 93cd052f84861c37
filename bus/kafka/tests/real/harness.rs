//! Buses on the shared broker, each with a name of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bus_core::{Bus as _, Publication, Start, Subscription};
use bus_kafka::{KafkaBus, Options};
use connection_kafka::{Sasl, Settings};
use zetes_api::{Event, SecretKeyRef, Tls};
use zetes_runtime::{Clock, Secrets};
use zetes_services::{KafkaBroker, SharedKafka};

pub(crate) const NAMESPACE: &str = "ci";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A name that no other test has, nor had.
pub(crate) fn unique() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("t{}-{}-{number}", Clock::system().now().as_millisecond(), std::process::id())
}

pub(crate) fn shared() -> SharedKafka {
    KafkaBroker::shared()
}

pub(crate) fn at(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        tls: None,
        sasl: None,
        version: String::new(),
        namespace: NAMESPACE.into(),
        secrets: Secrets::builder().build(),
    }
}

pub(crate) fn options(connection: Settings) -> Options {
    Options::new(NAMESPACE.into(), unique(), connection)
}

pub(crate) fn secrets(values: &[(&str, &str)]) -> Secrets {
    let mut secrets = Secrets::builder();
    let name = |key: &str| format!("ZETES_SECRET_KAFKA_{}", key.to_uppercase());
    secrets.environment(values.iter().map(|(key, value)| (name(key), (*value).to_owned())));
    secrets.build()
}

pub(crate) fn secret(key: &str) -> SecretKeyRef {
    SecretKeyRef { name: "kafka".to_owned(), key: key.to_owned(), optional: None }
}

pub(crate) fn login(mechanism: &str) -> Sasl {
    Sasl { mechanism: mechanism.to_owned(), user_secret: secret("user"), password_secret: secret("password") }
}

pub(crate) fn trusting_ca() -> Tls {
    Tls { ca_cert_secret: Some(secret("ca")), ..Tls::default() }
}

pub(crate) async fn opened(options: Options) -> KafkaBus {
    let bus = KafkaBus::open(options);
    let connected = tokio::time::timeout(PATIENCE, bus.connected()).await;
    assert!(
        connected.is_ok(),
        "the bus did not connect: {:?}; `cargo xtask services up` starts the broker",
        bus.health()
    );
    bus
}

pub(crate) fn event(id: &str) -> Publication {
    event_of("push", id)
}

pub(crate) fn event_of(subject: &str, id: &str) -> Publication {
    let event = Event::with_data("webhook", "hooks", subject, id, "{}");
    Publication { namespace: NAMESPACE.into(), event: Arc::new(event) }
}

pub(crate) fn subscription(trigger: &str) -> Subscription {
    Subscription {
        consumer: bus_core::ConsumerName {
            namespace: NAMESPACE.into(),
            sensor: "s".into(),
            trigger: trigger.into(),
        },
        interests: vec![bus_core::Interest { source: None, subject: None, dependency: "d".into() }],
        start: Start::Now,
        ack_deadline: Duration::from_secs(30),
        max_in_flight: 100,
    }
}

/// Waits until the condition holds; looks again every few milliseconds.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            Clock::system().sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.expect(what)
}
