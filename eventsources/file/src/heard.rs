//! What the system tells of a directory: inotify, in the five words of fsnotify.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context as Task, Poll};

use eventsource_core::Error;
use notify::event::{ModifyKind, RenameMode};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use crate::snapshot::Stat;
use crate::wanted::{Change, Operation};

/// Changes that wait for us. More wait in the system, and when that has no room left it says so.
const QUEUE: usize = 4096;
/// Too many open files, of this process and of the system.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// One thing that was told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard {
    Change(Change),
    /// Some changes were dropped by the system.
    Overflow,
    /// The directory was removed, or has another name.
    Gone,
    Failed(String),
}

/// A watch on a directory. It ends with the value.
pub(crate) struct Ears {
    heard: mpsc::Receiver<Heard>,
    _watcher: RecommendedWatcher,
}

impl Ears {
    pub(crate) async fn open(directory: &Path) -> Result<Self, Error> {
        let (sender, heard) = mpsc::channel(QUEUE);
        let (owned, place) = (PathBuf::from(directory), directory.display());
        let opening = spawn_blocking(move || {
            let in_handler = owned.clone();
            // On a thread of the watcher's own. It waits while the queue is full, and goes on when nobody listens any more.
            let handler = move |told: notify::Result<Event>| {
                for heard in understood(told, &in_handler) {
                    drop(sender.blocking_send(heard));
                }
            };
            let mut watcher = RecommendedWatcher::new(handler, Config::default())?;
            watcher.watch(&owned, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = opening.await.map_err(Error::upstream)?;
        let watcher = watcher.map_err(|error| {
            Error::upstream(format!("directory `{place}` can't be watched: {}", reason(&error)))
        })?;
        Ok(Self { heard, _watcher: watcher })
    }

    /// `None`: nothing will be told any more. Cancel safe.
    pub(crate) fn poll(&mut self, task: &mut Task<'_>) -> Poll<Option<Heard>> {
        self.heard.poll_recv(task)
    }

    pub(crate) fn are_deaf(&self) -> bool {
        self.heard.is_closed()
    }
}

pub(crate) fn understood(told: notify::Result<Event>, directory: &Path) -> Vec<Heard> {
    let event = match told {
        Ok(event) if event.need_rescan() => return vec![Heard::Overflow],
        Ok(event) => event,
        Err(error) => {
            return vec![Heard::Failed(format!(
                "the watch on `{}` failed: {}",
                directory.display(),
                reason(&error)
            ))];
        }
    };
    let (Some(operation), Some(path)) = (operation(event.kind), event.paths.first()) else {
        return Vec::new();
    };
    let itself = path == directory;
    let name = if itself { OsString::new() } else { path.file_name().unwrap_or_default().to_owned() };
    let stat = match operation {
        Operation::Create | Operation::Write | Operation::Chmod => Stat::of(path),
        Operation::Remove | Operation::Rename => None,
    };
    let is_gone = itself && matches!(operation, Operation::Remove | Operation::Rename);
    let mut heard = vec![Heard::Change(Change { operation, name, stat })];
    heard.extend(is_gone.then_some(Heard::Gone));
    heard
}

/// A rename is the leaving of one name, and the coming of another. That files are opened and closed is not told.
fn operation(kind: EventKind) -> Option<Operation> {
    Some(match kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Operation::Create,
        EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Operation::Rename,
        EventKind::Modify(ModifyKind::Data(_)) => Operation::Write,
        EventKind::Modify(ModifyKind::Metadata(_)) => Operation::Chmod,
        EventKind::Remove(_) => Operation::Remove,
        _ => return None,
    })
}

fn reason(error: &notify::Error) -> String {
    match &error.kind {
        ErrorKind::MaxFilesWatch => {
            "the system has no watch left; raise fs.inotify.max_user_watches, or set polling".to_owned()
        }
        ErrorKind::PathNotFound => "it does not exist".to_owned(),
        ErrorKind::Io(error) if error.raw_os_error().is_some_and(|code| [EMFILE, ENFILE].contains(&code)) => {
            "the system has no watcher left; raise fs.inotify.max_user_instances, or set polling".to_owned()
        }
        ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            "it may not be read; let the user of this process read it".to_owned()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
