//! What is done in the background: summaries, checkpoints, runs of identities, and retention. Nobody who publishes waits for it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::checkpoint;
use crate::disk::is_full;
use crate::identities::Older;
use crate::options::Options;
use crate::segment::{Segment, Step, zero_filled};
use crate::spare::Spare;
use crate::summary;
use crate::syncer::Syncer;
use crate::tables::Tables;

/// How often age is looked at when nothing happens.
const LOOK: Duration = Duration::from_millis(500);
/// Bytes that are kept for a checkpoint when the disk is full: without one no old segment can go.
const RESERVE: u64 = 1 << 20;

/// What the keeper is asked for.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    todo: Mutex<Todo>,
    came: Condvar,
}

#[derive(Debug, Default)]
struct Todo {
    closed: Vec<Arc<Segment>>,
    checkpoint: bool,
    identities: bool,
    stop: bool,
}

impl Chores {
    fn lock(&self) -> MutexGuard<'_, Todo> {
        self.todo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, change: impl FnOnce(&mut Todo)) {
        change(&mut self.lock());
        self.came.notify_one();
    }

    /// A segment is full and durable.
    pub(crate) fn closed(&self, segment: Option<Arc<Segment>>) {
        self.ask(|todo| {
            todo.closed.extend(segment);
            todo.checkpoint = true;
        });
    }

    /// Identities wait to become a run.
    pub(crate) fn identities(&self) {
        self.ask(|todo| todo.identities = true);
    }

    pub(crate) fn stop(&self) {
        self.ask(|todo| todo.stop = true);
    }

    /// What came meanwhile; `None`: stop.
    fn take(&self) -> Option<Todo> {
        let idle = |todo: &mut Todo| !(todo.stop || todo.checkpoint || todo.identities);
        let wait = self.came.wait_timeout_while(self.lock(), LOOK, idle);
        let mut todo = wait.unwrap_or_else(PoisonError::into_inner).0;
        if todo.stop { None } else { Some(std::mem::take(&mut todo)) }
    }
}

pub(crate) struct Keeper {
    pub(crate) chores: Arc<Chores>,
    pub(crate) tables: Arc<Mutex<Tables>>,
    pub(crate) older: Arc<Older>,
    pub(crate) spare: Arc<Spare>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) options: Options,
    pub(crate) folder: PathBuf,
    /// Closed segments that have no summary yet.
    pub(crate) unsummarized: Vec<Arc<Segment>>,
    /// The segment that the last checkpoint stands in.
    pub(crate) checkpointed: u64,
    /// A checkpoint could not be written yet.
    pub(crate) owes_checkpoint: bool,
    /// What was told last, so that it is told once.
    pub(crate) told: Option<String>,
}

impl Keeper {
    /// The thread's whole life.
    pub(crate) fn run(mut self) {
        self.keep_reserve();
        while let Some(todo) = self.chores.take() {
            self.unsummarized.extend(todo.closed);
            self.owes_checkpoint |= todo.checkpoint;
            let done = self.work(todo.identities);
            match done {
                Ok(()) => self.told = None,
                Err(error) => self.tell(&error),
            }
        }
    }

