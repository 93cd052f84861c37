//! The servers that can be had.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::thread;

use anyhow::Result;

use super::install::{self, Cache};

/// One that outlives xtask, where others are each test's own.
pub(crate) const KAFKA: &str = "kafka";

/// A further server is a further entry.
pub(crate) const SERVERS: [Server; 9] = [
    Server {
        name: "nats",
        by: Tool::Go,
        programs: &[("nats_old", install::nats_old), ("nats_current", install::nats_current)],
    },
    Server {
        name: KAFKA,
        by: Tool::Maven,
        programs: &[("kafka_lib", install::kafka), ("java", install::java)],
    },
    Server { name: "redis", by: Tool::Apt, programs: &[("redis", install::redis)] },
    Server {
        name: "mosquitto",
        by: Tool::Apt,
        programs: &[("mosquitto", install::mosquitto), ("mosquitto_passwd", install::mosquitto_passwd)],
    },
    Server { name: "rabbitmq", by: Tool::Apt, programs: &[("rabbitmq", install::rabbitmq)] },
    Server { name: "moto", by: Tool::Pip, programs: &[("moto", install::moto)] },
    Server { name: "minio", by: Tool::Go, programs: &[("minio", install::minio)] },
    Server { name: "gitea", by: Tool::Go, programs: &[("gitea", install::gitea)] },
    Server { name: "github", by: Tool::Npm, programs: &[("github_payloads", install::github_payloads)] },
];

#[derive(Debug)]
pub(crate) struct Server {
    /// As in `--only`.
    pub(crate) name: &'static str,
    by: Tool,
    /// What is installed for it, by the names in `services.json`.
    pub(crate) programs: &'static [(&'static str, Install)],
}

type Install = fn(&Cache) -> Result<PathBuf>;

/// Does one thing at a time, beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Apt,
    Go,
    Maven,
    Npm,
    Pip,
}

/// Installs what these need, and says where each thing is as soon as it is there.
pub(crate) fn install(
    servers: &[&Server],
    cache: &Cache,
    found: impl Fn(&str, PathBuf) -> Result<()> + Sync,
) -> Result<()> {
    let found = &found;
    let one_after_another = |tool| {
        let mut programs =
            servers.iter().filter(|server| server.by == tool).flat_map(|server| server.programs);
        programs.try_for_each(|(name, install)| found(name, install(cache)?))
    };
    let tools: BTreeSet<Tool> = servers.iter().map(|server| server.by).collect();
    thread::scope(|scope| {
        let threads: Vec<_> =
            tools.into_iter().map(|tool| scope.spawn(move || one_after_another(tool))).collect();
        let ended = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        ended.collect()
    })
}

/// The first fails, the others are installed.
#[cfg(test)]
pub(crate) fn some() -> Vec<&'static Server> {
    const SOME: [Server; 3] = [
        Server { name: "missing", by: Tool::Go, programs: &[("missing", |_| anyhow::bail!("no network"))] },
        Server { name: "after", by: Tool::Go, programs: &[("after", |_| Ok(PathBuf::new()))] },
        Server { name: "there", by: Tool::Pip, programs: &[("there", |_| Ok(PathBuf::new()))] },
    ];
    SOME.iter().collect()
}
