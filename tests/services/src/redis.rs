//! Redis 7, which writes each command to its append-only file before it answers.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{connect, free_ports};
use crate::server::{Kind, Server, Settings, Tls};
use crate::services::{Services, installed};

/// One Redis. A user named `default` is who comes without a name: its password is `requirepass`.
pub type RedisServer = Server<Redis>;

#[derive(Debug)]
pub struct Redis {
    program: PathBuf,
    port: u16,
    tls_port: u16,
}

impl RedisServer {
    pub fn port(&self) -> u16 {
        self.kind.port
    }

    /// Open where the settings say TLS.
    pub fn tls_port(&self) -> u16 {
        self.kind.tls_port
    }

    /// `host:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.kind.port)
    }

    /// `localhost:<port>`, for TLS.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.kind.tls_port)
    }
}

impl Kind for Redis {
    const NAME: &'static str = "redis-server";
    const READY: &'static str = "Ready to accept connections";

    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self {
        let [port, tls_port] = free_ports();
        let redis = Self { program: installed(Services::get().redis, "Redis"), port, tls_port };
        std::fs::write(folder.join("redis.conf"), redis.conf(folder, settings)).expect("our own folder");
        redis
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(folder.join("redis.conf"));
        command
    }

    fn answers(&self) -> bool {
        let mut line = String::new();
        let read = connect(self.port).and_then(|mut stream| {
            stream.write_all(b"PING\r\n").ok()?;
            BufReader::new(stream).read_line(&mut line).ok()
        });
        read.is_some() && (line.starts_with("+PONG") || line.starts_with("-NOAUTH"))
    }
}

// === impl Redis ===

impl Redis {
    /// What was answered is in the file, and outlives the process; only a machine's end could take it.
    fn conf(&self, folder: &Path, settings: &Settings<'_>) -> String {
        let (port, folder) = (self.port, folder.display());
        let file = "appendonly yes\nappendfsync no\nsave \"\"\n";
        let own = format!("bind 127.0.0.1\nport {port}\ndir {folder}\n{file}");
        [own, self.tls(settings.tls), users(settings.users), settings.conf.to_owned()].concat()
    }

    fn tls(&self, tls: Tls<'_>) -> String {
        let Some(certificates) = tls.certificates() else { return String::new() };
        let asks = if tls.is_mutual() { "yes" } else { "no" };
        let [certificate, key, ca] = certificates.server_files();
        let files = format!("tls-cert-file {certificate}\ntls-key-file {key}\ntls-ca-cert-file {ca}");
        format!("tls-port {}\n{files}\ntls-auth-clients {asks}\n", self.tls_port)
    }
}

fn users(users: &[(&str, &str)]) -> String {
    let known = users.iter().map(|(name, password)| format!("user {name} on >{password} ~* &* +@all\n"));
    let nameless = users.iter().any(|(name, _)| *name == "default");
    // Whoever gives no name is a user, too.
    let closed = (!users.is_empty() && !nameless).then(|| "user default off\n".to_owned());
    closed.into_iter().chain(known).collect()
}
