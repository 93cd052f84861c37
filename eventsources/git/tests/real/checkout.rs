//! Pushes by the git program.

use std::path::Path;
use std::process::Command;

/// A commit with this message on `main`, pushed; its hash.
pub(crate) fn push(remote: &str, message: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["clone", "--quiet", remote, "."]);
    git(folder.path(), &["switch", "--quiet", "-C", "main"]);
    git(folder.path(), &["commit", "--quiet", "--allow-empty", "--message", message]);
    git(folder.path(), &["push", "--quiet", "origin", "main"]);
    git(folder.path(), &["rev-parse", "HEAD"]).trim().to_owned()
}

/// Whatever the machine's own settings are.
fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder);
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "ada").env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    let output = command.output().expect("git is installed");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
