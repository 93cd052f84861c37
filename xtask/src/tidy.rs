//! What compilers don't see.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::house::House;

/// Runtimes and clients that the lower rooms must not have (invariant 1).
const OUTSIDE_WORLD: [&str; 12] = [
    "tokio",
    "axum",
    "hyper",
    "reqwest",
    "hyper-util",
    "tokio-util",
    "kube",
    "rdkafka",
    "async-nats",
    "aws-sdk-s3",
    "notify",
    "redb",
];
/// One TLS provider.
const NOT_IN_THE_TREE: [&str; 2] = ["ring", "native-tls"];
/// OpenSSL is librdkafka's, and nobody else's.
const OPENSSL_USER: &str = "rdkafka-sys";
/// Names that say nothing.
const EMPTY_NAMES: [&str; 8] = ["utils", "util", "common", "helpers", "helper", "misc", "manager", "stuff"];

pub(crate) fn run(root: &Path) -> Result<()> {
    let house = House::read(root, &crate::metadata(root)?);
    let mut findings = floors(&house);
    findings.extend(invariants(&house));
    findings.extend(manifests(root, &house)?);
    findings.extend(tree(root)?);
    findings.extend(files(root)?);
    findings.extend(map(root, &house));
    if findings.is_empty() {
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("tidy: {} findings", findings.len())
}

/// A crate uses crates of lower floors only; on floor 0, `api` and languages may use languages.
fn floors(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    for room in house.0.values() {
        let Some(floor) = room.floor() else {
            findings.push(format!(
                "{}: the folder is on no floor, give it one in ARCHITECTURE.md and xtask/src/house.rs",
                room.manifest()
            ));
            continue;
        };
        for used in room.uses.iter().filter_map(|name| house.0.get(name)) {
            let below = used.floor().is_some_and(|used| used < floor);
            let language = (room.folder == "api" || room.is_under("languages")) && used.is_under("languages");
            if !below && !language {
                let where_it_is =
                    used.floor().map_or_else(|| "no floor".to_owned(), |floor| format!("floor {floor}"));
                findings.push(format!(
                    "{}: `{}` on floor {floor} uses `{}` on {where_it_is}; a crate uses lower floors only",
                    room.manifest(),
                    room.name,
                    used.name,
                ));
            }
        }
    }
    findings
}

fn invariants(house: &House) -> Vec<String> {
    let mut findings = Vec::new();
    for room in house.0.values() {
        let used = house.all_used(room);
        if room.folder == "api" || room.is_under("languages") || room.folder == "sensors/engine" {
            let outside = used
                .iter()
                .flat_map(|room| &room.uses)
                .chain(&room.uses)
                .filter(|name| OUTSIDE_WORLD.contains(&name.as_str()));
            findings.extend(outside.map(|name| {
                format!(
                    "{}: `{}` reaches `{name}`; it has no runtime, no I/O and no client",
                    room.manifest(),
                    room.name
                )
            }));
        }
        let other = match room.folder.split('/').next() {
            Some("eventsources") => "sensors",
            Some("sensors") => "eventsources",
            _ => continue,
        };
        let strangers = used.iter().filter(|one| one.is_under(other));
        findings.extend(strangers.map(|one| {
            format!(
                "{}: `{}` knows `{}`; event sources and Sensors meet on the bus only",
                room.manifest(),
                room.name,
                one.name
            )
        }));
    }
    findings
}

/// Lints are inherited, and versions and features stand in the root only.
fn manifests(root: &Path, house: &House) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    for room in house.0.values() {
        let text = std::fs::read_to_string(root.join(room.manifest())).with_context(|| room.manifest())?;
        let own = text.split_once("[package]").map_or(text.as_str(), |(_, own)| own);
        if !text.contains("[lints]\nworkspace = true") {
            findings.push(format!(
                "{}: does not inherit the lints; add `[lints]` with `workspace = true`",
                room.manifest()
            ));
        }
        for (number, line) in own.lines().enumerate() {
            let Some((name, rest)) = line.split_once([' ', '.']) else { continue };
            if rest.contains("workspace = true") {
                used.insert(name.to_owned());
            } else if rest.contains("version = \"") && rest.starts_with("= {") {
                findings.push(format!(
                    "{}:{}: `{name}` names a version; versions stand in the root",
                    room.manifest(),
                    number + 1
                ));
            }
        }
    }
    let text = std::fs::read_to_string(root.join("Cargo.toml"))?;
    let table = text
        .split_once("[workspace.dependencies]")
        .and_then(|(_, rest)| rest.split_once("\n["))
        .map_or("", |(table, _)| table);
    for name in table.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name) {
        if !name.starts_with('#') && !used.contains(name) {
            findings.push(format!("Cargo.toml: dependency `{name}` is used by no crate; remove it"));
        }
    }
    Ok(findings)
}

