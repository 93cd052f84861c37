//! What one consumer of this process has read, handed out and settled, per partition. No I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{ConsumerName, Delivery, Interest, Position, Subscription, Ticket, later};
use jiff::Timestamp;
use zetes_api::Event;

use crate::committed::{Committed, Positions};
use crate::layout::{place, sequence};

/// Events read ahead of those who fetch.
const AHEAD_EVENTS: usize = 1_000;
const AHEAD_BYTES: usize = 8 << 20;

/// Why nothing more comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The bus was closed, or the consumer removed.
    Closed,
    /// Nobody subscribes any more.
    Unused,
    /// The brokers refuse it, in words; a new one may do better.
    Failed(String),
}

pub(crate) struct Inbox {
    name: ConsumerName,
    partitions: BTreeMap<i32, Partition>,
    pub(crate) interests: Vec<Interest>,
    ack_deadline: Duration,
    max_in_flight: usize,
    holders: BTreeSet<u64>,
    next_holder: u64,
    ahead_events: usize,
    ahead_bytes: usize,
    pub(crate) end: Option<End>,
    /// Counts changes of positions, so that one commit can serve many who wait for it.
    pub(crate) version: u64,
}

struct Partition {
    position: Position,
    ahead: VecDeque<Read>,
    in_hand: BTreeMap<u64, (Arc<Event>, Timestamp)>,
    committed: Option<Committed>,
    /// It goes to another member: nothing of it is handed out any more.
    is_leaving: bool,
}

/// One record of the topic.
pub(crate) struct Read {
    pub(crate) offset: u64,
    pub(crate) at: Timestamp,
    /// `None` is of no interest here.
    pub(crate) event: Option<Arc<Event>>,
    pub(crate) bytes: usize,
}

/// What statistics tell of a partition that this process reads.
pub(crate) struct Standing {
    pub(crate) lag: u64,
    pub(crate) in_flight: u64,
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) floor: u64,
}

impl Inbox {
    pub(crate) fn new(subscription: &Subscription) -> Self {
        Self {
            name: subscription.consumer.clone(),
            partitions: BTreeMap::new(),
            interests: subscription.interests.clone(),
            ack_deadline: subscription.ack_deadline,
            max_in_flight: subscription.max_in_flight,
            holders: BTreeSet::new(),
            next_holder: 1,
            ahead_events: 0,
            ahead_bytes: 0,
            end: None,
            version: 0,
        }
    }

    /// A new subscriber. Gives its number, and whether what was read ahead must be read again.
    pub(crate) fn join(&mut self, subscription: &Subscription) -> (u64, bool) {
        self.ack_deadline = subscription.ack_deadline;
        self.max_in_flight = subscription.max_in_flight;
        let changed = self.interests != subscription.interests;
        if changed {
            self.interests.clone_from(&subscription.interests);
            for partition in self.partitions.values_mut() {
                partition.ahead.clear();
            }
            (self.ahead_events, self.ahead_bytes) = (0, 0);
        }
        let holder = self.next_holder;
        self.next_holder += 1;
        self.holders.insert(holder);
        (holder, changed)
    }

    pub(crate) fn leave(&mut self, holder: u64, now: Timestamp) {
        self.holders.remove(&holder);
        for partition in self.partitions.values_mut() {
            partition.position.take_back(holder, now);
        }
    }

    pub(crate) fn is_unused(&self) -> bool {
        self.holders.is_empty()
    }

    pub(crate) fn assign(&mut self, partition: i32, position: Position) {
        let added = Partition {
            position,
            ahead: VecDeque::new(),
            in_hand: BTreeMap::new(),
            committed: None,
            is_leaving: false,
        };
        self.partitions.insert(partition, added);
    }

    /// Nothing of these is handed out any more.
    pub(crate) fn begin_leaving(&mut self, leaving: &[i32]) {
        for partition in leaving {
            let Some(partition) = self.partitions.get_mut(partition) else { continue };
            partition.is_leaving = true;
            for read in partition.ahead.drain(..) {
                self.ahead_events -= 1;
                self.ahead_bytes -= read.bytes;
            }
        }
    }

    /// Whether one of these has deliveries that are not settled.
    pub(crate) fn are_in_hand(&self, leaving: &[i32]) -> bool {
        leaving.iter().any(|partition| {
            self.partitions.get(partition).is_some_and(|partition| !partition.in_hand.is_empty())
        })
    }

    /// Another member has them now. Gives what must yet be committed for it.
    pub(crate) fn remove(&mut self, leaving: &[i32]) -> Positions {
        self.begin_leaving(leaving);
        let removed = leaving.iter().filter_map(|number| Some((*number, self.partitions.remove(number)?)));
        let last = removed
            .map(|(number, partition)| (number, Committed::of(&partition.position), partition.committed));
        let changed = last.filter(|(_, position, committed)| committed.as_ref() != Some(position));
        changed.map(|(number, position, _)| (number, position)).collect()
    }

    pub(crate) fn partitions(&self) -> Vec<i32> {
        self.partitions.keys().copied().collect()
    }

    /// Where a partition is read again from.
    pub(crate) fn next_unread(&self, partition: i32) -> u64 {
        self.partitions.get(&partition).map_or(0, |partition| partition.position.next_unread())
    }

    pub(crate) fn positions(&self) -> Positions {
        let all = self.partitions.iter();
        all.map(|(number, one)| (*number, Committed::of(&one.position))).collect()
    }

    /// Positions that changed since they were committed.
    pub(crate) fn uncommitted(&self) -> Positions {
        let all = self.partitions.iter().map(|(number, one)| (*number, Committed::of(&one.position), one));
        let changed = all.filter(|(_, committed, one)| one.committed.as_ref() != Some(committed));
        changed.map(|(number, committed, _)| (number, committed)).collect()
    }

