//! The next segment, written full of zeros ahead of time by a thread of its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::BusError;

use crate::disk::{failed, is_full};
use crate::segment::{Step, zero_filled};

/// How long to wait before it is tried again: at first, and at most. An attempt fills the disk for a moment, which others notice.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_AT_MOST: Duration = Duration::from_secs(8);
/// Who waits gets a segment that has at least this part of the usual size.
const SHORTEST: u64 = 16;

/// How far the next segment is.
#[derive(Clone, Debug)]
enum State {
    Wanted,
    Ready,
    Failed { error: BusError, no_room: bool },
    Stopped,
}

#[derive(Debug)]
pub(crate) struct Spare {
    state: Mutex<State>,
    changed: Condvar,
    path: PathBuf,
    size: u64,
    /// Bytes that somebody waits for; 0: nobody does.
    waited_for: AtomicU64,
    /// Held while something large is written in the background, so that an attempt that fills the disk does not take another's room.
    pub(crate) disk: Mutex<()>,
}

impl Spare {
    pub(crate) fn new(log: &Path, size: u64) -> Self {
        let path = log.join("spare");
        Self {
            state: Mutex::new(State::Wanted),
            changed: Condvar::new(),
            path,
            size,
            waited_for: AtomicU64::new(0),
            disk: Mutex::new(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: State) {
        let mut now = self.lock();
        if !matches!(*now, State::Stopped) {
            *now = state;
        }
        drop(now);
        self.changed.notify_all();
    }

    /// Prepares what is wanted until it is to stop; the thread's whole life.
    pub(crate) fn run(&self) {
        let mut again = AGAIN;
        loop {
            let state = self.lock();
            let wait = self.changed.wait_timeout_while(state, again, |state| {
                matches!(state, State::Ready | State::Failed { .. })
            });
            let (state, waited) = wait.unwrap_or_else(PoisonError::into_inner);
            match &*state {
                State::Stopped => return,
                State::Ready => continue,
                State::Failed { .. } if !waited.timed_out() => continue,
                State::Failed { .. } | State::Wanted => {}
            }
            drop(state);
            match self.prepare(self.size) {
                Ok(()) => {
                    again = AGAIN;
                    self.set(State::Ready);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    again = (again * 2).min(AGAIN_AT_MOST);
                    self.set(State::Failed { no_room: is_full(&error), error: failed(&self.path, &error) });
                }
            }
        }
    }

    fn prepare(&self, size: u64) -> io::Result<()> {
        let _disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let step = |written| match &*self.lock() {
            State::Stopped => Step::Stop,
            _ if self.is_enough(written) => Step::Enough,
            _ => Step::On,
        };
        let written = zero_filled(&self.path, size, &step);
        if written.is_err() {
            // What it could write takes room that is needed elsewhere.
            drop(fs::remove_file(&self.path));
        }
        written
    }

    /// Somebody waits for it, and what is written will do: a short segment now instead of a long wait.
    fn is_enough(&self, written: u64) -> bool {
        let needed = self.waited_for.load(Ordering::Relaxed);
        needed > 0 && written >= needed.max(self.size / SHORTEST)
    }

    /// Why there is none: the disk is full.
    pub(crate) fn no_room(&self) -> Option<BusError> {
        match &*self.lock() {
            State::Failed { error, no_room: true } => Some(error.clone()),
            _ => None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(*self.lock(), State::Ready)
    }

    /// Waits for it, and begins the next one when [`Spare::taken`] is told. One that must be larger is written now. Blocks.
    pub(crate) fn take(&self, needed: u64) -> Result<PathBuf, BusError> {
        self.waited_for.store(needed, Ordering::Relaxed);
        let state = self.lock();
        let wait = self.changed.wait_while(state, |state| matches!(state, State::Wanted));
        let state = wait.unwrap_or_else(PoisonError::into_inner);
        self.waited_for.store(0, Ordering::Relaxed);
        match &*state {
            State::Failed { error, .. } => return Err(error.clone()),
            State::Stopped => return Err(BusError::Closed),
            State::Ready | State::Wanted => {}
        }
        drop(state);
        let is_large_enough = fs::metadata(&self.path).is_ok_and(|spare| spare.len() >= needed);
        if !is_large_enough {
            self.prepare(needed.max(self.size / SHORTEST)).map_err(|error| {
                self.set(State::Wanted);
                failed(&self.path, &error)
            })?;
        }
        Ok(self.path.clone())
    }

    /// It has become a segment, or is to be tried again: prepare another one.
    pub(crate) fn taken(&self) {
        self.set(State::Wanted);
    }

    /// There may be room again.
    pub(crate) fn try_again(&self) {
        if matches!(*self.lock(), State::Failed { .. }) {
            self.set(State::Wanted);
        }
    }

    pub(crate) fn stop(&self) {
        self.set(State::Stopped);
    }
}
