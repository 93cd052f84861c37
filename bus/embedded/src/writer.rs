//! The one thread that writes: it takes what has come in, writes it, syncs once, and answers everybody.

use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bus_core::{BusError, HealthFailure};
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::checkpoint;
use crate::codec::{Head, put_frame};
use crate::disk::{failed, no_room};
use crate::identities::Identities;
use crate::keeper::Chores;
use crate::options::{Options, Sync};
use crate::plan::{self, Limits, Pending, Planned, PlannedChanges, Reply};
use crate::queue::{Answer, Ask, Queue, Request};
use crate::segment::{Active, START};
use crate::spare::Spare;
use crate::syncer::Syncer;
use crate::tables::Tables;
use crate::wire::long;

/// How often the writer looks whether it can publish again when nothing is asked of it.
const LOOK: Duration = Duration::from_millis(500);
/// The longest wait for a group to become as large as the one before.
const LINGER: Duration = Duration::from_micros(200);
/// A buffer larger than this is given back after its group.
const BUFFER: usize = 16 << 20;

pub(crate) struct Writer {
    pub(crate) tables: Arc<Mutex<Tables>>,
    pub(crate) identities: Identities,
    pub(crate) queue: Arc<Queue>,
    pub(crate) spare: Arc<Spare>,
    pub(crate) chores: Arc<Chores>,
    pub(crate) syncer: Arc<Syncer>,
    pub(crate) options: Options,
    pub(crate) folder: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) generation: u32,
    /// Told after every group, so that consumers look again.
    pub(crate) news: Arc<watch::Sender<u64>>,
    /// Threads that end with this one.
    pub(crate) threads: Vec<JoinHandle<()>>,
    pub(crate) buffer: Vec<u8>,
    /// How long a sync takes.
    pub(crate) pace: Duration,
    /// Events are refused since the disk is full.
    pub(crate) is_refusing: bool,
}

impl Writer {
    /// Runs until the queue is closed or somebody closes the bus.
    pub(crate) fn run(mut self) {
        let mut before = 1;
        let close = loop {
            // Who was in the last group has been answered and will be here again: worth a short wait, never for a single one.
            let linger = if before > 1 { (self.pace / 2).min(LINGER) } else { Duration::ZERO };
            let Some(group) = self.queue.take(before, linger, LOOK) else { break None };
            self.look();
            if group.is_empty() {
                continue;
            }
            before = group.len();
            if let Some(answer) = self.group(group) {
                break Some(answer);
            }
        };
        self.end(close);
    }

    fn end(mut self, close: Option<Answer<()>>) {
        self.queue.close();
        self.chores.stop();
        self.spare.stop();
        self.syncer.stop();
        self.identities.older().stop();
        for thread in std::mem::take(&mut self.threads) {
            if thread.join().is_err() {
                tracing::error!(
                    "a thread of the bus ended badly; what it had to do is done at the next start"
                );
            }
        }
        if let Some(answer) = close {
            drop(answer.send(self.finish()));
        }
        self.lock().closed = true;
        self.queue.abandon();
        self.news.send_modify(|news| *news += 1);
    }

