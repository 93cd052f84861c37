//! What is in a directory at a moment, and what is otherwise at another.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use eventsource_core::Error;
use tokio::task::spawn_blocking;

use crate::wanted::{Change, Operation};

/// A file, whatever it is called. A number is given anew when its file is gone; the time of birth is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    /// Where the file system knows it.
    born: Option<SystemTime>,
}

/// How a file is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stat {
    pub(crate) identity: Identity,
    mode: u32,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    length: u64,
    is_file: bool,
}

/// Files by their names; the directory itself has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot(BTreeMap<OsString, Stat>);

/// What is otherwise in a later snapshot.
#[derive(Default)]
struct Differences<'s> {
    written: Vec<&'s OsString>,
    chmodded: Vec<&'s OsString>,
    /// From and to.
    renamed: Vec<(&'s OsString, &'s OsString)>,
    created: Vec<(&'s OsString, &'s Stat)>,
    removed: Vec<&'s OsString>,
}

impl Identity {
    /// `None`: there is none, or it is no directory.
    pub(crate) async fn of_directory(directory: &Path) -> Option<Self> {
        let metadata = tokio::fs::metadata(directory).await.ok()?;
        metadata.is_dir().then(|| Self::of(&metadata))
    }

    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), born: metadata.created().ok() }
    }
}

impl Stat {
    /// `None`: it is gone already.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        Some(Self::new(&path.symlink_metadata().ok()?))
    }

    fn new(metadata: &Metadata) -> Self {
        Self {
            identity: Identity::of(metadata),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            length: metadata.len(),
            is_file: metadata.is_file(),
        }
    }
}

impl Snapshot {
    pub(crate) async fn of(directory: &Path) -> Result<Self, Error> {
        Self::try_of(directory).await?.ok_or_else(|| {
            Error::upstream(format!(
                "directory `{}` does not exist; make it, or correct watchPathConfig.directory",
                directory.display()
            ))
        })
    }

    /// `None`: there is no such directory.
    pub(crate) async fn try_of(directory: &Path) -> Result<Option<Self>, Error> {
        let owned = PathBuf::from(directory);
        let looked = spawn_blocking(move || look(&owned)).await.map_err(Error::upstream)?;
        match looked {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(None)
            }
            Err(error) => Err(unreadable(directory, &error)),
        }
    }

    pub(crate) fn directory(&self) -> Option<Identity> {
        self.0.get(OsStr::new("")).map(|stat| stat.identity)
    }

    pub(crate) fn forget_files(&mut self) {
        self.0.retain(|name, _| name.is_empty());
    }

    /// Remembers a change that was heard. `None`: it was told already, by a look at the directory.
    pub(crate) fn take(&mut self, change: Change) -> Option<Change> {
        match change.operation {
            Operation::Remove | Operation::Rename => {
                self.0.remove(&change.name);
            }
            Operation::Create | Operation::Write | Operation::Chmod => {
                let Some(stat) = change.stat else { return Some(change) };
                let before = self.0.insert(change.name.clone(), stat);
                let is_known = before.is_some_and(|before| before.identity == stat.identity);
                if change.operation == Operation::Create && is_known {
                    return None;
                }
            }
        }
        Some(change)
    }

    /// As polling tells it: a renamed file is one change, with its old name.
    pub(crate) fn polled(&self, now: &Self) -> Vec<Change> {
        let found = self.differences(now);
        let mut changes = found.of_files_that_stay();
        changes.extend(found.renamed.iter().map(|(from, _)| Change::new(Operation::Rename, *from)));
        changes.extend(found.created.iter().map(|(name, _)| Change::new(Operation::Create, *name)));
        changes.extend(found.removed.iter().map(|name| Change::new(Operation::Remove, *name)));
        changes
    }

    /// As the system tells it: a renamed file has left and another has come; a new file with something in it was written.
    pub(crate) fn missed(&self, now: &Self) -> Vec<Change> {
        let found = self.differences(now);
        let mut changes: Vec<_> = found.of_files_that_stay();
        // That files come and go is no change of the directory there.
        changes.retain(|change| !change.name.is_empty() || change.operation != Operation::Write);
        for (from, to) in &found.renamed {
            changes.push(Change::new(Operation::Rename, *from));
            changes.push(Change::new(Operation::Create, *to));
        }
        for (name, stat) in &found.created {
            changes.push(Change::new(Operation::Create, *name));
            if stat.is_file && stat.length > 0 {
                changes.push(Change::new(Operation::Write, *name));
            }
        }
        changes.extend(found.removed.iter().map(|name| Change::new(Operation::Remove, *name)));
        changes
    }

    /// The directory has vanished with everything in it.
    pub(crate) fn all_removed(&self) -> Vec<Change> {
        let files = self.0.keys().filter(|name| !name.is_empty());
        files.map(|name| Change::new(Operation::Remove, name)).collect()
    }

    fn differences<'s>(&'s self, now: &'s Self) -> Differences<'s> {
        let mut found = Differences::default();
        for (name, stat) in &now.0 {
            match self.0.get(name) {
                None => found.created.push((name, stat)),
                Some(before) => {
                    if (before.modified, before.length) != (stat.modified, stat.length) {
                        found.written.push(name);
                    }
                    if before.mode != stat.mode {
                        found.chmodded.push(name);
                    }
                }
            }
        }
        for (name, stat) in self.0.iter().filter(|(name, _)| !now.0.contains_key(*name)) {
            match found.created.iter().position(|(_, created)| created.identity == stat.identity) {
                Some(position) => found.renamed.push((name, found.created.remove(position).0)),
                None => found.removed.push(name),
            }
        }
        found
    }
}

impl Differences<'_> {
    fn of_files_that_stay(&self) -> Vec<Change> {
        let written = self.written.iter().map(|name| Change::new(Operation::Write, *name));
        written.chain(self.chmodded.iter().map(|name| Change::new(Operation::Chmod, *name))).collect()
    }
}

/// Blocks as long as the file system does.
fn look(directory: &Path) -> io::Result<Snapshot> {
    let itself = Stat::new(&directory.metadata()?);
    let mut files = BTreeMap::from([(OsString::new(), itself)]);
    for entry in directory.read_dir()? {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) => {
                files.insert(entry.file_name(), Stat::new(&metadata));
            }
            // Gone since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Snapshot(files))
}

fn unreadable(directory: &Path, error: &io::Error) -> Error {
    let place = directory.display();
    Error::upstream(match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("directory `{place}` may not be read; let the user of this process read and enter it")
        }
        _ => format!("directory `{place}` can't be read: {error}"),
    })
}

#[cfg(test)]
mod tests;
