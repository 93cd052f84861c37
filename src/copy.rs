//! Carries what one bus still has to do over to another: unread events, waiting state, dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use bus_core::{
    Bus, BusError, Change, ConsumerName, Entry, EntryBody, EntryKind, Interest, Publication, ReadFilter,
    Receipt, Start, StateKey, Subscription,
};
use serde::Serialize;
use zetes_api::{DependencyName, Namespace};

/// Unsettled deliveries while the settled ones among them are settled on the other side, too.
const MAX_IN_FLIGHT: usize = 100_000;
const ACK_DEADLINE: Duration = Duration::from_mins(5);
/// How long the other side may take to hand out what was just published.
const PATIENCE: Duration = Duration::from_mins(1);
/// State entries and acknowledgements of one commit.
const BATCH: usize = 256;
/// Leases are of running processes.
const LEASES: &str = "/lease";

/// What was carried over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Copied {
    pub(crate) events: usize,
    /// The other side had them already.
    pub(crate) duplicates: usize,
    /// Larger than the other side takes: they stay where they are.
    pub(crate) too_large: Vec<String>,
    pub(crate) consumers: usize,
    pub(crate) state: usize,
    pub(crate) dead_letters: usize,
}

/// One copy under way.
struct Copy<'b> {
    from: &'b dyn Bus,
    to: &'b dyn Bus,
    /// Only of this namespace.
    namespace: Option<Namespace>,
    unsettled: BTreeMap<ConsumerName, Vec<Range<u64>>>,
    /// Where a consumer begins on the other side: with the first event that it has not settled here.
    starts: BTreeMap<ConsumerName, u64>,
    /// What it has settled behind that, by the sequences of the other side.
    settled: BTreeMap<ConsumerName, BTreeSet<u64>>,
    copied: Copied,
}

/// Copies; the first bus is left as it is. `tell` hears how many events have been carried so far.
///
/// # Errors
/// A bus can't be used, or the other one is full: what was carried until then stays there, and copying again adds the rest.
pub(crate) async fn copy(
    from: &dyn Bus,
    to: &dyn Bus,
    namespace: Option<Namespace>,
    tell: &mut impl FnMut(usize),
) -> Result<Copied, BusError> {
    let mut copy = Copy {
        from,
        to,
        namespace,
        unsettled: BTreeMap::new(),
        starts: BTreeMap::new(),
        settled: BTreeMap::new(),
        copied: Copied::default(),
    };
    copy.find_unsettled().await?;
    copy.events(tell).await?;
    copy.consumers().await?;
    copy.state().await?;
    Ok(copy.copied)
}

