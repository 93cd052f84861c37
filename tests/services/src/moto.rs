//! moto: AWS's interfaces, of which S3, SQS and SNS are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::{Answer, Endpoint};
use crate::server::{Kind, Server, Settings};
use crate::services::{Services, installed};

/// One moto. It takes any key for any account, and keeps everything in memory: with its end all is gone.
pub type MotoServer = Server<Moto>;

#[derive(Debug)]
pub struct Moto {
    program: PathBuf,
    endpoint: Endpoint,
    /// Certificate and key, where it speaks TLS.
    files: Option<[String; 2]>,
}

impl MotoServer {
    pub fn port(&self) -> u16 {
        self.kind.endpoint.port
    }

    /// The endpoint of every service: `http://127.0.0.1:<port>`, or `https://localhost:<port>` with TLS.
    pub fn url(&self) -> String {
        self.kind.endpoint.url()
    }

    /// A request to `s3`, `sqs` or `sns`.
    pub fn request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        // It reads the service and the region here, and verifies nothing.
        let who = format!(
            "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=any"
        );
        let headers = [&[("Authorization", who.as_str())], headers].concat();
        self.kind.endpoint.ask(method, path, &headers, body.as_bytes())
    }
}

impl Kind for Moto {
    const NAME: &'static str = "moto_server";
    const READY: &'static str = "Running on";

    fn prepare(_: &Path, settings: &Settings<'_>) -> Self {
        assert!(
            settings.users.is_empty() && settings.conf.is_empty(),
            "moto knows no users and no configuration"
        );
        Self {
            program: installed(Services::get().moto, "moto"),
            endpoint: Endpoint::free(settings.tls),
            files: settings.tls.certificates().map(|certificates| {
                let [certificate, key, _] = certificates.server_files();
                [certificate, key]
            }),
        }
    }

    fn command(&self, _: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-H", "127.0.0.1", "-p", &self.endpoint.port.to_string()]);
        if let Some([certificate, key]) = &self.files {
            command.args(["--ssl-cert", certificate, "--ssl-key", key]);
        }
        command
    }

    fn answers(&self) -> bool {
        self.endpoint.ask("GET", "/moto-api/data.json", &[], b"").is_some_and(|answer| answer.status == 200)
    }
}
