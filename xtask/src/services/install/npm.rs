//! Data of the npm registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Cache, needed, run};

const GITHUB_PAYLOADS: &str = "7.6.1";

/// A folder with examples of all that GitHub sends, collected by Octokit.
pub(crate) fn github_payloads(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("octokit-webhooks-examples-{GITHUB_PAYLOADS}"), |folder| {
        install(folder, &format!("@octokit/webhooks-examples@{GITHUB_PAYLOADS}"))
    })?;
    let payloads = folder.join("node_modules/@octokit/webhooks-examples");
    ensure!(payloads.join("api.github.com/index.json").is_file(), "npm brought no payloads");
    Ok(payloads)
}

/// `npm install` into this folder; nothing of the package is run.
fn install(folder: &Path, package: &str) -> Result<()> {
    let npm = needed("npm", "npm", "install Node.js with npm")?;
    eprintln!("services: npm install {package}");
    let mut command = Command::new(npm);
    command.args([
        "install",
        "--no-save",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
        "--prefix",
    ]);
    run(command.arg(folder).arg(package), "npm install")
}
