//! Tools that come as ready wheels from the Python index, in seconds instead of a build.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

/// Tools of the tests, in a folder of their own under the target folder.
pub(crate) struct Tools {
    folder: PathBuf,
}

impl Tools {
    /// Installs what is missing. nextest is worth a build where pip is missing; deny is then left out, unless in CI.
    pub(crate) fn install(target: &Path) -> Result<Self> {
        let tools = Self { folder: target.join("tools") };
        for program in ["git", "cc"] {
            ensure!(
                Command::new(program).arg("--version").output().is_ok(),
                "`{program}` is missing: install git and a C compiler first"
            );
        }
        for name in ["nextest", "deny"] {
            if !tools.has(name) && !tools.wheel(name) {
                tools.build(name)?;
            }
        }
        Ok(tools)
    }

    /// Each tool has its own: pip replaces what it finds in a folder.
    fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder(name).join("bin").join(format!("cargo-{name}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.program(name).is_file()
    }

    fn wheel(&self, name: &str) -> bool {
        let package = format!("astral-dev-toolchain-cargo-{name}");
        let pip = Command::new("python3")
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-warn-script-location",
                "--upgrade",
                "--target",
            ])
            .arg(self.folder(name))
            .arg(package)
            .status();
        pip.is_ok_and(|status| status.success()) && self.has(name)
    }

    fn build(&self, name: &str) -> Result<()> {
        let status = Command::new(env!("CARGO"))
            .args(["install", "--locked", "--root"])
            .arg(self.folder(name))
            .arg(format!("cargo-{name}"))
            .status()?;
        ensure!(status.success(), "cargo-{name} can be installed neither by pip nor by cargo");
        Ok(())
    }

    /// `cargo <name>`, our copy.
    pub(crate) fn cargo(&self, name: &str) -> Command {
        let mut command = Command::new(self.program(name));
        command.arg(name);
        command
    }
}
