//! Programs of the Python index.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::{Cache, needed, run, said, script};

const MOTO: &str = "5.2.5";

/// `moto_server`: AWS's interfaces, in memory.
pub(crate) fn moto(cache: &Cache) -> Result<PathBuf> {
    let folder = cache.folder(&format!("moto-{MOTO}"), by_pip)?;
    Ok(folder.join("moto_server"))
}

fn by_pip(folder: &Path) -> Result<()> {
    let python = needed("python3", "python3", "install Python 3.10 or newer, with pip")?;
    // The one behind what stands in for it: what is installed here fits only that.
    let python = said(Command::new(python).args(["-c", "import sys; print(sys.executable)"]), "python3")?;
    let python = python.trim();
    let pip = || {
        let mut command = Command::new(python);
        command.args(["-m", "pip"]);
        command
    };
    if pip().arg("--version").output().is_ok_and(|output| !output.status.success()) {
        needed("pip3", "python3-pip", "install pip")?;
    }
    eprintln!("services: pip install moto {MOTO}");
    let mut command = pip();
    command.args(["install", "--quiet", "--disable-pip-version-check", "--no-warn-script-location"]);
    // `moto[server]` would bring what all other services need, three times as much.
    command.args([&format!("moto[s3,sns,sqs]=={MOTO}"), "flask", "flask-cors"]);
    run(command.arg("--target").arg(folder.join("lib")), "pip install")?;
    ensure!(folder.join("lib/moto").is_dir(), "pip installed no moto");
    script(
        &folder.join("moto_server"),
        &format!("PYTHONPATH=\"$here/lib\" exec {python} -m moto.server \"$@\""),
    )
}
