//! The benches of the crates, as one table. The document is a push of about 7 KB (tests/vectors/documents/push.json).

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// What a bench may take, in nanoseconds.
const TARGETS: [(&str, f64); 6] = [
    ("engine/data-filter", 2_000.0),
    ("engine/step", 1_000.0),
    // What the Go library publishes for such a document; 16-inch MacBook Pro of 2019.
    ("gjson/published", 311.0),
    ("gotemplate/five-actions", 3_000.0),
    ("jq/transform", 20_000.0),
    ("lua/filter", 5_000.0),
];

#[expect(clippy::print_stdout, reason = "the table is what was asked for")]
pub(super) fn run() -> anyhow::Result<()> {
    let root = crate::root();
    let mut measured = Vec::new();
    for (package, name) in benches(&root)? {
        measured.extend(bench(&root, &package, &name)?);
    }
    measured.sort_by(|(one, _), (other, _)| one.cmp(other));
    println!("{:<26} {:>12} {:>12}", "bench", "time", "at most");
    let mut slow = Vec::new();
    for (name, time) in &measured {
        let target = TARGETS.iter().find(|(known, _)| known == name).map(|(_, target)| *target);
        println!(
            "{name:<26} {:>12} {:>12}",
            nanoseconds(*time),
            target.map_or_else(String::new, nanoseconds)
        );
        if target.is_some_and(|target| *time > target) {
            slow.push(name.clone());
        }
    }
    let missing: Vec<_> =
        TARGETS.iter().filter(|(name, _)| !measured.iter().any(|(known, _)| known == name)).collect();
    ensure!(missing.is_empty(), "not measured: {missing:?}");
    ensure!(slow.is_empty(), "slower than they may be: {}", slow.join(", "));
    Ok(())
}

/// Crates with their benches.
fn benches(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let metadata = crate::metadata(root)?;
    let packages =
        metadata.get("packages").and_then(|packages| packages.as_array()).context("no packages")?;
    let text = |value: &serde_json::Value, pointer: &str| Some(value.pointer(pointer)?.as_str()?.to_owned());
    let mut benches = Vec::new();
    let is_driver = |package: &&serde_json::Value| {
        text(package, "/name").is_some_and(|name| super::bus::DRIVERS.contains(&name.as_str()))
    };
    for package in packages.iter().filter(|package| !is_driver(package)) {
        let targets = package.get("targets").and_then(|targets| targets.as_array());
        for target in
            targets.into_iter().flatten().filter(|target| text(target, "/kind/0").as_deref() == Some("bench"))
        {
            benches.extend(text(package, "/name").zip(text(target, "/name")));
        }
    }
    Ok(benches)
}

/// Names and nanoseconds, from the lines `test name ... bench: 123 ns/iter (+/- 4)`.
fn bench(root: &Path, package: &str, name: &str) -> anyhow::Result<Vec<(String, f64)>> {
    eprintln!("measuring {package}");
    let arguments =
        ["bench", "--quiet", "--package", package, "--bench", name, "--", "--output-format", "bencher"];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "cargo bench -p {package}: {}", String::from_utf8_lossy(&output.stderr));
    let line = |line: &str| {
        let (name, rest) = line.strip_prefix("test ")?.split_once(" ... bench:")?;
        let digits: String =
            rest.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == ',').collect();
        Some((name.trim().to_owned(), digits.replace(',', "").parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn nanoseconds(time: f64) -> String {
    if time < 1_000.0 { format!("{time:.0} ns") } else { format!("{:.2} µs", time / 1_000.0) }
}