/// What would be built, on any target. The lock file names more: what is optional and never asked for.
fn tree(root: &Path) -> Result<Vec<String>> {
    let arguments = [
        "tree",
        "--workspace",
        "--target",
        "all",
        "--edges",
        "normal,build,dev",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let packages: BTreeSet<&str> = text.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    let has = |name: &str| packages.iter().filter(|package| package.split(' ').next() == Some(name)).count();
    let mut findings: Vec<String> = NOT_IN_THE_TREE
        .iter()
        .filter(|name| has(name) > 0)
        .map(|name| format!("Cargo.lock: `{name}` is in the tree; there is one TLS provider, aws-lc-rs"))
        .collect();
    if has("rustls") > 1 {
        findings.push("Cargo.lock: more than one `rustls`".to_owned());
    }
    if has("openssl-sys") > 0 {
        findings.extend(openssl_users(root)?);
    }
    Ok(findings)
}

fn openssl_users(root: &Path) -> Result<Vec<String>> {
    let users = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--invert", "openssl-sys", "--depth", "1", "--prefix", "none"])
        .current_dir(root)
        .output()?;
    let users = String::from_utf8_lossy(&users.stdout).into_owned();
    let names = users.lines().skip(1).filter_map(|line| line.split(' ').next());
    let others = names.filter(|name| !name.is_empty() && *name != OPENSSL_USER);
    Ok(others.map(|name| format!("Cargo.lock: `{name}` uses openssl-sys; only {OPENSSL_USER} may")).collect())
}

fn tracked(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn files(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in tracked(root)? {
        let stem =
            Path::new(&file).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        if EMPTY_NAMES.contains(&stem.as_str()) {
            findings.push(format!("{file}: a name that says nothing; name the file after what is in it"));
        }
        let Ok(text) = std::fs::read_to_string(root.join(&file)) else { continue };
        // What is looked for, in pieces, so that this file is not found.
        let marks = [
            concat!("TO", "DO"),
            concat!("FIX", "ME"),
            concat!("/wo", "rk/"),
            concat!("/ro", "ot/"),
            concat!("/ho", "me/"),
        ];
        for (number, line) in text.lines().enumerate() {
            for mark in
                marks.iter().filter(|mark| line.contains(**mark) && !line.contains(&format!("{mark}(")))
            {
                findings.push(format!(
                    "{file}:{}: `{mark}`; no task without an owner, no path of a machine",
                    number + 1
                ));
            }
        }
    }
    Ok(findings)
}

/// Every room stands in ARCHITECTURE.md's map, and those that users meet have a README.
fn map(root: &Path, house: &House) -> Vec<String> {
    let text = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap_or_default();
    let mut findings = Vec::new();
    for room in house.0.values().filter(|room| !room.folder.is_empty()) {
        // Adapters share a line: one more is one folder more.
        let is_adapter = room.is_under("eventsources") && room.floor() == Some(3);
        let line = if is_adapter { "`eventsources/*/`".to_owned() } else { format!("`{}/`", room.folder) };
        if !text.contains(&line) {
            findings.push(format!("ARCHITECTURE.md: `{}/` is not in the map", room.folder));
        }
        let met = room.floor() == Some(3) || room.is_under("languages");
        if met && !root.join(&room.folder).join("README.md").is_file() {
            findings.push(format!("{}: users meet this room, it needs a README.md", room.manifest()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::Room;

    fn house(rooms: &[(&str, &str, &[&str])]) -> House {
        let room = |(name, folder, uses): &(&str, &str, &[&str])| Room {
            name: (*name).to_owned(),
            folder: (*folder).to_owned(),
            uses: uses.iter().map(|name| (*name).to_owned()).collect(),
        };
        House(rooms.iter().map(room).map(|room| (room.name.clone(), room)).collect())
    }

    #[test]
    fn a_crate_that_uses_a_higher_floor_is_found() {
        let house = house(&[("api", "api", &["runtime"]), ("runtime", "runtime", &[])]);
        assert_eq!(
            floors(&house),
            ["api/Cargo.toml: `api` on floor 0 uses `runtime` on floor 1; a crate uses lower floors only"]
        );
    }

    #[test]
    fn a_lower_room_that_reaches_a_runtime_through_another_is_found() {
        let house = house(&[("api", "api", &["words"]), ("words", "languages/words", &["tokio"])]);
        let found = invariants(&house);
        assert!(
            found.iter().any(|finding| finding.starts_with("api/Cargo.toml") && finding.contains("`tokio`")),
            "{found:?}"
        );
    }

    #[test]
    fn event_sources_and_sensors_that_know_each_other_are_found() {
        let house = house(&[("hook", "eventsources/hook", &["engine"]), ("engine", "sensors/engine", &[])]);
        assert_eq!(invariants(&house).len(), 1);
    }

    #[test]
    fn a_workspace_whose_floor_is_broken_fails_the_command() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let package = |name: &str, uses: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{uses}\n[lints]\nworkspace = true\n"
            )
        };
        write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"api\", \"runtime\"]\n[workspace.lints]\n[workspace.dependencies]\n",
        );
        write("api/Cargo.toml", &package("api", "runtime = { path = \"../runtime\" }"));
        write("api/src/lib.rs", "");
        write("runtime/Cargo.toml", &package("runtime", ""));
        write("runtime/src/lib.rs", "");
        write("ARCHITECTURE.md", "`api/` `runtime/`");
        let error = run(folder.path()).unwrap_err().to_string();
        assert_eq!(error, "tidy: 1 findings");
        write("api/Cargo.toml", &package("api", ""));
        run(folder.path()).unwrap();
    }
}
