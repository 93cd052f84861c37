//! A whole event source on a bus in memory, for the tests of adapters: supervised as in production, against whatever upstream the test
//! has.
//!
//! ```ignore
//! let kit = Kit::new().with_secret("queue", "password", "p");
//! let source = kit.start::<Queue>(json!({"url": queue.url()}));
//! queue.send("a");
//! assert_eq!(kit.events(1).await[0].data_text(), Some(r#"{"body":"a"}"#));
//! source.kill();
//! ```

#![expect(clippy::panic, clippy::unwrap_used, clippy::missing_panics_doc, reason = "tests fail by panics")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{Bus as _, EntryBody, EntryKind, MemoryBus, ReadFilter, Retention, StateKey};
use serde_json::{Value, json};
use zetes_api::{Event, EventSource as Object};
use zetes_runtime::{Clock, Registry, Secrets};

use crate::{
    DeadMessage, DeadMessages, Deps, EventSource, Factory, Front, Metrics, PartState, PartStatus, Readiness,
    Running, Sources,
};

mod refusing;

use refusing::RefusingBus;

/// How long a condition may take. Servers are local, and slow only to start.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` gives something.
///
/// # Panics
/// After a minute, saying what it waited for.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let clock = Clock::system();
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            clock.sleep(PAUSE).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited {} s for: {what}", PATIENCE.as_secs()))
}

/// A bus, secrets and ports, which outlive the event sources that a test starts on them.
pub struct Kit {
    bus: Arc<RefusingBus>,
    front: Front,
    secrets: Secrets,
    values: Mutex<BTreeMap<(String, String), String>>,
    metrics: Metrics,
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

impl Kit {
    pub fn new() -> Self {
        // Another one of the process is as good.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let clock = Clock::system();
        let bus = MemoryBus::new(Retention::default(), Arc::new(move || clock.now()));
        Self {
            bus: Arc::new(RefusingBus::new(bus)),
            front: Front::new(Ipv4Addr::LOCALHOST.into()),
            secrets: Secrets::default(),
            values: Mutex::default(),
            metrics: Metrics::register(&Registry::new()),
        }
    }

    #[must_use]
    pub fn with_secret(self, name: &str, key: &str, value: &str) -> Self {
        self.set_secret(name, key, value);
        self
    }

    /// Sets a secret, also under an event source that runs: a rotation.
    pub fn set_secret(&self, name: &str, key: &str, value: &str) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert((name.to_owned(), key.to_owned()), value.to_owned());
        let mut builder = Secrets::builder();
        let names: BTreeSet<&String> = values.keys().map(|(name, _)| name).collect();
        for name in names {
            let of_name = values.iter().filter(|((one, _), _)| one == name);
            let data: BTreeMap<_, _> = of_name.map(|((_, key), value)| (key, value)).collect();
            let document = json!({"metadata": {"name": name}, "stringData": data});
            builder.secret("default".into(), &serde_json::from_value(document).unwrap()).unwrap();
        }
        self.secrets.replace(&builder.build());
    }

    /// Starts the EventSource `source` with the event `event` of this kind.
    ///
    /// # Panics
    /// The configuration has a mistake.
    #[expect(clippy::needless_pass_by_value, reason = "tests write the configuration in place")]
    pub fn start<S: EventSource>(&self, config: Value) -> Source {
        let factory = Factory::of::<S>();
        let mistakes: Vec<_> = factory
            .check(&config)
            .into_iter()
            .filter(|finding| finding.severity == zetes_api::Severity::Error)
            .collect();
        assert!(mistakes.is_empty(), "the configuration of the test has mistakes: {mistakes:?}");
        let spec = json!({"metadata": {"name": "source"}, "spec": {S::KIND: {"event": config}}});
        let object: Object = serde_json::from_value(spec).unwrap();
        let deps = Deps {
            bus: self.bus.clone(),
            clock: Clock::system(),
            secrets: self.secrets.clone(),
            front: self.front.clone(),
            metrics: self.metrics.clone(),
        };
        Source(Sources::start(&object, |_| Some(factory), &deps, &Readiness::at_once()))
    }

    /// The bus takes nothing from now on.
    pub fn refuse(&self) {
        self.bus.refuse(true);
    }

    /// The bus takes everything again.
    pub fn take(&self) {
        self.bus.refuse(false);
    }

    /// How often the bus has refused.
    pub fn refusals(&self) -> usize {
        self.bus.refusals()
    }

    /// All events on the bus, in order, as soon as there are `count` of them.
    pub async fn events(&self, count: usize) -> Vec<Arc<Event>> {
        eventually(&format!("{count} events on the bus"), async || {
            Some(self.events_now().await).filter(|events| events.len() >= count)
        })
        .await
    }

    /// All events on the bus now, in order.
    pub async fn events_now(&self) -> Vec<Arc<Event>> {
        let (mut events, mut next) = (Vec::new(), 0);
        loop {
            let page = self.bus.memory().read(EntryKind::Event, next..u64::MAX, ReadFilter::default()).await;
            let page = page.unwrap();
            let Some(last) = page.entries.last() else { return events };
            next = last.sequence + 1;
            events.extend(page.entries.into_iter().filter_map(|entry| match entry.body {
                EntryBody::Event(event) => Some(event),
                EntryBody::Record(_) => None,
            }));
        }
    }

