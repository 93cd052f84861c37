//! `RabbitMQ` 3.10, without plugins, on one scheduler. The virtual machine is started as its scripts would start it:
//! their `rabbitmqctl` alone takes longer than the server.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{Process, connect, free_ports};
use crate::server::{Kind, Server, Settings, Tls};
use crate::services::{Services, installed};

const RELEASE: &str = "usr/lib/rabbitmq/lib";
/// Little memory, few threads, no busy waiting, no addresses but this machine's.
const ARGUMENTS: &str = "-noinput -s rabbit boot -boot start_sasl +W w +S 1:1 +SDcpu 1:1 +SDio 1 +A 1 +sbwt none \
    +sbwtdcpu none +sbwtdio none +MBas ageffcbf +MHas ageffcbf +MBlmbcs 512 +MHlmbcs 512 +MMmcs 30 \
    -syslog logger [] -syslog syslog_error_logger false \
    -kernel prevent_overlapping_partitions false -kernel inet_dist_use_interface {127,0,0,1}";

/// One `RabbitMQ`, with the virtual hosts `/` and `orders`, and `closed`, which is open to nobody. Without users in the
/// settings there is `guest`, with the password `guest`. 120 MB and some seconds each.
pub type RabbitServer = Server<Rabbit>;

#[derive(Debug)]
pub struct Rabbit {
    /// Where a node asks for the port of another; its own, so that tests never meet.
    _epmd: Process,
    root: PathBuf,
    pub(crate) ports: Ports,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    plain: u16,
    tls: u16,
    pub(crate) epmd: u16,
    /// Between nodes.
    inner: u16,
}

impl RabbitServer {
    pub fn port(&self) -> u16 {
        self.kind.ports.plain
    }

    /// Open where the settings say TLS.
    pub fn tls_port(&self) -> u16 {
        self.kind.ports.tls
    }

    /// `host:port`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.kind.ports.plain)
    }

    /// `localhost:<port>`, for TLS.
    pub fn tls_address(&self) -> String {
        format!("localhost:{}", self.kind.ports.tls)
    }

    /// `amqp://127.0.0.1:<port>`, for `guest` and the virtual host `/`.
    pub fn url(&self) -> String {
        format!("amqp://{}", self.address())
    }

    /// `amqps://localhost:<port>`
    pub fn tls_url(&self) -> String {
        format!("amqps://{}", self.tls_address())
    }
}

impl Kind for Rabbit {
    const NAME: &'static str = "RabbitMQ";
    const READY: &'static str = "Server startup complete";

    fn prepare(folder: &Path, settings: &Settings<'_>) -> Self {
        let root = installed(Services::get().rabbitmq, "RabbitMQ");
        let [plain, tls, epmd, inner] = free_ports();
        let ports = Ports { plain, tls, epmd, inner };
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).expect("our own folder");
        };
        write("rabbitmq.conf", ports.conf(folder, settings));
        write("definitions.json", definitions(settings.users).to_string());
        write("enabled_plugins", "[].\n".to_owned());
        let mut daemon = Process::new(folder.join("epmd.log"));
        let mut command = Command::new(erlang(&root).join("epmd"));
        daemon.start(command.args(["-address", "127.0.0.1", "-port", &epmd.to_string()]));
        Self { _epmd: daemon, root, ports }
    }

    fn command(&self, folder: &Path) -> Command {
        let Self { root, ports, .. } = self;
        let programs = erlang(root);
        let home = only_entry(&root.join(RELEASE), "rabbitmq_server-");
        let plugins = home.join("plugins");
        let mut command = Command::new(programs.join("erlexec"));
        command.args(ARGUMENTS.split_whitespace());
        command.env("ROOTDIR", root.join("usr/lib/erlang")).env("BINDIR", &programs);
        command.envs([("EMU", "beam"), ("PROGNAME", "erl"), ("ERL_EPMD_ADDRESS", "127.0.0.1")]);
        // Otherwise a start that fails leaves its dump where the test runs.
        command.env("ERL_CRASH_DUMP_SECONDS", "0");
        command.env("ERL_EPMD_PORT", ports.epmd.to_string()).env("ERL_LIBS", &plugins);
        // The cookie is written to HOME.
        command.env("HOME", folder).env("RABBITMQ_HOME", home).env("RABBITMQ_PLUGINS_DIR", plugins);
        command.env("RABBITMQ_NODENAME", format!("zetes-{}@localhost", ports.plain));
        command.env("RABBITMQ_DIST_PORT", ports.inner.to_string()).env("RABBITMQ_CONF_ENV_FILE", "/dev/null");
        for (name, file) in [
            ("RABBITMQ_CONFIG_FILE", "rabbitmq"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "generated"),
            ("RABBITMQ_LOG_BASE", "logs"),
            ("RABBITMQ_MNESIA_BASE", "data"),
        ] {
            command.env(name, folder.join(file));
        }
        command
    }

    /// To the protocol's header comes the method `connection.start`.
    fn answers(&self) -> bool {
        let mut head = [0; 11];
        let answer = connect(self.ports.plain).and_then(|mut stream| {
            stream.write_all(b"AMQP\x00\x00\x09\x01").and_then(|()| stream.read_exact(&mut head)).ok()
        });
        // A method's frame on channel 0, its length, class 10, method 10.
        answer.is_some() && head[..3] == [1, 0, 0] && head[7..] == [0, 10, 0, 10]
    }
}

// === impl Ports ===

impl Ports {
    fn conf(self, folder: &Path, settings: &Settings<'_>) -> String {
        let known = format!("load_definitions = {}/definitions.json\n", folder.display());
        let listener = format!("listeners.tcp.1 = 127.0.0.1:{}\n", self.plain);
        // Tests may fill the machine's disk and memory; the server is not to mind.
        let limits = "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 1MB\n";
        let log = "log.file = false\nlog.console = true\nlog.console.level = info\n";
        [&known, &listener, limits, log, &self.tls_conf(settings.tls), settings.conf].concat()
    }

    fn tls_conf(self, tls: Tls<'_>) -> String {
        let Some(certificates) = tls.certificates() else { return String::new() };
        let (verify, demand) = if tls.is_mutual() { ("verify_peer", true) } else { ("verify_none", false) };
        let [certificate, key, ca] = certificates.server_files();
        format!(
            "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n\
             ssl_options.cacertfile = {ca}\nssl_options.verify = {verify}\n\
             ssl_options.fail_if_no_peer_cert = {demand}\n",
            self.tls
        )
    }
}

fn definitions(users: &[(&str, &str)]) -> Value {
    let users = if users.is_empty() { &[("guest", "guest")] } else { users };
    let all = ".*";
    let accounts: Vec<Value> = users
        .iter()
        .map(|(name, password)| json!({"name": name, "password": password, "tags": "administrator"}))
        .collect();
    let hosts = ["/", "orders", "closed"].map(|name| json!({"name": name}));
    let permission =
        |name, host| json!({"user": name, "vhost": host, "configure": all, "write": all, "read": all});
    let permissions: Vec<Value> =
        users.iter().flat_map(|(name, _)| ["/", "orders"].map(|host| permission(name, host))).collect();
    json!({"users": accounts, "vhosts": hosts, "permissions": permissions})
}

/// Where Erlang's own programs are.
fn erlang(root: &Path) -> PathBuf {
    only_entry(&root.join("usr/lib/erlang"), "erts-").join("bin")
}

/// A folder whose name ends with a version.
fn only_entry(folder: &Path, begin: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let found =
        paths.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)));
    found.unwrap_or_else(|| panic!("{} has no {begin}*", folder.display()))
}