    fn tell(&mut self, error: &io::Error) {
        let text = error.to_string();
        if self.told.as_ref() != Some(&text) {
            tracing::warn!(
                folder = %self.folder.display(), %error,
                "the bus can't write its checkpoint and index; it goes on, and tries again"
            );
            self.told = Some(text);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&mut self, identities: bool) -> io::Result<()> {
        let now = self.options.clock.now();
        let summarized = self.summarize();
        if self.owes_checkpoint {
            self.checkpoint()?;
        }
        self.retain(now)?;
        self.older.forget(now)?;
        if identities || self.older.owes() {
            // Where a sync is owed: a run must not know an event that the log may lose.
            self.syncer.sync()?;
            self.older.write()?;
        }
        summarized
    }

    /// Writes the summaries that are owed. A start does without one, so a disk that has no room for it holds up nothing else.
    fn summarize(&mut self) -> io::Result<()> {
        while let Some(segment) = self.unsummarized.first() {
            match fs::File::open(&segment.path) {
                Ok(file) => {
                    file.sync_data()?;
                    summary::write(segment)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.unsummarized.remove(0);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> io::Result<()> {
        let spare = self.spare.clone();
        let _disk = spare.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let sync = || self.syncer.sync();
        let mut written = checkpoint::write(&self.folder, &self.tables, &sync);
        if written.as_ref().is_err_and(is_full) && fs::remove_file(self.reserve()).is_ok() {
            written = checkpoint::write(&self.folder, &self.tables, &sync);
        }
        if let Some(segment) = written? {
            self.checkpointed = segment;
        }
        self.owes_checkpoint = false;
        Ok(())
    }

    fn reserve(&self) -> PathBuf {
        self.folder.join("reserve")
    }

    fn keep_reserve(&self) {
        let reserve = self.reserve();
        if !reserve.exists() && zero_filled(&reserve, RESERVE, &|_| Step::On).is_err() {
            drop(fs::remove_file(&reserve));
        }
    }

    /// Removes what nobody needs, oldest first. A checkpoint comes before, since recovery needs the removed frames otherwise.
    fn retain(&mut self, now: Timestamp) -> io::Result<()> {
        let mut freed = false;
        // What is kept for people only makes way when the disk is full, a segment at a time.
        let has_no_room = self.spare.no_room().is_some();
        while let Some(number) = self.next_to_remove(now, has_no_room && !freed) {
            if number >= self.checkpointed {
                self.checkpoint()?;
            }
            // Where nothing was written since version 1's directory was opened, there is no place for a checkpoint yet.
            if number >= self.checkpointed {
                break;
            }
            let Some(segment) = self.take_oldest(number) else { break };
            if has_no_room {
                tracing::warn!(
                    folder = %self.folder.display(), events = segment.events,
                    "the disk is full: events that every trigger has read are removed before their time"
                );
            }
            fs::remove_file(&segment.path)?;
            match fs::remove_file(summary::path_of(&segment.path)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => freed = true,
            }
        }
        if freed {
            self.spare.try_again();
            self.keep_reserve();
        }
        Ok(())
    }

    /// The number of the oldest segment, if it is to go.
    fn next_to_remove(&self, now: Timestamp, has_no_room: bool) -> Option<u64> {
        let retention = &self.options.retention;
        let tables = self.lock();
        let (oldest, next) = (tables.log.closed.first()?, tables.log.second_sequence()?);
        let age = retention.max_age.and_then(|age| SignedDuration::try_from(age).ok());
        let too_old = age.is_some_and(|age| oldest.last_at.is_none_or(|at| now.duration_since(at) > age));
        let events = tables.log.events();
        let too_many = retention.max_events.is_some_and(|max| events.saturating_sub(oldest.events) >= max);
        let too_large = retention.max_bytes.is_some_and(|max| tables.log.bytes() > max);
        let unread = tables.floor().is_some_and(|(floor, _)| floor < next);
        let is_due = too_old || too_many || too_large;
        let goes = if unread { is_due && retention.discard_old } else { is_due || has_no_room };
        goes.then_some(oldest.number)
    }

    fn take_oldest(&self, number: u64) -> Option<Arc<Segment>> {
        let mut tables = self.lock();
        let (oldest, next) = (tables.log.closed.first()?.clone(), tables.log.second_sequence()?);
        if oldest.number != number {
            return None;
        }
        if tables.floor().is_some_and(|(floor, _)| floor < next) {
            if !self.options.retention.discard_old {
                return None;
            }
            tables.evicted_unread += oldest.events;
        }
        let segment = tables.log.drop_oldest()?;
        tables.forget_below(next);
        Some(segment)
    }
}
