//! `cargo xtask services`: the real servers of the tests, installed, started and stopped.
//!
//! NATS servers start in a moment, so each test starts its own and only the executables stand here. A Kafka broker
//! takes seconds and 360 MB, so there is one for everybody, which outlives xtask. `services.json` says where all is.

mod certificates;
mod install;
mod kafka;
mod process;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use self::install::Cache;
use self::kafka::Broker;

/// What to do with the servers of the tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Install what is missing, start what does not run, and write `services.json`.
    Up {
        /// Only these.
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        only: Vec<Name>,
    },
    /// Stop what runs, and remove its directories. What is installed stays.
    Down,
    /// What is installed, and what runs where.
    Status,
}

/// A server that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    Nats,
    Kafka,
}

impl Services {
    pub(crate) fn run(self, target: &Path) -> Result<()> {
        let place = Place::under(target);
        match self {
            Self::Up { only } if only.is_empty() => place.up(Name::value_variants()).map(drop),
            Self::Up { only } => place.up(&only).map(drop),
            Self::Down => place.down(),
            Self::Status => place.status(),
        }
    }
}

/// Where the directories of the servers are, and the file that describes them.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
}

impl Place {
    pub(crate) fn under(target: &Path) -> Self {
        Self { folder: target.join("services") }
    }

    /// What tests read to find the servers.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("services.json")
    }

    /// Installs and starts everything; true where something had to be started.
    pub(crate) fn up_all(&self) -> Result<bool> {
        self.up(Name::value_variants())
    }

    /// What runs already is kept. True where something had to be started.
    fn up(&self, names: &[Name]) -> Result<bool> {
        let cache = Cache::of_user()?;
        let _alone = self.lock()?;
        std::fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let mut known = self.read();
        let mut started = false;
        if names.contains(&Name::Nats) {
            known.insert("nats_old".to_owned(), json!(install::nats_old(&cache)?));
            known.insert("nats_current".to_owned(), json!(install::nats_current(&cache)?));
            self.write(&known)?;
        }
        if names.contains(&Name::Kafka) {
            let programs = install::kafka(&cache)?;
            if self.broker(&known).is_none() {
                self.stop(&known)?;
                known.insert("kafka_lib".to_owned(), json!(programs.lib));
                known.insert("java".to_owned(), json!(programs.java));
                known.insert("kafka".to_owned(), Broker::start(&programs, &self.kafka())?.describe());
                started = true;
            }
            self.write(&known)?;
        }
        eprintln!("services: {}", self.file().display());
        Ok(started)
    }

    pub(crate) fn down(&self) -> Result<()> {
        let _alone = self.lock()?;
        self.stop(&self.read())?;
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        }
        Ok(())
    }

    /// One xtask at a time: two would each start a broker. Beside the folder, which comes and goes.
    fn lock(&self) -> Result<File> {
        let path = self.folder.with_extension("lock");
        let file = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create(&path));
        let file = file.with_context(|| path.display().to_string())?;
        file.lock().with_context(|| path.display().to_string())?;
        Ok(file)
    }

    fn status(&self) -> Result<()> {
        let known = self.read();
        let mut rows = Vec::new();
        for name in ["nats_old", "nats_current", "kafka_lib"] {
            let path = known.get(name).and_then(Value::as_str).filter(|path| Path::new(path).exists());
            rows.push((
                name,
                if path.is_some() { "installed" } else { "missing" },
                path.unwrap_or("").to_owned(),
            ));
        }
        let (state, place) = self.broker(&known).map_or(("down", String::new()), |one| {
            ("running", format!("{}, pid {}", one.plaintext, one.pid))
        });
        rows.push(("kafka", state, place));
        let mut out = std::io::stdout().lock();
        for (name, state, place) in rows {
            writeln!(out, "{}", format!("{name:<14}{state:<11}{place}").trim_end())?;
        }
        Ok(())
    }

    fn kafka(&self) -> PathBuf {
        self.folder.join("kafka")
    }

    /// The broker that was started before, if it lives and answers.
    fn broker(&self, known: &Map<String, Value>) -> Option<Broker> {
        Broker::described(known.get("kafka")?)
            .filter(|broker| broker.is_ours(&self.kafka()) && broker.answers())
    }

    fn stop(&self, known: &Map<String, Value>) -> Result<()> {
        let broker = known.get("kafka").and_then(Broker::described);
        match broker.filter(|broker| broker.is_ours(&self.kafka())) {
            Some(broker) => process::stop(broker.pid),
            None => Ok(()),
        }
    }

    /// What was written last; nothing where there is no file, or half of one.
    fn read(&self) -> Map<String, Value> {
        let text = std::fs::read(self.file()).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Written aside and renamed: tests that start meanwhile never read half a file.
    fn write(&self, known: &Map<String, Value>) -> Result<()> {
        let aside = self.folder.join("services.json.new");
        std::fs::write(&aside, serde_json::to_vec_pretty(known)?)?;
        std::fs::rename(&aside, self.file()).with_context(|| self.file().display().to_string())
    }
}

#[cfg(test)]
mod tests;
