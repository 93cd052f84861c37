//! State entries: written to the compacted topic, read from memory.
//!
//! A thread reads the topic's tail into the [`Table`]. Who asks first learns where the topic ends, and waits until the tail is there: so
//! an answer is as of the last commit of whichever process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{BusError, Change, Revision, StateEntry, StateKey};
use bytes::Bytes;
use connection_kafka::{About, Context};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers as _, Message, OwnedHeaders};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Mutex as AsyncMutex, watch};
use zetes_runtime::Clock;

use crate::desk::{self, Desk, PATIENCE, blocking};
use crate::producer::{Producer, Record};
use crate::table::{Condition, Table, Written};
use crate::thread::Thread;

/// The revision that a record expects; 0 is none.
const EXPECTED: &str = "zetes-expected";
/// The revision of what a record repeats.
const REVISION: &str = "zetes-revision";
/// Compaction may leave the topic's end without a record; then one is put there so that the tail comes by.
const MARK: &[u8] = b"mark";
const WAIT_BEFORE_MARK: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);

pub(crate) struct State {
    topic: String,
    desk: Arc<Desk>,
    producer: Arc<Producer>,
    clock: Clock,
    table: Arc<Mutex<Table>>,
    /// The tail has read everything below this offset.
    passed: watch::Receiver<u64>,
    /// One writer with expectations at a time, so that those of one process don't lose against each other.
    writing: AsyncMutex<()>,
    _tail: Thread,
}

impl State {
    /// Opens the tail. What is there already is read in the background.
    pub(crate) fn open(
        topic: &str,
        desk: &Arc<Desk>,
        producer: &Arc<Producer>,
        reader_group: &str,
        clock: &Clock,
    ) -> Result<Self, BusError> {
        let config = desk::reading_config(desk.config(), reader_group);
        let client: BaseConsumer<Context> = desk::client(&config, desk.context().clone())?;
        let mut from = TopicPartitionList::new();
        let assigned =
            from.add_partition_offset(topic, 0, Offset::Beginning).and_then(|()| client.assign(&from));
        assigned.map_err(|error| desk.unavailable(&error, &About::Topic(topic)))?;
        let table = Arc::new(Mutex::new(Table::default()));
        let (sender, passed) = watch::channel(0);
        let tail = {
            let table = table.clone();
            Thread::start("zetes-kafka-state", move |stop| {
                while !stop.is_set() {
                    if let Some(Ok(message)) = client.poll(POLL) {
                        take_in(&table, &sender, &message);
                    }
                }
            })?
        };
        Ok(Self {
            topic: topic.to_owned(),
            desk: desk.clone(),
            producer: producer.clone(),
            clock: clock.clone(),
            table,
            passed,
            writing: AsyncMutex::new(()),
            _tail: tail,
        })
    }

    pub(crate) async fn get(&self, key: &StateKey) -> Result<Option<StateEntry>, BusError> {
        self.catch_up().await?;
        Ok(self.lock().get(key).cloned())
    }

    pub(crate) async fn list(
        &self,
        bucket: &str,
        prefix: &str,
    ) -> Result<Vec<(StateKey, StateEntry)>, BusError> {
        self.catch_up().await?;
        Ok(self.lock().list(bucket, prefix))
    }

    pub(crate) async fn buckets(&self) -> Result<Vec<String>, BusError> {
        self.catch_up().await?;
        Ok(self.lock().buckets())
    }

    /// Waits until everything that was in the topic when this was called is in the table.
    pub(crate) async fn catch_up(&self) -> Result<(), BusError> {
        let (desk, topic) = (self.desk.clone(), self.topic.clone());
        let ends = blocking(move || {
            desk.ends(&topic, &[0]).map_err(|error| desk.unavailable(&error, &About::Topic(&topic)))
        });
        let end = ends.await??.get(&0).copied().unwrap_or(0);
        if tokio::time::timeout(WAIT_BEFORE_MARK, self.pass(end)).await.is_ok() {
            return Ok(());
        }
        let mark = Record { key: MARK.to_vec(), value: None, headers: None, ..self.record() };
        let (_, offset) = self.producer.written(self.producer.send(mark).await?, &self.topic).await?;
        self.await_offset(offset).await
    }

    /// Last records of keys that lost: another process ended before it had written again what is valid.
    pub(crate) async fn repair_all(&self) -> Result<(), BusError> {
        let stale = self.lock().stale();
        for key in stale {
            self.repair(&key).await?;
        }
        Ok(())
    }

    /// Carries out the puts and deletions, those with expectations first.
    pub(crate) async fn write(&self, changes: &[Change]) -> Result<(), BusError> {
        let expecting = |change: &&Change| matches!(change, Change::Put { expected: Some(_), .. });
        if changes.iter().any(|change| expecting(&change)) {
            let _alone = self.writing.lock().await;
            self.catch_up().await?;
            check(&self.lock(), changes)?;
            self.write_expecting(changes.iter().filter(expecting)).await?;
        }
        let rest = changes.iter().filter(|change| !expecting(change)).filter_map(written);
        let mut sent = Vec::new();
        for written in rest {
            sent.push(self.send(&written).await?);
        }
        for one in sent {
            self.producer.written(one, &self.topic).await?;
        }
        Ok(())
    }

