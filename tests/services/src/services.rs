//! What `cargo xtask services up` left behind.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Where programs and shared servers are.
#[derive(Clone, Debug, Deserialize)]
pub struct Services {
    pub nats_old: Option<PathBuf>,
    pub nats_current: Option<PathBuf>,
    /// A folder of jars.
    pub kafka_lib: Option<PathBuf>,
    pub java: Option<PathBuf>,
    pub kafka: Option<SharedKafka>,
    pub redis: Option<PathBuf>,
    pub mosquitto: Option<PathBuf>,
    pub mosquitto_passwd: Option<PathBuf>,
    /// The root of a tree with Erlang and `RabbitMQ` in it.
    pub rabbitmq: Option<PathBuf>,
    pub moto: Option<PathBuf>,
    pub minio: Option<PathBuf>,
    /// A folder with the program and the files that it reads.
    pub gitea: Option<PathBuf>,
    /// A folder of examples of all that GitHub sends: `<release>/index.json`.
    pub github_payloads: Option<PathBuf>,
}

/// A broker for everybody: use topics and groups with names of your own, and never stop it.
#[derive(Clone, Debug, Deserialize)]
pub struct SharedKafka {
    pub pid: u32,
    /// `host:port`, as all addresses. Without a name everything is permitted.
    pub plaintext: String,
    /// PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, with the names in `users`.
    pub sasl_plaintext: String,
    /// The same behind TLS; it asks for no certificate.
    pub sasl_ssl: String,
    /// It asks for a certificate; the one here may do everything.
    pub ssl: String,
    /// Passwords by name. `admin` and `zetes` may do everything, `limited` nothing.
    pub users: BTreeMap<String, String>,
    /// PEM files.
    pub ca: PathBuf,
    pub client_certificate: PathBuf,
    pub client_key: PathBuf,
}

impl Services {
    /// The file that `ZETES_SERVICES` names, or the one under the target folder.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn get() -> Self {
        let files = Self::files();
        let Some(text) = files.iter().find_map(|file| std::fs::read(file).ok()) else {
            let places: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
            panic!("no services: run `cargo xtask services up` first; looked for {}", places.join(", "));
        };
        serde_json::from_slice(&text).expect("services.json is written by `cargo xtask services up`")
    }

    fn files() -> Vec<PathBuf> {
        if let Some(file) = std::env::var_os("ZETES_SERVICES") {
            return vec![PathBuf::from(file)];
        }
        // Whoever builds in a folder of their own may still use the servers of the usual one.
        let usual = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target"));
        let own = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        own.into_iter().chain([usual]).map(|target| target.join("services/services.json")).collect()
    }
}

/// What is only there when it was asked for.
///
/// # Panics
///
/// Where it was not.
pub(crate) fn installed<T>(what: Option<T>, name: &str) -> T {
    what.unwrap_or_else(|| panic!("{name} is not there: run `cargo xtask services up` first"))
}
