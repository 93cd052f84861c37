//! Questions to the brokers before anything is read. All of them block.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use connection_kafka::{About, Context, FailureKind};
use eventsource_core::Error;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::time::Instant;
use zetes_runtime::block_for;

/// How long brokers may take to be found.
const GREETING: Duration = Duration::from_secs(5);
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How long they may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Until a place that was committed is there.
const COMMITTED_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// More than a client tells between two looks at it.
const EVENTS: usize = 256;

/// Offsets by partition.
pub(crate) type Offsets = BTreeMap<i32, i64>;

/// A client that only asks.
pub(crate) struct Look {
    client: BaseConsumer<Context>,
    context: Context,
    topic: String,
    group: String,
}

impl Look {
    pub(crate) fn open(
        config: &ClientConfig,
        context: Context,
        topic: &str,
        group: &str,
    ) -> Result<Self, Error> {
        let client = BaseConsumer::from_config_and_context(config, context.clone())
            .map_err(|error| client_error(&error))?;
        let look = Self { client, context, topic: topic.to_owned(), group: group.to_owned() };
        // A login by token begins with a question to us, which only a poll answers.
        look.listen();
        Ok(look)
    }

    pub(crate) fn end(self) {
        connection_kafka::end(Arc::new(self.client));
    }

    /// The topic's partitions in order.
    pub(crate) fn partitions(&self) -> Result<Vec<i32>, Error> {
        self.found().map_err(|error| self.failed(&error, &About::ReadTopic(&self.topic)))
    }

    fn found(&self) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.greet()?;
        let missing = KafkaError::MetadataFetch(Code::UnknownTopicOrPartition);
        let found = metadata.topics().iter().find(|found| found.name() == self.topic).ok_or(missing)?;
        match found.error() {
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) | None
                if found.partitions().is_empty() =>
            {
                return Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition));
            }
            Some(error) => return Err(KafkaError::MetadataFetch(error.into())),
            None => {}
        }
        let mut partitions: Vec<i32> = found.partitions().iter().map(MetadataPartition::id).collect();
        partitions.sort_unstable();
        Ok(partitions)
    }

    /// The client tries on for as long as it may; what no further attempt helps is known at the first one.
    fn greet(&self) -> Result<Metadata, KafkaError> {
        let begun = Instant::now();
        loop {
            match self.client.fetch_metadata(Some(&self.topic), FIRST_ANSWER) {
                Err(error) if begun.elapsed() < GREETING => {
                    self.listen();
                    let failure = self.context.explain(&error, &About::Cluster);
                    if failure.kind != FailureKind::Unreachable {
                        return Err(error);
                    }
                }
                ended => return ended,
            }
        }
    }

    /// The offset behind the last record of each partition.
    pub(crate) fn ends(&self, partitions: &[i32]) -> Result<Offsets, Error> {
        let asked = || {
            let answer = self.client.offsets_for_times(self.list(partitions, Offset::End)?, PATIENCE)?;
            offsets(&answer)
        };
        asked().map_err(|error| self.failed(&error, &About::ReadTopic(&self.topic)))
    }

    /// Where the group is, in the partitions in which it has been.
    pub(crate) fn committed(&self, partitions: &[i32]) -> Result<Offsets, Error> {
        let asked = || {
            let asked = self.list(partitions, Offset::Invalid)?;
            offsets(&self.client.committed_offsets(asked, PATIENCE)?)
        };
        asked().map_err(|error| self.failed(&error, &About::ReadGroup(&self.group)))
    }

    /// Whether somebody is in the group. Who may not see that is told that somebody is.
    pub(crate) fn has_members(&self) -> bool {
        let found = self.client.fetch_group_list(Some(&self.group), PATIENCE);
        found.map_or(true, |found| found.groups().iter().any(|group| !group.members().is_empty()))
    }

    /// Commits these places for a group that has no member, and returns whether they are there: somebody may have joined it meanwhile.
    pub(crate) fn commit(&self, places: &Offsets) -> Result<bool, Error> {
        let numbers: Vec<i32> = places.keys().copied().collect();
        let committed = || {
            let mut list = TopicPartitionList::with_capacity(places.len());
            for (partition, offset) in places {
                list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
            }
            // The client waits for the answer to a synchronous commit for ever when the connection goes.
            self.client.commit(&list, CommitMode::Async)
        };
        committed().map_err(|error| self.failed(&error, &About::ReadGroup(&self.group)))?;
        let begun = Instant::now();
        while begun.elapsed() < COMMITTED_WITHIN {
            if self.committed(&numbers)?.len() == places.len() {
                return Ok(true);
            }
            self.listen();
            block_for(LOOK_AGAIN);
        }
        Ok(false)
    }

    fn list(&self, partitions: &[i32], offset: Offset) -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(&self.topic, *partition, offset)?;
        }
        Ok(list)
    }

    fn failed(&self, error: &KafkaError, about: &About<'_>) -> Error {
        self.listen();
        Error::upstream(self.context.explain(error, about))
    }

    /// Takes in what the client told beside its answers.
    fn listen(&self) {
        for _event in 0..EVENTS {
            drop(self.client.poll(Duration::ZERO));
        }
    }
}

pub(crate) fn client_error(error: &KafkaError) -> Error {
    Error::permanent(format!("the Kafka client can't be made: {error}"))
}

/// Those that there are.
fn offsets(list: &TopicPartitionList) -> Result<Offsets, KafkaError> {
    let mut found = Offsets::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            found.insert(element.partition(), offset);
        }
    }
    Ok(found)
}
