//! Kafka: the broker that all share, and brokers of a test's own.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Process, connect, eventually, free_ports, local};
use crate::proxy::Proxy;
use crate::services::{Services, SharedKafka, installed};

const JVM: [&str; 4] = [
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];
const CLUSTER: &str = "zetes-test-broker-0000";
const TRIES: u32 = 3;

/// A broker of a test's own, without passwords and TLS: to be killed. 360 MB and some seconds each. Ends with the value.
#[derive(Debug)]
pub struct KafkaBroker {
    // Before the folder: the process ends first.
    process: Process,
    java: PathBuf,
    lib: PathBuf,
    port: u16,
    folder: TempDir,
}

impl KafkaBroker {
    /// The addresses, names and files of the broker that all tests share.
    ///
    /// # Panics
    ///
    /// Where it was not started.
    pub fn shared() -> SharedKafka {
        installed(Services::get().kafka, "Kafka")
    }

    /// Starts one and returns when it answers.
    ///
    /// # Panics
    ///
    /// Where it does not start, with its log.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// With these lines added to its properties.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_with(properties: &str) -> Self {
        for _ in 0..TRIES {
            let ports = free_ports();
            let mut broker = Self::prepared(ports, ports[0], properties);
            if broker.launch() {
                return broker;
            }
            assert!(broker.log().contains("Address already in use"), "Kafka ended:\n{}", broker.log());
        }
        panic!("no port stayed free in {TRIES} tries")
    }

    /// Clients are sent through the proxy, whatever address they begin with: Kafka tells them where to go.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    pub fn start_behind_proxy() -> (Self, Proxy) {
        let ports = free_ports();
        let proxy = Proxy::to(local(ports[0]));
        let mut broker = Self::prepared(ports, proxy.address().port(), "");
        assert!(broker.launch(), "Kafka ended:\n{}", broker.log());
        (broker, proxy)
    }

    /// `host:port`, of the broker itself.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it wrote since its first start.
    pub fn log(&self) -> String {
        self.process.log()
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

    /// Kills it if it runs, and starts it again on the same ports and the same data.
    ///
    /// # Panics
    ///
    /// Where it does not start, with its log.
    pub fn restart(&mut self) {
        eventually("the broker to be back on its ports", || {
            let is_up = self.launch();
            assert!(is_up || self.log().contains("Address already in use"), "Kafka ended:\n{}", self.log());
            is_up.then_some(())
        });
    }

    pub(crate) fn prepared(ports: [u16; 3], advertised: u16, properties: &str) -> Self {
        let services = Services::get();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let broker = Self {
            process: Process::new(folder.path().join("log")),
            java: installed(services.java, "java"),
            lib: installed(services.kafka_lib, "Kafka"),
            port: ports[0],
            folder,
        };
        let text = broker.properties(ports, advertised) + properties + "\n";
        std::fs::write(broker.file(), text).expect("our own folder");
        let format = broker
            .java()
            .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c"])
            .arg(broker.file())
            .output();
        let format = format.expect("java starts");
        assert!(format.status.success(), "format: {}", String::from_utf8_lossy(&format.stderr));
        broker
    }

    /// Waits until it answers; false where it ended instead.
    pub(crate) fn launch(&mut self) -> bool {
        let mut command = self.java();
        command.arg("kafka.Kafka").arg(self.file());
        self.process.start(&mut command);
        eventually("Kafka to answer or to end", || {
            if answers(local(self.port)) { Some(true) } else { self.process.has_ended().then_some(false) }
        })
    }

    fn java(&self) -> Command {
        let mut command = Command::new(&self.java);
        command.args(JVM).arg("-cp").arg(self.lib.join("*"));
        command
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("server.properties")
    }

    /// After SIGKILL the broker is let in again when its old session has ended: 9 s where it is not set.
    /// The broker talks to itself by a listener of its own, which no proxy cuts.
    fn properties(&self, [port, inside, controller]: [u16; 3], advertised: u16) -> String {
        format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             log.dirs={}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},INSIDE://127.0.0.1:{inside},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{advertised},INSIDE://127.0.0.1:{inside}\n\
             listener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             controller.listener.names=CONTROLLER\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             inter.broker.listener.name=INSIDE\n\
             auto.create.topics.enable=false\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             transaction.state.log.num.partitions=4\n\
             group.initial.rebalance.delay.ms=0\n\
             broker.heartbeat.interval.ms=500\n\
             broker.session.timeout.ms=3000\n",
            self.folder.path().join("data").display()
        )
    }
}

/// The broker at this address knows one that serves, which is itself.
pub(crate) fn answers(address: SocketAddr) -> bool {
    // Length 14; key 3 (Metadata), version 1, correlation id 7, no client id, no topics.
    const REQUEST: [u8; 18] = [0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 255, 255, 0, 0, 0, 0];
    let mut head = [0; 12];
    let answer = connect(address.port())
        .and_then(|mut stream| stream.write_all(&REQUEST).and_then(|()| stream.read_exact(&mut head)).ok());
    // Length, correlation id, how many brokers.
    answer.is_some() && head[4..] == [0, 0, 0, 7, 0, 0, 0, 1]
}
