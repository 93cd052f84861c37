//! How fast the embedded bus is on the disk that the build stands on. `cargo bench -p bus-embedded [-- NAME...]`.
//!
//! Without names everything but `start` is measured, which writes about 3 GB and takes minutes. Each line ends with its target and what
//! part of it was reached.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bus_core::{Bus, Change, Consumer, ConsumerName, Interest, Publication, Retention, Start, Subscription};
use bus_embedded::{EmbeddedBus, Options, Sync};
use tokio::task::JoinSet;
use tokio::time::Instant;
use zetes_api::Event;

type Outcome = Result<(), Box<dyn Error>>;

const PRODUCERS: u64 = 64;
const BACKLOG: u64 = 1_000_000;
const UNREAD: u64 = 10_000_000;
/// What this program calls itself with where memory is measured: a process that has done nothing before.
const ALONE: &str = "alone:";
/// How long each of the publishing measures lasts.
const LASTS: Duration = Duration::from_secs(8);

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with("--")).collect();
    if let [name, folder] = arguments.as_slice()
        && let Some(name) = name.strip_prefix(ALONE)
    {
        let folder = Path::new(folder);
        return runtime.block_on(async {
            if name == "drain" { drain_alone(folder).await } else { start_alone(folder).await }
        });
    }
    let is_asked = |name: &str| {
        if arguments.is_empty() { name != "start" } else { arguments.iter().any(|one| one == name) }
    };
    runtime.block_on(async {
        if is_asked("single") {
            single().await?;
        }
        if is_asked("fsync") {
            producers("64 producers, fsync", Sync::Always, 20_000).await?;
        }
        if is_asked("interval") {
            producers(
                "64 producers, synced every 100 ms",
                Sync::Interval(Duration::from_millis(100)),
                60_000,
            )
            .await?;
        }
        if is_asked("drain") {
            drain().await?;
        }
        if is_asked("rotation") {
            rotation().await?;
        }
        if is_asked("start") {
            start().await?;
        }
        Ok(())
    })
}

/// `more` is better, or less.
fn report(what: &str, figure: f64, unit: &str, target: f64, more: bool) {
    let ratio = if more { figure / target } else { target / figure };
    let verdict = if ratio >= 1.0 { "met" } else { "MISSED" };
    println!("{what:<48} {figure:>12.1} {unit:<10} target {target:>10.1}  ratio {ratio:>6.2}  {verdict}");
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(number: u64) -> f64 {
    number as f64
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// A directory on the disk of the build.
fn folder() -> Result<tempfile::TempDir, Box<dyn Error>> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn publication(id: u64, bytes: usize) -> Publication {
    let event = Event::with_data(
        "webhook",
        "hooks",
        "push",
        format!("delivery-{id}"),
        format!("{{\"body\":\"{}\"}}", "x".repeat(bytes.saturating_sub(11))),
    );
    Publication { namespace: "ci".into(), event: Arc::new(event) }
}

fn subscription() -> Subscription {
    Subscription {
        consumer: ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: "t".into() },
        interests: vec![Interest { source: Some("hooks".into()), subject: None, dependency: "d".into() }],
        start: Start::Earliest,
        ack_deadline: Duration::from_mins(1),
        max_in_flight: 2_000,
    }
}

async fn open(folder: &Path, options: Options) -> Result<Arc<EmbeddedBus>, Box<dyn Error>> {
    let (bus, _) = EmbeddedBus::open(folder, options).await?;
    Ok(Arc::new(bus))
}

/// Runs a measure in a process of its own.
fn alone(name: &str, folder: &Path) -> Outcome {
    let mut command = std::process::Command::new(std::env::current_exe()?);
    let ended = command.arg(format!("{ALONE}{name}")).arg(folder).status()?;
    if ended.success() { Ok(()) } else { Err(format!("`{name}` failed: {ended}").into()) }
}

/// Memory of this process in MB that is in use now, and that was at most.
fn memory() -> Result<(f64, f64), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<f64>().ok())
    };
    let mega =
        |name| of(name).map(|kilo| kilo / 1024.0).ok_or_else(|| format!("no {name} in /proc/self/status"));
    Ok((mega("VmRSS:")?, mega("VmHWM:")?))
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times.get(times.len().saturating_sub(1) * part / 100).copied().unwrap_or_default()
}

