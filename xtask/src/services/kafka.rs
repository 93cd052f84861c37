//! One Kafka broker with every listener that a test may want.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use super::certificates::{CLIENT, Certificates};
use super::install::run;
use super::process;

/// Names with their passwords. `limited` may do nothing.
const USERS: [(&str, &str); 3] =
    [("admin", "admin-secret"), ("zetes", "zetes-secret"), ("limited", "limited-secret")];
const SCRAM: [&str; 2] = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
/// What a broker of tests needs: 360 MB in all, and a start in two seconds.
const JVM: [&str; 4] = [
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];
/// 22 characters, as the format wants it; the broker has no neighbours.
const CLUSTER: &str = "zetes-test-cluster-000";
const PROPERTIES: &str = "server.properties";
/// Looks at the broker until it is given up: 90 s.
const LOOKS: u32 = 1800;
/// Ports were free when they were chosen, and may be taken a moment later.
const TRIES: u32 = 3;
/// What Java says then.
const TAKEN: &str = "Address already in use";
/// Around each exchange with the broker.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a broker is started with.
#[derive(Clone, Debug)]
pub(crate) struct KafkaPrograms {
    /// A folder of jars.
    lib: PathBuf,
    java: PathBuf,
}

/// A broker that runs, or ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broker {
    pub(crate) pid: u32,
    pub(crate) plaintext: String,
    described: Value,
}

/// Chosen by the kernel.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plaintext: u16,
    sasl_plaintext: u16,
    sasl_ssl: u16,
    ssl: u16,
    controller: u16,
}

impl KafkaPrograms {
    /// As they stand in `services.json`.
    pub(crate) fn known(known: &serde_json::Map<String, Value>) -> Option<Self> {
        let path = |name| known.get(name).and_then(Value::as_str).map(PathBuf::from);
        Some(Self { lib: path("kafka_lib")?, java: path("java")? })
    }
}

impl Broker {
    /// Starts it in `folder`, which is emptied, and returns when it answers.
    pub(crate) fn start(programs: &KafkaPrograms, folder: &Path) -> Result<Self> {
        eprintln!("services: starting Kafka");
        let mut failed = None;
        for _ in 0..TRIES {
            match attempt(programs, folder) {
                Ok(broker) => return Ok(broker),
                Err(error) => {
                    let again = format!("{error:#}").contains(TAKEN);
                    failed = Some(error);
                    if !again {
                        break;
                    }
                }
            }
        }
        Err(failed.context("no attempt was made")?)
    }

    /// As it stands in `services.json`.
    pub(crate) fn describe(&self) -> Value {
        self.described.clone()
    }

    pub(crate) fn described(value: &Value) -> Option<Self> {
        let pid = value.get("pid")?.as_u64()?.try_into().ok()?;
        let plaintext = value.get("plaintext")?.as_str()?.to_owned();
        Some(Self { pid, plaintext, described: value.clone() })
    }

    /// The process with this id is the broker of that folder; ids are used again.
    pub(crate) fn is_ours(&self, folder: &Path) -> bool {
        let properties = folder.join(PROPERTIES);
        process::arguments(self.pid).is_some_and(|line| line.contains(&*properties.to_string_lossy()))
    }

    pub(crate) fn answers(&self) -> bool {
        self.plaintext.parse().is_ok_and(|address| brokers(address).is_some_and(|count| count > 0))
    }
}

fn attempt(programs: &KafkaPrograms, folder: &Path) -> Result<Broker> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let certificates = Certificates::make(&folder.join("certificates"))?;
    let ports = Ports::free()?;
    let properties = folder.join(PROPERTIES);
    std::fs::write(&properties, text(folder, &certificates, ports))?;
    run(&mut format(programs, &properties), "formatting Kafka's storage")?;
    let log = folder.join("broker.log");
    let mut child = server(programs, &properties, &log)?;
    wait(&mut child, SocketAddr::from(([127, 0, 0, 1], ports.plaintext)))
        .with_context(|| format!("Kafka did not start:\n{}", end_of(&log)))?;
    let pid = child.id();
    let described = describe(pid, ports, &certificates, folder);
    Broker::described(&described).context("a description with a pid and an address")
}

fn java(programs: &KafkaPrograms) -> Command {
    let mut command = Command::new(&programs.java);
    command.args(JVM).arg("-cp").arg(programs.lib.join("*")).stdin(Stdio::null());
    command
}

fn format(programs: &KafkaPrograms, properties: &Path) -> Command {
    let mut command = java(programs);
    command.args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"]).arg(properties);
    for (name, password) in USERS {
        for mechanism in SCRAM {
            command.args(["--add-scram", &format!("{mechanism}=[name={name},password={password}]")]);
        }
    }
    command
}

/// A process group of its own: an interrupt at the terminal is not for it.
fn server(programs: &KafkaPrograms, properties: &Path, log: &Path) -> Result<Child> {
    let out = std::fs::File::create(log)?;
    let mut command = java(programs);
    command.arg("kafka.Kafka").arg(properties).process_group(0);
    command.stderr(out.try_clone()?).stdout(out).spawn().context("java")
}

