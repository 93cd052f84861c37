//! The workspace as tidy sees it: crates with their floors, and who uses whom.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// One crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) name: String,
    /// Relative to the root, `/` between its parts; empty is the root itself.
    pub(crate) folder: String,
    /// Names of what it needs to be built; what only its tests need is left out.
    pub(crate) uses: Vec<String>,
}

/// All crates by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct House(pub(crate) BTreeMap<String, Room>);

impl Room {
    /// Which floor the folder is on; `None` when the plan has no place for it.
    pub(crate) fn floor(&self) -> Option<u8> {
        let parts: Vec<&str> = self.folder.split('/').collect();
        match parts.as_slice() {
            ["api"] | ["languages", _] | ["tests", "services" | "vectors"] => Some(0),
            ["runtime"] | ["bus", "core"] | ["sensors", "engine"] => Some(1),
            ["eventsources" | "sensors", "core"] | ["connections", _] => Some(2),
            ["bus" | "eventsources", _] | ["sensors", "triggers", _] | ["controller" | "console"] => Some(3),
            ["" | "xtask"] | ["tests", "fuzz"] => Some(4),
            _ => None,
        }
    }

    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.folder.split('/').next() == Some(folder)
    }

    /// For messages.
    pub(crate) fn manifest(&self) -> String {
        if self.folder.is_empty() { "Cargo.toml".to_owned() } else { format!("{}/Cargo.toml", self.folder) }
    }
}

impl House {
    pub(crate) fn read(root: &Path, metadata: &Value) -> Self {
        let packages = metadata.get("packages").and_then(Value::as_array).cloned().unwrap_or_default();
        Self(
            packages
                .iter()
                .filter_map(|package| room(root, package))
                .map(|room| (room.name.clone(), room))
                .collect(),
        )
    }

    /// Rooms of ours that this one uses, and those that they use, and so on.
    pub(crate) fn all_used<'h>(&'h self, room: &'h Room) -> Vec<&'h Room> {
        let mut found: Vec<&Room> = Vec::new();
        let mut open = vec![room];
        while let Some(next) = open.pop() {
            for used in next.uses.iter().filter_map(|name| self.0.get(name)) {
                if !found.contains(&used) {
                    found.push(used);
                    open.push(used);
                }
            }
        }
        found
    }
}

fn room(root: &Path, package: &Value) -> Option<Room> {
    let manifest = PathBuf::from(package.get("manifest_path")?.as_str()?);
    let root = root.canonicalize().ok()?;
    let folder = manifest
        .parent()?
        .canonicalize()
        .ok()?
        .strip_prefix(&root)
        .ok()?
        .to_string_lossy()
        .replace('\\', "/");
    let uses = package
        .get("dependencies")?
        .as_array()?
        .iter()
        .filter(|one| one.get("kind").is_none_or(Value::is_null));
    let uses = uses.filter_map(|one| Some(one.get("name")?.as_str()?.to_owned())).collect();
    Some(Room { name: package.get("name")?.as_str()?.to_owned(), folder, uses })
}
