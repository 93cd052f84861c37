//! Whatever happens to us, to the bus's server or to the disk: published = delivered + still there, and nothing is silent.
//!
//! Short in the ordinary tests; `cargo xtask chaos --minutes N` makes it long. Each prints its sums.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use zetes_runtime::Clock;
use zetes_services::{KafkaBroker, NatsCluster, NatsServer, NatsVersion, Proxy};

use crate::harness::{Target, Zetes, client, eventually, free_port, pause, post_to_call};

/// Seconds of harm, when nobody says.
const SECONDS: i64 = 6;
const POSTERS: u64 = 8;
/// How long everything may take to come to an end once nothing is harmed any more.
const PATIENCE: Duration = Duration::from_mins(1);

fn event_bus(spec: &str) -> String {
    format!("apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default}}\nspec: {spec}\n")
}

/// What carries the events, and can be harmed.
enum Ground {
    Embedded,
    /// The embedded bus on a disk of so many bytes.
    SmallDisk(SmallDisk),
    JetStream(Box<NatsServer>, Proxy),
    Cluster(Box<NatsCluster>),
    Kafka(Box<KafkaBroker>, Proxy),
}

impl Ground {
    fn event_bus(&self) -> Option<String> {
        match self {
            Self::Embedded | Self::SmallDisk(_) => None,
            Self::JetStream(_, proxy) => {
                Some(event_bus(&format!("{{jetstreamExotic: {{url: 'nats://{}'}}}}", proxy.address())))
            }
            Self::Cluster(cluster) => {
                let urls = cluster.urls().join(",");
                let settings = format!("{{url: '{urls}', streamConfig: 'replicas: 3'}}");
                Some(event_bus(&format!("{{jetstreamExotic: {settings}}}")))
            }
            Self::Kafka(_, proxy) => Some(event_bus(&format!("{{kafka: {{url: '{}'}}}}", proxy.address()))),
        }
    }

    /// Bytes of a post, so that a disk can be filled.
    fn padding(&self) -> usize {
        if matches!(self, Self::SmallDisk(_)) { 60_000 } else { 100 }
    }

    /// Kinds of harm beside the death of our process.
    fn harms(&self) -> &'static [Harm] {
        match self {
            Self::Embedded => &[],
            Self::SmallDisk(_) => &[Harm::Disk],
            Self::JetStream(..) | Self::Kafka(..) => &[Harm::Server, Harm::Connections],
            Self::Cluster(_) => &[Harm::Server],
        }
    }

    fn harm(&mut self, harm: Harm, random: u64) {
        match (self, harm) {
            (Self::SmallDisk(disk), Harm::Disk) => disk.fill(),
            (Self::JetStream(server, _), Harm::Server) => server.kill(),
            (Self::Kafka(broker, _), Harm::Server) => broker.kill(),
            (Self::Cluster(cluster), Harm::Server) => cluster.kill(usize::try_from(random % 3).unwrap()),
            (Self::JetStream(_, proxy) | Self::Kafka(_, proxy), Harm::Connections) => proxy.cut(),
            _ => {}
        }
    }

    fn heal(&mut self, harm: Harm, random: u64) {
        match (self, harm) {
            (Self::SmallDisk(disk), Harm::Disk) => disk.free(),
            (Self::JetStream(server, _), Harm::Server) => server.restart(),
            (Self::Kafka(broker, _), Harm::Server) => broker.restart(),
            (Self::Cluster(cluster), Harm::Server) => cluster.restart(usize::try_from(random % 3).unwrap()),
            (Self::JetStream(_, proxy) | Self::Kafka(_, proxy), Harm::Connections) => proxy.heal(),
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// Of the bus's server, or of one node of three.
    Server,
    Connections,
    Disk,
}

/// A file system in memory, on the data directory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn on(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=220m", "tmpfs"]).arg(folder);
        mount.status().is_ok_and(|status| status.success()).then(|| Self(folder.to_owned()))
    }

    /// Until there is no room.
    fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let zeros = vec![0_u8; 1 << 20];
        while file.write_all(&zeros).is_ok() {}
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// Numbers whose post got a 200.
type Accepted = Arc<Mutex<BTreeSet<u64>>>;