/// One producer beside a bare pwrite and fdatasync of a zero-filled file, in turns, so that both see the same disk.
async fn single() -> Outcome {
    let folder = folder()?;
    let file = std::fs::File::create(folder.path().join("bare"))?;
    file.write_all_at(&vec![0; 16 << 20], 0)?;
    file.sync_all()?;
    let bus = open(&folder.path().join("bus"), Options::default()).await?;
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let record = vec![b'x'; 1_200];
    for number in 0..3_000_u64 {
        let begin = Instant::now();
        file.write_all_at(&record, number * 1_200)?;
        file.sync_data()?;
        bare.push(begin.elapsed());
        let publication = publication(number, 1_024);
        let begin = Instant::now();
        bus.publish(vec![publication]).await?;
        ours.push(begin.elapsed());
    }
    let (bare, ours) = (percentile(&mut bare, 50), percentile(&mut ours, 50));
    println!("bare fdatasync p50 {:.1} us, one producer p50 {:.1} us", micros(bare), micros(ours));
    report("one producer, p50 / bare fdatasync", micros(ours) / micros(bare), "times", 1.5, false);
    bus.close().await?;
    Ok(())
}

async fn producers(name: &str, sync: Sync, target: u32) -> Outcome {
    let folder = folder()?;
    let bus = open(folder.path(), Options { sync, ..Options::default() }).await?;
    produce(name, &bus, 0, target).await?;
    bus.close().await?;
    Ok(())
}

async fn produce(name: &str, bus: &Arc<EmbeddedBus>, first: u64, target: u32) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let next = Arc::new(AtomicU64::new(first));
    let mut tasks = JoinSet::new();
    let begin = Instant::now();
    for _ in 0..PRODUCERS {
        let (bus, stop, next) = (bus.clone(), stop.clone(), next.clone());
        tasks.spawn(async move {
            let mut longest = Duration::ZERO;
            while !stop.load(Ordering::Relaxed) {
                let one = publication(next.fetch_add(1, Ordering::Relaxed), 1_024);
                let begin = Instant::now();
                bus.publish(vec![one]).await?;
                longest = longest.max(begin.elapsed());
            }
            Ok::<_, bus_core::BusError>(longest)
        });
    }
    tokio::time::timeout(LASTS, std::future::pending::<()>()).await.unwrap_or_default();
    stop.store(true, Ordering::Relaxed);
    let mut longest = Duration::ZERO;
    while let Some(done) = tasks.join_next().await {
        longest = longest.max(done??);
    }
    let rate = float(next.load(Ordering::Relaxed) - first) / begin.elapsed().as_secs_f64();
    report(name, rate, "events/s", f64::from(target), true);
    println!("  longest publish {:.1} ms", micros(longest) / 1e3);
    Ok(())
}

async fn fill(bus: &EmbeddedBus, count: u64, bytes: usize) -> Outcome {
    const BATCH: u64 = 1_000;
    for batch in 0..count / BATCH {
        let batch = (0..BATCH).map(|one| publication(batch * BATCH + one, bytes)).collect();
        bus.publish(batch).await?;
    }
    Ok(())
}

/// A million unread events: fetched, and acknowledged with fsync.
async fn drain() -> Outcome {
    let folder = folder()?;
    let bus = open(folder.path(), Options::default()).await?;
    fill(&bus, BACKLOG, 1_024).await?;
    bus.close().await?;
    drop(bus);
    alone("drain", folder.path())
}

async fn drain_alone(folder: &Path) -> Outcome {
    let bus = open(folder, Options::default()).await?;
    let mut consumer = bus.subscribe(subscription()).await?;
    let (begin, mut drained) = (Instant::now(), 0);
    while drained < BACKLOG {
        drained += fetch_and_ack(&bus, &mut consumer).await?;
    }
    report(
        "drain of a million, fsynced acks",
        float(drained) / begin.elapsed().as_secs_f64(),
        "events/s",
        100_000.0,
        true,
    );
    report("  memory at most while draining", memory()?.1, "MB", 100.0, false);
    bus.close().await?;
    Ok(())
}

async fn fetch_and_ack(bus: &EmbeddedBus, consumer: &mut Box<dyn Consumer>) -> Result<u64, Box<dyn Error>> {
    let deliveries = consumer.fetch(1_000).await?;
    let count = u64::try_from(deliveries.len())?;
    bus.commit(deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket)).collect()).await?;
    Ok(count)
}

