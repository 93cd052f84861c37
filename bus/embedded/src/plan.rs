//! What the requests of a group become: entries of frames, with sequences and revisions.

use std::collections::BTreeMap;
use std::ops::Range;

use bus_core::{BusError, Change, ConsumerName, Identity, Receipt, Retention, Revision, StateKey};
use jiff::Timestamp;

use crate::codec::{Effect, HEAD, put_effect, put_record};
use crate::identities::Identities;
use crate::queue::{Answer, Prepared};
use crate::reader::OVERHEAD;
use crate::tables::{Stored, Tables};
use crate::wire::long;

/// One request on its way to the disk.
pub(crate) struct Planned {
    pub(crate) first_sequence: u64,
    pub(crate) sequences: u64,
    /// Encoded entries, and how many.
    pub(crate) entries: Vec<u8>,
    pub(crate) count: usize,
    pub(crate) events: Vec<(Stored, Identity)>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) reply: Reply,
}

/// Who waits for it.
pub(crate) enum Reply {
    Published(Vec<Receipt>, Answer<Vec<Receipt>>),
    Done(Answer<()>),
}

impl Reply {
    /// Who has gone away does not hear it; what was done is done all the same.
    pub(crate) fn send(self, result: Result<(), BusError>) {
        match self {
            Self::Published(receipts, sender) => drop(sender.send(result.map(|()| receipts))),
            Self::Done(sender) => drop(sender.send(result)),
        }
    }
}

impl Planned {
    pub(crate) fn is_publish(&self) -> bool {
        matches!(self.reply, Reply::Published(..))
    }

    /// Bytes of its frame; none when there is nothing to write.
    pub(crate) fn bytes(&self) -> u64 {
        if self.count == 0 { 0 } else { long(self.entries.len() + HEAD) }
    }
}

/// Whether events can be taken, as of the beginning of a group.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Why none can.
    full: Option<BusError>,
    /// How many can, and why no more.
    events: Option<(u64, BusError)>,
}

impl Limits {
    /// What the slowest has read can go when its segment is full: only what it has not read makes the bus full (S42).
    pub(crate) fn of(tables: &Tables, retention: &Retention) -> Self {
        let Some((floor, slowest)) = tables.floor().filter(|_| !retention.discard_old) else {
            return Self::default();
        };
        let unread = tables.last_event.saturating_add(1).saturating_sub(floor);
        let full = || {
            let (bytes, events) = (tables.log.bytes(), tables.log.events());
            BusError::Full(format!("{bytes} bytes, {events} events; `{slowest}` has {unread} events to read"))
        };
        let is_too_large = retention.max_bytes.is_some_and(|max| tables.log.bytes() > max);
        let is_behind = tables.log.second_sequence().is_some_and(|second| floor < second);
        Self {
            full: (is_too_large && is_behind).then(full),
            events: retention.max_events.map(|max| (max.saturating_sub(unread), full())),
        }
    }

    fn check(&self, events: u64) -> Result<(), BusError> {
        match (&self.full, &self.events) {
            (Some(full), _) => Err(full.clone()),
            (None, Some((room, full))) if events > *room => Err(full.clone()),
            _ => Ok(()),
        }
    }
}

/// What the requests of one group have changed and nobody sees yet.
#[derive(Default)]
pub(crate) struct Pending {
    next_sequence: u64,
    next_revision: u64,
    now: Timestamp,
    events: u64,
    identities: BTreeMap<Identity, u64>,
    revisions: BTreeMap<StateKey, Option<Revision>>,
}

impl Pending {
    pub(crate) fn new(tables: &Tables, now: Timestamp) -> Self {
        let (next_sequence, next_revision) = (tables.next_sequence, tables.next_revision);
        Self { next_sequence, next_revision, now, ..Self::default() }
    }
}

/// Leaves out duplicates and gives sequences to the rest.
pub(crate) fn publish(
    batch: Vec<Prepared>,
    entries: Vec<u8>,
    identities: &Identities,
    limits: &Limits,
    pending: &mut Pending,
) -> Result<(Vec<Receipt>, PlannedEvents), BusError> {
    let first_sequence = pending.next_sequence;
    let mut receipts = Vec::with_capacity(batch.len());
    let mut events = Vec::with_capacity(batch.len());
    let mut kept: Vec<Range<usize>> = Vec::new();
    let mut fresh = BTreeMap::new();
    let (mut begin, mut sequence) = (0, first_sequence);
    for prepared in batch {
        let place = begin..prepared.end;
        begin = prepared.end;
        let identity = prepared.identity;
        let known = pending.identities.get(&identity).or_else(|| fresh.get(&identity)).copied();
        if let Some(known) = known.or_else(|| identities.find(identity, pending.now)) {
            receipts.push(Receipt { sequence: known, duplicate: true });
            continue;
        }
        fresh.insert(identity, sequence);
        receipts.push(Receipt { sequence, duplicate: false });
        let Prepared { namespace, event, .. } = prepared;
        let bytes = place.len() + OVERHEAD;
        events.push((Stored { sequence, at: pending.now, namespace, event, bytes }, identity));
        kept.push(place);
        sequence += 1;
    }
    let taken = sequence - first_sequence;
    if taken > 0 {
        limits.check(pending.events + taken)?;
    }
    pending.events += taken;
    pending.next_sequence = sequence;
    pending.identities.append(&mut fresh);
    let entries = if kept.len() == receipts.len() {
        entries
    } else {
        kept.iter().filter_map(|place| entries.get(place.clone())).collect::<Vec<_>>().concat()
    };
    Ok((receipts, PlannedEvents { first_sequence, entries, events }))
}

