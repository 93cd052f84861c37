//! Publishing: each event once, all of a batch or an error.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{BusError, Identity, Publication, Receipt};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use tokio::time::timeout;

use crate::layout::{record_key, sequence};
use crate::live::Live;
use crate::producer::{Record, Written};
use crate::seen::{Known, Seen};

/// What a record is larger than its value, for the broker's limit.
const ENVELOPE: u64 = 512;
/// Between two looks at what somebody else is just storing.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// One publication, ready to be sent.
struct Ready {
    identity: Identity,
    partition: Option<i32>,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What became of one publication.
enum Fate {
    Sent(Written),
    Stored(u64),
    /// The one at this place of the batch is the same event.
    SameAs(usize),
}

impl Live {
    pub(crate) async fn publish(&self, batch: &[Publication]) -> Result<Vec<Receipt>, BusError> {
        let ready: Vec<Ready> = batch.iter().map(|publication| self.ready(publication)).collect();
        let limit = self.max_event_bytes.saturating_sub(ENVELOPE);
        let size = |one: &Ready| u64::try_from(one.value.len() + one.key.len()).unwrap_or(u64::MAX);
        if let Some(bytes) = ready.iter().map(size).find(|bytes| *bytes > limit) {
            return Err(BusError::TooLarge { bytes, limit });
        }
        let new: Vec<&Ready> = {
            let now = self.common.clock.now();
            let seen = self.seen();
            ready.iter().filter(|one| seen.is_new(one.identity, now)).collect()
        };
        if !new.is_empty() {
            let events = u64::try_from(new.len()).unwrap_or(u64::MAX);
            let bytes = new.into_iter().map(size).sum();
            self.room.take(&self.common, &self.readers(), events, bytes).await?;
        }
        let fates = self.send_all(ready).await?;
        self.receipts(fates).await
    }

    fn ready(&self, publication: &Publication) -> Ready {
        let event = &publication.event;
        Ready {
            identity: Identity::of(&self.common.namespace, event),
            partition: self.common.placing.partition_of(event),
            key: record_key(event.source.as_str(), event.subject.as_str()).into_bytes(),
            value: self.common.layout.encode(event),
        }
    }

    async fn send_all(&self, ready: Vec<Ready>) -> Result<Vec<Fate>, BusError> {
        let mut ours: BTreeMap<Identity, usize> = BTreeMap::new();
        let mut fates = Vec::with_capacity(ready.len());
        for (place, Ready { identity, partition, key, value }) in ready.into_iter().enumerate() {
            if let Some(first) = ours.get(&identity) {
                fates.push(Fate::SameAs(*first));
                continue;
            }
            ours.insert(identity, place);
            let now = self.common.clock.now();
            if let Some(sequence) = self.claim(identity).await {
                fates.push(Fate::Stored(sequence));
                continue;
            }
            let claim = Claim { live: self, identity: Some(identity) };
            let record = Record {
                topic: self.common.layout.events.clone(),
                partition,
                key,
                value: Some(value),
                headers: None::<OwnedHeaders>,
                at: now,
                identity: Some(identity),
            };
            let sent = self.producer.send(record).await?;
            claim.pass_on();
            fates.push(Fate::Sent(sent));
        }
        Ok(fates)
    }

    /// Where it stands; `None` when it is ours to store.
    async fn claim(&self, identity: Identity) -> Option<u64> {
        loop {
            let known = self.seen().claim(identity, self.common.clock.now());
            match known {
                Known::New => return None,
                Known::Stored(sequence) => return Some(sequence),
                Known::Pending => {
                    // Its report ends the wait within the client's own time limit.
                    let _elapsed = timeout(LOOK_AGAIN, std::future::pending::<()>()).await.is_err();
                }
            }
        }
    }

    async fn receipts(&self, fates: Vec<Fate>) -> Result<Vec<Receipt>, BusError> {
        let topic = &self.common.layout.events;
        let mut receipts: Vec<Receipt> = Vec::with_capacity(fates.len());
        for fate in fates {
            let receipt = match fate {
                Fate::Sent(written) => {
                    let (partition, offset) = self.producer.written(written, topic).await?;
                    Receipt { sequence: sequence(partition, offset), duplicate: false }
                }
                Fate::Stored(sequence) => Receipt { sequence, duplicate: true },
                Fate::SameAs(first) => {
                    let first = receipts.get(first).ok_or(KafkaError::Canceled);
                    let first = first.map_err(|error| BusError::Unavailable(error.to_string()))?;
                    Receipt { sequence: first.sequence, duplicate: true }
                }
            };
            receipts.push(receipt);
        }
        Ok(receipts)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.common.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an identity back when it was not sent after all.
struct Claim<'l> {
    live: &'l Live,
    identity: Option<Identity>,
}

impl Claim<'_> {
    /// Its delivery report gives it back from here on.
    fn pass_on(mut self) {
        self.identity = None;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(identity) = self.identity {
            self.live.seen().disclaim(identity);
        }
    }
}
