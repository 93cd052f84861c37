//! Where the record of past events can be read: from the process that owns a data directory, or from the directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bus_core::{Bus, BusError};
use clap::Args;
use eventsource_core::DeadMessage;
use sensor_core::{DeadLetter, DeadLetterId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zetes_api::EventId;

use crate::buses::BusInfo;
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

/// What a process answers who asks whether it is still the one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProcessId {
    pid: u32,
}

impl ProcessId {
    pub(crate) fn ours() -> Self {
        Self { pid: std::process::id() }
    }
}

impl Place {
    /// The directory of the embedded bus.
    ///
    /// # Errors
    /// There is none ([`Usage`]).
    pub(crate) fn bus_directory(&self) -> anyhow::Result<PathBuf> {
        let directory = self.data.join("bus");
        if directory.is_dir() {
            return Ok(directory);
        }
        let message =
            format!("{}: no data directory of `zetes run`; name it with --data", self.data.display());
        Err(Usage(message).into())
    }

    /// Opens the directory, or finds the process that has it open.
    ///
    /// # Errors
    /// There is no such directory ([`Usage`]), its owner does not answer, or it can't be read.
    pub(crate) async fn history(&self) -> anyhow::Result<History> {
        if let Some(process) = Process::of(&self.data)
            && process.is_running().await
        {
            return Ok(History::Process(process));
        }
        let directory = self.bus_directory()?;
        let opened = bus_embedded::EmbeddedBus::open(&directory, bus_embedded::Options::default()).await;
        match opened {
            Ok((bus, _report)) => Ok(History::Directory(Arc::new(bus))),
            Err(error @ BusError::InUse(_)) => Err(error).context("its owner can't be asked"),
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

    /// What the last owner of the directory left.
    fn of(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(data.join(OWNER_FILE)).ok()?).ok()
    }

    /// Whether it is still there, and not another one at the same address.
    async fn is_running(&self) -> bool {
        let answer: anyhow::Result<ProcessId> = self.get("api/v1/process", &[]).await;
        answer.is_ok_and(|answer| answer.pid == self.pid)
    }

    pub(crate) async fn explain(&self, id: &EventId) -> anyhow::Result<Vec<Explanation>> {
        self.get("api/v1/events/explain", &[("id", id.as_str())]).await
    }

    pub(crate) async fn newest(&self, limit: usize) -> anyhow::Result<Vec<EventLine>> {
        self.get("api/v1/events", &[("limit", &limit.to_string())]).await
    }

    pub(crate) async fn buses(&self) -> anyhow::Result<Vec<BusInfo>> {
        self.get("api/v1/buses", &[]).await
    }

    pub(crate) async fn dead_letters(&self) -> anyhow::Result<Vec<DeadLetter>> {
        self.get("api/v1/dead-letters", &[]).await
    }

    pub(crate) async fn dead_messages(&self) -> anyhow::Result<Vec<DeadMessage>> {
        self.get("api/v1/dead-messages", &[]).await
    }

    /// One of them, whole; `None` where there is none of that id.
    pub(crate) async fn dead_message(&self, id: &str) -> anyhow::Result<Option<DeadMessage>> {
        self.get("api/v1/dead-messages/show", &[("id", id)]).await
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