    /// Makes the next start quick.
    fn finish(&mut self) -> Result<(), BusError> {
        let next_sequence = self.lock().next_sequence;
        self.identities.freeze(next_sequence);
        let written = self.identities.older().write();
        let written = written
            .and_then(|()| checkpoint::write(&self.folder, &self.tables, &|| self.syncer.sync()).map(|_| ()));
        match written {
            Err(error) if crate::disk::is_full(&error) => {
                tracing::warn!(%error, "no room for a checkpoint: the next start reads more of the log");
                let active = self.lock().log.active.clone();
                active
                    .map_or(Ok(()), |active| active.file.sync_data())
                    .map_err(|error| failed(&self.folder, &error))
            }
            other => other.map_err(|error| failed(&self.folder, &error)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is there room again?
    fn look(&mut self) {
        if self.is_refusing && self.spare.is_ready() {
            self.is_refusing = false;
            self.lock().failure = None;
        }
    }

    /// Carries out a group; gives the answer that a `Close` among it waits for.
    fn group(&mut self, group: Vec<Ask>) -> Option<Answer<()>> {
        let now = self.options.clock.now();
        self.identities.refresh();
        let (mut pending, limits, mut room) = self.begin(now);
        let mut close = None;
        let mut planned = Vec::with_capacity(group.len());
        for ask in &mut group.into_iter() {
            match ask.request {
                Request::Publish { events, entries, answer } => {
                    let bytes = long(entries.len());
                    let has_room =
                        room.as_ref().map_or(
                            Ok(()),
                            |(room, full)| {
                                if bytes <= *room { Ok(()) } else { Err(full.clone()) }
                            },
                        );
                    let identities = &self.identities;
                    let done = has_room
                        .and_then(|()| plan::publish(events, entries, identities, &limits, &mut pending));
                    match done {
                        Ok((receipts, events)) => {
                            if let Some((room, _)) = &mut room {
                                *room -= bytes;
                            }
                            planned.push(events.with(Reply::Published(receipts, answer)));
                        }
                        Err(error) => {
                            self.refused(&error, room.is_some(), now);
                            drop(answer.send(Err(error)));
                        }
                    }
                }
                Request::Commit { changes, answer } => {
                    let done = plan::commit(changes, &self.lock(), &mut pending);
                    match done {
                        Ok(changes) => planned.push(changes.with(answer)),
                        Err(error) => drop(answer.send(Err(error))),
                    }
                }
                Request::Write { effect, answer } => {
                    planned.push(PlannedChanges::of(effect, &pending).with(answer));
                }
                Request::Close { answer } => close = Some(answer),
            }
        }
        self.write(planned, now);
        close
    }

    /// What a group begins with. While the disk is full, publishing leaves a quarter of the segment to everything else.
    fn begin(&self, now: Timestamp) -> (Pending, Limits, Option<(u64, BusError)>) {
        let no_room = self.spare.no_room().map(|_| BusError::Full(no_room(&self.folder)));
        let tables = self.lock();
        let pending = Pending::new(&tables, now);
        let limits = Limits::of(&tables, &self.options.retention);
        let room = no_room.map(|full| {
            let left = tables.log.active.as_ref().map_or(0, |active| {
                let segment = &active.segment;
                segment.size.saturating_sub(segment.end).saturating_sub(segment.size / 4)
            });
            (left, full)
        });
        (pending, limits, room)
    }

    /// A publish was refused since there is no room on the disk.
    fn refused(&mut self, error: &BusError, no_room: bool, now: Timestamp) {
        if no_room && let BusError::Full(error) = error {
            self.is_refusing = true;
            self.fails(error.clone(), now);
        }
    }

    fn fails(&self, error: String, now: Timestamp) {
        let mut tables = self.lock();
        let since = tables.failure.as_ref().map_or(now, |failure| failure.since);
        if tables.failure.is_none() {
            tracing::warn!(error, "the bus can't take events");
        }
        tables.failure = Some(HealthFailure { error, since });
    }

    fn write(&mut self, mut planned: Vec<Planned>, now: Timestamp) {
        let mut written = self.write_frames(&planned, now);
        if let Err(full @ BusError::Full(_)) = &written
            && planned.iter().any(Planned::is_publish)
        {
            // What is smaller may still fit: acknowledgements and state.
            let (publishes, rest): (Vec<_>, Vec<_>) = planned.into_iter().partition(Planned::is_publish);
            self.refused(full, true, now);
            for publish in publishes {
                publish.reply.send(Err(full.clone()));
            }
            planned = renumbered(rest, self.lock().next_sequence);
            written = self.write_frames(&planned, now);
        }
        match written {
            Ok(notes) => self.written(planned, notes),
            Err(error) => {
                // Whatever reached the disk belongs to an older generation now and is no frame any more.
                self.generation += 1;
                self.fails(error.to_string(), now);
                for request in planned {
                    request.reply.send(Err(error.clone()));
                }
            }
        }
        if self.buffer.capacity() > BUFFER {
            self.buffer = Vec::new();
        }
    }

    /// Shows a group that is durable to everybody. Its frames and what they say are noted under one lock: a checkpoint that is taken between
    /// the two would stand behind frames whose changes it does not have.
    fn written(&mut self, planned: Vec<Planned>, notes: Notes) {
        let mut replies = Vec::with_capacity(planned.len());
        let published = planned.iter().any(|request| !request.events.is_empty());
        let next_sequence = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(active) = &mut tables.log.active {
                for (head, offset, next_sequence, events) in notes.frames {
                    active.segment.note(&head, offset, notes.end, next_sequence, events);
                }
            }
            for request in planned {
                tables.next_sequence = tables.next_sequence.max(request.first_sequence + request.sequences);
                for (stored, identity) in request.events {
                    self.identities.insert(identity, stored.sequence, stored.at);
                    tables.cache(stored);
                }
                request.effects.into_iter().for_each(|effect| tables.apply(effect));
                replies.push(request.reply);
            }
            if published {
                tables.failure = None;
            }
            tables.next_sequence
        };
        self.news.send_modify(|news| *news += 1);
        for reply in replies {
            reply.send(Ok(()));
        }
        if self.identities.is_large() && self.identities.freeze(next_sequence) {
            self.chores.identities();
        }
    }

    /// One write and one sync for the whole group.
    fn write_frames(&mut self, planned: &[Planned], now: Timestamp) -> Result<Notes, BusError> {
        let needed = planned.iter().map(Planned::bytes).sum();
        if needed == 0 {
            return Ok(Notes::default());
        }
        let (number, file, path, begin) = self.segment_for(needed)?;
        self.buffer.clear();
        let mut notes = Vec::with_capacity(planned.len());
        for request in planned.iter().filter(|request| request.count > 0) {
            let offset = begin + long(self.buffer.len());
            let head = Head {
                generation: self.generation,
                count: request.count,
                first_sequence: request.first_sequence,
                at: now,
            };
            put_frame(&mut self.buffer, number, head, &request.entries);
            let next_sequence = request.first_sequence + request.sequences;
            notes.push((head, offset, next_sequence, long(request.events.len())));
        }
        let of_disk = |error: std::io::Error| failed(&path, &error);
        let started = Instant::now();
        file.write_all_at(&self.buffer, begin).map_err(of_disk)?;
        match self.options.sync {
            Sync::Always => file.sync_data().map_err(of_disk)?,
            Sync::Interval(_) => self.syncer.owe(&file),
        }
        self.pace = (self.pace * 3 + started.elapsed()) / 4;
        Ok(Notes { end: begin + long(self.buffer.len()), frames: notes })
    }

    /// The active segment if the group fits into it, else a new one: number, file, path and where to write.
    fn segment_for(&mut self, needed: u64) -> Result<(u64, Arc<std::fs::File>, PathBuf, u64), BusError> {
        let (number, first_sequence) = {
            let tables = self.lock();
            if let Some(Active { segment, file }) = &tables.log.active
                && segment.end + needed <= segment.size
            {
                return Ok((segment.number, file.clone(), segment.path.clone(), segment.end));
            }
            (tables.log.all().last().map_or(1, |last| last.number + 1), tables.next_sequence)
        };
        let spare = self.spare.take(needed + START)?;
        let active = Active::create(&self.log, number, &spare, first_sequence);
        self.spare.taken();
        let active = active.map_err(|error| failed(&spare, &error))?;
        let (file, path) = (active.file.clone(), active.segment.path.clone());
        let closed = self.lock().log.rotate(Some(active));
        if closed.is_some() && self.identities.freeze(first_sequence) {
            self.chores.identities();
        }
        // The very first segment has nothing before it that a start would have to read.
        if number > 1 {
            self.chores.closed(closed);
        }
        Ok((number, file, path, START))
    }
}

/// Where the frames of a group stand: head, byte, sequence behind it, events; and where the last one ends.
#[derive(Default)]
struct Notes {
    end: u64,
    frames: Vec<(Head, u64, u64, u64)>,
}

/// The same requests where others of their group were taken out.
fn renumbered(mut planned: Vec<Planned>, mut next_sequence: u64) -> Vec<Planned> {
    for request in &mut planned {
        request.first_sequence = next_sequence;
        next_sequence += request.sequences;
    }
    planned
}
