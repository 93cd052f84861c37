//! What the log amounts to: consumers, state, duplicates, segments, and the newest events.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bus_core::{
    ConsumerName, Duplicates, Identity, Interest, Position, Retention, Revision, StateEntry, StateKey,
};
use jiff::Timestamp;
use zetes_api::{Event, Namespace};

use crate::codec::Entry;
use crate::segment::Segment;

/// One event as consumers get it.
#[derive(Clone, Debug)]
pub(crate) struct Cached {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) namespace: Namespace,
    pub(crate) event: Arc<Event>,
    bytes: usize,
}

/// A consumer that exists.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) position: Position,
    pub(crate) interests: Vec<Interest>,
    /// Grows with every subscriber: an older one has been taken over from.
    pub(crate) subscriber: u64,
    pub(crate) ack_deadline: Duration,
    pub(crate) max_in_flight: usize,
}

impl Reader {
    pub(crate) fn wants(&self, namespace: &Namespace, name: &ConsumerName, event: &Event) -> bool {
        *namespace == name.namespace && self.interests.iter().any(|interest| interest.wants(event))
    }
}

pub(crate) struct Tables {
    pub(crate) next_sequence: u64,
    pub(crate) next_revision: u64,
    /// The newest sequence that is an event.
    pub(crate) last_event: u64,
    pub(crate) readers: BTreeMap<ConsumerName, Reader>,
    pub(crate) state: BTreeMap<StateKey, StateEntry>,
    pub(crate) duplicates: Duplicates,
    pub(crate) segments: Vec<Segment>,
    pub(crate) evicted_unread: u64,
    pub(crate) closed: bool,
    cache: VecDeque<Cached>,
    cached_bytes: usize,
    cache_limit: usize,
    /// Every event at or above this sequence is in the cache.
    cached_from: u64,
}

impl Tables {
    pub(crate) fn new(retention: &Retention, cache_limit: usize) -> Self {
        Self {
            next_sequence: 1,
            next_revision: 1,
            last_event: 0,
            readers: BTreeMap::new(),
            state: BTreeMap::new(),
            duplicates: Duplicates::new(retention.duplicate_window),
            segments: Vec::new(),
            evicted_unread: 0,
            closed: false,
            cache: VecDeque::new(),
            cached_bytes: 0,
            cache_limit,
            cached_from: 1,
        }
    }

    pub(crate) fn first_sequence(&self) -> u64 {
        self.segments.first().map_or(self.next_sequence, |segment| segment.first_sequence)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end).sum()
    }

    pub(crate) fn events(&self) -> u64 {
        self.segments.iter().map(|segment| segment.events).sum()
    }

    /// The lowest sequence that some consumer still needs, and whose it is.
    pub(crate) fn floor(&self) -> Option<(u64, &ConsumerName)> {
        self.readers.iter().map(|(name, reader)| (reader.position.floor(), name)).min()
    }

    /// Does what an entry says. Sequences are given to events and records only.
    pub(crate) fn apply(&mut self, entry: &Entry, sequence: u64, at: Timestamp, event: Option<Arc<Event>>) {
        match entry {
            Entry::Event { namespace, json } => {
                self.last_event = sequence;
                if let Some(event) = event {
                    self.duplicates.insert(Identity::of(namespace, &event), sequence, at);
                    self.cache(Cached {
                        sequence,
                        at,
                        namespace: namespace.clone(),
                        event,
                        bytes: json.len(),
                    });
                }
            }
            Entry::Record { .. } => {}
            Entry::Ack { consumer, sequence } => {
                if let Some(reader) = self.readers.get_mut(consumer) {
                    reader.position.settle(*sequence);
                }
            }
            Entry::Put { key, value, revision } => {
                self.next_revision = self.next_revision.max(revision + 1);
                self.state
                    .insert(key.clone(), StateEntry { value: value.clone(), revision: Revision(*revision) });
            }
            Entry::Delete { key } => drop(self.state.remove(key)),
            Entry::Consumer { consumer, start, interests } => {
                if let Some(reader) = self.readers.get_mut(consumer) {
                    reader.interests.clone_from(interests);
                } else {
                    let position = Position::starting_at(*start);
                    let reader = Reader {
                        position,
                        interests: interests.clone(),
                        subscriber: 0,
                        ack_deadline: Duration::from_mins(1),
                        max_in_flight: 0,
                    };
                    self.readers.insert(consumer.clone(), reader);
                }
            }
            Entry::NoConsumer { consumer } => drop(self.readers.remove(consumer)),
        }
    }

    fn cache(&mut self, cached: Cached) {
        self.cached_bytes += cached.bytes;
        self.cache.push_back(cached);
        while self.cached_bytes > self.cache_limit
            && let Some(oldest) = self.cache.pop_front()
        {
            self.cached_bytes -= oldest.bytes;
            self.cached_from = oldest.sequence + 1;
        }
    }

    /// The events from a sequence on, if all of them are in memory.
    pub(crate) fn cached_from(&self, sequence: u64) -> Option<impl Iterator<Item = &Cached>> {
        let begin = self.cache.partition_point(|cached| cached.sequence < sequence);
        (sequence >= self.cached_from).then(|| self.cache.iter().skip(begin))
    }

    /// Nothing before this sequence is in memory: it was read before this process began.
    pub(crate) fn nothing_cached_before(&mut self, sequence: u64) {
        self.cache.clear();
        self.cached_bytes = 0;
        self.cached_from = sequence;
    }

    /// Takes the oldest segment away.
    pub(crate) fn drop_segment(&mut self) -> Option<Segment> {
        if self.segments.len() < 2 {
            return None;
        }
        let segment = self.segments.remove(0);
        let first = self.first_sequence();
        for reader in self.readers.values_mut() {
            reader.position.forget_below(first);
        }
        Some(segment)
    }
}
