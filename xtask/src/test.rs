//! `cargo xtask test`: everything, in the order in which mistakes are cheapest to find.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::contract;
use crate::services::Place;
use crate::sources;
use crate::tidy;
use crate::tools::Tools;

pub(crate) fn run(root: &Path) -> Result<()> {
    let target = crate::target(root)?;
    let tools = step("tools", || Tools::install(&target))?;
    let services = Place::under(&target);
    let started = step("services", || services.up_all())?;
    let checked = check(root, &tools, &services.file());
    // What ran before belongs to somebody who goes on using it.
    let stopped = if started { services.down() } else { Ok(()) };
    checked.and(stopped)
}

/// Only the tests of these packages of a workspace, built in `target`, with the servers that run there or are started.
pub(crate) fn packages(root: &Path, target: &Path, packages: &[String]) -> Result<()> {
    let tools = step("tools", || Tools::install(target))?;
    let services = Place::under(target);
    let started = step("services", || services.up_all())?;
    let tested = step("tests", || {
        let mut nextest = tools.cargo("nextest");
        nextest.args(["run", "--profile", "ci", "--target-dir"]).arg(target).current_dir(root);
        nextest.env("ZETES_SERVICES", services.file());
        nextest.args(packages.iter().flat_map(|package| ["-p", package]));
        finish(&mut nextest, "cargo nextest run --profile ci -p ...")
    });
    let stopped = if started { services.down() } else { Ok(()) };
    tested.and(stopped)
}

fn check(root: &Path, tools: &Tools, services: &Path) -> Result<()> {
    step("format", || cargo(root, &["fmt", "--all", "--check"]))?;
    step("tidy", || tidy::run(root))?;
    step("deny", || {
        finish(
            tools.cargo("deny").args(["check", "bans", "licenses", "sources"]).current_dir(root),
            "cargo deny check bans licenses sources",
        )
    })?;
    step("clippy", || {
        cargo(root, &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])
    })?;
    step("build", || cargo(root, &["build", "--quiet", "--workspace", "--all-targets"]))?;
    step("examples in the documentation", || cargo(root, &["test", "--quiet", "--workspace", "--doc"]))?;
    step("contract", || contract::count(root, tools))?;
    step("tests", || {
        let mut nextest = tools.cargo("nextest");
        nextest.args(["run", "--workspace", "--profile", "ci"]).env("INSTA_UPDATE", "no");
        nextest.env("ZETES_SERVICES", services).current_dir(root);
        finish(&mut nextest, "cargo nextest run --workspace --profile ci")
    })?;
    step("docs", || sources::check(root))?;
    if !root.join("../shared/vectors").is_dir() {
        eprintln!(
            "skipped: the rows of ../shared/vectors and the manifests of ../shared/compat, which are not there"
        );
    }
    Ok(())
}

/// Runs one step and says how long it took.
#[expect(clippy::disallowed_methods, reason = "how long a step took, for people")]
fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("==> {name}");
    let begin = Instant::now();
    let done = work()?;
    eprintln!("    {name}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(done)
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    finish(
        Command::new(env!("CARGO")).args(arguments).current_dir(root),
        &format!("cargo {}", arguments.join(" ")),
    )
}

fn finish(command: &mut Command, alone: &str) -> Result<()> {
    let status = command.status().with_context(|| alone.to_owned())?;
    ensure!(status.success(), "failed; to run it alone: {alone}");
    Ok(())
}
