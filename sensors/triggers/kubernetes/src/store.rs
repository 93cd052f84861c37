//! Objects as files: whole or not at all, and never over somebody else's.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use sensor_core::Error;
use serde_json::Value;

use crate::object::ROUND;

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    New,
    /// The same round has written it before.
    AlreadyThere,
}

/// Writes the text aside, makes it durable, and puts it in its place. Blocks.
pub(crate) fn write(path: &Path, text: &str, object: &Value) -> Result<Written, Error> {
    let failed = |error: std::io::Error| Error::Transient(format!("{}: {error}", path.display()));
    if let Ok(there) = fs::read_to_string(path) {
        return same_round(&there, object, path);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed)?;
    let aside = path.with_extension(format!("{}.tmp", round(object).unwrap_or_default()));
    let mut file = File::create(&aside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&aside, path).map_err(failed)?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Written::New)
}

fn same_round(there: &str, object: &Value, path: &Path) -> Result<Written, Error> {
    let known: Option<Value> = serde_saphyr::from_str(there).ok();
    if known.as_ref().and_then(round) == round(object) {
        return Ok(Written::AlreadyThere);
    }
    let message = format!(
        "{}: already exists, written for another round; use `generateName` to get a new name each time",
        path.display()
    );
    Err(Error::Permanent(message))
}

fn round(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(ROUND)?.as_str()
}
