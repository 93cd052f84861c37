//! How positions get to the brokers: at once and waited for where somebody settles, now and then where nothing depends on it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

use super::{Callbacks, Shared, lock};
use crate::committed::Positions;
use crate::groups::{MOVING, try_again};

impl Shared {
    /// Sends what moved, and does not wait: librdkafka needs this thread, which polls, before it answers some commits. What gets
    /// lost is in the next one.
    pub(super) fn commit_what_moved(&self, client: &BaseConsumer<Callbacks>) {
        let Some(_sending) = self.sending.take_within(Duration::ZERO) else { return };
        let positions = self.inbox().uncommitted();
        if let Err(error) = self.send(client, positions, CommitMode::Async) {
            tracing::debug!(group = self.group, %error, "a position was not committed; the next commit has it");
        }
    }

    /// Commits positions of at least this version, and waits until they are.
    pub(super) fn commit(&self, version: u64) -> Result<(), KafkaError> {
        let mut order = lock(&self.order);
        if *order >= version {
            return Ok(());
        }
        let done = try_again(MOVING, || {
            let _sending = self.sending.take();
            let Some(client) = lock(&self.client).clone() else { return Ok(version) };
            let (now, positions) = {
                let inbox = self.inbox();
                (inbox.version, inbox.positions())
            };
            self.send(&client, positions, CommitMode::Sync)?;
            Ok(now)
        });
        match done {
            Ok(now) => *order = now,
            // This process was taken for dead: its partitions are elsewhere, where they come again.
            Err(KafkaError::ConsumerCommit(Code::UnknownMemberId | Code::IllegalGeneration)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(super) fn send(
        &self,
        client: &BaseConsumer<Callbacks>,
        positions: Positions,
        mode: CommitMode,
    ) -> Result<(), KafkaError> {
        if positions.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, committed) in &positions {
            let mut element = list.add_partition(&self.common.layout.events, *partition);
            element.set_offset(Offset::Offset(i64::try_from(committed.floor).unwrap_or(i64::MAX)))?;
            element.set_metadata(&committed.metadata);
        }
        client.commit(&list, mode)?;
        self.inbox().committed(positions);
        Ok(())
    }

    /// Makes the consumer: its group has no member yet.
    pub(super) fn create(
        &self,
        client: &BaseConsumer<Callbacks>,
        beginning: &Positions,
    ) -> Result<(), KafkaError> {
        match try_again(MOVING, || self.send(client, beginning.clone(), CommitMode::Sync)) {
            // Another process has made it in the same moment, and joined already.
            Err(KafkaError::ConsumerCommit(Code::UnknownMemberId | Code::IllegalGeneration)) => Ok(()),
            other => other,
        }
    }
}