/// What the disk does to a bare writer of as many bytes at a time, in a file that nobody else touches.
fn bare_longest(folder: &Path) -> Result<Duration, Box<dyn Error>> {
    let file = std::fs::File::create(folder.join("bare"))?;
    file.write_all_at(&vec![0; 64 << 20], 0)?;
    file.sync_all()?;
    let (begin, mut longest, mut at) = (Instant::now(), Duration::ZERO, 0);
    let group = vec![b'x'; 16 * 4_300];
    while begin.elapsed() < LASTS {
        let begin = Instant::now();
        file.write_all_at(&group, at)?;
        file.sync_data()?;
        longest = longest.max(begin.elapsed());
        at = (at + 16 * 4_300) % (63 << 20);
    }
    Ok(longest)
}

/// Small segments and a small limit, so that segments are closed, summarized and removed all the time.
async fn rotation() -> Outcome {
    let folder = folder()?;
    // What earlier measures left in the page cache would be written meanwhile.
    std::process::Command::new("sync").status()?;
    let before = bare_longest(folder.path())?;
    let retention = Retention { max_bytes: Some(100 << 20), discard_old: true, ..Retention::default() };
    let options = Options { segment_bytes: 16 << 20, retention, ..Options::default() };
    let bus = open(folder.path(), options).await?;
    let state = (0..50_000).map(|key| Change::Put {
        key: bus_core::StateKey::new("ci/b", format!("{key}")),
        value: "value".into(),
        expected: None,
    });
    bus.commit(state.collect()).await?;
    let mut consumer = bus.subscribe(subscription()).await?;
    let (begin, mut times, mut number) = (Instant::now(), Vec::new(), 0);
    while begin.elapsed() < LASTS * 2 {
        let batch = (0..16).map(|one| publication(number + one, 4_096)).collect();
        number += 16;
        let begin = Instant::now();
        bus.publish(batch).await?;
        times.push(begin.elapsed());
        if number % 4_000 == 0 {
            fetch_and_ack(&bus, &mut consumer).await?;
        }
    }
    let segments = number * 4_300 / (16 << 20);
    let (half, most, longest) =
        (percentile(&mut times, 50), percentile(&mut times, 99), percentile(&mut times, 100));
    let bare = micros(before.max(bare_longest(folder.path())?)) / 1e3;
    println!("a bare writer alone, before and after, waits at most {bare:.1} ms: less can't be asked for");
    println!("{segments} segments: p50 {:.2} ms, p99 {:.2} ms", micros(half) / 1e3, micros(most) / 1e3);
    report("longest publish during rotation", micros(longest) / 1e3, "ms", bare.max(50.0), false);
    bus.close().await?;
    Ok(())
}

/// All of the ten million are within the duplicate window.
fn ten_millions() -> Options {
    let hour = Retention { duplicate_window: Duration::from_hours(1), ..Retention::default() };
    Options { retention: hour, ..Options::default() }
}

/// Ten million unread events, none of them a duplicate: how long a start takes, and the memory it takes.
async fn start() -> Outcome {
    let folder = folder()?;
    let bus = open(folder.path(), ten_millions()).await?;
    let consumer = bus.subscribe(subscription()).await?;
    let begin = Instant::now();
    fill(&bus, UNREAD, 100).await?;
    println!("published {UNREAD} events in {:.1} s", begin.elapsed().as_secs_f64());
    // As after a crash: no checkpoint at the end.
    drop(bus);
    drop(consumer);
    alone("start", folder.path())
}

async fn start_alone(folder: &Path) -> Outcome {
    let before = memory()?.0;
    let begin = Instant::now();
    let bus = open(folder, ten_millions()).await?;
    let mut consumer = bus.subscribe(subscription()).await?;
    let first = consumer.fetch(1_000).await?.len();
    report("start with ten million unread", begin.elapsed().as_secs_f64(), "s", 1.0, false);
    report("  memory after it", memory()?.0, "MB", 150.0, false);
    let stats = bus.stats().await?;
    println!(
        "  {before:.1} MB before it, {:.1} MB at most; {first} events handed out, {} unread, {} segments' bytes",
        memory()?.1,
        stats.events,
        stats.bytes
    );
    let begin = Instant::now();
    let again = bus.publish((0..1_000).map(|one| publication(one * (UNREAD / 1_000), 100)).collect()).await?;
    let known = again.iter().filter(|receipt| receipt.duplicate).count();
    println!("  {known} of 1000 old events known as duplicates in {:.1} ms", micros(begin.elapsed()) / 1e3);
    produce("  64 producers beside that window, fsync", &bus, UNREAD, 20_000).await?;
    bus.close().await?;
    Ok(())
}