fn wait(child: &mut Child, address: SocketAddr) -> Result<()> {
    let ended = process::within(LOOKS, || match child.try_wait() {
        Ok(None) => brokers(address).is_some_and(|count| count > 0).then_some(Ok(())),
        Ok(Some(status)) => Some(Err(anyhow!("{status}"))),
        Err(error) => Some(Err(error.into())),
    });
    if let Some(ended) = ended {
        return ended;
    }
    child.kill()?;
    child.wait()?;
    bail!("it does not answer");
}

fn end_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("\tat ")).collect();
    lines.iter().skip(lines.len().saturating_sub(20)).copied().collect::<Vec<_>>().join("\n")
}

fn describe(pid: u32, ports: Ports, certificates: &Certificates, folder: &Path) -> Value {
    let users: serde_json::Map<String, Value> =
        USERS.iter().map(|(name, password)| ((*name).to_owned(), json!(password))).collect();
    // 127.0.0.1 and localhost are both in the certificate.
    let address = |port: u16| format!("127.0.0.1:{port}");
    json!({
        "pid": pid,
        "plaintext": address(ports.plaintext),
        "sasl_plaintext": address(ports.sasl_plaintext),
        "sasl_ssl": address(ports.sasl_ssl),
        "ssl": address(ports.ssl),
        "users": users,
        "ca": certificates.ca(),
        "client_certificate": certificates.certificate("client"),
        "client_key": certificates.key_file("client"),
        "log": folder.join("broker.log"),
    })
}

// === impl Ports ===

impl Ports {
    fn free() -> Result<Self> {
        // All are held before one is let go, so that no port comes twice.
        let listeners = (0..5).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
        let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
        let ports = ports.collect::<Result<Vec<u16>>>()?;
        let [plaintext, sasl_plaintext, sasl_ssl, ssl, controller] = ports[..] else { bail!("five ports") };
        Ok(Self { plaintext, sasl_plaintext, sasl_ssl, ssl, controller })
    }
}

// === the broker's configuration ===

fn text(folder: &Path, certificates: &Certificates, ports: Ports) -> String {
    [one_node(folder), listeners(ports), passwords(), tls(certificates), rights()].concat()
}

fn one_node(folder: &Path) -> String {
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         log.dirs={}\n\
         num.partitions=1\n\
         auto.create.topics.enable=false\n\
         default.replication.factor=1\n\
         min.insync.replicas=1\n\
         offsets.topic.replication.factor=1\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         share.coordinator.state.topic.num.partitions=4\n\
         group.initial.rebalance.delay.ms=0\n",
        folder.join("data").display()
    )
}

fn listeners(ports: Ports) -> String {
    let Ports { plaintext, sasl_plaintext, sasl_ssl, ssl, controller } = ports;
    let offered = format!(
        "PLAINTEXT://127.0.0.1:{plaintext},SASL_PLAINTEXT://127.0.0.1:{sasl_plaintext},\
         SASL_SSL://127.0.0.1:{sasl_ssl},SSL://127.0.0.1:{ssl}"
    );
    format!(
        "listeners={offered},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners={offered}\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,\
         SSL:SSL,CONTROLLER:PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@127.0.0.1:{controller}\n\
         inter.broker.listener.name=PLAINTEXT\n"
    )
}

fn passwords() -> String {
    let users = USERS.map(|(name, password)| format!(" user_{name}=\"{password}\"")).concat();
    let plain = ("plain".to_owned(), format!("plain.PlainLoginModule required{users};"));
    let scram = SCRAM.map(|name| (name.to_lowercase(), "scram.ScramLoginModule required;".to_owned()));
    let modules: Vec<(String, String)> = std::iter::once(plain).chain(scram).collect();
    let line = |listener: &str, (mechanism, module): &(String, String)| {
        let key = format!("listener.name.{listener}.{mechanism}.sasl.jaas.config");
        format!("{key}=org.apache.kafka.common.security.{module}\n")
    };
    let lines = ["sasl_plaintext", "sasl_ssl"]
        .iter()
        .flat_map(|listener| modules.iter().map(|one| line(listener, one)));
    std::iter::once(format!("sasl.enabled.mechanisms=PLAIN,{}\n", SCRAM.join(","))).chain(lines).collect()
}

fn tls(certificates: &Certificates) -> String {
    format!(
        "ssl.keystore.type=PEM\n\
         ssl.keystore.location={}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.ssl.ssl.client.auth=required\n",
        certificates.keystore("server").display(),
        certificates.ca().display(),
    )
}

/// Who is named may do everything, and everybody else nothing: there are no rules.
fn rights() -> String {
    format!(
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         super.users=User:ANONYMOUS;User:admin;User:zetes;User:{CLIENT}\n"
    )
}

// === asking the broker ===

/// How many brokers the broker at this address knows to be serving.
fn brokers(address: SocketAddr) -> Option<u32> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(&metadata_request()).ok()?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).ok()?;
    // Length, correlation id, length of the list of brokers.
    head.last_chunk::<4>().map(|count| u32::from_be_bytes(*count)).filter(|count| *count < 1000)
}

/// Metadata, version 1, of no topic (protocol guide, "Metadata API").
fn metadata_request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(3_i16.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(7_i32.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let mut request = u32::try_from(body.len()).unwrap_or_default().to_be_bytes().to_vec();
    request.append(&mut body);
    request
}
