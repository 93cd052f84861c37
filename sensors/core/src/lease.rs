//! Who may run a trigger that must be alone, where several processes share a bus.
//!
//! A lease is one state entry. Whoever holds it renews it; who waits for it watches its revision by its own clock, so that
//! machines whose clocks differ agree all the same. Every commit of the holder writes the entry anew with the revision that it
//! knows: a holder that was taken for dead and comes back commits nothing.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{Bus, BusError, Change, ConsumerName, Revision, StateKey};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use zetes_runtime::Clock;

/// A lease that was not renewed for so long may be taken.
const TERM: Duration = Duration::from_secs(15);
/// How often the holder renews it and the others look at it.
pub(crate) const RENEWAL: Duration = Duration::from_secs(5);

/// A lease that is held.
pub(crate) struct Lease {
    bus: Arc<dyn Bus>,
    key: StateKey,
    holder: Bytes,
    revision: Revision,
}

/// What is known of a lease that somebody else holds.
pub(crate) struct Contender {
    bus: Arc<dyn Bus>,
    clock: Clock,
    key: StateKey,
    holder: Bytes,
    /// The revision that was seen, and since when.
    seen: Option<(Revision, Timestamp)>,
}

impl Contender {
    /// `holder` names this process.
    pub(crate) fn new(bus: Arc<dyn Bus>, clock: Clock, consumer: &ConsumerName, holder: &str) -> Self {
        let key = StateKey::new(
            format!("{}/lease", consumer.namespace),
            format!("{}/{}", consumer.sensor, consumer.trigger),
        );
        Self { bus, clock, key, holder: holder.to_owned().into(), seen: None }
    }

    /// Takes the lease if it is free; `Err` in the answer is who has it.
    ///
    /// # Errors
    /// The bus can't be used.
    pub(crate) async fn try_take(&mut self) -> Result<Result<Lease, String>, BusError> {
        let entry = self.bus.get(self.key.clone()).await?;
        let expected = match &entry {
            None => None,
            // An empty value was left by a holder that has ended well.
            Some(entry) if entry.value.is_empty() || self.has_lapsed(entry.revision) => Some(entry.revision),
            Some(entry) => return Ok(Err(String::from_utf8_lossy(&entry.value).into_owned())),
        };
        let put = Change::Put { key: self.key.clone(), value: self.holder.clone(), expected: Some(expected) };
        match self.bus.commit(vec![put]).await {
            Ok(()) => {}
            Err(BusError::Conflict { .. }) => return Ok(Err("another process".to_owned())),
            Err(error) => return Err(error),
        }
        let mut lease = Lease {
            bus: self.bus.clone(),
            key: self.key.clone(),
            holder: self.holder.clone(),
            revision: Revision(0),
        };
        match lease.learn_revision().await {
            Ok(()) => Ok(Ok(lease)),
            Err(BusError::Conflict { .. }) => Ok(Err("another process".to_owned())),
            Err(error) => Err(error),
        }
    }

    fn has_lapsed(&mut self, revision: Revision) -> bool {
        let now = self.clock.now();
        match self.seen {
            Some((seen, since)) if seen == revision => {
                let term = SignedDuration::try_from(TERM).unwrap_or(SignedDuration::MAX);
                now.duration_since(since) >= term
            }
            _ => {
                self.seen = Some((revision, now));
                false
            }
        }
    }
}

impl Lease {
    /// Commits, provided that the lease is still held, and renews it by that.
    ///
    /// # Errors
    /// [`BusError::Conflict`] when it is not: then nothing was committed.
    pub(crate) async fn commit(&mut self, mut changes: Vec<Change>) -> Result<(), BusError> {
        changes.insert(0, self.put(self.holder.clone()));
        self.bus.commit(changes).await?;
        self.learn_revision().await
    }

    /// Leaves it to whoever wants it. One that was lost is left alone.
    pub(crate) async fn release(self) -> Result<(), BusError> {
        match self.bus.commit(vec![self.put(Bytes::new())]).await {
            Err(BusError::Conflict { .. }) => Ok(()),
            other => other,
        }
    }

    fn put(&self, value: Bytes) -> Change {
        Change::Put { key: self.key.clone(), value, expected: Some(Some(self.revision)) }
    }

    async fn learn_revision(&mut self) -> Result<(), BusError> {
        let entry = self.bus.get(self.key.clone()).await?.filter(|entry| entry.value == self.holder);
        let lost = || BusError::Conflict {
            bucket: self.key.bucket.clone(),
            key: self.key.key.clone(),
            expected: Some(self.revision),
            found: None,
        };
        self.revision = entry.ok_or_else(lost)?.revision;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bus_core::{MemoryBus, Retention};

    use super::*;

    struct Ground {
        bus: MemoryBus,
        clock: Clock,
    }

    impl Ground {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::UNIX_EPOCH);
            let now = clock.clone();
            Self { bus: MemoryBus::new(Retention::default(), Arc::new(move || now.now())), clock }
        }

        fn contender(&self, holder: &str) -> Contender {
            let consumer = ConsumerName { namespace: "ci".into(), sensor: "s".into(), trigger: "t".into() };
            Contender::new(Arc::new(self.bus.clone()), self.clock.clone(), &consumer, holder)
        }
    }

    fn put(key: &str) -> Vec<Change> {
        vec![Change::Put { key: StateKey::new("ci/b", key), value: "v".into(), expected: None }]
    }

    #[tokio::test]
    async fn one_holds_it_and_the_other_is_told_who() {
        let ground = Ground::new();
        let mut lease = ground.contender("one").try_take().await.unwrap().ok().unwrap();
        let mut other = ground.contender("two");
        // Renewed in time, it is never taken, however long the other waits.
        for _ in 0..10 {
            assert_eq!(other.try_take().await.unwrap().err().unwrap(), "one");
            ground.clock.advance(TERM / 2);
            lease.commit(put("k")).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_holder_that_was_taken_for_dead_commits_nothing() {
        let ground = Ground::new();
        let mut dead = ground.contender("one").try_take().await.unwrap().ok().unwrap();
        let mut other = ground.contender("two");
        assert!(other.try_take().await.unwrap().is_err());
        ground.clock.advance(TERM);
        let mut lease = other.try_take().await.unwrap().ok().unwrap();
        let late = dead.commit(put("late")).await;
        assert!(matches!(late, Err(BusError::Conflict { .. })), "{late:?}");
        assert!(ground.bus.get(StateKey::new("ci/b", "late")).await.unwrap().is_none());
        lease.commit(put("k")).await.unwrap();
        dead.release().await.unwrap();
        lease.commit(put("k")).await.expect("what was lost can't be released");
    }

    #[tokio::test]
    async fn a_released_one_is_free_at_once() {
        let ground = Ground::new();
        let lease = ground.contender("one").try_take().await.unwrap().ok().unwrap();
        let mut other = ground.contender("two");
        assert!(other.try_take().await.unwrap().is_err());
        lease.release().await.unwrap();
        assert!(other.try_take().await.unwrap().is_ok());
    }
}