    async fn write_expecting<'c>(&self, changes: impl Iterator<Item = &'c Change>) -> Result<(), BusError> {
        for change in changes {
            let Some(written) = written(change) else { continue };
            let offset = self.producer.written(self.send(&written).await?, &self.topic).await?.1;
            self.await_offset(offset).await?;
            if self.lock().has_lost(u64::try_from(offset).unwrap_or(0)) {
                self.repair(&written.key).await?;
                let found = self.lock().get(&written.key).map(|entry| entry.revision);
                return Err(conflict(&written.key, expected(change), found));
            }
        }
        Ok(())
    }

    /// Makes what is valid the last record of its key.
    async fn repair(&self, key: &StateKey) -> Result<(), BusError> {
        loop {
            let Some(repair) = self.lock().repair(key) else { return Ok(()) };
            let offset = self.producer.written(self.send(&repair).await?, &self.topic).await?.1;
            self.await_offset(offset).await?;
        }
    }

    async fn send(&self, written: &Written) -> Result<crate::producer::Written, BusError> {
        let headers = match written.condition {
            Condition::Always => None,
            Condition::Expects(revision) => Some((EXPECTED, revision.map_or(0, |revision| revision.0))),
            Condition::Again(revision) => Some((REVISION, revision.0)),
        };
        let record = Record {
            key: encode_key(&written.key),
            value: written.value.as_ref().map(|value| value.to_vec()),
            headers: headers.map(|(key, revision)| {
                OwnedHeaders::new().insert(Header { key, value: Some(&revision.to_string()) })
            }),
            ..self.record()
        };
        self.producer.send(record).await
    }

    fn record(&self) -> Record {
        Record {
            topic: self.topic.clone(),
            partition: Some(0),
            key: Vec::new(),
            value: None,
            headers: None,
            at: self.clock.now(),
            identity: None,
        }
    }

    async fn await_offset(&self, offset: i64) -> Result<(), BusError> {
        let end = u64::try_from(offset).unwrap_or(0) + 1;
        let passed = tokio::time::timeout(PATIENCE, self.pass(end)).await;
        passed.map_err(|_| {
            let error = KafkaError::NoMessageReceived;
            self.desk.unavailable(&error, &About::Topic(&self.topic))
        })
    }

    async fn pass(&self, end: u64) {
        // The sender ends with the thread, and the thread with this.
        let _passed = self.passed.clone().wait_for(|passed| *passed >= end).await.is_ok();
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take_in(table: &Mutex<Table>, passed: &watch::Sender<u64>, message: &impl Message) {
    let offset = u64::try_from(message.offset()).unwrap_or(0);
    match message.key().and_then(decode_key) {
        Some(key) => {
            let value = message.payload().map(Bytes::copy_from_slice);
            let at = message.timestamp().to_millis().unwrap_or(0);
            lock(table).apply(offset, at, Written { key, value, condition: condition(message) });
        }
        None if message.key() == Some(MARK) => {}
        None => tracing::error!(
            topic = message.topic(),
            offset,
            "a record of the bus's state has a key that is none of ours; nobody but Zetes may write there"
        ),
    }
    passed.send_replace(offset + 1);
}

fn condition(message: &impl Message) -> Condition {
    let Some(headers) = message.headers() else { return Condition::Always };
    for header in headers.iter() {
        let number = header.value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        match (header.key, number) {
            (EXPECTED, Some(0)) => return Condition::Expects(None),
            (EXPECTED, Some(revision)) => return Condition::Expects(Some(Revision(revision))),
            (REVISION, Some(revision)) => return Condition::Again(Revision(revision)),
            _ => {}
        }
    }
    Condition::Always
}

/// Expectations, each against what the changes before it would leave.
fn check(table: &Table, changes: &[Change]) -> Result<(), BusError> {
    // What an earlier change of the same commit writes has a revision that nobody can know yet.
    let mut left: std::collections::BTreeMap<&StateKey, Option<Revision>> = std::collections::BTreeMap::new();
    for change in changes {
        match change {
            Change::Put { key, expected, .. } => {
                let stored = table.get(key).map(|entry| entry.revision);
                let found = left.get(key).copied().unwrap_or(stored);
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    return Err(conflict(key, expected, found));
                }
                left.insert(key, Some(Revision(u64::MAX)));
            }
            Change::Delete { key } => drop(left.insert(key, None)),
            Change::Ack(_) | Change::Record { .. } => {}
        }
    }
    Ok(())
}

fn conflict(key: &StateKey, expected: Option<Revision>, found: Option<Revision>) -> BusError {
    BusError::Conflict { bucket: key.bucket.clone(), key: key.key.clone(), expected, found }
}

fn expected(change: &Change) -> Option<Revision> {
    match change {
        Change::Put { expected, .. } => expected.flatten(),
        Change::Delete { .. } | Change::Ack(_) | Change::Record { .. } => None,
    }
}

fn written(change: &Change) -> Option<Written> {
    match change {
        Change::Put { key, value, expected } => Some(Written {
            key: key.clone(),
            value: Some(value.clone()),
            condition: expected.map_or(Condition::Always, Condition::Expects),
        }),
        Change::Delete { key } => {
            Some(Written { key: key.clone(), value: None, condition: Condition::Always })
        }
        Change::Ack(_) | Change::Record { .. } => None,
    }
}

/// `["bucket","key"]`: exact, and readable where topics are looked at.
fn encode_key(key: &StateKey) -> Vec<u8> {
    serde_json::to_vec(&(&key.bucket, &key.key)).unwrap_or_default()
}

fn decode_key(bytes: &[u8]) -> Option<StateKey> {
    let (bucket, key): (String, String) = serde_json::from_slice(bytes).ok()?;
    Some(StateKey { bucket, key })
}
