//! What subscribers of this process hold, and how each delivery is settled on the server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::Subject;
use bus_core::{ConsumerName, Ticket};
use tokio_util::sync::CancellationToken;

/// Settled sequences that are remembered because another part of the consumer brings them, too.
const REMEMBERED: usize = 100_000;

/// The tables of all consumers.
#[derive(Debug, Default)]
pub(crate) struct Tables(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    tables: BTreeMap<ConsumerName, Arc<Table>>,
    /// Whose a consumer of the server is, where its name does not tell.
    names: BTreeMap<String, ConsumerName>,
}

/// One consumer's deliveries in hand.
#[derive(Debug, Default)]
pub(crate) struct Table {
    held: Mutex<Held>,
    /// Cancelled when the consumer is removed.
    pub(crate) removed: CancellationToken,
}

#[derive(Debug, Default)]
struct Held {
    by_sequence: BTreeMap<u64, InHand>,
    /// In order of handing out, to bound what is kept of deliveries that another process settled.
    order: BTreeMap<u64, u64>,
    next_order: u64,
    /// How often each of these will come still.
    settled: BTreeMap<u64, usize>,
}

#[derive(Debug)]
struct InHand {
    /// Where each part of the consumer expects the answer. More than one only in Argo's layout.
    replies: BTreeMap<usize, Subject>,
    /// The connection over which it came last.
    connection: u64,
    /// So many parts want the event.
    parts: usize,
    holder: u64,
    order: u64,
}

/// A message of one part of a consumer.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) sequence: u64,
    pub(crate) part: usize,
    pub(crate) reply: Subject,
    /// So many parts of the consumer want the event.
    pub(crate) parts: usize,
    /// The connection over which it came.
    pub(crate) connection: u64,
}

/// What to do with a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    HandOut,
    /// Another part of the consumer has it in hand.
    Known,
    /// It was settled when another part brought it.
    Settled,
}

impl Tables {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The consumer's table, for a new subscriber.
    pub(crate) fn of(&self, name: &ConsumerName) -> Arc<Table> {
        self.lock().tables.entry(name.clone()).or_default().clone()
    }

    pub(crate) fn named(&self, durable: &str, name: &ConsumerName) {
        self.lock().names.insert(durable.to_owned(), name.clone());
    }

    pub(crate) fn name_of(&self, durable: &str) -> Option<ConsumerName> {
        self.lock().names.get(durable).cloned()
    }

    pub(crate) fn remove(&self, name: &ConsumerName) {
        let mut known = self.lock();
        known.names.retain(|_, known| known != name);
        if let Some(table) = known.tables.remove(name) {
            table.removed.cancel();
        }
    }

    fn find(&self, name: &ConsumerName) -> Option<Arc<Table>> {
        self.lock().tables.get(name).cloned()
    }

    /// Where the answer to this ticket goes.
    pub(crate) fn replies(&self, ticket: &Ticket) -> Vec<Subject> {
        self.find(&ticket.consumer).map(|table| table.replies(ticket.sequence)).unwrap_or_default()
    }

    /// The same, with the connection over which the delivery came.
    pub(crate) fn answers(&self, ticket: &Ticket) -> Option<(u64, Vec<Subject>)> {
        let table = self.find(&ticket.consumer)?;
        let held = table.lock();
        let in_hand = held.by_sequence.get(&ticket.sequence)?;
        Some((in_hand.connection, in_hand.replies.values().cloned().collect()))
    }

    pub(crate) fn settled(&self, ticket: &Ticket) {
        if let Some(table) = self.find(&ticket.consumer) {
            table.settled(ticket.sequence);
        }
    }

    /// Everything that anybody holds.
    pub(crate) fn take_all(&self) -> Vec<Subject> {
        let tables: Vec<_> = self.lock().tables.values().cloned().collect();
        tables.iter().flat_map(|table| table.take(|_| true)).collect()
    }
}

