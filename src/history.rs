//! Where the record of past events can be read: from the process that owns a data directory, or from the directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus_core::{Bus, BusError};
use clap::Args;
use sensor_core::{DeadLetter, DeadLetterId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zetes_api::EventId;
use zetes_runtime::Clock;

use crate::cli::Usage;
use crate::explain::{EventLine, Explanation};

/// The file in a data directory that tells where its owner can be asked.
const OWNER_FILE: &str = "owner.json";

/// Which data directory is meant.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The data directory of `zetes run`.
    #[arg(long, value_name = "DIR", default_value = ".zetes", env = "ZETES_DATA")]
    data: PathBuf,
}

/// Something that can tell about past events.
pub(crate) enum History {
    Process(Process),
    Directory(Arc<dyn Bus>),
}

/// A running process, by its admin address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// `http://127.0.0.1:8081`
    pub(crate) admin: String,
}

impl Place {
    /// Opens the directory, or finds the process that has it open.
    ///
    /// # Errors
    /// There is no such directory ([`Usage`]), its owner does not answer, or it can't be read.
    pub(crate) async fn history(&self) -> anyhow::Result<History> {
        let bus_dir = self.data.join("bus");
        if !bus_dir.is_dir() {
            let message =
                format!("{}: no data directory of `zetes run`; name it with --data", self.data.display());
            return Err(Usage(message).into());
        }
        let options = bus_embedded::Options { clock: Clock::system(), ..bus_embedded::Options::default() };
        match bus_embedded::EmbeddedBus::open(&bus_dir, options).await {
            Ok((bus, _report)) => Ok(History::Directory(Arc::new(bus))),
            Err(BusError::InUse(owner)) => Process::of(&self.data)
                .map(History::Process)
                .with_context(|| format!("{owner}, and it can't be asked")),
            Err(error) => Err(error).with_context(|| self.data.display().to_string()),
        }
    }
}

impl Process {
    /// Leaves word in the directory where its owner can be asked.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn announce(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join(OWNER_FILE);
        std::fs::write(&path, serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    fn of(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(OWNER_FILE);
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) async fn explain(&self, id: &EventId) -> anyhow::Result<Vec<Explanation>> {
        self.get("api/v1/events/explain", &[("id", id.as_str())]).await
    }

    pub(crate) async fn newest(&self, limit: usize) -> anyhow::Result<Vec<EventLine>> {
        self.get("api/v1/events", &[("limit", &limit.to_string())]).await
    }

    pub(crate) async fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        self.get("api/v1/dead-letters", &[]).await
    }

    /// Has a dead letter fired again.
    ///
    /// # Errors
    /// There is none of that id, or its trigger does not run.
    pub(crate) async fn redrive(&self, id: &DeadLetterId) -> anyhow::Result<()> {
        self.post("api/v1/dead-letters/redrive", id).await
    }

    /// Has a dead letter removed for good.
    ///
    /// # Errors
    /// There is none of that id.
    pub(crate) async fn discard(&self, id: &DeadLetterId) -> anyhow::Result<()> {
        self.post("api/v1/dead-letters/discard", id).await
    }

    async fn post(&self, path: &str, id: &DeadLetterId) -> anyhow::Result<()> {
        let url = format!("{}/{path}", self.admin);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        let body = serde_json::json!({"id": id});
        let answer =
            client.post(&url).json(&body).send().await.with_context(|| format!("process {}", self.pid))?;
        if answer.status().is_success() {
            return Ok(());
        }
        anyhow::bail!("{}", answer.text().await?.trim())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<T> {
        let url = format!("{}/{path}", self.admin);
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_mins(1)).build()?;
        let answer =
            client.get(&url).query(query).send().await.with_context(|| format!("process {}", self.pid))?;
        Ok(answer.error_for_status()?.json().await?)
    }
}
