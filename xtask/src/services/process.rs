//! Processes that outlive xtask.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Looks until a process that was told to end is killed: 10 s.
const LOOKS: u32 = 200;

/// What a condition gives within so many looks.
#[expect(
    clippy::disallowed_methods,
    reason = "xtask has no runtime; this is its one way to wait for a condition"
)]
pub(crate) fn within<T>(looks: u32, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    (0..looks).find_map(|look| {
        if look > 0 {
            std::thread::sleep(PAUSE);
        }
        condition()
    })
}

/// The arguments of a running process, in one line. Nothing for one that has ended, waited for or not.
pub(crate) fn arguments(pid: u32) -> Option<String> {
    if std::path::Path::new("/proc/self/cmdline").exists() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|line| !line.is_empty())?;
        return Some(String::from_utf8_lossy(&line).replace('\0', " "));
    }
    let output = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned()).filter(|line| !line.trim().is_empty())
}

/// Asks it to end, and kills it when it has not after some seconds.
pub(crate) fn stop(pid: u32) -> Result<()> {
    stop_within(pid, LOOKS)
}

pub(crate) fn stop_within(pid: u32, looks: u32) -> Result<()> {
    for signal in ["-TERM", "-KILL"] {
        if Command::new("kill").args([signal, &pid.to_string()]).output()?.status.success()
            && within(looks, || arguments(pid).is_none().then_some(())).is_some()
        {
            return Ok(());
        }
    }
    ensure!(arguments(pid).is_none(), "process {pid} can't be stopped");
    Ok(())
}
