//! Syncs what was written at an interval, for [`Sync::Interval`](crate::Sync::Interval).

use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Syncer {
    owed: Mutex<Owed>,
    /// Held while files are synced, so that who finds none owed knows that they are durable.
    syncing: Mutex<()>,
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct Owed {
    files: Vec<Arc<File>>,
    failure: Option<String>,
    stop: bool,
}

impl Syncer {
    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This file was written to.
    pub(crate) fn owe(&self, file: &Arc<File>) {
        let mut owed = self.lock();
        if !owed.files.last().is_some_and(|last| Arc::ptr_eq(last, file)) {
            owed.files.push(file.clone());
        }
    }

    /// Why the last sync failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Makes durable what was written until now; nothing to do where every group is. Blocks.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let _syncing = self.syncing.lock().unwrap_or_else(PoisonError::into_inner);
        let files = std::mem::take(&mut self.lock().files);
        if files.is_empty() {
            return Ok(());
        }
        let synced = files.iter().try_for_each(|file| file.sync_data());
        let mut owed = self.lock();
        owed.failure = synced.as_ref().err().map(ToString::to_string);
        if synced.is_err() {
            owed.files.splice(0..0, files);
        }
        synced
    }

    /// The thread's whole life.
    pub(crate) fn run(&self, interval: Duration) {
        loop {
            let wait = self.stopped.wait_timeout_while(self.lock(), interval, |owed| !owed.stop);
            let stop = wait.unwrap_or_else(PoisonError::into_inner).0.stop;
            if let Err(error) = self.sync() {
                tracing::error!(%error, "the bus can't be synced to the disk; a crash of the machine may lose events");
            }
            if stop {
                return;
            }
        }
    }

    pub(crate) fn stop(&self) {
        self.lock().stop = true;
        self.stopped.notify_all();
    }
}
