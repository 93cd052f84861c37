//! The buses beside their bare clients and the bare disk, each in one run.

use std::process::Command;

use anyhow::{Result, ensure};

use crate::services::Place;

/// Crates whose bench prints its own figures and fails where they miss what the bus has to do.
pub(super) const DRIVERS: [&str; 3] = ["bus-embedded", "bus-jetstream", "bus-kafka"];

pub(super) fn run(only: &[String], large: bool) -> Result<()> {
    let root = crate::root();
    let unknown = only.iter().find(|name| !DRIVERS.contains(&format!("bus-{name}").as_str()));
    ensure!(unknown.is_none(), "no bus {unknown:?}; there are embedded, jetstream, kafka");
    let services = Place::under(&crate::target(&root)?);
    let started = services.up_all()?;
    let mut missed = Vec::new();
    for driver in DRIVERS {
        if !only.is_empty() && !only.iter().any(|name| driver == format!("bus-{name}")) {
            continue;
        }
        let mut bench = Command::new(env!("CARGO"));
        let name = driver.trim_start_matches("bus-");
        bench.args(["bench", "--quiet", "--package", driver, "--bench", name, "--"]);
        if large && driver == "bus-embedded" {
            bench.args(["single", "fsync", "interval", "drain", "rotation", "start"]);
        }
        bench.env("ZETES_SERVICES", services.file()).current_dir(&root);
        if !bench.status()?.success() {
            missed.push(driver);
        }
    }
    if started {
        services.down()?;
    }
    ensure!(missed.is_empty(), "not as fast as they have to be: {}", missed.join(", "));
    Ok(())
}
