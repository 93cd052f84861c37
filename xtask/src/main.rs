//! What cargo can't do. Depends on no crate of ours.

mod bench;
mod chaos;
mod contract;
mod fuzz;
mod house;
mod new_source;
mod services;
mod sources;
mod test;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// What cargo can't do for Zetes.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
struct Xtask {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what the tests need, check everything, run everything. What CI runs.
    Test {
        /// Only the tests of these packages, and nothing else.
        #[arg(long, short, value_name = "NAME")]
        package: Vec<String>,
    },
    NewSource(new_source::NewSource),
    /// Write the pages that are made from what tests have shown; run `cargo xtask test` first.
    Docs,
    /// What compilers don't see: floors, lints, names, the map in ARCHITECTURE.md.
    Tidy {
        /// The workspace to look at.
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
    },
    /// Install, start and stop the servers that tests need.
    #[command(subcommand)]
    Services(services::Services),
    /// Measure the release executable end to end, beside the bare disk.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Kill processes and servers, cut connections, fill disks; then count what is missing.
    Chaos(chaos::Chaos),
    /// Look for inputs that make a language panic or hang.
    Fuzz(fuzz::Fuzz),
}

fn main() -> ExitCode {
    let result = match Xtask::parse().command {
        Command::Test { package } if package.is_empty() => test::run(&root()),
        Command::Test { package } => {
            target(&root()).and_then(|target| test::packages(&root(), &target, &package))
        }
        Command::NewSource(new) => new.run(&root()),
        Command::Docs => sources::write(&root()),
        Command::Tidy { root: other } => tidy::run(&other.unwrap_or_else(root)),
        Command::Services(services) => target(&root()).and_then(|target| services.run(&target)),
        Command::Bench(bench) => bench.run(),
        Command::Chaos(chaos) => chaos.run(&root()),
        Command::Fuzz(fuzz) => fuzz.run(&root()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace that this xtask was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The folder of a workspace for what is built.
fn target(root: &Path) -> anyhow::Result<PathBuf> {
    let metadata = metadata(root)?;
    let folder = metadata.get("target_directory").and_then(serde_json::Value::as_str);
    folder.map(PathBuf::from).context("cargo metadata has no target_directory")
}

/// `cargo metadata` of a workspace, without its dependencies.
fn metadata(root: &Path) -> anyhow::Result<serde_json::Value> {
    let mut command = std::process::Command::new(env!("CARGO"));
    let output = command.args(["metadata", "--no-deps", "--format-version=1"]).current_dir(root).output()?;
    anyhow::ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("cargo metadata")
}
