//! Mosquitto 2, which saves sessions and messages with each change.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{connect, free_ports};
use crate::server::{Kind, Server, Settings, Tls};
use crate::services::{Services, installed};

/// One Mosquitto.
pub type MosquittoServer = Server<Mosquitto>;

#[derive(Debug)]
pub struct Mosquitto {
    program: PathBuf,
    port: u16,
    tls_port: u16,
}

impl MosquittoServer {
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

    /// `mqtt://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }

    /// `mqtts://localhost:<port>`
    pub fn tls_url(&self) -> String {
        format!("mqtts://{}", self.tls_address())
    }
}

impl Kind for Mosquitto {
    const NAME: &'static str = "mosquitto";
    const READY: &'static str = " running";

    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self {
        let services = Services::get();
        let [port, tls_port] = free_ports();
        let mosquitto = Self { program: installed(services.mosquitto, "Mosquitto"), port, tls_port };
        if !settings.users.is_empty() {
            let passwd = installed(services.mosquitto_passwd, "mosquitto_passwd");
            write_passwords(&passwd, &folder.join("passwords"), settings.users);
        }
        std::fs::write(folder.join("mosquitto.conf"), mosquitto.conf(folder, settings))
            .expect("our own folder");
        mosquitto
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(folder.join("mosquitto.conf"));
        command
    }

    /// To CONNECT without a name comes CONNACK: "accepted", or "not authorised".
    fn answers(&self) -> bool {
        // 13 bytes; protocol `MQTT`, level 4, a clean session, 10 s, a client without an id.
        const CONNECT: [u8; 14] = [0x10, 12, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 0];
        let mut head = [0; 4];
        let answer = connect(self.port).and_then(|mut stream| {
            stream.write_all(&CONNECT).and_then(|()| stream.read_exact(&mut head)).ok()
        });
        answer.is_some() && matches!(head, [0x20, 2, 0, 0 | 5])
    }
}

// === impl Mosquitto ===

impl Mosquitto {
    /// Lines of the settings stand last, and belong to the last listener: the one with TLS if there is one.
    fn conf(&self, folder: &Path, settings: &Settings<'_>) -> String {
        let folder = folder.display();
        let store = format!("persistence true\npersistence_location {folder}/\n");
        let saves = "autosave_interval 1\nautosave_on_changes true\n";
        let users = match settings.users {
            [] => "allow_anonymous true\n".to_owned(),
            _ => format!("allow_anonymous false\npassword_file {folder}/passwords\n"),
        };
        let listener = format!("listener {} 127.0.0.1\n", self.port);
        // Root would become another user, who can't read the folder.
        ["user root\n", &store, saves, &users, &listener, &self.tls(settings.tls), settings.conf].concat()
    }

    fn tls(&self, tls: Tls<'_>) -> String {
        let Some(certificates) = tls.certificates() else { return String::new() };
        let asks = tls.is_mutual();
        let [certificate, key, ca] = certificates.server_files();
        let files = format!("certfile {certificate}\nkeyfile {key}\ncafile {ca}");
        format!("listener {} 127.0.0.1\n{files}\nrequire_certificate {asks}\n", self.tls_port)
    }
}

/// `mosquitto_passwd` turns what can be read into what can't.
fn write_passwords(program: &Path, file: &Path, users: &[(&str, &str)]) {
    let lines: Vec<String> = users.iter().map(|(name, password)| format!("{name}:{password}\n")).collect();
    std::fs::write(file, lines.concat()).expect("our own folder");
    let output = Command::new(program).arg("-U").arg(file).output().expect("mosquitto_passwd starts");
    assert!(output.status.success(), "mosquitto_passwd: {}", String::from_utf8_lossy(&output.stderr));
}
