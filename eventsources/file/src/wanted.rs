//! Which changes are events, and what their data is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use eventsource_core::{Draft, Error};
use regex::bytes::Regex;
use serde::Serialize;

use crate::config::Config;
use crate::snapshot::Stat;

/// What happened to a file, with the number that stands in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Create = 1,
    Write = 2,
    Remove = 4,
    Rename = 8,
    Chmod = 16,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) operation: Operation,
    /// The file; empty for the directory itself.
    pub(crate) name: OsString,
    /// How the file was when the change was heard.
    pub(crate) stat: Option<Stat>,
}

/// A compiled configuration.
pub(crate) struct Wanted {
    pub(crate) directory: PathBuf,
    operations: Vec<Operation>,
    files: Files,
    /// Events name the whole path; polling knows base names only.
    whole_path: bool,
    metadata: Option<BTreeMap<String, String>>,
}

enum Files {
    Named(String),
    /// `with_slash`: the directory was written without its last slash, and the reference leaves that to the name.
    Like {
        pattern: Regex,
        with_slash: bool,
    },
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'d> {
    name: String,
    op: u8,
    /// `null` where there is none.
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl Operation {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "CREATE" => Self::Create,
            "WRITE" => Self::Write,
            "REMOVE" => Self::Remove,
            "RENAME" => Self::Rename,
            "CHMOD" => Self::Chmod,
            _ => return None,
        })
    }
}

impl Change {
    pub(crate) fn new(operation: Operation, name: impl Into<OsString>) -> Self {
        Self { operation, name: name.into(), stat: None }
    }
}

impl Wanted {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let watched = &config.watch_path_config;
        let trimmed = watched.directory.trim_end_matches('/');
        let files = if watched.path.is_empty() {
            let pattern = zetes_re2::compile(&watched.path_regexp).map_err(Error::permanent)?;
            Files::Like { pattern, with_slash: !config.polling && trimmed.len() == watched.directory.len() }
        } else {
            Files::Named(watched.path.clone())
        };
        Ok(Self {
            directory: if trimmed.is_empty() { "/".into() } else { trimmed.into() },
            operations: config.event_type.split('|').filter_map(Operation::of).collect(),
            files,
            whole_path: !config.polling,
            metadata: config.metadata.clone(),
        })
    }

    /// The event that a change is, if it is one.
    pub(crate) fn draft(&self, change: &Change) -> Option<Result<Draft, Error>> {
        self.data(change).map(|data| Draft::json(None, &data))
    }

    fn data(&self, change: &Change) -> Option<Data<'_>> {
        let is_directory = change.name.is_empty();
        let relative = match (is_directory, self.whole_path) {
            (true, false) => self.directory.file_name()?.to_string_lossy(),
            _ => change.name.to_string_lossy(),
        };
        if !self.operations.contains(&change.operation) || !self.files.have(&relative) {
            return None;
        }
        let name = match (self.whole_path, is_directory) {
            (false, _) => relative.into_owned(),
            (true, true) => self.directory.to_string_lossy().into_owned(),
            (true, false) => self.directory.join(&change.name).to_string_lossy().into_owned(),
        };
        Some(Data { name, op: change.operation as u8, metadata: self.metadata.as_ref() })
    }

    pub(crate) fn gone(&self) -> Error {
        Error::upstream(format!(
            "directory `{}` has vanished or was replaced; what is in it when it is there again counts as new",
            self.directory.display()
        ))
    }

    pub(crate) fn overflow(&self) -> String {
        format!(
            "files in `{}` changed faster than the system could tell, so the directory was looked through: several changes of one file \
             may have become one event; raise fs.inotify.max_queued_events",
            self.directory.display()
        )
    }
}

impl Files {
    fn have(&self, name: &str) -> bool {
        match self {
            Self::Named(named) => name == named,
            Self::Like { pattern, with_slash } => {
                let with_slash = *with_slash && !name.is_empty();
                pattern.is_match(name.as_bytes())
                    || (with_slash && pattern.is_match(format!("/{name}").as_bytes()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
