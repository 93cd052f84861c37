//! One file a command. Data goes to stdout, the rest to stderr.

mod bus;
mod demo;
mod dlq;
mod events;
mod explain;
mod git_hook;
mod run;
mod schema;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zetes_runtime::{Secrets, SecretsBuilder};

/// Events in, reasons out: webhooks, git pushes and schedules become Kubernetes objects and HTTP calls.
///
/// Zetes reads Argo Events manifests (EventSource, EventBus, Sensor) and runs them as one process. Every event that it
/// accepts is durable before the sender gets its answer, and leaves a reason for what became of it.
#[derive(Debug, Parser)]
#[command(name = "zetes", version, max_term_width = 110)]
#[command(after_help = "Examples:
  zetes demo                         see a git push become a Workflow, in ten seconds
  zetes run examples/webhook         serve the manifests of a folder
  zetes explain 4f1c…                what became of an event, and why
  zetes validate manifests/          every mistake, with file, line and column

Exit codes: 0 well, 1 failed or findings, 2 wrong usage or unreadable input.")]
pub(crate) struct Zetes {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Validate(validate::Validate),
    Explain(explain::Explain),
    Events(events::Events),
    Dlq(dlq::Dlq),
    Bus(bus::Bus),
    Demo(demo::Demo),
    Schema(schema::Schema),
    GitHook(git_hook::GitHook),
}

/// How a command prints its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    Json,
    Yaml,
}

/// Where secrets and config maps are, beside the documents of these kinds among the manifests.
#[derive(Clone, Debug, Args)]
pub(crate) struct SecretPlaces {
    /// Secrets as files: <namespace>/<name>/<key> or <name>/<key>.
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// Config maps as files, in the same layout.
    #[arg(long, value_name = "DIR")]
    config_maps: Option<PathBuf>,
}

impl SecretPlaces {
    /// The folders, and the environment.
    pub(crate) fn builder(&self) -> SecretsBuilder {
        let mut builder = Secrets::builder();
        if let Some(folder) = &self.secrets {
            builder.secret_dir(folder);
        }
        if let Some(folder) = &self.config_maps {
            builder.config_map_dir(folder);
        }
        builder.environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        );
        builder
    }
}

/// What the user gave us can't be used: exit code 2.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

pub(crate) fn exit_code(error: &anyhow::Error) -> u8 {
    if error.is::<Usage>() { 2 } else { 1 }
}

impl Zetes {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(command) => command.run(),
            Command::Validate(command) => command.run(),
            Command::Explain(command) => command.run(),
            Command::Events(command) => command.run(),
            Command::Dlq(command) => command.run(),
            Command::Bus(command) => command.run(),
            Command::Demo(command) => command.run(),
            Command::Schema(command) => command.run(),
            Command::GitHook(command) => command.run(),
        }
    }
}

/// The runtime of a command that waits for something.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