async fn post(url: String, first: u64, padding: usize, accepted: Accepted, refused: Arc<Mutex<u64>>) {
    let (client, filling) = (client(), "x".repeat(padding));
    for number in first.. {
        let body = format!(r#"{{"number": {number}, "filling": "{filling}"}}"#);
        match client.post(&url).body(body).send().await {
            Ok(answer) if answer.status() == 200 => drop(accepted.lock().unwrap().insert(number)),
            Ok(_) => {
                *refused.lock().unwrap() += 1;
                pause().await;
            }
            Err(_) => pause().await,
        }
    }
}

fn delivered(target: &Target) -> BTreeSet<u64> {
    let number = |body: String| serde_json::from_str::<Value>(&body).ok()?["number"].as_str()?.parse().ok();
    target.effects().into_values().filter_map(number).collect()
}

/// A different number every time.
fn random() -> u64 {
    zetes_runtime::random_id().bytes().fold(7, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
}

/// Events that the caller has not settled, as the bus says.
async fn still_there(zetes: &Zetes) -> Option<u64> {
    let output = zetes.command(&["bus", "stats", "-o", "json"]).await;
    let buses: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
    let consumers = buses.first()?["consumers"].as_array()?.clone();
    consumers.iter().map(|consumer| consumer["lag"].as_u64()).sum()
}

/// Of harm; `cargo xtask chaos` sets it.
#[expect(clippy::disallowed_methods, reason = "a test has no flags")]
fn seconds() -> i64 {
    std::env::var("ZETES_CHAOS_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

#[expect(clippy::print_stdout, reason = "the sums are what the run is for")]
async fn chaos(name: &str, mut ground: Ground, mut zetes: Zetes, target: Target, port: u16) {
    let seconds = seconds();
    let clock = Clock::system();
    let (accepted, refused) = (Accepted::default(), Arc::new(Mutex::new(0)));
    let mut posters = JoinSet::new();
    for poster in 0..POSTERS {
        let url = format!("http://127.0.0.1:{port}/post");
        let first = poster * 1_000_000_000;
        posters.spawn(post(url, first, ground.padding(), accepted.clone(), refused.clone()));
    }
    zetes.start().await;
    let (mut kills, mut harmed) = (0, 0);
    // Each kind in turn, beginning with any, so that a short run has all of them.
    let kinds: Vec<_> = [None].into_iter().chain(ground.harms().iter().copied().map(Some)).collect();
    let (first, begin) = (usize::try_from(random()).unwrap(), clock.now());
    for turn in 0.. {
        if turn >= kinds.len() && clock.now().duration_since(begin).as_secs() >= seconds {
            break;
        }
        clock.sleep(Duration::from_millis(200 + random() % 800)).await;
        match kinds[(first + turn) % kinds.len()] {
            None => {
                kills += 1;
                zetes.kill().await;
                // Not waited for: it may be killed again while it starts.
                zetes.spawn();
            }
            Some(harm) => {
                harmed += 1;
                let dice = random();
                let before = *refused.lock().unwrap();
                // What is read would make way on a full disk, so that nothing may be read meanwhile.
                target.set_down(harm == Harm::Disk);
                ground.harm(harm, dice);
                clock.sleep(Duration::from_millis(300 + random() % 1_500)).await;
                if harm == Harm::Disk {
                    eventually("a post to be refused, since the disk is full", || async {
                        (*refused.lock().unwrap() > before).then_some(())
                    })
                    .await;
                }
                ground.heal(harm, dice);
                target.set_down(false);
            }
        }
    }
    zetes.ready().await;
    posters.abort_all();
    while posters.join_next().await.is_some() {}
    let accepted = accepted.lock().unwrap().clone();
    let lost = || accepted.difference(&delivered(&target)).copied().collect::<Vec<_>>();
    let waiting = async {
        while !lost().is_empty() || still_there(&zetes).await != Some(0) {
            clock.sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, waiting).await;
    let (lost, still) = (lost(), still_there(&zetes).await);
    let redelivered = target.calls().len() - target.effects().len();
    println!(
        "{name}: accepted {} = delivered {} + still there {}; silent drops {}; refused with a reason {}; \
         redelivered {redelivered}; kills of ours {kills}, other harm {harmed}",
        accepted.len(),
        accepted.len() - lost.len(),
        still.map_or_else(|| "?".to_owned(), |count| count.to_string()),
        lost.len(),
        refused.lock().unwrap(),
    );
    assert!(ended.is_ok(), "after {} s not everything has come to an end", PATIENCE.as_secs());
    assert!(accepted.len() > 20, "the harm left no time to accept anything");
}

/// Its manifests and the process that will serve them.
async fn prepared(ground: &Ground) -> (Zetes, Target, u16) {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    if let Some(bus) = ground.event_bus() {
        zetes.write("bus.yaml", &bus);
    }
    zetes.set_patience(PATIENCE);
    (zetes, target, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_bus_survives_kills() {
    let ground = Ground::Embedded;
    let (zetes, target, port) = prepared(&ground).await;
    chaos("embedded", ground, zetes, target, port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_bus_survives_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::on(&folder.path().join("data")) else {
        eprintln!("skipped: a tmpfs can't be mounted here, which needs root");
        return;
    };
    let data = disk.0.clone();
    let ground = Ground::SmallDisk(disk);
    let (mut zetes, target, port) = prepared(&ground).await;
    zetes.set_data(data);
    chaos("embedded, small disk", ground, zetes, target, port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_jetstream_survives_its_server() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let proxy = Proxy::to_port(server.port());
    let ground = Ground::JetStream(Box::new(server), proxy);
    let (zetes, target, port) = prepared(&ground).await;
    chaos("jetstream", ground, zetes, target, port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_three_nodes_survives_the_loss_of_one() {
    let ground = Ground::Cluster(Box::new(NatsCluster::start(NatsVersion::Current, 3)));
    let (zetes, target, port) = prepared(&ground).await;
    chaos("jetstream, three nodes", ground, zetes, target, port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_on_kafka_survives_its_broker() {
    let (broker, proxy) = KafkaBroker::start_behind_proxy();
    let ground = Ground::Kafka(Box::new(broker), proxy);
    let (zetes, target, port) = prepared(&ground).await;
    chaos("kafka", ground, zetes, target, port).await;
}
