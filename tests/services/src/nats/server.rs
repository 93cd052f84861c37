use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use crate::http::get;
use crate::nats::NatsVersion;
use crate::process::{Process, connect, eventually, free_ports};
use crate::services::{Services, installed};

/// Ports may be taken between their choice and their use.
const TRIES: u32 = 5;

/// One server with JetStream. Ends with the value.
#[derive(Debug)]
pub struct NatsServer {
    // Before the folder: the process ends first.
    process: Process,
    program: PathBuf,
    name: String,
    port: u16,
    monitoring: u16,
    store: PathBuf,
    folder: TempDir,
}

impl NatsServer {
    /// Starts a server with this text added to its configuration (`authorization {…}`, `tls {…}`, limits, …).
    ///
    /// # Panics
    ///
    /// Where it does not start, with the server's log.
    pub fn start(version: NatsVersion, conf: &str) -> Self {
        Self::start_with(version, conf, None)
    }

    /// Keeps its streams under this folder: a file system of a given size, or what another server left.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_in(version: NatsVersion, store: &Path, conf: &str) -> Self {
        Self::start_with(version, conf, Some(store))
    }

    fn start_with(version: NatsVersion, conf: &str, store: Option<&Path>) -> Self {
        for _ in 0..TRIES {
            let mut server = Self::prepared(version, free_ports(), store);
            server.write(conf);
            server.launch();
            if server.is_up() {
                return server;
            }
            assert!(server.log().contains("in use"), "nats-server ended:\n{}", server.log());
        }
        panic!("no port stayed free in {TRIES} tries")
    }

    /// Ready to be launched, with its folder.
    pub(crate) fn prepared(version: NatsVersion, ports: [u16; 2], store: Option<&Path>) -> Self {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let services = Services::get();
        let program = match version {
            NatsVersion::Old => installed(services.nats_old, "nats-server 2.9"),
            NatsVersion::Current => installed(services.nats_current, "nats-server"),
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let name = format!("zetes-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let [port, monitoring] = ports;
        let store = store.map_or_else(|| folder.path().join("store"), Path::to_owned);
        Self {
            process: Process::new(folder.path().join("log")),
            program,
            name,
            port,
            monitoring,
            store,
            folder,
        }
    }

    /// `nats://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// `tls://localhost:<port>`, for a configuration with `tls`.
    pub fn tls_url(&self) -> String {
        format!("tls://localhost:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its streams are kept.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// What it wrote since its first start.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The answer of its monitoring port to `/varz`, `/jsz`, `/healthz`, … Nothing while it is down or not well.
    pub fn monitoring(&self, path: &str) -> Option<String> {
        get(self.monitoring, path)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        self.process.stop();
    }

    /// SIGSTOP: connections stay and nothing answers, until [`Self::resume`] or [`Self::restart`].
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    /// Kills it if it runs, and starts it again on the same ports and the same store.
    ///
    /// # Panics
    ///
    /// Where it does not start, with its log.
    pub fn restart(&mut self) {
        eventually("the server to be back on its port", || {
            self.launch();
            let is_up = self.is_up();
            // Its port may have become some client's meanwhile.
            assert!(is_up || self.log().contains("in use"), "nats-server ended:\n{}", self.log());
            is_up.then_some(())
        });
    }

    /// The same with another text in its configuration.
    ///
    /// # Panics
    ///
    /// As [`Self::restart`].
    pub fn restart_with(&mut self, conf: &str) {
        self.write(conf);
        self.restart();
    }

    /// Another text in its configuration while it runs: users, limits. Connections stay where they may.
    ///
    /// # Panics
    ///
    /// Where the server does not take it.
    pub fn reload(&self, conf: &str) {
        let reloads = || self.log().matches("Reloaded server configuration").count();
        let before = reloads();
        self.write(conf);
        self.process.signal("HUP");
        eventually("the server to reload its configuration", || (reloads() > before).then_some(()));
    }

    pub(crate) fn write(&self, conf: &str) {
        let Self { name, port, monitoring, .. } = self;
        let text =
            format!("server_name: {name}\nlisten: 127.0.0.1:{port}\nhttp: 127.0.0.1:{monitoring}\n{conf}\n");
        std::fs::write(self.conf(), text).expect("our own folder");
    }

    pub(crate) fn launch(&mut self) {
        let mut command = Command::new(&self.program);
        // By flags, so that a `jetstream` block in the configuration may set limits.
        command.arg("-c").arg(self.conf()).arg("-js").arg("-sd").arg(&self.store);
        self.process.start(&mut command);
    }

    /// Waits until it greets; false where it ended instead.
    pub(crate) fn is_up(&mut self) -> bool {
        eventually("nats-server to greet or to end", || {
            if self.greets() { Some(true) } else { self.process.has_ended().then_some(false) }
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// INFO with our name in it: on this port somebody else might answer.
    fn greets(&self) -> bool {
        let mut line = String::new();
        let read = connect(self.port).map(|stream| BufReader::new(stream).read_line(&mut line));
        read.is_some_and(|read| read.is_ok()) && line.starts_with("INFO ") && line.contains(&self.name)
    }

    fn conf(&self) -> PathBuf {
        self.folder.path().join("nats.conf")
    }
}
