//! A bus that a command names: a data directory, or a manifest with the EventBus whose server it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bus_core::Bus;
use bus_embedded::EmbeddedBus;
use zetes_api::manifest::Object;
use zetes_api::{EventBus, Namespace};
use zetes_runtime::Clock;

use super::Means;
use super::settings::{Carried, carried, open_server};
use crate::cli::{SecretPlaces, Usage};
use crate::load;
use crate::registry::Registry;

/// How long a server may take to be there.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which bus is meant.
pub(crate) enum Place {
    /// The embedded bus of a data directory.
    Directory(PathBuf),
    Server(Box<Server>),
}

/// A server, with what is needed to reach it.
pub(crate) struct Server {
    object: EventBus,
    means: Means,
}

impl Place {
    /// Reads what the path names.
    ///
    /// # Errors
    /// It is neither a data directory nor a file with exactly one EventBus that a server carries ([`Usage`]).
    pub(crate) fn read(path: &Path, namespace: Option<&str>, places: &SecretPlaces) -> anyhow::Result<Self> {
        if path.is_dir() {
            return Ok(Self::Directory(path.join("bus")));
        }
        let namespace = Namespace::from(namespace.unwrap_or("default"));
        let loaded = load::load(&[path.to_owned()], &namespace, &Registry::of_this_build())?;
        let buses = loaded.objects.iter().filter_map(|located| match &located.object {
            Object::EventBus(bus) => Some(bus),
            _ => None,
        });
        let servers: Vec<_> = buses.filter(|bus| !matches!(carried(bus, None), Carried::Embedded)).collect();
        let [object] = servers.as_slice() else {
            let message = format!(
                "{}: expected one EventBus that names a server (`jetstreamExotic`, `kafka`), found {}",
                path.display(),
                servers.len()
            );
            return Err(Usage(message).into());
        };
        let object = (*object).clone();
        let means = Means {
            data: PathBuf::new(),
            clock: Clock::system(),
            secrets: loaded.secrets(places.builder())?,
            jetstream_url: None,
        };
        Ok(Self::Server(Box::new(Server { object, means })))
    }

    /// A data directory that may not be there yet.
    pub(crate) fn directory(path: &Path) -> Self {
        Self::Directory(path.join("bus"))
    }

    /// The namespace that a server's bus is of.
    pub(crate) fn namespace(&self) -> Option<Namespace> {
        match self {
            Self::Directory(_) => None,
            Self::Server(server) => Some(server.object.object_ref().namespace),
        }
    }

    /// Opens it, and waits until it can be used.
    ///
    /// # Errors
    /// The directory belongs to a running process or can't be used; the server is not there in time, or refuses.
    pub(crate) async fn open(&self) -> anyhow::Result<Arc<dyn Bus>> {
        match self {
            Self::Directory(directory) => {
                let (bus, report) = EmbeddedBus::open(directory, bus_embedded::Options::default()).await?;
                report.tell();
                Ok(Arc::new(bus))
            }
            Self::Server(server) => {
                let name = server.object.object_ref();
                let bus = open_server(&server.object, &server.means).with_context(|| name.to_string())?;
                usable(&*bus, &server.means.clock).await.with_context(|| name.to_string())?;
                Ok(bus)
            }
        }
    }
}

async fn usable(bus: &dyn Bus, clock: &Clock) -> anyhow::Result<()> {
    let mut waited = Duration::ZERO;
    let pause = Duration::from_millis(50);
    while let Err(error) = bus.stats().await {
        if waited >= PATIENCE || !error.is_transient() {
            bail!(error);
        }
        clock.sleep(pause).await;
        waited += pause;
    }
    Ok(())
}
