//! What event sources cost that have nothing to do: memory and processor time of one process with two hundred of them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::http::Client;
use super::{build, folder_of_build, print};
use crate::services::{Place, within};

const WEBHOOKS: usize = 100;
const NATS: usize = 50;
const CALENDARS: usize = 50;
/// The most that the process may take.
const MOST_MEBIBYTES: f64 = 48.0;
const MOST_OF_A_CORE: f64 = 0.005;
/// Processor time is looked at over this time.
const LOOKED_AT: Duration = Duration::from_secs(30);
/// Between two looks at a condition there are 50 ms: a minute.
const LOOKS: u32 = 1_200;

pub(super) fn run(binary: Option<PathBuf>) -> Result<()> {
    let binary = binary.map_or_else(build, Ok)?;
    let binary = binary.canonicalize().with_context(|| binary.display().to_string())?;
    let folder = folder_of_build()?;
    let measured = measure(&binary, &folder);
    std::fs::remove_dir_all(&folder)?;
    measured
}

fn measure(binary: &Path, folder: &Path) -> Result<()> {
    let [nats_port, webhook_port, admin_port] = free_ports()?;
    let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, admin_port));
    let nats = Place::under(&crate::target(&crate::root())?).program("nats_current")?;
    let _nats = Running(
        Command::new(nats)
            .args(["--addr", "127.0.0.1", "--port", &nats_port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?,
    );
    std::fs::write(folder.join("sources.yaml"), manifests(webhook_port, nats_port)?)?;
    let log = std::fs::File::create(folder.join("log"))?;
    let zetes = Running(
        Command::new(binary)
            .args(["run", ".", "--data", "data", "--admin", &admin.to_string()])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?,
    );
    let ready = || Client::connect(admin).ok()?.get("/readyz").ok().filter(|status| *status == 200);
    within(LOOKS, ready).with_context(|| {
        let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        format!("not ready within a minute:\n{log}")
    })?;
    let sources = WEBHOOKS + NATS + CALENDARS;
    let before = zetes.processor_time()?;
    let (_nobody, nothing) = std::sync::mpsc::channel::<()>();
    let _nothing_came = nothing.recv_timeout(LOOKED_AT).is_err();
    let share = (zetes.processor_time()?.saturating_sub(before)).as_secs_f64() / LOOKED_AT.as_secs_f64();
    let mebibytes = zetes.mebibytes()?;
    print(&format!(
        "{sources} idle event sources ({WEBHOOKS} webhook, {NATS} nats, {CALENDARS} calendar)    {mebibytes:.1} MiB resident, at most {MOST_MEBIBYTES}; {:.2} % of a core, at most {:.1} %",
        share * 100.0,
        MOST_OF_A_CORE * 100.0
    ));
    ensure!(mebibytes <= MOST_MEBIBYTES, "too much memory");
    ensure!(share <= MOST_OF_A_CORE, "too much processor time");
    Ok(())
}

fn manifests(port: u16, nats_port: u16) -> Result<String> {
    let mut text = String::new();
    let mut object = |name: &str, kind: &str, count: usize, config: &dyn Fn(usize) -> String| -> Result<()> {
        writeln!(
            text,
            "---\napiVersion: argoproj.io/v1alpha1\nkind: EventSource\nmetadata: {{name: {name}}}\nspec:\n  {kind}:"
        )?;
        for number in 0..count {
            writeln!(text, "    {kind}-{number}: {}", config(number))?;
        }
        Ok(())
    };
    object("hooks", "webhook", WEBHOOKS, &|number| {
        format!("{{endpoint: /hook-{number}, port: '{port}', method: POST}}")
    })?;
    object("subjects", "nats", NATS, &|number| {
        format!("{{url: 'nats://127.0.0.1:{nats_port}', subject: subject.{number}, jsonBody: true}}")
    })?;
    object("ticks", "calendar", CALENDARS, &|_| "{interval: 1h}".to_owned())?;
    Ok(text)
}

fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    let mut listeners = Vec::new();
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// A process that is killed with the value.
struct Running(Child);

impl Running {
    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.0.id());
        std::fs::read_to_string(&path).with_context(|| format!("{path}: this is measured on Linux"))
    }

    /// Of all threads, in user and kernel mode.
    fn processor_time(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // Behind the name of the program, which may hold anything, the times are fields 12 and 13 (proc_pid_stat(5)), in ticks of 10 ms.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    fn mebibytes(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kibibytes: u32 = line.trim().trim_end_matches(" kB").trim().parse()?;
        Ok(f64::from(kibibytes) / 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