    pub(crate) fn committed(&mut self, done: Positions) {
        for (number, committed) in done {
            if let Some(partition) = self.partitions.get_mut(&number) {
                partition.committed = Some(committed);
            }
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        self.ahead_events < AHEAD_EVENTS && self.ahead_bytes < AHEAD_BYTES
    }

    /// Takes in the next record of a partition; records of one come in order.
    pub(crate) fn take_in(&mut self, number: i32, read: Read) {
        let Some(partition) = self.partitions.get_mut(&number).filter(|partition| !partition.is_leaving)
        else {
            return;
        };
        if !partition.position.is_unread(read.offset) {
            return;
        }
        if read.event.is_none() && partition.ahead.is_empty() {
            partition.position.pass(read.offset + 1);
            self.version += 1;
            return;
        }
        // One of no interest only moves the mark behind the last of no interest on.
        if read.event.is_none()
            && let Some(last) = partition.ahead.back_mut()
            && last.event.is_none()
        {
            last.offset = read.offset;
            return;
        }
        self.ahead_events += 1;
        self.ahead_bytes += read.bytes;
        partition.ahead.push_back(read);
    }

    pub(crate) fn hand_out(&mut self, holder: u64, max: usize, now: Timestamp) -> Vec<Delivery> {
        let due = later(now, self.ack_deadline);
        let mut deliveries = self.overdue(holder, max, now, due);
        while deliveries.len() < max && self.in_flight() < self.max_in_flight {
            let Some((number, read)) = self.next_read() else { break };
            let Some(partition) = self.partitions.get_mut(&number) else { break };
            self.version += 1;
            let Some(event) = read.event else {
                partition.position.pass(read.offset + 1);
                continue;
            };
            let count = partition.position.hand_out(read.offset, read.at, due, holder);
            partition.in_hand.insert(read.offset, (event.clone(), read.at));
            deliveries.push(delivery(&self.name, number, read.offset, &event, read.at, count));
        }
        deliveries
    }

    fn overdue(&mut self, holder: u64, max: usize, now: Timestamp, due: Timestamp) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for (number, partition) in &mut self.partitions {
            if partition.is_leaving {
                continue;
            }
            while deliveries.len() < max
                && let Some(offset) = partition.position.overdue(now)
            {
                let again = partition.position.hand_out_again(offset, due, holder);
                if let (Some(count), Some((event, at))) = (again, partition.in_hand.get(&offset)) {
                    deliveries.push(delivery(&self.name, *number, offset, event, *at, count));
                }
            }
        }
        deliveries
    }

    /// The oldest of what was read ahead.
    fn next_read(&mut self) -> Option<(i32, Read)> {
        let fronts =
            self.partitions.iter().filter_map(|(number, one)| Some((one.ahead.front()?.at, *number)));
        let (_, number) = fronts.min()?;
        let read = self.partitions.get_mut(&number)?.ahead.pop_front()?;
        self.ahead_events -= 1;
        self.ahead_bytes -= read.bytes;
        Some((number, read))
    }

    /// Settled or unknown ones are no error.
    pub(crate) fn settle(&mut self, ticket: &Ticket) {
        let (number, offset) = place(ticket.sequence);
        if let Some(partition) = self.partitions.get_mut(&number)
            && partition.in_hand.remove(&offset).is_some()
        {
            partition.position.settle(offset);
            self.version += 1;
        }
    }

    pub(crate) fn nak(&mut self, ticket: &Ticket, delay: Duration, now: Timestamp) {
        self.postpone(ticket, later(now, delay));
    }

    pub(crate) fn progress(&mut self, ticket: &Ticket, now: Timestamp) {
        self.postpone(ticket, later(now, self.ack_deadline));
    }

    fn postpone(&mut self, ticket: &Ticket, due: Timestamp) {
        let (number, offset) = place(ticket.sequence);
        if let Some(partition) = self.partitions.get_mut(&number) {
            partition.position.postpone(offset, due);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.partitions.values().filter_map(|partition| partition.position.next_due()).min()
    }

    fn in_flight(&self) -> usize {
        self.partitions.values().map(|partition| partition.position.in_flight()).sum()
    }

    /// `None` for a partition that another process reads.
    pub(crate) fn unsettled(&self, number: i32, stored: Range<u64>) -> Option<Vec<Range<u64>>> {
        Some(self.partitions.get(&number)?.position.unsettled_within(stored))
    }

    /// `None` for a partition that another process reads.
    pub(crate) fn standing(&self, number: i32, end: u64) -> Option<Standing> {
        let partition = self.partitions.get(&number)?;
        let handed = partition.position.oldest_handed().map(|(_, at)| at);
        let ahead = partition.ahead.iter().find(|read| read.event.is_some()).map(|read| read.at);
        Some(Standing {
            lag: partition.position.lag(end),
            in_flight: u64::try_from(partition.position.in_flight()).unwrap_or(u64::MAX),
            oldest: handed.into_iter().chain(ahead).min(),
            floor: partition.position.floor(),
        })
    }
}

fn delivery(
    name: &ConsumerName,
    partition: i32,
    offset: u64,
    event: &Arc<Event>,
    published_at: Timestamp,
    deliveries: u32,
) -> Delivery {
    let sequence = sequence(partition, i64::try_from(offset).unwrap_or(i64::MAX));
    let ticket = Ticket { consumer: name.clone(), sequence };
    Delivery { ticket, event: event.clone(), published_at, deliveries }
}
