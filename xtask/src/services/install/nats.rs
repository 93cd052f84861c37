//! NATS, at both ends of what is supported.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Cache, debian, go};

const OLD: &str = "2.9.10";
const CURRENT: &str = "2.12.2";

/// The server of Debian 12, the oldest that is supported.
pub(crate) fn nats_old(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("nats-server-{OLD}"), |folder| {
        if of_debian(folder) {
            return Ok(());
        }
        eprintln!("services: Debian's package has another version or is not to be had; building {OLD}");
        by_go(folder, OLD)
    })?;
    Ok(folder.join("nats-server"))
}

pub(crate) fn nats_current(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("nats-server-{CURRENT}"), |folder| by_go(folder, CURRENT))?;
    Ok(folder.join("nats-server"))
}

/// False where Debian does not give the version that is meant.
fn of_debian(folder: &Path) -> bool {
    // What was unpacked beside the program must not be in the folder that stays.
    let package = folder.join("package");
    let moved = debian::unpack(&package, &["nats-server"]).is_ok_and(|()| {
        let into = folder.join("nats-server");
        std::fs::rename(package.join("usr/sbin/nats-server"), &into)
            .or_else(|_| std::fs::rename(package.join("usr/bin/nats-server"), &into))
            .is_ok()
    });
    std::fs::remove_dir_all(&package).is_ok() && moved && is_version(&folder.join("nats-server"), OLD)
}

fn by_go(folder: &Path, version: &str) -> Result<()> {
    go::install(folder, &format!("github.com/nats-io/nats-server/v2@v{version}"), "half a minute")?;
    ensure!(is_version(&folder.join("nats-server"), version), "go install gave no nats-server {version}");
    Ok(())
}

fn is_version(nats_server: &Path, version: &str) -> bool {
    let output = Command::new(nats_server).arg("--version").output();
    output.is_ok_and(|output| {
        String::from_utf8_lossy(&output.stdout)
            .split_whitespace()
            .any(|word| word.trim_start_matches('v') == version)
    })
}
