//! The running application: buses, Sensors, event sources and admin port, and what a reload does to them.
//!
//! Order matters in two places. Nothing is received before the consumers of its bus are durable, so nothing that got a 200 is
//! missed. At a stop sockets close first and the buses last.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus_core::Bus;
use eventsource_core::{Front, Readiness, Sources};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sensor_core::Sensors;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};
use zetes_api::manifest::{Located, Object};
use zetes_api::{EventName, EventSource, Namespace, ObjectName, ObjectRef, Sensor};
use zetes_runtime::{Clock, Registry as Metrics, Secrets, SecretsBuilder, random_id};

use crate::admin;
use crate::buses::{BusId, Buses, Means};
use crate::history::Process;
use crate::load::Loaded;
use crate::observed::{Observed, Observer};
use crate::registry::Registry;

/// What `zetes run` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    /// Where webhook ports are opened.
    pub(crate) listen: IpAddr,
    pub(crate) admin: SocketAddr,
    /// A server that carries every `EventBus` of kind `jetstream`.
    pub(crate) jetstream_url: Option<String>,
    /// How long what is in hand may take at a stop or a reload.
    pub(crate) grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            data: PathBuf::from(".zetes"),
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            jetstream_url: None,
            grace: Duration::from_secs(30),
        }
    }
}

/// Everything that runs.
pub(crate) struct Application {
    settings: Settings,
    registry: Registry,
    secrets: Secrets,
    buses: Buses,
    parts: Parts,
    sources: BTreeMap<ObjectRef, Served<EventSource, eventsource_core::Running>>,
    sensors: BTreeMap<ObjectRef, Served<Sensor, sensor_core::Running>>,
    observed: Arc<Observed>,
    stop_admin: CancellationToken,
    admin: AbortOnDropHandle<std::io::Result<()>>,
}

/// What every event source and every Sensor is given, but for its bus.
struct Parts {
    clock: Clock,
    front: Front,
    source_metrics: eventsource_core::Metrics,
    sensor_metrics: sensor_core::Metrics,
    /// Names this process to others on the same bus.
    process: Arc<str>,
}

/// An object as it runs: kept, to see whether an edit changed it.
struct Served<O, R> {
    object: O,
    bus: BusId,
    running: R,
}

/// An object that can be served.
trait Servable: Clone + PartialEq {
    fn namespace_and_bus(&self) -> (Namespace, Option<ObjectName>);
}

impl Servable for EventSource {
    fn namespace_and_bus(&self) -> (Namespace, Option<ObjectName>) {
        (self.object_ref().namespace, self.spec.event_bus_name.clone())
    }
}

impl Servable for Sensor {
    fn namespace_and_bus(&self) -> (Namespace, Option<ObjectName>) {
        (self.object_ref().namespace, self.spec.event_bus_name.clone())
    }
}

