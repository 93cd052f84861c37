//! Partitions that come and go as members of the group do.

use std::sync::Arc;
use std::time::Duration;

use bus_core::Position;
use connection_kafka::{About, Context};
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList};

use super::Shared;
use crate::committed::Committed;
use crate::groups::committed_of;
use crate::inbox::End;

/// What is in hand has so long to be settled before its partition goes to another member.
const HAND_OVER_WAITS: u32 = 50;
const HAND_OVER_WAIT: Duration = Duration::from_millis(100);
/// A commit of another thread takes milliseconds, or for ever.
const OTHERS_COMMIT: Duration = Duration::from_secs(2);

/// Keeps no client alive: the client holds it.
pub(super) struct Callbacks {
    pub(super) context: Context,
    pub(super) shared: Arc<Shared>,
}

impl Shared {
    fn assigned(
        &self,
        client: &BaseConsumer<Callbacks>,
        given: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let topic = &self.common.layout.events;
        let numbers: Vec<i32> = partitions_of(given);
        let found = committed_of(topic, client, &numbers)?;
        let mut from = TopicPartitionList::new();
        let mut inbox = self.inbox();
        for number in numbers {
            let known = found.get(&number).map(Committed::position);
            let offset = known.as_ref().map_or(Offset::Beginning, |known| {
                Offset::Offset(i64::try_from(known.floor()).unwrap_or(i64::MAX))
            });
            from.add_partition_offset(topic, number, offset)?;
            // A partition that is new has only what came after the consumer.
            inbox.assign(number, known.unwrap_or_else(|| Position::starting_at(0)));
        }
        drop(inbox);
        client.incremental_assign(&from)
    }

    fn revoked(&self, client: &BaseConsumer<Callbacks>, list: &TopicPartitionList) -> Result<(), KafkaError> {
        let partitions: Vec<i32> = partitions_of(list);
        self.inbox().begin_leaving(&partitions);
        if !client.assignment_lost() {
            self.let_settle(&partitions);
        }
        // It is on its way to the coordinator before the request that gives the partitions back.
        let sending = self.sending.take_within(OTHERS_COMMIT);
        let positions = self.inbox().remove(&partitions);
        if !client.assignment_lost()
            && let Err(error) = self.send(client, positions, CommitMode::Async)
        {
            tracing::warn!(group = self.group, %error, "a position was not handed over; some events come again");
        }
        drop(sending);
        client.incremental_unassign(list)
    }

    fn let_settle(&self, partitions: &[i32]) {
        for _wait in 0..HAND_OVER_WAITS {
            let inbox = self.inbox();
            if inbox.end.is_some() || inbox.is_unused() || !inbox.are_in_hand(partitions) {
                return;
            }
            drop(self.moved.wait_timeout(inbox, HAND_OVER_WAIT));
        }
    }
}

impl ClientContext for Callbacks {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn stats(&self, _statistics: Statistics) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.context.error(error, reason);
    }

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.context.generate_oauth_token(config)
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(&self, client: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let done = match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.shared.assigned(client, list),
            _ => self.shared.revoked(client, list),
        };
        if let Err(error) = done {
            let failure = self.context.explain(&error, &About::Group(&self.shared.group));
            self.shared.end(End::Failed(failure.text));
        }
    }
}

fn partitions_of(list: &TopicPartitionList) -> Vec<i32> {
    list.elements().iter().map(TopicPartitionListElem::partition).collect()
}
