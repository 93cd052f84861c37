//! What the log amounts to: consumers, state, segments, and the newest events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bus_core::{ConsumerName, HealthFailure, Interest, Position, Revision, StateEntry, StateKey};
use jiff::Timestamp;
use zetes_api::{Event, Namespace};

use crate::codec::Effect;
use crate::log::Log;

/// One event as consumers get it.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) namespace: Namespace,
    pub(crate) event: Arc<Event>,
    /// About what it takes in memory.
    pub(crate) bytes: usize,
}

/// A consumer that exists.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) position: Position,
    pub(crate) interests: Vec<Interest>,
    /// Its subscribers.
    pub(crate) holders: BTreeSet<u64>,
    pub(crate) ack_deadline: Duration,
    pub(crate) max_in_flight: usize,
}

impl Reader {
    pub(crate) fn new(position: Position, interests: Vec<Interest>) -> Self {
        Self {
            position,
            interests,
            holders: BTreeSet::new(),
            ack_deadline: Duration::from_mins(1),
            max_in_flight: 0,
        }
    }

    pub(crate) fn wants(&self, name: &ConsumerName, stored: &Stored) -> bool {
        stored.namespace == name.namespace
            && self.position.is_unread(stored.sequence)
            && self.interests.iter().any(|interest| interest.wants(&stored.event))
    }
}

pub(crate) struct Tables {
    pub(crate) next_sequence: u64,
    pub(crate) next_revision: u64,
    pub(crate) next_holder: u64,
    /// The newest sequence that is an event.
    pub(crate) last_event: u64,
    pub(crate) readers: BTreeMap<ConsumerName, Reader>,
    pub(crate) state: BTreeMap<StateKey, StateEntry>,
    pub(crate) log: Log,
    pub(crate) evicted_unread: u64,
    pub(crate) closed: bool,
    /// Why nothing can be published at the moment.
    pub(crate) failure: Option<HealthFailure>,
    cache: VecDeque<Stored>,
    cached_bytes: usize,
    cache_limit: usize,
    /// Every event at or above this sequence is in the cache.
    cached_from: u64,
}

impl Tables {
    pub(crate) fn new(cache_limit: usize) -> Self {
        Self {
            next_sequence: 1,
            next_revision: 1,
            next_holder: 1,
            last_event: 0,
            readers: BTreeMap::new(),
            state: BTreeMap::new(),
            log: Log::default(),
            evicted_unread: 0,
            closed: false,
            failure: None,
            cache: VecDeque::new(),
            cached_bytes: 0,
            cache_limit,
            cached_from: 1,
        }
    }

    pub(crate) fn first_sequence(&self) -> u64 {
        self.log.first_sequence().unwrap_or(self.next_sequence)
    }

    /// The lowest sequence that some consumer still needs, and whose it is.
    pub(crate) fn floor(&self) -> Option<(u64, &ConsumerName)> {
        self.readers.iter().map(|(name, reader)| (reader.position.floor(), name)).min()
    }

    /// Does what an entry says.
    pub(crate) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Acks { consumer, ranges } => {
                if let Some(reader) = self.readers.get_mut(&consumer) {
                    for sequence in ranges.into_iter().flatten() {
                        reader.position.settle(sequence);
                    }
                }
            }
            Effect::Put { key, value, revision } => {
                self.next_revision = self.next_revision.max(revision + 1);
                self.state.insert(key, StateEntry { value, revision: Revision(revision) });
            }
            Effect::Delete { key } => drop(self.state.remove(&key)),
            Effect::Consumer { consumer, start, interests } => {
                if let Some(reader) = self.readers.get_mut(&consumer) {
                    reader.interests = interests;
                } else {
                    self.readers.insert(consumer, Reader::new(Position::starting_at(start), interests));
                }
            }
            Effect::NoConsumer { consumer } => drop(self.readers.remove(&consumer)),
            Effect::Position { consumer, interests, unsettled, high_water } => {
                let position = Position::restored(unsettled, high_water);
                self.readers.insert(consumer, Reader::new(position, interests));
            }
        }
    }

    /// Keeps a new event in memory, up to the limit.
    pub(crate) fn cache(&mut self, stored: Stored) {
        self.last_event = stored.sequence;
        self.cached_bytes += stored.bytes;
        self.cache.push_back(stored);
        while self.cached_bytes > self.cache_limit
            && let Some(oldest) = self.cache.pop_front()
        {
            self.cached_bytes -= oldest.bytes;
            self.cached_from = oldest.sequence + 1;
        }
    }

    /// The events from a sequence on, if all of them are in memory.
    pub(crate) fn cached_from(&self, sequence: u64) -> Option<impl Iterator<Item = &Stored>> {
        let begin = self.cache.partition_point(|stored| stored.sequence < sequence);
        (sequence >= self.cached_from).then(|| self.cache.range(begin..))
    }

    /// Nothing before this sequence is in memory: it was written before this process began.
    pub(crate) fn nothing_cached_before(&mut self, sequence: u64) {
        self.cached_from = sequence;
    }

    /// Forgets what lay in a segment that is gone.
    pub(crate) fn forget_below(&mut self, first: u64) {
        for reader in self.readers.values_mut() {
            reader.position.forget_below(first);
        }
    }
}
