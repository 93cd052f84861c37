//! What the tests need, kept outside the checkout by name and version: a file a tool or a program.

mod debian;
mod go;
mod kafka;
mod nats;
mod npm;
mod python;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};

pub(crate) use self::debian::{mosquitto, mosquitto_passwd, rabbitmq, redis};
pub(crate) use self::go::{gitea, minio};
pub(crate) use self::kafka::{java, kafka};
pub(crate) use self::nats::{nats_current, nats_old};
pub(crate) use self::npm::github_payloads;
pub(crate) use self::python::moto;

/// Folders named after a program and its version. A folder is there whole or not at all.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

// === impl Cache ===

impl Cache {
    pub(crate) fn of_user() -> Result<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .context("no folder for what is installed: set HOME or XDG_CACHE_HOME")?;
        Ok(Self::at(folder.join("zetes-services")))
    }

    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder of this name; `fill` makes it where it is missing, in a folder beside it that is renamed when done.
    pub(crate) fn folder(&self, name: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let whole = self.folder.join(name);
        if whole.is_dir() {
            return Ok(whole);
        }
        eprintln!("services: installing {name}");
        let half = self.folder.join(format!("{name}.{}.unfinished", std::process::id()));
        std::fs::create_dir_all(&half).with_context(|| half.display().to_string())?;
        let filled = fill(&half).with_context(|| format!("installing {name}"));
        // Another xtask may have been quicker; what it made is as good.
        let renamed = filled.and_then(|()| match std::fs::rename(&half, &whole) {
            Err(error) if !whole.is_dir() => Err(error).with_context(|| whole.display().to_string()),
            _ => Ok(()),
        });
        if half.exists() {
            std::fs::remove_dir_all(&half).with_context(|| half.display().to_string())?;
        }
        renamed.map(|()| whole)
    }
}

/// A program, installed by apt where it is missing and we may.
fn needed(name: &str, package: &str, advice: &str) -> Result<PathBuf> {
    if let Some(found) = program(name) {
        return Ok(found);
    }
    if is_root() && program("apt-get").is_some() {
        eprintln!("services: apt-get install {package}");
        let install = ["install", "--yes", "--no-install-recommends", package];
        if !apt_get(&install, Path::new(".")) {
            bail!("`{name}` is missing and apt can't install `{package}`: {advice}");
        }
    }
    program(name).with_context(|| format!("`{name}` is missing: {advice}"))
}

/// Runs apt-get, a second time with fresh lists. One at a time: two would fail by its locks.
fn apt_get(arguments: &[&str], folder: &Path) -> bool {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        succeeds(command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").current_dir(folder))
    };
    apt(arguments) || (apt(&["update"]) && apt(arguments))
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Where a program is, by the search path.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// Runs a command in silence; what it wrote is in the error.
pub(crate) fn run(command: &mut Command, what: &str) -> Result<()> {
    said(command, what).map(drop)
}

/// What a command wrote to its output.
fn said(command: &mut Command, what: &str) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| what.to_owned())?;
    let all = || [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    ensure!(output.status.success(), "{what} failed:\n{}", String::from_utf8_lossy(&all()).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A script that runs what follows `exec` in it; `$here` is the folder in which it stands.
fn script(file: &Path, line: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(file, format!("#!/bin/sh\nhere=${{0%/*}}\n{line}\n"))?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
