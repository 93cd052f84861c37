//! What the admin port can see of the running application.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bus_core::Bus;
use eventsource_core::{DeadMessage, DeadMessages, PartState, PartStatus};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sensor_core::{DeadLetter, DeadLetterId, DeadLetters, TriggerState, TriggerStatus};
use serde::Serialize;
use tracing::debug;
use zetes_api::{EventId, ObjectKind, ObjectRef};
use zetes_runtime::{Clock, Registry as Metrics};

use crate::buses::{BusId, BusInfo, BusStatus, Open, OpenBuses};
use crate::explain::{self, EventLine, Explanation};

/// Everything that can be seen.
pub(crate) struct Observed {
    buses: OpenBuses,
    metrics: Metrics,
    gauges: BusGauges,
    generations: Family<[(&'static str, &'static str); 1], Counter>,
    /// How many there are on each bus; runners move it, too.
    sensor_metrics: sensor_core::Metrics,
    /// Buses whose dead letters were counted when they could first be read.
    counted: Mutex<BTreeSet<BusId>>,
    observers: Mutex<BTreeMap<ObjectRef, Observer>>,
}

pub(crate) enum Observer {
    Source(eventsource_core::Observer),
    Sensor(sensor_core::Observer),
    /// It does not run, and why.
    Stopped(String),
}

/// One part of the application, as `/readyz?verbose` and `/api/v1/status` show it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Detail {
    Event(PartStatus),
    Trigger(TriggerStatus),
    Bus(BusStatus),
    Object { name: String, error: String },
}

#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) ready: bool,
    #[serde(flatten)]
    detail: Detail,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, told) = match &self.detail {
            Detail::Event(part) => (&part.name, event_text(part)),
            Detail::Trigger(trigger) => (&trigger.name, trigger_text(&trigger.state)),
            Detail::Bus(bus) => (&bus.name, bus_text(bus)),
            Detail::Object { name, error } => (name, format!("does not run: {error}")),
        };
        write!(f, "[{}] {name}: {told}", if self.ready { '+' } else { '-' })
    }
}

fn event_text(part: &PartStatus) -> String {
    let state = match &part.state {
        PartState::Waiting => "waits for its bus and the Sensors on it".to_owned(),
        PartState::Starting => "connecting".to_owned(),
        PartState::Serving => "serving".to_owned(),
        PartState::Stopped => "stopped".to_owned(),
        PartState::Failed { error, since, .. } => format!("failed since {since}: {error}"),
    };
    part.trouble.iter().fold(state, |text, trouble| text + "; trouble: " + trouble)
}

fn trigger_text(state: &TriggerState) -> String {
    match state {
        TriggerState::Starting => "starting".to_owned(),
        TriggerState::Serving => "serving".to_owned(),
        TriggerState::Standby { holder } => format!("standing by, {holder} runs it"),
        TriggerState::Waiting { reason } => format!("waiting: {reason}"),
        TriggerState::Stopped => "stopped".to_owned(),
        TriggerState::Failed { error } => format!("failed: {error}"),
    }
}

fn bus_text(bus: &BusStatus) -> String {
    let state = bus.health.failure.as_ref().map_or_else(
        || "serving".to_owned(),
        |failure| format!("failed since {}: {}", failure.since, failure.error),
    );
    bus.health.warnings.iter().fold(state, |text, warning| text + "; note: " + warning)
}

