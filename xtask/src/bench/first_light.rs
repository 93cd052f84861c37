//! The one line through the whole system: post, durable bus, filter, HTTP call.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::disk::{self, RECORD_BYTES, now};
use super::http::{Client, target};
use super::{build, folder_of_build, milliseconds, print, quantile};

/// Posts one after the other, for the latency.
const LATENCY_POSTS: usize = 500;
/// Connections that post at the same time, for the throughput.
const CONNECTIONS: usize = 64;

pub(super) fn run(binary: Option<PathBuf>, how_long: Duration) -> Result<()> {
    let binary = binary.map_or_else(build, Ok)?;
    let folder = folder_of_build()?;
    let result = measure(&binary, &folder, how_long);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn measure(binary: &Path, folder: &Path, how_long: Duration) -> Result<()> {
    let alone = disk::bare_loop(folder, 1, how_long)?;
    let grouped = disk::bare_loop(folder, CONNECTIONS, how_long)?;
    print(&format!(
        "bare fdatasync, 1 record of {RECORD_BYTES} bytes    median {:.3} ms, {:.0} records/s",
        milliseconds(alone.median),
        alone.records_per_second
    ));
    print(&format!(
        "bare fdatasync, groups of {CONNECTIONS} records      median {:.3} ms, {:.0} records/s",
        milliseconds(grouped.median),
        grouped.records_per_second
    ));

    let (target_address, arrivals) = target()?;
    let zetes = Zetes::start(binary, folder, target_address)?;
    let times = latencies(zetes.webhook, &arrivals)?;
    let (median, slow) = (quantile(&times, 0.5), quantile(&times, 0.99));
    print(&format!(
        "post to HTTP call, idle machine, fsync        median {:.3} ms, p99 {:.3} ms, {:.1} x a bare fdatasync",
        milliseconds(median),
        milliseconds(slow),
        median.as_secs_f64() / alone.median.as_secs_f64(),
    ));
    let (posts, fired, drained) = throughput(zetes.webhook, &arrivals, how_long)?;
    print(&format!(
        "posts at {CONNECTIONS} connections, fsync                {posts:.0} posts/s, {:.2} x the bare loop alone, {:.3} x the bare loop in groups of {CONNECTIONS}",
        posts / alone.records_per_second,
        posts / grouped.records_per_second,
    ));
    print(&format!(
        "HTTP calls fired meanwhile and after          {fired:.0} calls/s, all of them {drained:.1} s after the last post"
    ));
    zetes.stop()
}

/// The executable under measurement.
struct Zetes {
    child: Child,
    webhook: SocketAddr,
}

impl Zetes {
    fn start(binary: &Path, folder: &Path, target: SocketAddr) -> Result<Self> {
        let (webhook, admin) = (free_port()?, free_port()?);
        let manifest = folder.join("manifest.yaml");
        std::fs::write(&manifest, manifest_text(webhook.port(), target))?;
        let child = Command::new(binary)
            .arg("run")
            .arg(&manifest)
            .arg("--data")
            .arg(folder.join("data"))
            .args(["--admin", &admin.to_string(), "--log-level", "warn"])
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let zetes = Self { child, webhook };
        zetes.wait_until_it_listens()?;
        Ok(zetes)
    }

    fn wait_until_it_listens(&self) -> Result<()> {
        let begin = now();
        while TcpStream::connect(self.webhook).is_err() {
            if begin.elapsed() > Duration::from_secs(20) {
                bail!("the executable does not listen on {} after 20 s", self.webhook);
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Zetes {
    fn drop(&mut self) {
        // Already stopped when all went well; there is nobody left to tell otherwise.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn manifest_text(port: u16, target: SocketAddr) -> String {
    format!(
        r#"apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {{name: bench}}
spec:
  webhook:
    post: {{endpoint: /post, port: "{port}", method: POST}}
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: bench}}
spec:
  dependencies:
    - name: post
      eventSourceName: bench
      eventName: post
      filters:
        data: [{{path: body.wanted, type: bool, value: ["true"]}}]
  triggers:
    - template:
        name: call
        http:
          url: http://{target}/call
          method: POST
          payload: [{{src: {{dependencyName: post, dataKey: body.number}}, dest: number}}]
"#
    )
}

fn body(number: usize) -> String {
    let filling = "x".repeat(RECORD_BYTES);
    format!(r#"{{"number": {number}, "wanted": true, "filling": "{filling}"}}"#)
}

fn latencies(webhook: SocketAddr, arrivals: &Receiver<Instant>) -> Result<Vec<Duration>> {
    let mut client = Client::connect(webhook)?;
    let mut times = Vec::with_capacity(LATENCY_POSTS);
    for number in 0..LATENCY_POSTS {
        let body = body(number);
        let posted = now();
        let status = client.post("/post", &body)?;
        ensure!(status == 200, "a post was answered with {status}");
        let called =
            arrivals.recv_timeout(Duration::from_secs(20)).context("no HTTP call followed from a post")?;
        times.push(called.saturating_duration_since(posted));
    }
    times.sort_unstable();
    Ok(times)
}

/// Posts per second, calls per second, and how long after the last post the last call came.
fn throughput(
    webhook: SocketAddr,
    arrivals: &Receiver<Instant>,
    how_long: Duration,
) -> Result<(f64, f64, f64)> {
    let begin = now();
    let posters: Vec<_> =
        (0..CONNECTIONS).map(|_| std::thread::spawn(move || post_for(webhook, begin, how_long))).collect();
    let mut posted = 0_u32;
    for poster in posters {
        posted += poster.join().map_err(|_| anyhow::anyhow!("a posting thread has ended badly"))??;
    }
    let posting = begin.elapsed();
    for call in 0..posted {
        let waited = arrivals.recv_timeout(Duration::from_mins(1));
        waited.with_context(|| {
            format!("{call} of {posted} posts led to an HTTP call, and no further one in 60 s")
        })?;
    }
    let all = begin.elapsed();
    Ok((
        f64::from(posted) / posting.as_secs_f64(),
        f64::from(posted) / all.as_secs_f64(),
        all.saturating_sub(posting).as_secs_f64(),
    ))
}

fn post_for(webhook: SocketAddr, begin: Instant, how_long: Duration) -> Result<u32> {
    let mut client = Client::connect(webhook)?;
    let body = body(0);
    let mut posted = 0;
    while begin.elapsed() < how_long {
        let status = client.post("/post", &body)?;
        ensure!(status == 200, "a post was answered with {status}");
        posted += 1;
    }
    Ok(posted)
}
