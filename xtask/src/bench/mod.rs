//! Benchmarks end to end: the real executable, real sockets, a real disk, beside the bare disk in the same run.

mod bus;
mod disk;
mod first_light;
mod http;
mod idle;
mod languages;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Subcommand;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// From a post to the HTTP call that follows from it, and posts per second at 64 connections.
    FirstLight {
        /// Measure this executable instead of building the release one.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Seconds for each throughput measurement.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
    },
    /// Publish and consume on every bus, beside the bare client or disk; fails where one is too slow.
    Bus {
        /// Only these: embedded, jetstream, kafka.
        only: Vec<String>,
        /// Also what takes minutes: a start with ten million unread events.
        #[arg(long)]
        large: bool,
    },
    /// Memory and processor time of two hundred event sources that have nothing to do; fails where it is too much.
    Idle {
        /// Measure this executable instead of building the release one.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
    },
    /// What languages and engine cost per event, beside the times they have; fails where one takes longer.
    Languages,
}

impl Bench {
    pub(crate) fn run(self) -> Result<()> {
        match self {
            Self::Bus { only, large } => bus::run(&only, large),
            Self::Idle { binary } => idle::run(binary),
            Self::Languages => languages::run(),
            Self::FirstLight { binary, seconds } => first_light::run(binary, Duration::from_secs(seconds)),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn print(line: &str) {
    println!("{line}");
}

fn build() -> Result<PathBuf> {
    let status = Command::new(env!("CARGO")).args(["build", "--release", "--package", "zetes"]).status()?;
    ensure!(status.success(), "cargo build --release failed");
    let metadata =
        Command::new(env!("CARGO")).args(["metadata", "--no-deps", "--format-version=1"]).output()?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout)?;
    let target = metadata
        .get("target_directory")
        .and_then(|target| target.as_str())
        .context("cargo metadata has no target_directory")?;
    Ok(Path::new(target).join("release/zetes"))
}

/// On the same disk as the build, which is a real one more often than the system's folder for temporary files.
fn folder_of_build() -> Result<PathBuf> {
    let folder = std::env::current_dir()?.join("target").join(format!("bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The value below which this part of the sorted samples lies.
fn quantile(sorted: &[Duration], part: f64) -> Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into few samples"
    )]
    let at = (sorted.len().saturating_sub(1) as f64 * part) as usize;
    sorted.get(at).copied().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
