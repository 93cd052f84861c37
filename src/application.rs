//! The running application: bus, Sensors, event sources and admin port, and what a reload does to them.
//!
//! Order matters in two places. At a start every consumer is durable before the first socket opens, so nothing that got a 200 is
//! missed. At a stop sockets close first and the bus last.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bus_core::{Bus, Retention};
use bus_embedded::{EmbeddedBus, Options};
use eventsource_core::{Front, PartState, PartStatus, Sources};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use sensor_core::{DeadLetterId, DeadLetters, Sensors, TriggerState, TriggerStatus};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use zetes_api::manifest::{Located, Object};
use zetes_api::{EventSource, ObjectRef, Sensor};
use zetes_runtime::{Clock, Registry as Metrics, Secrets, SecretsBuilder};

use crate::admin;
use crate::history::Process;
use crate::load::Loaded;
use crate::registry::Registry;
use crate::retention;

/// What `zetes run` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    /// Where webhook ports are opened.
    pub(crate) listen: IpAddr,
    pub(crate) admin: SocketAddr,
    /// How long what is in hand may take at a stop or a reload.
    pub(crate) grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: PathBuf::from(".zetes"),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            grace: Duration::from_secs(30),
        }
    }
}

/// Everything that runs.
pub(crate) struct Application {
    settings: Settings,
    registry: Registry,
    secrets: Secrets,
    source_deps: eventsource_core::Deps,
    sensor_deps: sensor_core::Deps,
    sources: BTreeMap<ObjectRef, Served<EventSource, eventsource_core::Running>>,
    sensors: BTreeMap<ObjectRef, Served<Sensor, sensor_core::Running>>,
    observed: Arc<Observed>,
    stop_admin: CancellationToken,
    admin: AbortOnDropHandle<std::io::Result<()>>,
}

/// An object as it runs: kept, to see whether an edit changed it.
struct Served<O, R> {
    object: O,
    running: R,
}

/// What the admin port can see.
pub(crate) struct Observed {
    bus: Arc<dyn Bus>,
    metrics: Metrics,
    gauges: BusGauges,
    generations: Family<[(&'static str, &'static str); 1], Counter>,
    /// How many there are; runners move it, too.
    dead_letters: Gauge,
    observers: Mutex<BTreeMap<ObjectRef, Observer>>,
}

enum Observer {
    Source(eventsource_core::Observer),
    Sensor(sensor_core::Observer),
}

/// One part of the application, as `/readyz?verbose` and `/api/v1/status` show it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Detail {
    Event(PartStatus),
    Trigger(TriggerStatus),
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
            Detail::Event(part) => (&part.name, event_text(&part.state)),
            Detail::Trigger(trigger) => (&trigger.name, trigger_text(&trigger.state)),
        };
        write!(f, "[{}] {name}: {told}", if self.ready { '+' } else { '-' })
    }
}

fn event_text(state: &PartState) -> String {
    match state {
        PartState::Starting => "starting".to_owned(),
        PartState::Serving => "serving".to_owned(),
        PartState::Stopped => "stopped".to_owned(),
        PartState::Failed { error, since, .. } => format!("failed since {since}: {error}"),
    }
}

fn trigger_text(state: &TriggerState) -> String {
    match state {
        TriggerState::Serving => "serving".to_owned(),
        TriggerState::Stopped => "stopped".to_owned(),
        TriggerState::Failed { error } => format!("failed: {error}"),
    }
}

/// What the bus says of itself, read when metrics are asked for.
#[derive(Debug, Default)]
struct BusGauges {
    events: Gauge,
    bytes: Gauge,
    evicted: Gauge,
    lag: Family<Vec<(&'static str, String)>, Gauge>,
    oldest: Family<Vec<(&'static str, String)>, Gauge>,
}

impl Observed {
    fn new(bus: Arc<dyn Bus>, metrics: Metrics, dead_letters: Gauge) -> Self {
        let (gauges, generations) = (BusGauges::default(), Family::default());
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
            "zetes_config_generation",
            "Versions of the manifests, by what became of them",
            generations.clone(),
        );
        metrics.register(
            "zetes_bus_oldest_unread_seconds",
            "Age of the oldest event that a consumer has not settled",
            gauges.oldest.clone(),
        );
        Self { bus, metrics, gauges, generations, dead_letters, observers: Mutex::default() }
    }

    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        self.bus.clone()
    }

