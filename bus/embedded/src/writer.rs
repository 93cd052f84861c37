//! The one thread that writes: it takes what has come in, writes it, syncs once, and answers everybody.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bus_core::{BusError, Change, Identity, Publication, Receipt, Retention, Revision, StateKey};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot, watch};
use zetes_api::Event;

use crate::checkpoint::Checkpoint;
use crate::codec::{self, Entry};
use crate::options::Options;
use crate::recovery::unavailable;
use crate::segment::{self, Segment};
use crate::tables::Tables;

/// Requests that may wait for the thread; the sender of a further one waits.
pub(crate) const QUEUE: usize = 4_096;
/// Requests and bytes of one group.
const GROUP_REQUESTS: usize = 1_024;
const GROUP_BYTES: usize = 8 << 20;

/// What the thread is asked for.
pub(crate) enum Request {
    Publish {
        batch: Vec<Publication>,
        answer: oneshot::Sender<Result<Vec<Receipt>, BusError>>,
    },
    Commit {
        changes: Vec<Change>,
        answer: oneshot::Sender<Result<(), BusError>>,
    },
    /// Consumers, created and removed.
    Write {
        entries: Vec<Entry>,
        answer: oneshot::Sender<Result<(), BusError>>,
    },
    Close {
        answer: oneshot::Sender<Result<(), BusError>>,
    },
}

/// One request on its way to the disk.
struct Planned {
    entries: Vec<Entry>,
    events: Vec<Arc<Event>>,
    first_sequence: u64,
    answer: Answer,
}

enum Answer {
    Published(Vec<Receipt>, oneshot::Sender<Result<Vec<Receipt>, BusError>>),
    Done(oneshot::Sender<Result<(), BusError>>),
}

impl Answer {
    /// Who has gone away does not hear it; what was done is done all the same.
    fn send(self, result: Result<(), BusError>) {
        match self {
            Self::Published(receipts, sender) => drop(sender.send(result.map(|()| receipts))),
            Self::Done(sender) => drop(sender.send(result)),
        }
    }
}

/// What the requests of one group have changed and nobody sees yet.
#[derive(Default)]
struct Pending {
    next_sequence: u64,
    next_revision: u64,
    identities: BTreeMap<Identity, u64>,
    revisions: BTreeMap<StateKey, Option<Revision>>,
}

pub(crate) struct Writer {
    pub(crate) tables: Arc<Mutex<Tables>>,
    pub(crate) options: Options,
    pub(crate) folder: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) generation: u32,
    /// Told after every group, so that consumers look again.
    pub(crate) news: watch::Sender<u64>,
    pub(crate) spare: Option<JoinHandle<std::io::Result<()>>>,
    pub(crate) checkpointed_segment: u64,
}