/// What the buses say of themselves, read when metrics are asked for.
#[derive(Debug, Default)]
struct BusGauges {
    up: BusGauge,
    events: BusGauge,
    bytes: BusGauge,
    evicted: BusGauge,
    lag: Family<Vec<(&'static str, String)>, Gauge>,
    oldest: Family<Vec<(&'static str, String)>, Gauge>,
}

type BusGauge = Family<[(&'static str, String); 1], Gauge>;

impl BusGauges {
    fn register(metrics: &Metrics) -> Self {
        let gauges = Self::default();
        metrics.register("zetes_bus_up", "Whether the bus can be used", gauges.up.clone());
        metrics.register("zetes_bus_events", "Events on the bus", gauges.events.clone());
        metrics.register("zetes_bus_bytes", "Bytes of the bus", gauges.bytes.clone());
        metrics.register(
            "zetes_bus_evicted",
            "Events evicted before a consumer had read them",
            gauges.evicted.clone(),
        );
        metrics.register(
            "zetes_bus_lag_events",
            "Events that a consumer has not settled",
            gauges.lag.clone(),
        );
        metrics.register(
            "zetes_bus_oldest_unread_seconds",
            "Age of the oldest event that a consumer has not settled",
            gauges.oldest.clone(),
        );
        gauges
    }
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Observed {
    pub(crate) fn new(buses: OpenBuses, metrics: Metrics, sensor_metrics: sensor_core::Metrics) -> Self {
        let generations = Family::default();
        metrics.register(
            "zetes_config_generation",
            "Versions of the manifests, by what became of them",
            generations.clone(),
        );
        Self {
            buses,
            gauges: BusGauges::register(&metrics),
            metrics,
            generations,
            sensor_metrics,
            counted: Mutex::default(),
            observers: Mutex::default(),
        }
    }

    /// What became of an event, on whichever bus it is.
    ///
    /// # Errors
    /// It was not found, and a bus that may have it can't be read.
    pub(crate) async fn explain(&self, id: &EventId) -> anyhow::Result<Vec<Explanation>> {
        let (mut found, mut failure) = (Vec::new(), None);
        for Open { id: name, bus } in self.buses.all() {
            match explain::explain(&*bus, id).await {
                Ok(explanations) => found.extend(explanations),
                Err(error) => failure = Some(anyhow::Error::new(error).context(format!("bus {name}"))),
            }
        }
        match failure {
            Some(failure) if found.is_empty() => Err(failure),
            _ => Ok(found),
        }
    }

    /// The newest events of all buses, oldest of them first.
    ///
    /// # Errors
    /// A bus can't be read.
    pub(crate) async fn newest(&self, limit: usize) -> anyhow::Result<Vec<EventLine>> {
        let mut lines = Vec::new();
        for Open { id, bus } in self.buses.all() {
            lines.extend(explain::newest(&*bus, limit).await.with_context(|| format!("bus {id}"))?);
        }
        lines.sort_by_key(|line| line.received_at);
        let skip = lines.len().saturating_sub(limit);
        Ok(lines.into_iter().skip(skip).collect())
    }

    /// The dead letters of all buses, oldest first within a bus.
    ///
    /// # Errors
    /// A bus can't be read.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        let mut letters = Vec::new();
        for Open { id, bus } in self.buses.all() {
            letters.extend(DeadLetters::of(bus).list().await.with_context(|| format!("bus {id}"))?);
        }
        Ok(letters)
    }

    /// The messages of all buses that could not become events, oldest first within a bus, each with the beginning of its bytes.
    ///
    /// # Errors
    /// A bus can't be read.
    pub(crate) async fn dead_messages(&self) -> anyhow::Result<Vec<DeadMessage>> {
        let mut messages = Vec::new();
        for Open { id, bus } in self.buses.all() {
            messages.extend(DeadMessages(&*bus).list().await.with_context(|| format!("bus {id}"))?);
        }
        Ok(messages)
    }

    /// One of them, whole; `None` where there is none of that id.
    ///
    /// # Errors
    /// A bus can't be read.
    pub(crate) async fn dead_message(&self, id: &str) -> anyhow::Result<Option<DeadMessage>> {
        for Open { bus, .. } in self.buses.all() {
            if let Some(message) = DeadMessages(&*bus).get(id).await? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Fires the round of a dead letter again; `false` where there is none of that id.
    ///
    /// # Errors
    /// Its Sensor or trigger does not run here, or the bus can't be used.
    pub(crate) async fn redrive(&self, id: &DeadLetterId) -> anyhow::Result<bool> {
        let Some(letter) = self.letter(id).await? else { return Ok(false) };
        let sensor = ObjectRef {
            kind: ObjectKind::Sensor,
            namespace: letter.namespace.clone(),
            name: letter.sensor.clone(),
        };
        let observer = {
            let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
            match observers.get(&sensor) {
                Some(Observer::Sensor(observer)) => Some(observer.clone()),
                _ => None,
            }
        };
        let observer = observer.with_context(|| format!("{sensor} does not run here"))?;
        let trigger = letter.trigger.clone();
        observer.redrive(letter).await.with_context(|| format!("{sensor} trigger `{trigger}`"))?;
        Ok(true)
    }

    async fn letter(&self, id: &DeadLetterId) -> anyhow::Result<Option<DeadLetter>> {
        for Open { bus, .. } in self.buses.all() {
            if let Some(letter) = DeadLetters::of(bus).get(id).await? {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    /// Removes a dead letter for good; `false` where there is none of that id.
    ///
    /// # Errors
    /// The bus can't be used.
    pub(crate) async fn discard(&self, id: &DeadLetterId) -> anyhow::Result<bool> {
        for Open { id: name, bus } in self.buses.all() {
            if DeadLetters::of(bus.clone()).discard(id).await? {
                self.sensor_metrics.dead_letters(&name.to_string()).dec();
                return Ok(true);
            }
            if DeadMessages(&*bus).discard(id.as_str()).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Every bus, and every part of every object.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let bus = |bus: BusStatus| Part { ready: bus.health.failure.is_none(), detail: Detail::Bus(bus) };
        let buses = self.buses.statuses().into_iter().map(bus);
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let objects = observers.iter().flat_map(|(object, observer)| observer.parts(object));
        buses.chain(objects).collect()
    }

    /// What the buses say of themselves.
    pub(crate) async fn buses(&self) -> Vec<BusInfo> {
        let mut infos = Vec::new();
        for Open { id, bus } in self.buses.all() {
            infos.push(BusInfo::of(id.to_string(), &*bus).await);
        }
        infos
    }

    /// The exposition. A bus that can't be read is down, and its other figures are left as they were.
    ///
    /// # Errors
    /// The metrics can't be written as text.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        for Open { id, bus } in self.buses.all() {
            let measured = self.measure(&id, &bus).await;
            if let Err(error) = &measured {
                debug!(bus = %id, %error, "the bus can't be measured");
            }
            self.gauges.up.get_or_create(&[("bus", id.to_string())]).set(i64::from(measured.is_ok()));
        }
        Ok(self.metrics.render()?)
    }

    async fn measure(&self, id: &BusId, bus: &Arc<dyn Bus>) -> Result<(), bus_core::BusError> {
        let stats = bus.stats().await?;
        let labels = [("bus", id.to_string())];
        let now = Clock::system().now();
        self.gauges.events.get_or_create(&labels).set(number(stats.events));
        self.gauges.bytes.get_or_create(&labels).set(number(stats.bytes));
        self.gauges.evicted.get_or_create(&labels).set(number(stats.evicted_unread));
        for consumer in &stats.consumers {
            let name = &consumer.name;
            let labels = vec![
                ("bus", id.to_string()),
                ("namespace", name.namespace.to_string()),
                ("sensor", name.sensor.to_string()),
                ("trigger", name.trigger.to_string()),
            ];
            self.gauges.lag.get_or_create(&labels).set(number(consumer.lag));
            let oldest =
                consumer.oldest_unread.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0));
            self.gauges.oldest.get_or_create(&labels).set(oldest);
        }
        if !self.counted.lock().unwrap_or_else(PoisonError::into_inner).contains(id) {
            let letters = DeadLetters::of(bus.clone()).list().await?.len();
            let gauge = self.sensor_metrics.dead_letters(&id.to_string());
            gauge.set(i64::try_from(letters).unwrap_or(i64::MAX));
            self.counted.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        }
        Ok(())
    }

    pub(crate) fn count_generation(&self, state: &'static str) {
        self.generations.get_or_create(&[("state", state)]).inc();
    }

    pub(crate) fn observe(&self, object: ObjectRef, observer: Observer) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).insert(object, observer);
    }

    pub(crate) fn forget(&self, object: &ObjectRef) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

impl Observer {
    fn parts(&self, object: &ObjectRef) -> Vec<Part> {
        match self {
            Self::Source(observer) => observer
                .status()
                .into_iter()
                .map(|part| Part {
                    ready: matches!(part.state, PartState::Serving),
                    detail: Detail::Event(part),
                })
                .collect(),
            Self::Sensor(observer) => observer
                .status()
                .into_iter()
                .map(|trigger| Part {
                    ready: matches!(trigger.state, TriggerState::Serving | TriggerState::Standby { .. }),
                    detail: Detail::Trigger(trigger),
                })
                .collect(),
            Self::Stopped(error) => {
                let detail = Detail::Object { name: object.to_string(), error: error.clone() };
                vec![Part { ready: false, detail }]
            }
        }
    }
}
