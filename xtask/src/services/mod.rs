//! `cargo xtask services`: the real servers of the tests, installed, started and stopped.
//!
//! Most start in a moment, so each test starts its own and only the executables stand here. A Kafka broker takes
//! seconds and 360 MB, so there is one for everybody, which outlives xtask. `services.json` says where all is.

mod certificates;
mod install;
mod kafka;
mod process;
mod servers;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value, json};

pub(crate) use self::process::within;

use self::install::Cache;
use self::kafka::{Broker, KafkaPrograms};
use self::servers::{KAFKA, SERVERS, Server};

/// What to do with the servers of the tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Services {
    /// Install what is missing, start what does not run, and write `services.json`.
    Up {
        /// Only these.
        #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = names())]
        only: Vec<String>,
    },
    /// Stop what runs, and remove its directories. What is installed stays.
    Down,
    /// What is installed, and what runs where.
    Status,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SERVERS.iter().map(|server| server.name))
}

impl Services {
    pub(crate) fn run(self, target: &Path) -> Result<()> {
        let place = Place::under(target);
        match self {
            Self::Up { only } if only.is_empty() => place.up_all().map(drop),
            Self::Up { only } => {
                let wanted = |server: &&Server| only.iter().any(|name| name == server.name);
                place.up(&SERVERS.iter().filter(wanted).collect::<Vec<_>>()).map(drop)
            }
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
        self.up(&SERVERS.iter().collect::<Vec<_>>())
    }

    /// What runs already is kept. True where something had to be started.
    fn up(&self, servers: &[&Server]) -> Result<bool> {
        let cache = Cache::of_user()?;
        let _alone = self.lock()?;
        std::fs::create_dir_all(&self.folder).with_context(|| self.folder.display().to_string())?;
        let known = Mutex::new(self.read());
        // Written each time: who waits for one server need not wait for all.
        servers::install(servers, &cache, |name, path| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(name.to_owned(), json!(path));
            self.write(&known)
        })?;
        let mut known = known.into_inner().unwrap_or_else(PoisonError::into_inner);
        let start = servers.iter().any(|server| server.name == KAFKA) && self.broker(&known).is_none();
        if start {
            self.stop(&known)?;
            let programs = KafkaPrograms::known(&known).context("Kafka was installed")?;
            known.insert(KAFKA.to_owned(), Broker::start(&programs, &self.kafka())?.describe());
            self.write(&known)?;
        }
        eprintln!("services: {}", self.file().display());
        Ok(start)
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
        let programs = SERVERS.iter().flat_map(|server| server.programs).map(|(name, _)| *name);
        let mut rows: Vec<_> = programs
            .map(|name| {
                match known.get(name).and_then(Value::as_str).filter(|path| Path::new(path).exists()) {
                    Some(path) => (name, "installed", path.to_owned()),
                    None => (name, "missing", String::new()),
                }
            })
            .collect();
        let (state, place) = self.broker(&known).map_or(("down", String::new()), |one| {
            ("running", format!("{}, pid {}", one.plaintext, one.pid))
        });
        rows.push((KAFKA, state, place));
        let mut out = std::io::stdout().lock();
        for (name, state, place) in rows {
            writeln!(out, "{}", format!("{name:<18}{state:<11}{place}").trim_end())?;
        }
        Ok(())
    }

    fn kafka(&self) -> PathBuf {
        self.folder.join("kafka")
    }

    /// The broker that was started before, if it lives and answers.
    fn broker(&self, known: &Map<String, Value>) -> Option<Broker> {
        Broker::described(known.get(KAFKA)?)
            .filter(|broker| broker.is_ours(&self.kafka()) && broker.answers())
    }

    fn stop(&self, known: &Map<String, Value>) -> Result<()> {
        let broker = known.get(KAFKA).and_then(Broker::described);
        match broker.filter(|broker| broker.is_ours(&self.kafka())) {
            Some(broker) => process::stop(broker.pid),
            None => Ok(()),
        }
    }

    /// Where a program is, by its name in `services.json`.
    pub(crate) fn program(&self, name: &str) -> Result<PathBuf> {
        let known = self.read();
        let path = known.get(name).and_then(Value::as_str).map(PathBuf::from);
        path.with_context(|| format!("{name} is not installed: run `cargo xtask services up` first"))
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
