//! Which bus serves which EventBus (spec/control-plane.md 2.7): the embedded one, or the server that the object names.
//!
//! A bus is opened when the first object that uses it begins, and closed when the last one has ended or its EventBus was changed.

mod info;
mod place;
mod settings;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use bus_core::Bus;
use bus_embedded::EmbeddedBus;
use serde::Serialize;
use tracing::{info, warn};
use zetes_api::manifest::{Located, Object};
use zetes_api::{EventBus, Namespace, ObjectName, ObjectRef};
use zetes_runtime::{Clock, Secrets};

pub(crate) use info::BusInfo;
pub(crate) use place::Place;
use settings::{Carried, carried};
pub(crate) use settings::{check_server, findings};

/// The name that stands where an object names none.
const DEFAULT: &str = "default";

/// Names a bus: the EventBus that a server carries, or the embedded bus, which carries all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BusId {
    Embedded,
    Server { namespace: Namespace, name: ObjectName },
}

impl std::fmt::Display for BusId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Server { namespace, name } => write!(f, "{namespace}/{name}"),
        }
    }
}

/// An open bus, and how it is.
#[derive(Clone)]
pub(crate) struct Open {
    pub(crate) id: BusId,
    pub(crate) bus: Arc<dyn Bus>,
}

/// How a bus is, for people.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BusStatus {
    pub(crate) name: String,
    /// What carries it: `embedded`, `jetstream`, `kafka`.
    #[serde(flatten)]
    pub(crate) health: bus_core::Health,
}

/// What all buses of a process are opened with.
#[derive(Clone)]
pub(crate) struct Means {
    /// The data directory.
    pub(crate) data: PathBuf,
    pub(crate) clock: Clock,
    pub(crate) secrets: Secrets,
    /// A server that carries every `EventBus` of kind `jetstream`.
    pub(crate) jetstream_url: Option<String>,
}

/// The buses of a process.
pub(crate) struct Buses {
    means: Means,
    objects: BTreeMap<(Namespace, ObjectName), EventBus>,
    /// They have mistakes, and had them when they were first read.
    unusable: BTreeSet<(Namespace, ObjectName)>,
    open: OpenBuses,
}

/// The open ones, seen from everywhere. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct OpenBuses(Arc<Mutex<BTreeMap<BusId, Arc<dyn Bus>>>>);

impl OpenBuses {
    pub(crate) fn all(&self) -> Vec<Open> {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().map(|(id, bus)| Open { id: id.clone(), bus: bus.clone() }).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<BusStatus> {
        let status = |open: Open| BusStatus { name: format!("bus/{}", open.id), health: open.bus.health() };
        self.all().into_iter().map(status).collect()
    }

    fn get(&self, id: &BusId) -> Option<Arc<dyn Bus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn insert(&self, id: BusId, bus: Arc<dyn Bus>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, bus);
    }

    fn remove(&self, id: &BusId) -> Option<Arc<dyn Bus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

impl Buses {
    pub(crate) fn new(means: Means) -> Self {
        Self { means, objects: BTreeMap::new(), unusable: BTreeSet::new(), open: OpenBuses::default() }
    }

    pub(crate) fn opened(&self) -> OpenBuses {
        self.open.clone()
    }

    /// Takes over the EventBus objects that were read anew; gives the buses that are to be opened anew, whose users must end before
    /// [`Buses::close`]. An object with mistakes keeps serving as it was.
    pub(crate) fn take_over(&mut self, objects: &[Located], failing: &[ObjectRef]) -> BTreeSet<BusId> {
        let mut wanted = BTreeMap::new();
        self.unusable.clear();
        for located in objects {
            let Object::EventBus(bus) = &located.object else { continue };
            let object = bus.object_ref();
            let key = (object.namespace.clone(), object.name.clone());
            let before = self.objects.get(&key).filter(|_| failing.contains(&object));
            if let Some(taken) = before.or(Some(bus).filter(|_| !failing.contains(&object))) {
                wanted.insert(key, taken.clone());
            } else {
                self.unusable.insert(key);
            }
        }
        let before = std::mem::replace(&mut self.objects, wanted);
        let names: BTreeSet<_> = before.keys().chain(self.objects.keys()).cloned().collect();
        let changed = names.into_iter().filter(|name| before.get(name) != self.objects.get(name));
        let mut ids: BTreeSet<BusId> = changed
            .flat_map(|name| [before.get(&name), self.objects.get(&name)].map(|bus| self.id(&name, bus)))
            .collect();
        // The embedded bus serves many objects; one of them gives it its settings, and it is never opened anew for the others.
        if settings::of_embedded(before.values()) == settings::of_embedded(self.objects.values()) {
            ids.remove(&BusId::Embedded);
        }
        ids.into_iter().filter(|id| self.open.get(id).is_some()).collect()
    }

    fn id(&self, (namespace, name): &(Namespace, ObjectName), bus: Option<&EventBus>) -> BusId {
        match bus.map(|bus| carried(bus, self.means.jetstream_url.as_deref())) {
            Some(Carried::JetStream(_) | Carried::Kafka(_)) => {
                BusId::Server { namespace: namespace.clone(), name: name.clone() }
            }
            Some(Carried::Embedded) | None => BusId::Embedded,
        }
    }

    /// The bus for an object's `eventBusName`; an error where that EventBus has mistakes.
    pub(crate) fn id_of(&self, namespace: &Namespace, name: Option<&ObjectName>) -> Result<BusId, String> {
        let name = name.cloned().unwrap_or_else(|| ObjectName::from(DEFAULT));
        let key = (namespace.clone(), name);
        if self.unusable.contains(&key) {
            return Err(format!("EventBus {}/{} has mistakes", key.0, key.1));
        }
        Ok(self.id(&key, self.objects.get(&key)))
    }

    /// The bus of that id, opened if it is not yet.
    ///
    /// # Errors
    /// The data directory can't be used. A server that can't be reached is no error here: its health tells.
    pub(crate) async fn open(&self, id: &BusId) -> anyhow::Result<Arc<dyn Bus>> {
        if let Some(bus) = self.open.get(id) {
            return Ok(bus);
        }
        let bus = match id {
            BusId::Embedded => self.open_embedded().await?,
            BusId::Server { namespace, name } => {
                let object = self.objects.get(&(namespace.clone(), name.clone()));
                let object = object.with_context(|| format!("there is no EventBus {id}"))?;
                settings::open_server(object, &self.means).with_context(|| format!("EventBus {id}"))?
            }
        };
        info!(bus = %id, "bus opened");
        self.open.insert(id.clone(), bus.clone());
        Ok(bus)
    }

    async fn open_embedded(&self) -> anyhow::Result<Arc<dyn Bus>> {
        let directory = self.means.data.join("bus");
        let options = settings::of_embedded(self.objects.values()).options(&self.means.clock);
        let (bus, report) = EmbeddedBus::open(&directory, options).await?;
        report.tell();
        Ok(Arc::new(bus))
    }

    /// Closes a bus that nobody uses any more.
    pub(crate) async fn close(&self, id: &BusId) {
        if let Some(bus) = self.open.remove(id)
            && let Err(error) = bus.close().await
        {
            warn!(bus = %id, %error, "the bus was not closed well; it will recover at the next start");
        }
    }

    pub(crate) async fn close_all(&self) {
        for open in self.open.all() {
            self.close(&open.id).await;
        }
    }
}