    /// Fires the round of a dead letter again; `false` where there is none of that id.
    ///
    /// # Errors
    /// Its Sensor or trigger does not run here, or the bus can't be used.
    pub(crate) async fn redrive(&self, id: &DeadLetterId) -> anyhow::Result<bool> {
        let Some(letter) = DeadLetters::of(self.bus()).get(id).await? else { return Ok(false) };
        let sensor = ObjectRef {
            kind: zetes_api::ObjectKind::Sensor,
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

    /// Removes a dead letter for good; `false` where there is none of that id.
    ///
    /// # Errors
    /// The bus can't be used.
    pub(crate) async fn discard(&self, id: &DeadLetterId) -> anyhow::Result<bool> {
        let is_gone = DeadLetters::of(self.bus()).discard(id).await?;
        if is_gone {
            self.dead_letters.dec();
        }
        Ok(is_gone)
    }

    /// Every part of every object.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        observers.values().flat_map(Observer::parts).collect()
    }

    /// The exposition.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        let stats = self.bus.stats().await?;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let now = Clock::system().now();
        self.gauges.events.set(number(stats.events));
        self.gauges.bytes.set(number(stats.bytes));
        self.gauges.evicted.set(number(stats.evicted_unread));
        for consumer in &stats.consumers {
            let name = &consumer.name;
            let labels = vec![
                ("namespace", name.namespace.to_string()),
                ("sensor", name.sensor.to_string()),
                ("trigger", name.trigger.to_string()),
            ];
            self.gauges.lag.get_or_create(&labels).set(number(consumer.lag));
            let oldest =
                consumer.oldest_unread.map_or(0, |oldest| now.duration_since(oldest).as_secs().max(0));
            self.gauges.oldest.get_or_create(&labels).set(oldest);
        }
        Ok(self.metrics.render()?)
    }

    fn count_generation(&self, state: &'static str) {
        self.generations.get_or_create(&[("state", state)]).inc();
    }

    fn observe(&self, object: ObjectRef, observer: Observer) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).insert(object, observer);
    }

    fn forget(&self, object: &ObjectRef) {
        self.observers.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
    }
}

impl Observer {
    fn parts(&self) -> Vec<Part> {
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
                    ready: matches!(trigger.state, TriggerState::Serving),
                    detail: Detail::Trigger(trigger),
                })
                .collect(),
        }
    }
}

impl Application {
    /// Opens the bus, prepares every Sensor, opens the sockets, in this order.
    ///
    /// # Errors
    /// The data directory or the admin port can't be used.
    pub(crate) async fn start(
        settings: Settings,
        loaded: Loaded,
        registry: Registry,
        secrets: SecretsBuilder,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&settings.data).with_context(|| settings.data.display().to_string())?;
        let clock = Clock::system();
        let bus = open_bus(&settings, retention::of(&loaded.objects), &clock).await?;
        let listener = TcpListener::bind(settings.admin).await.with_context(|| {
            format!(
                "the admin port {} can't be opened; choose another with --admin 127.0.0.1:PORT",
                settings.admin
            )
        })?;
        let admin_address = listener.local_addr()?;
        let metrics = Metrics::new();
        let sensor_metrics = sensor_core::Metrics::register(&metrics);
        let dead_letters = sensor_metrics.dead_letters();
        let count = DeadLetters::of(bus.clone()).list().await?.len();
        dead_letters.set(i64::try_from(count).unwrap_or(i64::MAX));
        let observed = Arc::new(Observed::new(bus.clone(), metrics.clone(), dead_letters));
        let secrets = loaded.secrets(secrets)?;
        let stop_admin = CancellationToken::new();
        let serving = admin::serve(listener, observed.clone(), stop_admin.clone());
        let mut application = Self {
            source_deps: eventsource_core::Deps {
                bus: bus.clone(),
                clock: clock.clone(),
                secrets: secrets.clone(),
                front: Front::new(settings.listen),
                metrics: eventsource_core::Metrics::register(&metrics),
            },
            sensor_deps: sensor_core::Deps {
                bus,
                clock,
                secrets: secrets.clone(),
                metrics: sensor_metrics,
                data_dir: settings.data.clone(),
            },
            admin: spawn(serving),
            settings,
            registry,
            secrets,
            sources: BTreeMap::new(),
            sensors: BTreeMap::new(),
            observed,
            stop_admin,
        };
        application.apply(loaded).await?;
        let process = Process { pid: std::process::id(), admin: format!("http://{admin_address}") };
        process.announce(&application.settings.data)?;
        info!(admin = %process.admin, data = %application.settings.data.display(), "running");
        Ok(application)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn bus(&self) -> Arc<dyn Bus> {
        self.observed.bus()
    }

    /// Where a webhook port listens.
    pub(crate) async fn port(&self, port: u16) -> Option<SocketAddr> {
        self.source_deps.front.local_addr(port).await
    }

    /// Takes over what was read anew: only what changed restarts. An object that has mistakes now keeps running as it was.
    ///
    /// # Errors
    /// The bus can't be used.
    pub(crate) async fn reload(&mut self, loaded: Loaded, secrets: SecretsBuilder) -> anyhow::Result<()> {
        self.secrets.replace(&loaded.secrets(secrets)?);
        let state = if loaded.errors() == 0 { "accepted" } else { "refused" };
        self.apply(loaded).await?;
        self.observed.count_generation(state);
        Ok(())
    }

