//! Programs that are built from Go modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{Cache, needed, run, said};

/// The first that fetches a newer one where a module asks for it.
const GO: u32 = 21;
const MINIO: &str = "v0.0.0-20250907161309-07c3a429bfed";
const GITEA: &str = "1.26.0";
/// Neither paths of this machine nor symbols.
const SMALL: [&str; 3] = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w"];

pub(crate) fn minio(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("minio-{MINIO}"), |folder| {
        install(folder, &format!("github.com/minio/minio@{MINIO}"), "two minutes")
    })?;
    Ok(folder.join("minio"))
}

/// A folder with the program and the files that it reads.
pub(crate) fn gitea(cache: &Cache) -> Result<PathBuf> {
    cache.folder(&format!("gitea-{GITEA}"), build_gitea)
}

/// `go install` into this folder.
pub(super) fn install(folder: &Path, module: &str, how_long: &str) -> Result<()> {
    let mut command = go()?;
    eprintln!("services: go install {module} ({how_long} on two cores)");
    run(command.arg("install").args(SMALL).arg(module).env("GOBIN", folder), "go install")
}

/// In the module's own folder: `go install` refuses a module that replaces others.
fn build_gitea(folder: &Path) -> Result<()> {
    eprintln!("services: go build gitea {GITEA} (four minutes on two cores)");
    let module = format!("code.gitea.io/gitea@v{GITEA}");
    let described = said(go()?.args(["mod", "download", "-json", &module]), "go mod download")?;
    let described: Value = serde_json::from_str(&described).context("go mod download -json")?;
    let source = described.get("Dir").and_then(Value::as_str).map(Path::new);
    let source = source.context("go mod download names no folder")?;
    let mut command = go()?;
    command.arg("build").args(SMALL).args(["-tags", "sqlite sqlite_unlock_notify", "-o"]);
    run(command.arg(folder.join("gitea")).arg(".").current_dir(source), "go build")?;
    for read in ["options", "public", "templates"] {
        copy(&source.join(read), &folder.join(read))?;
    }
    Ok(())
}

/// A folder with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let into = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &into)?;
        } else {
            std::fs::copy(entry.path(), into)?;
        }
    }
    Ok(())
}

fn go() -> Result<Command> {
    let advice = format!("install Go 1.{GO} or newer, from its own site where the distribution's is older");
    let go = needed("go", "golang-go", &advice)?;
    let text = said(Command::new(&go).args(["env", "GOVERSION"]), "go env GOVERSION")?;
    let minor = text
        .trim()
        .strip_prefix("go1.")
        .and_then(|rest| rest.split(['.', 'r', 'b', ' ']).next()?.parse::<u32>().ok());
    ensure!(minor.is_none_or(|minor| minor >= GO), "{} is too old: {advice}", text.trim());
    let mut command = Command::new(go);
    command.env_remove("GOFLAGS");
    Ok(command)
}