pub(crate) struct PlannedEvents {
    first_sequence: u64,
    entries: Vec<u8>,
    events: Vec<(Stored, Identity)>,
}

impl PlannedEvents {
    pub(crate) fn with(self, reply: Reply) -> Planned {
        let Self { first_sequence, entries, events } = self;
        let (sequences, count) = (long(events.len()), events.len());
        Planned { first_sequence, sequences, entries, count, events, effects: Vec::new(), reply }
    }
}

/// Checks expectations in order, each against what the changes before it would leave. Acknowledgements come last.
pub(crate) fn commit(
    changes: Vec<Change>,
    tables: &Tables,
    pending: &mut Pending,
) -> Result<PlannedChanges, BusError> {
    let mut planned = PlannedChanges { first_sequence: pending.next_sequence, ..PlannedChanges::default() };
    let mut revisions: BTreeMap<StateKey, Option<Revision>> = BTreeMap::new();
    let mut next_revision = pending.next_revision;
    let mut acks = Acks::default();
    for change in changes {
        match change {
            Change::Ack(ticket) => acks.add(ticket.consumer, ticket.sequence),
            Change::Record { namespace, about, record } => {
                put_record(&mut planned.entries, &namespace, &about, &record);
                planned.count += 1;
                planned.sequences += 1;
            }
            Change::Delete { key } => {
                revisions.insert(key.clone(), None);
                planned.effect(Effect::Delete { key });
            }
            Change::Put { key, value, expected } => {
                let known = revisions.get(&key).or_else(|| pending.revisions.get(&key)).copied();
                let found = known.unwrap_or_else(|| tables.state.get(&key).map(|entry| entry.revision));
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    return Err(BusError::Conflict { bucket: key.bucket, key: key.key, expected, found });
                }
                revisions.insert(key.clone(), Some(Revision(next_revision)));
                planned.effect(Effect::Put { key, value, revision: next_revision });
                next_revision += 1;
            }
        }
    }
    for (consumer, ranges) in acks.0 {
        planned.effect(Effect::Acks { consumer, ranges });
    }
    pending.revisions.append(&mut revisions);
    pending.next_revision = next_revision;
    pending.next_sequence += planned.sequences;
    Ok(planned)
}

/// Acknowledgements, one entry for a consumer however many it has.
#[derive(Default)]
struct Acks(Vec<(ConsumerName, Vec<Range<u64>>)>);

impl Acks {
    fn add(&mut self, consumer: ConsumerName, sequence: u64) {
        let known = self.0.iter_mut().rev().find(|(name, _)| *name == consumer);
        let Some((_, ranges)) = known else {
            self.0.push((consumer, std::iter::once(sequence..sequence + 1).collect()));
            return;
        };
        match ranges.last_mut() {
            Some(last) if last.end == sequence => last.end += 1,
            _ => ranges.push(sequence..sequence + 1),
        }
    }
}

#[derive(Default)]
pub(crate) struct PlannedChanges {
    first_sequence: u64,
    sequences: u64,
    entries: Vec<u8>,
    count: usize,
    effects: Vec<Effect>,
}

impl PlannedChanges {
    pub(crate) fn of(effect: Effect, pending: &Pending) -> Self {
        let mut planned = Self { first_sequence: pending.next_sequence, ..Self::default() };
        planned.effect(effect);
        planned
    }

    fn effect(&mut self, effect: Effect) {
        put_effect(&mut self.entries, &effect);
        self.count += 1;
        self.effects.push(effect);
    }

    pub(crate) fn with(self, answer: Answer<()>) -> Planned {
        let Self { first_sequence, sequences, entries, count, effects } = self;
        Planned {
            first_sequence,
            sequences,
            entries,
            count,
            events: Vec::new(),
            effects,
            reply: Reply::Done(answer),
        }
    }
}