    async fn apply(&mut self, loaded: Loaded) -> anyhow::Result<()> {
        let failing = loaded.failing();
        let (mut sources, mut sensors) = (BTreeMap::new(), BTreeMap::new());
        for Located { object, .. } in loaded.objects {
            let name = object.object_ref();
            match object {
                Object::EventSource(object) if !failing.contains(&name) => drop(sources.insert(name, object)),
                Object::Sensor(object) if !failing.contains(&name) => drop(sensors.insert(name, object)),
                _ => {}
            }
        }
        self.apply_sensors(sensors, &failing).await?;
        self.apply_sources(sources, &failing).await;
        Ok(())
    }

    async fn apply_sensors(
        &mut self,
        mut wanted: BTreeMap<ObjectRef, Sensor>,
        failing: &[ObjectRef],
    ) -> anyhow::Result<()> {
        for name in self.sensors.keys().cloned().collect::<Vec<_>>() {
            match wanted.get(&name) {
                Some(object) if self.sensors.get(&name).is_some_and(|served| served.object == *object) => {
                    drop(wanted.remove(&name));
                }
                None if failing.contains(&name) => {
                    warn!(object = %name, "has mistakes now, the version before them keeps running");
                }
                _ => self.end_sensor(&name).await,
            }
        }
        let mut prepared = Vec::new();
        for (name, object) in wanted {
            let ready =
                Sensors::prepare(&object, |kind| self.registry.trigger(kind).copied(), &self.sensor_deps)
                    .await?;
            prepared.push((name, object, ready));
        }
        for (name, object, ready) in prepared {
            let running = ready.start();
            self.observed.observe(name.clone(), Observer::Sensor(running.observer()));
            info!(object = %name, "Sensor runs");
            self.sensors.insert(name, Served { object, running });
        }
        Ok(())
    }

    async fn end_sensor(&mut self, name: &ObjectRef) {
        if let Some(served) = self.sensors.remove(name) {
            self.observed.forget(name);
            served.running.stop(self.settings.grace).await;
            info!(object = %name, "Sensor stopped");
        }
    }

    async fn apply_sources(&mut self, mut wanted: BTreeMap<ObjectRef, EventSource>, failing: &[ObjectRef]) {
        for name in self.sources.keys().cloned().collect::<Vec<_>>() {
            match wanted.get(&name) {
                Some(object) if self.sources.get(&name).is_some_and(|served| served.object == *object) => {
                    drop(wanted.remove(&name));
                }
                None if failing.contains(&name) => {
                    warn!(object = %name, "has mistakes now, the version before them keeps running");
                }
                _ => self.end_source(&name).await,
            }
        }
        for (name, object) in wanted {
            let running =
                Sources::start(&object, |kind| self.registry.source(kind).copied(), &self.source_deps);
            self.observed.observe(name.clone(), Observer::Source(running.observer()));
            info!(object = %name, "EventSource runs");
            self.sources.insert(name, Served { object, running });
        }
    }

    async fn end_source(&mut self, name: &ObjectRef) {
        if let Some(served) = self.sources.remove(name) {
            self.observed.forget(name);
            served.running.stop(self.settings.grace).await;
            info!(object = %name, "EventSource stopped");
        }
    }

    /// Refuses what is new, finishes what is in hand within `grace`, and closes the bus.
    pub(crate) async fn stop(mut self, grace: Duration) {
        for served in std::mem::take(&mut self.sources).into_values() {
            served.running.stop(grace).await;
        }
        self.source_deps.front.stop(grace).await;
        let mut sensors = tokio::task::JoinSet::new();
        for served in std::mem::take(&mut self.sensors).into_values() {
            sensors.spawn(served.running.stop(grace));
        }
        while sensors.join_next().await.is_some() {}
        self.stop_admin.cancel();
        if tokio::time::timeout(grace, &mut self.admin).await.is_err() {
            self.admin.abort();
        }
        if let Err(error) = self.observed.bus().close().await {
            warn!(%error, "the bus was not closed well; it will recover at the next start");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the handle is kept, and ends the task when it is dropped")]
pub(crate) fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(
    future: F,
) -> AbortOnDropHandle<F::Output> {
    AbortOnDropHandle::new(tokio::spawn(future))
}

async fn open_bus(settings: &Settings, retention: Retention, clock: &Clock) -> anyhow::Result<Arc<dyn Bus>> {
    let directory = settings.data.join("bus");
    let options = Options { clock: clock.clone(), retention, ..Options::default() };
    let (bus, report) = EmbeddedBus::open(&directory, options).await?;
    report.tell();
    Ok(Arc::new(bus))
}