impl Application {
    /// Opens the buses, begins every Sensor, opens the sockets, in this order. A bus on a server that can't be reached does not
    /// hold it up: what needs it begins when it can be.
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
        let secrets = loaded.secrets(secrets)?;
        let buses = Buses::new(Means {
            data: settings.data.clone(),
            clock: clock.clone(),
            secrets: secrets.clone(),
            jetstream_url: settings.jetstream_url.clone(),
        });
        let listener = TcpListener::bind(settings.admin).await.with_context(|| {
            format!(
                "the admin port {} can't be opened; choose another with --admin 127.0.0.1:PORT",
                settings.admin
            )
        })?;
        let admin_address = listener.local_addr()?;
        let metrics = Metrics::new();
        let sensor_metrics = sensor_core::Metrics::register(&metrics);
        let observed = Arc::new(Observed::new(buses.opened(), metrics.clone(), sensor_metrics.clone()));
        let stop_admin = CancellationToken::new();
        let serving = admin::serve(listener, observed.clone(), stop_admin.clone());
        let mut application = Self {
            parts: Parts {
                clock,
                front: Front::new(settings.listen),
                source_metrics: eventsource_core::Metrics::register(&metrics),
                sensor_metrics,
                process: format!("{}-{}", std::process::id(), random_id()).into(),
            },
            admin: spawn(serving),
            settings,
            registry,
            secrets,
            buses,
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

    pub(crate) fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Where a webhook port listens.
    pub(crate) async fn port(&self, port: u16) -> Option<SocketAddr> {
        self.parts.front.local_addr(port).await
    }

    /// Takes over what was read anew: only what changed restarts. An object that has mistakes now keeps running as it was.
    ///
    /// # Errors
    /// The data directory can't be used.
    pub(crate) async fn reload(&mut self, loaded: Loaded, secrets: SecretsBuilder) -> anyhow::Result<()> {
        self.secrets.replace(&loaded.secrets(secrets)?);
        let state = if loaded.errors() == 0 { "accepted" } else { "refused" };
        self.apply(loaded).await?;
        self.observed.count_generation(state);
        Ok(())
    }

    async fn apply(&mut self, loaded: Loaded) -> anyhow::Result<()> {
        let failing = loaded.failing();
        let changed = self.buses.take_over(&loaded.objects, &failing);
        let (mut sources, mut sensors) = (BTreeMap::new(), BTreeMap::new());
        for Located { object, .. } in loaded.objects {
            let name = object.object_ref();
            match object {
                Object::EventSource(object) if !failing.contains(&name) => drop(sources.insert(name, object)),
                Object::Sensor(object) if !failing.contains(&name) => drop(sensors.insert(name, object)),
                _ => {}
            }
        }
        for (name, object) in self.kept_on(&changed, &failing) {
            match object {
                Kept::Source(object) => drop(sources.insert(name, object)),
                Kept::Sensor(object) => drop(sensors.insert(name, object)),
            }
        }
        self.end_sources(&mut sources, &failing, &changed).await;
        self.end_sensors(&mut sensors, &failing, &changed).await;
        for bus in &changed {
            self.buses.close(bus).await;
        }
        let ready = self.begin_sensors(sensors).await?;
        self.begin_sources(sources, &ready).await
    }

    /// Objects that have mistakes now and keep running as they were, on a bus that is opened anew: they begin anew on it.
    fn kept_on(&self, changed: &BTreeSet<BusId>, failing: &[ObjectRef]) -> Vec<(ObjectRef, Kept)> {
        let is_kept = |name: &ObjectRef, bus: &BusId| failing.contains(name) && changed.contains(bus);
        let sources = self.sources.iter().filter(|(name, served)| is_kept(name, &served.bus));
        let sources = sources.map(|(name, served)| (name.clone(), Kept::Source(served.object.clone())));
        let sensors = self.sensors.iter().filter(|(name, served)| is_kept(name, &served.bus));
        let sensors = sensors.map(|(name, served)| (name.clone(), Kept::Sensor(served.object.clone())));
        sources.chain(sensors).collect()
    }

    /// Whether an object can go on as it runs.
    fn goes_on<O: Servable, R>(&self, served: &Served<O, R>, wanted: &O, changed: &BTreeSet<BusId>) -> bool {
        let (namespace, bus) = wanted.namespace_and_bus();
        served.object == *wanted
            && self.buses.id_of(&namespace, bus.as_ref()).is_ok_and(|id| id == served.bus)
            && !changed.contains(&served.bus)
    }

    async fn end_sensors(
        &mut self,
        wanted: &mut BTreeMap<ObjectRef, Sensor>,
        failing: &[ObjectRef],
        changed: &BTreeSet<BusId>,
    ) {
        for name in self.sensors.keys().cloned().collect::<Vec<_>>() {
            let Some(served) = self.sensors.get(&name) else { continue };
            match wanted.get(&name) {
                Some(object) if self.goes_on(served, object, changed) => drop(wanted.remove(&name)),
                None if failing.contains(&name) => {
                    warn!(object = %name, "has mistakes now, the version before them keeps running");
                }
                _ => {
                    self.observed.forget(&name);
                    if let Some(served) = self.sensors.remove(&name) {
                        served.running.stop(self.settings.grace).await;
                        info!(object = %name, "Sensor stopped");
                    }
                }
            }
        }
    }

    /// What is to be waited for on each bus before anything is received.
    async fn begin_sensors(
        &mut self,
        wanted: BTreeMap<ObjectRef, Sensor>,
    ) -> anyhow::Result<BTreeMap<BusId, Readiness>> {
        let mut attached: BTreeMap<BusId, Vec<BoxFuture<'static, ()>>> = BTreeMap::new();
        for (name, object) in wanted {
            let Some((id, bus)) = self.bus_of(&name, &object).await? else { continue };
            let deps = sensor_core::Deps {
                bus,
                bus_name: id.to_string().into(),
                process: self.parts.process.clone(),
                clock: self.parts.clock.clone(),
                secrets: self.secrets.clone(),
                metrics: self.parts.sensor_metrics.clone(),
                data_dir: self.settings.data.clone(),
            };
            let prepared = Sensors::prepare(&object, |kind| self.registry.trigger(kind).copied(), &deps);
            let running = prepared.start();
            attached.entry(id.clone()).or_default().push(running.attached().boxed());
            self.observed.observe(name.clone(), Observer::Sensor(running.observer()));
            info!(object = %name, "Sensor runs");
            self.sensors.insert(name, Served { object, bus: id, running });
        }
        let all = |futures| Readiness::when(futures_util::future::join_all(futures).map(drop));
        Ok(attached.into_iter().map(|(id, futures)| (id, all(futures))).collect())
    }

    async fn end_sources(
        &mut self,
        wanted: &mut BTreeMap<ObjectRef, EventSource>,
        failing: &[ObjectRef],
        changed: &BTreeSet<BusId>,
    ) {
        for name in self.sources.keys().cloned().collect::<Vec<_>>() {
            let Some(served) = self.sources.get(&name) else { continue };
            match wanted.get(&name) {
                Some(object) if self.goes_on(served, object, changed) => drop(wanted.remove(&name)),
                None if failing.contains(&name) => {
                    warn!(object = %name, "has mistakes now, the version before them keeps running");
                }
                _ => {
                    self.observed.forget(&name);
                    let wanted = wanted.get(&name);
                    let remains = |kind: &str, event: &EventName| {
                        let events = wanted.into_iter().flat_map(|object| object.spec.events());
                        events.into_iter().any(|(key, name, _)| key == kind && name == *event)
                    };
                    if let Some(served) = self.sources.remove(&name) {
                        served.running.retire(self.settings.grace, remains).await;
                        info!(object = %name, "EventSource stopped");
                    }
                }
            }
        }
    }

    async fn begin_sources(
        &mut self,
        wanted: BTreeMap<ObjectRef, EventSource>,
        ready: &BTreeMap<BusId, Readiness>,
    ) -> anyhow::Result<()> {
        let at_once = Readiness::at_once();
        for (name, object) in wanted {
            let Some((id, bus)) = self.bus_of(&name, &object).await? else { continue };
            let deps = eventsource_core::Deps {
                bus,
                clock: self.parts.clock.clone(),
                secrets: self.secrets.clone(),
                front: self.parts.front.clone(),
                metrics: self.parts.source_metrics.clone(),
            };
            let ready = ready.get(&id).unwrap_or(&at_once);
            let running = Sources::start(&object, |kind| self.registry.source(kind).copied(), &deps, ready);
            self.observed.observe(name.clone(), Observer::Source(running.observer()));
            info!(object = %name, "EventSource runs");
            self.sources.insert(name, Served { object, bus: id, running });
        }
        Ok(())
    }

    /// The bus of an object; `None` when its EventBus can't be served, which is told and stops this object only.
    async fn bus_of(
        &self,
        object: &ObjectRef,
        servable: &impl Servable,
    ) -> anyhow::Result<Option<(BusId, Arc<dyn Bus>)>> {
        let (namespace, name) = servable.namespace_and_bus();
        let error = match self.buses.id_of(&namespace, name.as_ref()) {
            Ok(id) => match self.buses.open(&id).await {
                Ok(bus) => return Ok(Some((id, bus))),
                // Nothing works without the data directory.
                Err(error) if id == BusId::Embedded => return Err(error),
                Err(error) => format!("{error:#}"),
            },
            Err(error) => error,
        };
        warn!(%object, error, "does not run");
        self.observed.observe(object.clone(), Observer::Stopped(error));
        Ok(None)
    }

    /// Refuses what is new, finishes what is in hand within `grace`, and closes the buses.
    pub(crate) async fn stop(mut self, grace: Duration) {
        for served in std::mem::take(&mut self.sources).into_values() {
            served.running.stop(grace).await;
        }
        self.parts.front.stop(grace).await;
        let mut sensors = tokio::task::JoinSet::new();
        for served in std::mem::take(&mut self.sensors).into_values() {
            sensors.spawn(served.running.stop(grace));
        }
        while sensors.join_next().await.is_some() {}
        self.stop_admin.cancel();
        if tokio::time::timeout(grace, &mut self.admin).await.is_err() {
            self.admin.abort();
        }
        self.buses.close_all().await;
    }
}

/// An object that keeps running as it was.
enum Kept {
    Source(EventSource),
    Sensor(Sensor),
}

#[expect(clippy::disallowed_methods, reason = "the handle is kept, and ends the task when it is dropped")]
pub(crate) fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(
    future: F,
) -> AbortOnDropHandle<F::Output> {
    AbortOnDropHandle::new(tokio::spawn(future))
}
