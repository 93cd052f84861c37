//! What the tests of this crate share: a bus on a server, events, and waiting for what its health says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{Bus, ConsumerName, Health, Interest, Publication, Retention, Start, Subscription};
use bus_jetstream::{JetStreamBus, Names, Options, Stream};
use connection_nats::{Login, Settings};
use zetes_api::{Event, Metadata, Secret, SecretKeyRef};
use zetes_runtime::{Clock, Secrets};

/// How long a test waits for what should happen soon.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A bus named `b` of namespace `ci`, without login.
pub(crate) fn options(url: &str) -> Options {
    Options {
        namespace: "ci".into(),
        name: "b".into(),
        connection: Settings {
            url: url.to_owned(),
            login: Login::AccessSecret(None),
            tls: None,
            namespace: "ci".into(),
            secrets: Secrets::default(),
        },
        stream: Stream {
            retention: Retention { max_bytes: None, ..Retention::default() },
            ..Stream::default()
        },
        names: Names::Own,
        clock: Clock::system(),
    }
}

/// Key `key` of a secret `s`.
pub(crate) fn key(key: &str) -> SecretKeyRef {
    SecretKeyRef { name: "s".to_owned(), key: key.to_owned(), optional: None }
}

/// Secrets whose `s` has these values.
pub(crate) fn secrets(values: &[(&str, &str)]) -> Secrets {
    let values: BTreeMap<String, String> =
        values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let metadata = Metadata { name: Some("s".into()), ..Metadata::default() };
    let mut builder = Secrets::builder();
    builder
        .secret("ci".into(), &Secret { metadata, data: BTreeMap::new(), string_data: values })
        .expect("plain texts");
    builder.build()
}

/// Opens a bus and waits until it can be used.
pub(crate) async fn opened(options: Options) -> Arc<JetStreamBus> {
    let bus = Arc::new(JetStreamBus::open(options));
    healthy(&bus).await;
    bus
}

pub(crate) async fn healthy(bus: &JetStreamBus) -> Health {
    health(bus, "the bus can be used", |health| health.failure.is_none()).await
}

/// Waits until the health is as wanted.
///
/// # Panics
///
/// Where it does not become so, with what it is.
pub(crate) async fn health(bus: &JetStreamBus, what: &str, is_so: impl Fn(&Health) -> bool) -> Health {
    let waiting = async {
        loop {
            let changed = bus.changed();
            let now = bus.health();
            if is_so(&now) {
                return now;
            }
            // Looked at again now and then: the change may have come between the two lines above.
            let _is_new = tokio::time::timeout(Duration::from_millis(20), changed).await.is_ok();
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("expected that {what}; the health is {:?}", bus.health()))
}

/// The error that the health tells, once it tells one that has this text.
pub(crate) async fn failure(bus: &JetStreamBus, text: &str) -> String {
    let told = |health: &Health| health.failure.as_ref().is_some_and(|failure| failure.error.contains(text));
    health(bus, &format!("the health tells `{text}`"), told).await.failure.expect("it was told").error
}

pub(crate) fn event(id: &str) -> Publication {
    let event = Event::with_data("webhook", "hooks", "push", id, "{}");
    Publication { namespace: "ci".into(), event: Arc::new(event) }
}

pub(crate) fn subscription(trigger: &str) -> Subscription {
    Subscription {
        consumer: ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: trigger.into() },
        interests: vec![Interest { source: None, subject: None, dependency: "d".into() }],
        start: Start::Earliest,
        ack_deadline: Duration::from_secs(5),
        max_in_flight: 1_000,
    }
}