    /// The data of all events, as soon as there are `count` of them.
    pub async fn data(&self, count: usize) -> Vec<Value> {
        let events = self.events(count).await;
        events.iter().map(|event| serde_json::from_slice(event.data.as_ref().unwrap()).unwrap()).collect()
    }

    /// All dead letters, whole, as soon as there are `count` of them.
    pub async fn dead(&self, count: usize) -> Vec<DeadMessage> {
        let messages = DeadMessages(self.bus.memory());
        let listed = eventually(&format!("{count} dead letters"), async || {
            let listed = messages.list().await.unwrap();
            (listed.len() >= count).then_some(listed)
        })
        .await;
        let mut whole = Vec::new();
        for letter in listed {
            whole.push(messages.get(&letter.id).await.unwrap().unwrap());
        }
        whole
    }

    /// The bus itself, whether it refuses or not.
    pub fn bus(&self) -> &MemoryBus {
        self.bus.memory()
    }

    /// What the event source remembers of its place upstream, as JSON, as soon as it is what `is_it` wants.
    pub async fn cursor(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let key = StateKey::new("default/cursor", "source/event");
        eventually("the cursor", async || {
            let entry = self.bus.get(key.clone()).await.unwrap()?;
            serde_json::from_slice(&entry.value).ok().filter(&is_it)
        })
        .await
    }

    /// Where port `"0"` listens, once a route is served there.
    pub async fn address(&self) -> SocketAddr {
        eventually("a port", async || self.front.local_addr(0).await).await
    }
}

/// An event source that runs.
pub struct Source(Running);

impl Source {
    pub fn status(&self) -> PartStatus {
        self.0.observer().status().into_iter().next().expect("an event source has one part")
    }

    /// Waits until it is connected.
    pub async fn serving(&self) {
        let mut last = String::new();
        eventually("the event source to serve", async || {
            let status = self.status();
            if let PartState::Failed { error, .. } = &status.state
                && *error != last
            {
                last.clone_from(error);
                #[expect(clippy::print_stderr, reason = "shown where a test fails")]
                {
                    eprintln!("the event source failed: {error}");
                }
            }
            (status.state == PartState::Serving).then_some(())
        })
        .await;
    }

    /// Waits until it has failed, and gives the reason.
    pub async fn failure(&self) -> String {
        eventually("the event source to fail", async || match self.status().state {
            PartState::Failed { error, .. } => Some(error),
            _ => None,
        })
        .await
    }

    /// Waits until it is in trouble, and gives what it is.
    pub async fn trouble(&self) -> String {
        eventually("the event source to be in trouble", async || self.status().trouble).await
    }

    /// Finishes what is in hand, and ends.
    pub async fn stop(self) {
        self.0.stop(Duration::from_secs(10)).await;
    }

    /// The object is gone: as [`Source::stop`], and what was made upstream is removed.
    pub async fn retire(self) {
        self.0.retire(Duration::from_secs(10), |_, _| false).await;
    }

    /// As by SIGKILL: every task ends wherever it is.
    pub fn kill(self) {
        drop(self.0);
    }
}

/// Where messages come from in the tests that every source passes.
pub trait Upstream {
    /// Sends message `number`; returns when upstream has it.
    fn send(&mut self, number: usize) -> impl Future<Output = ()>;

    /// Which message an event was made of, by its data.
    fn number(&self, data: &Value) -> usize;
}

/// Messages out, events in: each once, in order, with ids of their own.
pub async fn every_message_becomes_one_event<S: EventSource>(
    kit: &Kit,
    config: &Value,
    upstream: &mut impl Upstream,
) {
    const MESSAGES: usize = 100;
    let source = kit.start::<S>(config.clone());
    source.serving().await;
    for number in 0..MESSAGES {
        upstream.send(number).await;
    }
    let events = kit.events(MESSAGES).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), MESSAGES, "each event has an id of its own");
    let numbers: Vec<_> = kit.data(MESSAGES).await.iter().map(|data| upstream.number(data)).collect();
    assert_eq!(numbers, (0..MESSAGES).collect::<Vec<_>>(), "each message once, in order");
    source.stop().await;
}

/// For sources that acknowledge: what came while the bus refused, or was in hand when the process was killed, is handed out again.
pub async fn a_crash_loses_nothing<S: EventSource>(kit: &Kit, config: &Value, upstream: &mut impl Upstream) {
    const BEFORE: usize = 20;
    const DURING: usize = 40;
    let source = kit.start::<S>(config.clone());
    source.serving().await;
    for number in 0..BEFORE {
        upstream.send(number).await;
    }
    kit.events(BEFORE).await;
    kit.refuse();
    for number in BEFORE..DURING {
        upstream.send(number).await;
    }
    eventually("the bus to have refused", async || (kit.refusals() > 0).then_some(())).await;
    source.kill();
    kit.take();
    // Killed again, somewhere in the middle.
    let source = kit.start::<S>(config.clone());
    kit.events(BEFORE + 1).await;
    source.kill();
    let source = kit.start::<S>(config.clone());
    let expected: BTreeSet<usize> = (0..DURING).collect();
    let mut found = BTreeSet::new();
    eventually("every message to be on the bus", async || {
        found = kit.data(0).await.iter().map(|data| upstream.number(data)).collect();
        (found == expected).then_some(())
    })
    .await;
    assert_eq!(
        kit.events_now().await.len(),
        DURING,
        "a message that came twice has one id, and is one event"
    );
    source.stop().await;
}