impl Copy<'_> {
    fn is_ours(&self, namespace: &Namespace) -> bool {
        self.namespace.as_ref().is_none_or(|ours| ours == namespace)
    }

    async fn find_unsettled(&mut self) -> Result<(), BusError> {
        for consumer in self.from.stats().await?.consumers {
            if self.is_ours(&consumer.name.namespace) {
                let ranges = self.from.unsettled(consumer.name.clone()).await?;
                self.unsettled.insert(consumer.name, ranges);
            }
        }
        Ok(())
    }

    async fn events(&mut self, tell: &mut impl FnMut(usize)) -> Result<(), BusError> {
        let filter = ReadFilter { namespace: self.namespace.clone(), about: None };
        for range in union(self.unsettled.values().flatten()) {
            let mut from = range.start;
            loop {
                let page = self.from.read(EntryKind::Event, from..range.end, filter.clone()).await?;
                if let Some(damage) = page.damaged.first() {
                    tracing::warn!(%damage, "a part of the bus can't be read, and can't be carried");
                }
                self.batch(page.entries).await?;
                tell(self.copied.events);
                match page.next {
                    Some(next) if next > from => from = next,
                    _ => break,
                }
            }
        }
        Ok(())
    }

    async fn batch(&mut self, entries: Vec<Entry>) -> Result<(), BusError> {
        let events: Vec<_> = entries.iter().filter_map(publication).collect();
        match self.to.publish(events.iter().map(|(_, publication)| publication.clone()).collect()).await {
            Ok(receipts) => {
                for ((sequence, publication), receipt) in events.into_iter().zip(receipts) {
                    self.published(sequence, &publication, receipt);
                }
                Ok(())
            }
            Err(BusError::TooLarge { .. }) => self.one_by_one(events).await,
            Err(error) => Err(error),
        }
    }

    async fn one_by_one(&mut self, events: Vec<(u64, Publication)>) -> Result<(), BusError> {
        for (sequence, publication) in events {
            match self.to.publish(vec![publication.clone()]).await {
                Ok(receipts) => {
                    for receipt in receipts {
                        self.published(sequence, &publication, receipt);
                    }
                }
                Err(BusError::TooLarge { bytes, limit }) => {
                    let id = &publication.event.id;
                    self.copied.too_large.push(format!("{id}: {bytes} bytes, at most {limit}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn published(&mut self, sequence: u64, publication: &Publication, receipt: Receipt) {
        let count = if receipt.duplicate { &mut self.copied.duplicates } else { &mut self.copied.events };
        *count += 1;
        for (name, ranges) in
            self.unsettled.iter().filter(|(name, _)| name.namespace == publication.namespace)
        {
            if ranges.iter().any(|range| range.contains(&sequence)) {
                self.starts.entry(name.clone()).or_insert(receipt.sequence);
            } else if self.starts.contains_key(name) {
                self.settled.entry(name.clone()).or_default().insert(receipt.sequence);
            }
        }
    }

    async fn consumers(&mut self) -> Result<(), BusError> {
        for name in self.unsettled.keys() {
            let start = self.starts.get(name).map_or(Start::Now, |sequence| Start::Sequence(*sequence));
            // Wider than what its Sensor asks for, which narrows it when it begins.
            let anything = Interest { source: None, subject: None, dependency: DependencyName::from("") };
            let subscription = Subscription {
                consumer: name.clone(),
                interests: vec![anything],
                start,
                ack_deadline: ACK_DEADLINE,
                max_in_flight: MAX_IN_FLIGHT,
            };
            let mut subscriber = self.to.subscribe(subscription).await?;
            let mut settled = self.settled.remove(name).unwrap_or_default();
            while !settled.is_empty() {
                let fetched = tokio::time::timeout(PATIENCE, subscriber.fetch(BATCH)).await;
                let late = || BusError::Unavailable(format!("{name} is not handed what was just published"));
                let fetched = fetched.map_err(|_| late())??;
                let done = fetched.into_iter().filter(|delivery| settled.remove(&delivery.ticket.sequence));
                self.to.commit(done.map(|delivery| Change::Ack(delivery.ticket)).collect()).await?;
            }
            self.copied.consumers += 1;
        }
        Ok(())
    }

    async fn state(&mut self) -> Result<(), BusError> {
        for bucket in self.from.buckets().await? {
            let is_of_letters = bucket == sensor_core::DeadLetters::BUCKET;
            let namespace = bucket.split('/').next().unwrap_or_default();
            if bucket.ends_with(LEASES) || !(is_of_letters || self.is_ours(&Namespace::from(namespace))) {
                continue;
            }
            let prefix = match &self.namespace {
                Some(namespace) if is_of_letters => format!("{namespace}/"),
                _ => String::new(),
            };
            let entries = self.from.list(bucket, prefix).await?;
            for entries in entries.chunks(BATCH) {
                let put = |(key, value): (StateKey, _)| Change::Put { key, value, expected: None };
                let puts = entries.iter().map(|(key, entry)| put((key.clone(), entry.value.clone())));
                self.to.commit(puts.collect()).await?;
            }
            let count = if is_of_letters { &mut self.copied.dead_letters } else { &mut self.copied.state };
            *count += entries.len();
        }
        Ok(())
    }
}

fn publication(entry: &Entry) -> Option<(u64, Publication)> {
    let EntryBody::Event(event) = &entry.body else { return None };
    Some((entry.sequence, Publication { namespace: entry.namespace.clone(), event: event.clone() }))
}

/// The sequences that are in any of the ranges, as ranges in order.
fn union<'r>(ranges: impl Iterator<Item = &'r Range<u64>>) -> Vec<Range<u64>> {
    let mut ranges: Vec<_> = ranges.cloned().collect();
    ranges.sort_unstable_by_key(|range| range.start);
    let mut union: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match union.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => union.push(range),
        }
    }
    union
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bus_core::{Consumer, MemoryBus, Retention};
    use jiff::Timestamp;
    use zetes_api::Event;

    use super::*;

    fn bus() -> MemoryBus {
        MemoryBus::new(Retention::default(), Arc::new(|| Timestamp::UNIX_EPOCH))
    }

    fn event(namespace: &str, id: &str) -> Publication {
        let event = Event::with_data("webhook", "hooks", "push", id, "{}");
        Publication { namespace: namespace.into(), event: Arc::new(event) }
    }

    async fn subscriber(bus: &MemoryBus, trigger: &str) -> Box<dyn Consumer> {
        let hooks =
            Interest { source: Some("hooks".into()), subject: None, dependency: DependencyName::from("d") };
        let subscription = Subscription {
            consumer: ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: trigger.into() },
            interests: vec![hooks],
            start: Start::Now,
            ack_deadline: ACK_DEADLINE,
            max_in_flight: 100,
        };
        bus.subscribe(subscription).await.unwrap()
    }

    async fn all(bus: &MemoryBus, trigger: &str) -> Vec<String> {
        let mut subscriber = subscriber(bus, trigger).await;
        bus.publish(vec![event("ci", "mark")]).await.unwrap();
        let mut ids = Vec::new();
        while ids.last().is_none_or(|last| last != "mark") {
            let fetched = subscriber.fetch(100).await.unwrap();
            ids.extend(fetched.iter().map(|delivery| delivery.event.id.to_string()));
        }
        ids.pop();
        ids
    }

    #[tokio::test]
    async fn each_consumer_finds_what_it_had_not_settled_and_nothing_else() {
        let (from, to) = (bus(), bus());
        let (mut fast, _slow) = (subscriber(&from, "fast").await, subscriber(&from, "slow").await);
        let batch = ["a", "b", "c", "d"].map(|id| event("ci", id));
        from.publish(batch.to_vec()).await.unwrap();
        from.publish(vec![event("other", "x")]).await.unwrap();
        let taken = fast.fetch(3).await.unwrap();
        let settled = [&taken[0], &taken[2]].map(|delivery| Change::Ack(delivery.ticket.clone()));
        from.commit(settled.to_vec()).await.unwrap();
        let put = |bucket: &str, key: &str| Change::Put {
            key: StateKey::new(bucket, key),
            value: "v".into(),
            expected: None,
        };
        let state = [
            put("ci/sensor/s/slow", "waiting/1"),
            put("ci/lease", "s/slow"),
            put("other/sensor/s/t", "waiting/2"),
            put(sensor_core::DeadLetters::BUCKET, "ci/1"),
            put(sensor_core::DeadLetters::BUCKET, "other/1"),
        ];
        from.commit(state.to_vec()).await.unwrap();

        let copied = copy(&from, &to, Some("ci".into()), &mut |_| {}).await.unwrap();

        let expected = Copied { events: 4, consumers: 2, state: 1, dead_letters: 1, ..Copied::default() };
        assert_eq!(copied, expected);
        assert_eq!(to.buckets().await.unwrap(), ["ci/sensor/s/slow", "dead-letters"]);
        assert_eq!(all(&to, "fast").await, ["b", "d"]);
        let slow = all(&to, "slow").await;
        assert_eq!(slow.iter().filter(|id| *id != "mark").collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(from.stats().await.unwrap().events, 5, "it is left as it was");
    }
}