impl Table {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message. `limit`: so many may be in hand.
    pub(crate) fn arrived(&self, message: Arrived, holder: u64, limit: usize) -> Arrival {
        let Arrived { sequence, part, reply, parts, connection } = message;
        let mut held = self.lock();
        if let Some(left) = held.settled.get_mut(&sequence) {
            *left -= 1;
            if *left == 0 {
                held.settled.remove(&sequence);
            }
            return Arrival::Settled;
        }
        held.next_order += 1;
        let order = held.next_order;
        if let Some(in_hand) = held.by_sequence.get_mut(&sequence) {
            let is_first = in_hand.replies.first_key_value().is_none_or(|(first, _)| *first == part);
            in_hand.replies.insert(part, reply);
            if !is_first {
                return Arrival::Known;
            }
            in_hand.holder = holder;
            in_hand.connection = connection;
            let before = std::mem::replace(&mut in_hand.order, order);
            held.order.remove(&before);
        } else {
            let replies = BTreeMap::from([(part, reply)]);
            held.by_sequence.insert(sequence, InHand { replies, connection, parts, holder, order });
        }
        held.order.insert(order, sequence);
        while held.order.len() > limit.saturating_mul(2).max(16)
            && let Some((_, oldest)) = held.order.pop_first()
        {
            held.by_sequence.remove(&oldest);
        }
        Arrival::HandOut
    }

    pub(crate) fn replies(&self, sequence: u64) -> Vec<Subject> {
        let held = self.lock();
        let in_hand = held.by_sequence.get(&sequence);
        in_hand.map(|in_hand| in_hand.replies.values().cloned().collect()).unwrap_or_default()
    }

    /// The delivery is done with; other parts of the consumer may bring it still.
    fn settled(&self, sequence: u64) {
        let mut held = self.lock();
        let Some(in_hand) = held.by_sequence.remove(&sequence) else { return };
        held.order.remove(&in_hand.order);
        let left = in_hand.parts.saturating_sub(in_hand.replies.len());
        if left > 0 {
            held.settled.insert(sequence, left);
            if held.settled.len() > REMEMBERED {
                held.settled.pop_first();
            }
        }
    }

    /// Takes away what a subscriber holds.
    pub(crate) fn release(&self, holder: u64) -> Vec<Subject> {
        self.take(|in_hand| in_hand.holder == holder)
    }

    fn take(&self, which: impl Fn(&InHand) -> bool) -> Vec<Subject> {
        let mut held = self.lock();
        let sequences: Vec<u64> = held
            .by_sequence
            .iter()
            .filter(|(_, in_hand)| which(in_hand))
            .map(|(sequence, _)| *sequence)
            .collect();
        let mut replies = Vec::new();
        for sequence in sequences {
            if let Some(in_hand) = held.by_sequence.remove(&sequence) {
                held.order.remove(&in_hand.order);
                replies.extend(in_hand.replies.into_values());
            }
        }
        replies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(table: &Table, sequence: u64, part: usize, reply: &str, holder: u64) -> Arrival {
        let message = Arrived { sequence, part, reply: reply.into(), parts: 2, connection: 1 };
        table.arrived(message, holder, 10)
    }

    #[test]
    fn a_redelivery_is_handed_out_and_its_reply_replaces_the_first() {
        let table = Table::default();
        assert_eq!(arrived(&table, 7, 0, "a", 1), Arrival::HandOut);
        assert_eq!(arrived(&table, 7, 0, "b", 2), Arrival::HandOut);
        assert_eq!(table.replies(7), ["b".into()]);
        assert!(table.release(1).is_empty(), "the second one has it");
        assert_eq!(table.release(2), ["b".into()]);
    }

    #[test]
    fn what_two_parts_bring_is_handed_out_once_and_settled_for_both() {
        let table = Table::default();
        assert_eq!(arrived(&table, 7, 0, "a", 1), Arrival::HandOut);
        assert_eq!(arrived(&table, 7, 1, "b", 1), Arrival::Known);
        assert_eq!(table.replies(7), ["a".into(), "b".into()]);
        table.settled(7);
        assert_eq!(arrived(&table, 7, 0, "c", 1), Arrival::HandOut, "nobody else brings it");
        assert_eq!(arrived(&table, 8, 0, "a", 1), Arrival::HandOut);
        table.settled(8);
        assert_eq!(arrived(&table, 8, 1, "b", 1), Arrival::Settled);
    }

    #[test]
    fn what_another_process_settled_is_not_kept_for_ever() {
        let table = Table::default();
        for sequence in 0..1_000 {
            arrived(&table, sequence, 0, "a", 1);
        }
        assert!(table.replies(0).is_empty());
        assert_eq!(table.release(1).len(), 20);
    }
}
