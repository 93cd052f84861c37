//! One running `zetes run`, and the other commands.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{PATIENCE, client, eventually_within};

/// Lines of its log that a failed test shows.
const LOG_SHOWN: usize = 20;

/// The executable with these arguments.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zetes"));
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    command
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the kernel's choice");
    listener.local_addr().expect("a bound listener has an address").port()
}

/// A folder with manifests and data, and the process that serves it.
pub(crate) struct Zetes {
    folder: TempDir,
    data: PathBuf,
    child: Option<Child>,
    /// How long it may take to be ready.
    patience: Duration,
}

/// How a process ended, and what it wrote.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Zetes {
    /// A folder with these manifests; nothing runs yet.
    pub(crate) fn with(manifests: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("manifests")).expect("the folder is new");
        let data = folder.path().join("data");
        let zetes = Self { folder, data, child: None, patience: PATIENCE };
        for (name, text) in manifests {
            zetes.write(name, text);
        }
        zetes
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        // Written aside and renamed, as editors do, so that no half file is ever read.
        let path = self.manifests().join(name);
        let aside = self.folder.path().join("aside");
        std::fs::write(&aside, text)
            .and_then(|()| std::fs::rename(&aside, &path))
            .expect("the folder can be written to");
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    /// The data directory, where it is not beside the manifests.
    pub(crate) fn set_data(&mut self, data: PathBuf) {
        self.data = data;
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.data.clone()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Starts the process and returns when it has a pid: it may not listen yet.
    pub(crate) fn spawn(&mut self) {
        let mut command = command(&["run"]);
        command.arg(self.manifests()).arg("--data").arg(self.data()).args([
            "--admin",
            "127.0.0.1:0",
            "--grace",
            "10s",
        ]);
        // A file and not a pipe: a pipe that nobody reads stops the process when it is full.
        let log = std::fs::File::create(self.log()).expect("the folder can be written to");
        command.stderr(log).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("the executable starts"));
    }

    /// Starts the process and returns when it says that it is ready.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// How long it may take to be ready, where that is not 30 seconds.
    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(crate) async fn ready(&mut self) {
        let pid = self.child.as_ref().and_then(Child::id);
        let data = self.data();
        eventually_within(self.patience, "the process to be ready", || async {
            let owner = owner(&data).filter(|owner| owner["pid"].as_u64() == pid.map(u64::from))?;
            let url = format!("{}/readyz", owner["admin"].as_str()?);
            client().get(url).send().await.ok().filter(|answer| answer.status().is_success()).map(drop)
        })
        .await;
    }

    /// SIGKILL, without any warning.
    pub(crate) async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("the process was running");
        }
    }

    /// SIGTERM, and what the process did about it.
    pub(crate) async fn stop(&mut self) -> Finished {
        let child = self.child.as_ref().and_then(Child::id).expect("the process is running");
        let status =
            Command::new("kill").args(["-TERM", &child.to_string()]).status().await.expect("kill starts");
        assert!(status.success(), "the process can be signalled");
        self.finished().await
    }

    pub(crate) async fn finished(&mut self) -> Finished {
        let mut child = self.child.take().expect("the process is running");
        let status = child.wait().await.expect("the process can be waited for");
        Finished { status, stderr: std::fs::read_to_string(self.log()).expect("logs are text") }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_none()))
    }

    /// GET on the admin port.
    pub(crate) async fn admin(&self, path: &str) -> reqwest::Response {
        let owner = owner(&self.data()).expect("the process has left word where it can be asked");
        let url = format!("{}{path}", owner["admin"].as_str().expect("an address"));
        client().get(url).send().await.expect("the admin port answers")
    }

    /// GET on the admin port of a process that may not be there yet.
    pub(crate) async fn try_admin(&self, path: &str) -> Option<String> {
        let owner = owner(&self.data())?;
        let url = format!("{}{path}", owner["admin"].as_str()?);
        client().get(url).send().await.ok()?.text().await.ok()
    }

    /// The sum of a metric's series whose line contains all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.admin("/metrics").await.text().await.expect("the exposition is text");
        let lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} ")));
        lines
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// `zetes explain -o json`, against the process or the directory, whichever is there.
    pub(crate) async fn explain(&self, id: &str) -> Vec<Value> {
        let output = self.command(&["explain", id, "-o", "json"]).await;
        if output.stdout.is_empty() {
            Vec::new()
        } else {
            serde_json::from_slice(&output.stdout).expect("explain prints JSON")
        }
    }

    /// Another command on the same data directory.
    pub(crate) async fn command(&self, arguments: &[&str]) -> Output {
        command(arguments).arg("--data").arg(self.data()).output().await.expect("the executable starts")
    }
}

impl Drop for Zetes {
    /// What the process said last, where a test has failed.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.log())
        {
            let lines: Vec<_> = log.lines().collect();
            eprintln!("the last lines of its log:");
            for line in &lines[lines.len().saturating_sub(LOG_SHOWN)..] {
                eprintln!("{line}");
            }
        }
    }
}

fn owner(data: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(data.join("owner.json")).ok()?).ok()
}
