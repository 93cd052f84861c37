//! `MinIO`: S3 on a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::{Answer, Endpoint};
use crate::server::{Kind, Server, Settings};
use crate::services::{Services, installed};
use crate::signature::{Key, signed};

/// One `MinIO`. It always has one user, the first of the settings, whose password has 8 letters or more; without one it is
/// `zetes` with `zetes-secret`. Lines of the settings are variables of its environment: `MINIO_NOTIFY_…=…`.
pub type MinioServer = Server<Minio>;

#[derive(Debug)]
pub struct Minio {
    program: PathBuf,
    endpoint: Endpoint,
    user: String,
    password: String,
}

impl MinioServer {
    pub fn port(&self) -> u16 {
        self.kind.endpoint.port
    }

    /// `host:port`
    pub fn address(&self) -> String {
        self.kind.endpoint.address()
    }

    /// `http://127.0.0.1:<port>`, or `https://localhost:<port>` with TLS.
    pub fn url(&self) -> String {
        self.kind.endpoint.url()
    }

    /// The access key.
    pub fn user(&self) -> &str {
        &self.kind.user
    }

    /// The secret key.
    pub fn password(&self) -> &str {
        &self.kind.password
    }

    /// # Panics
    ///
    /// Where there is one already.
    pub fn create_bucket(&self, name: &str) {
        self.succeeds("PUT", &format!("/{name}"), b"");
    }

    /// # Panics
    ///
    /// Where there is no such bucket.
    pub fn put_object(&self, bucket: &str, key: &str, content: &[u8]) {
        self.succeeds("PUT", &format!("/{bucket}/{key}"), content);
    }

    /// # Panics
    ///
    /// Where there is no such bucket.
    pub fn delete_object(&self, bucket: &str, key: &str) {
        self.succeeds("DELETE", &format!("/{bucket}/{key}"), b"");
    }

    /// A signed request. Names in the query of its path are sorted, and each has its `=`.
    pub fn request(&self, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
        self.kind.request(&self.kind.password, method, path, body)
    }

    fn succeeds(&self, method: &str, path: &str, body: &[u8]) {
        let answer = self.request(method, path, body);
        assert!(
            answer.as_ref().is_some_and(|answer| answer.status / 100 == 2),
            "{method} {path}: {answer:?}"
        );
    }
}

impl Kind for Minio {
    const NAME: &'static str = "minio";
    const READY: &'static str = "API: ";

    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self {
        let (user, password) = settings.users.first().copied().unwrap_or(("zetes", "zetes-secret"));
        let certificates = folder.join("certificates");
        std::fs::create_dir(&certificates).expect("our own folder");
        if let Some(made) = settings.tls.certificates() {
            for (name, text) in [("public.crt", &made.server.certificate), ("private.key", &made.server.key)]
            {
                std::fs::write(certificates.join(name), text).expect("our own folder");
            }
        }
        std::fs::write(folder.join("environment"), settings.conf).expect("our own folder");
        Self {
            program: installed(Services::get().minio, "MinIO"),
            endpoint: Endpoint::free(settings.tls),
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["server", "--address", &format!("127.0.0.1:{}", self.endpoint.port)]);
        command.arg("--certs-dir").arg(folder.join("certificates")).arg(folder.join("data"));
        command.env("MINIO_ROOT_USER", &self.user).env("MINIO_ROOT_PASSWORD", &self.password);
        command.env("MINIO_CONFIG_ENV_FILE", folder.join("environment")).env("HOME", folder);
        // No console, no questions about updates, and a folder on the system's disk will do.
        command.envs([("MINIO_BROWSER", "off"), ("MINIO_UPDATE", "off"), ("MINIO_CI_CD", "1")]);
        command
    }

    /// Its health is good before it takes requests.
    fn answers(&self) -> bool {
        self.request(&self.password, "GET", "/", b"").is_some_and(|answer| answer.status == 200)
    }
}

// === impl Minio ===

impl Minio {
    pub(crate) fn request(&self, password: &str, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
        let key = Key { id: &self.user, secret: password };
        let headers = signed(key, &self.endpoint.address(), method, path, body);
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.endpoint.ask(method, path, &headers, body)
    }
}