impl Writer {
    /// Runs until the last sender is gone or somebody closes the bus.
    pub(crate) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        self.prepare_spare();
        while let Some(first) = requests.blocking_recv() {
            let mut group = vec![first];
            let mut bytes = 0;
            while group.len() < GROUP_REQUESTS
                && bytes < GROUP_BYTES
                && let Ok(next) = requests.try_recv()
            {
                bytes += size_of(&next);
                group.push(next);
            }
            if let Some(answer) = self.group(group) {
                requests.close();
                drop(answer.send(self.checkpoint()));
                break;
            }
        }
        self.lock().closed = true;
        self.news.send_modify(|news| *news += 1);
        if let Some(spare) = self.spare.take() {
            drop(spare.join());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out a group; gives the answer that a `Close` among it waits for.
    fn group(&mut self, group: Vec<Request>) -> Option<oneshot::Sender<Result<(), BusError>>> {
        let now = self.options.clock.now();
        let mut close = None;
        let mut planned = Vec::new();
        {
            let mut tables = self.lock();
            tables.duplicates.forget(now);
            let mut pending = Pending {
                next_sequence: tables.next_sequence,
                next_revision: tables.next_revision,
                ..Pending::default()
            };
            let full = full(&tables, &self.options.retention);
            for request in group {
                match request {
                    Request::Publish { batch, answer } => {
                        match plan_publish(batch, &tables, &mut pending, &self.options, full.as_ref(), now) {
                            Ok((entries, events, receipts, first_sequence)) => {
                                planned.push(Planned {
                                    entries,
                                    events,
                                    first_sequence,
                                    answer: Answer::Published(receipts, answer),
                                });
                            }
                            Err(error) => drop(answer.send(Err(error))),
                        }
                    }
                    Request::Commit { changes, answer } => {
                        match plan_commit(changes, &tables, &mut pending) {
                            Ok((entries, first_sequence)) => {
                                planned.push(Planned {
                                    entries,
                                    events: Vec::new(),
                                    first_sequence,
                                    answer: Answer::Done(answer),
                                });
                            }
                            Err(error) => drop(answer.send(Err(error))),
                        }
                    }
                    Request::Write { entries, answer } => {
                        let first_sequence = pending.next_sequence;
                        planned.push(Planned {
                            entries,
                            events: Vec::new(),
                            first_sequence,
                            answer: Answer::Done(answer),
                        });
                    }
                    Request::Close { answer } => close = Some(answer),
                }
            }
        }
        self.write(planned, now);
        close
    }

    fn write(&mut self, planned: Vec<Planned>, now: Timestamp) {
        let written = self.write_frames(&planned, now);
        match written {
            Ok(()) => {
                let mut tables = self.lock();
                for request in &planned {
                    apply(&mut tables, request, now);
                }
                drop(tables);
                self.news.send_modify(|news| *news += 1);
                for request in planned {
                    request.answer.send(Ok(()));
                }
                self.retain(now);
            }
            Err(error) => {
                // Whatever reached the disk belongs to an older generation now and is no frame any more.
                self.generation += 1;
                for request in planned {
                    request.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// One write and one sync for the whole group.
    fn write_frames(&mut self, planned: &[Planned], now: Timestamp) -> Result<(), BusError> {
        if planned.iter().all(|request| request.entries.is_empty()) {
            return Ok(());
        }
        let mut segment = self.segment_for(planned, now)?;
        let mut buffer = Vec::new();
        for request in planned.iter().filter(|request| !request.entries.is_empty()) {
            let offset = segment.end + u64::try_from(buffer.len()).unwrap_or(0);
            codec::encode(
                &mut buffer,
                segment.number,
                self.generation,
                request.first_sequence,
                now,
                &request.entries,
            );
            segment.note(
                offset,
                request.first_sequence,
                now,
                u64::try_from(request.events.len()).unwrap_or(0),
            );
        }
        let failed = |error: std::io::Error| unavailable(&segment.path, &error);
        segment.file.write_all_at(&buffer, segment.end).map_err(failed)?;
        segment.file.sync_data().map_err(failed)?;
        segment.end += u64::try_from(buffer.len()).unwrap_or(0);
        if let Some(last) = self.lock().segments.last_mut() {
            *last = segment;
        }
        Ok(())
    }

    /// The last segment if the group fits into it, else a new one.
    fn segment_for(&mut self, planned: &[Planned], now: Timestamp) -> Result<Segment, BusError> {
        let mut sizing = Vec::new();
        for request in planned {
            codec::encode(&mut sizing, 0, 0, 0, now, &request.entries);
        }
        let needed = u64::try_from(sizing.len()).unwrap_or(u64::MAX / 2);
        let last = self.lock().segments.last().cloned();
        if let Some(last) = last.filter(|last| last.end + needed <= last.size) {
            return Ok(last);
        }
        let first_sequence = self.lock().next_sequence;
        let number = self.lock().segments.last().map_or(1, |last| last.number + 1);
        let spare = self.take_spare(needed)?;
        let segment = Segment::create(&self.log, number, &spare, first_sequence)
            .map_err(|error| unavailable(&spare, &error))?;
        self.lock().segments.push(segment.clone());
        self.prepare_spare();
        Ok(segment)
    }

    fn spare_path(&self) -> PathBuf {
        self.log.join("spare")
    }

    /// Writes the next segment's zeros in the background.
    fn prepare_spare(&mut self) {
        let (path, size) = (self.spare_path(), self.options.segment_bytes);
        self.spare = Some(std::thread::spawn(move || segment::zero_filled(&path, size)));
    }

    fn take_spare(&mut self, needed: u64) -> Result<PathBuf, BusError> {
        let path = self.spare_path();
        let ready = self.spare.take().is_some_and(|spare| spare.join().is_ok_and(|result| result.is_ok()));
        let size = self.options.segment_bytes.max(needed + segment::START);
        if !ready || size > self.options.segment_bytes {
            segment::zero_filled(&path, size).map_err(|error| unavailable(&path, &error))?;
        }
        Ok(path)
    }

    /// Removes what nobody needs, oldest first. A checkpoint comes before, since recovery needs the removed frames otherwise.
    fn retain(&mut self, now: Timestamp) {
        let newest = self.lock().segments.last().map_or(0, |last| last.number);
        if newest == self.checkpointed_segment {
            return;
        }
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "the bus keeps its old segments until a checkpoint can be written");
            return;
        }
        self.checkpointed_segment = newest;
        while let Some(segment) = self.next_to_remove(now) {
            if let Err(error) = std::fs::remove_file(&segment.path) {
                tracing::warn!(path = %segment.path.display(), %error, "an old segment can't be removed");
            }
        }
    }

    fn next_to_remove(&self, now: Timestamp) -> Option<Segment> {
        let retention = &self.options.retention;
        let mut tables = self.lock();
        let (oldest, next) = (tables.segments.first()?, tables.segments.get(1)?);
        let age = retention.max_age.and_then(|age| SignedDuration::try_from(age).ok());
        let too_old = age.is_some_and(|age| oldest.last_at.is_none_or(|at| now.duration_since(at) > age));
        let too_many =
            retention.max_events.is_some_and(|max| tables.events().saturating_sub(oldest.events) >= max);
        let too_large = retention.max_bytes.is_some_and(|max| tables.bytes() > max);
        if !(too_old || too_many || too_large) {
            return None;
        }
        let unread = tables.floor().is_some_and(|(floor, _)| floor < next.first_sequence);
        let events = oldest.events;
        if unread && !retention.discard_old {
            return None;
        }
        if unread {
            tables.evicted_unread += events;
        }
        tables.drop_segment()
    }

    fn checkpoint(&self) -> Result<(), BusError> {
        let checkpoint = Checkpoint::of(&self.lock());
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        checkpoint.write(&self.folder).map_err(|error| unavailable(&self.folder, &error))
    }
}

fn apply(tables: &mut Tables, request: &Planned, at: Timestamp) {
    let (mut sequence, mut events) = (request.first_sequence, request.events.iter());
    for entry in &request.entries {
        let event = if matches!(entry, Entry::Event { .. }) { events.next().cloned() } else { None };
        tables.apply(entry, sequence, at, event);
        sequence += u64::from(entry.takes_sequence());
    }
    tables.next_sequence = tables.next_sequence.max(sequence);
}

fn size_of(request: &Request) -> usize {
    match request {
        Request::Publish { batch, .. } => {
            batch.iter().map(|one| one.event.data.as_ref().map_or(0, bytes::Bytes::len) + 256).sum()
        }
        Request::Commit { changes, .. } => changes.len() * 256,
        Request::Write { .. } | Request::Close { .. } => 256,
    }
}

/// Why nothing more can be published, if so (S42).
fn full(tables: &Tables, retention: &Retention) -> Option<BusError> {
    if retention.discard_old {
        return None;
    }
    let too_large = retention.max_bytes.is_some_and(|max| tables.bytes() > max);
    let too_many = retention.max_events.is_some_and(|max| tables.events() >= max);
    if !(too_large || too_many) {
        return None;
    }
    let (floor, slowest) = tables.floor()?;
    // What the slowest has read can go when the segment is full: only what it has not read makes the bus full.
    let unread = tables.last_event.saturating_add(1).saturating_sub(floor);
    let behind = tables.segments.get(1).is_some_and(|next| floor < next.first_sequence)
        || retention.max_events.is_some_and(|max| unread >= max);
    let message = format!(
        "{} bytes, {} events; `{slowest}` has {unread} events to read",
        tables.bytes(),
        tables.events()
    );
    behind.then_some(BusError::Full(message))
}

type PlannedPublish = (Vec<Entry>, Vec<Arc<Event>>, Vec<Receipt>, u64);

fn plan_publish(
    batch: Vec<Publication>,
    tables: &Tables,
    pending: &mut Pending,
    options: &Options,
    full: Option<&BusError>,
    now: Timestamp,
) -> Result<PlannedPublish, BusError> {
    let (mut entries, mut events, mut receipts) = (Vec::new(), Vec::new(), Vec::new());
    let first_sequence = pending.next_sequence;
    let mut fresh = Vec::new();
    for publication in batch {
        let identity = Identity::of(&publication.namespace, &publication.event);
        let known =
            tables.duplicates.find(identity, now).or_else(|| pending.identities.get(&identity).copied());
        let known =
            known.or_else(|| fresh.iter().find(|(one, _)| *one == identity).map(|(_, sequence)| *sequence));
        if let Some(sequence) = known {
            receipts.push(Receipt { sequence, duplicate: true });
            continue;
        }
        if let Some(full) = full {
            return Err(full.clone());
        }
        let json = publication.event.to_json();
        let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
        if bytes > options.max_event_bytes {
            return Err(BusError::TooLarge { bytes, limit: options.max_event_bytes });
        }
        let sequence = first_sequence + u64::try_from(entries.len()).unwrap_or(0);
        receipts.push(Receipt { sequence, duplicate: false });
        fresh.push((identity, sequence));
        entries.push(Entry::Event { namespace: publication.namespace, json: json.into() });
        events.push(publication.event);
    }
    pending.identities.extend(fresh);
    pending.next_sequence += u64::try_from(entries.len()).unwrap_or(0);
    Ok((entries, events, receipts, first_sequence))
}

fn plan_commit(
    changes: Vec<Change>,
    tables: &Tables,
    pending: &mut Pending,
) -> Result<(Vec<Entry>, u64), BusError> {
    let first_sequence = pending.next_sequence;
    let mut entries = Vec::with_capacity(changes.len());
    let mut revisions: BTreeMap<StateKey, Option<Revision>> = BTreeMap::new();
    let mut next_revision = pending.next_revision;
    for change in changes {
        entries.push(match change {
            Change::Ack(ticket) => Entry::Ack { consumer: ticket.consumer, sequence: ticket.sequence },
            Change::Record { namespace, about, record } => Entry::Record { namespace, about, record },
            Change::Delete { key } => {
                revisions.insert(key.clone(), None);
                Entry::Delete { key }
            }
            Change::Put { key, value, expected } => {
                let known = revisions.get(&key).or_else(|| pending.revisions.get(&key)).copied();
                let found = known.unwrap_or_else(|| tables.state.get(&key).map(|entry| entry.revision));
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    return Err(BusError::Conflict { bucket: key.bucket, key: key.key, expected, found });
                }
                revisions.insert(key.clone(), Some(Revision(next_revision)));
                next_revision += 1;
                Entry::Put { key, value, revision: next_revision - 1 }
            }
        });
    }
    pending.revisions.extend(revisions);
    pending.next_revision = next_revision;
    let sequences = entries.iter().filter(|entry| entry.takes_sequence()).count();
    pending.next_sequence += u64::try_from(sequences).unwrap_or(0);
    Ok((entries, first_sequence))
}
