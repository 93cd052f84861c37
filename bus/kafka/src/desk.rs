//! Questions to the brokers, each with a time limit. All of them block: call them through [`blocking`].

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::BusError;
use connection_kafka::{About, Context, Failure};
use jiff::Timestamp;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long brokers may take for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long they may take to be found.
const GREETING: Duration = Duration::from_secs(5);

/// More than a client tells between two looks at it.
const EVENTS: usize = 256;

/// First and next offset of each partition.
pub(crate) type Watermarks = BTreeMap<i32, (u64, u64)>;

/// A client without a group, for questions.
pub(crate) struct Desk {
    config: ClientConfig,
    context: Context,
    client: BaseConsumer<Context>,
}

/// Runs what blocks on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BusError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| BusError::Unavailable(error.to_string()))
}

pub(crate) fn client<C: ClientContext, T: FromClientConfigAndContext<C>>(
    config: &ClientConfig,
    context: C,
) -> Result<T, BusError> {
    T::from_config_and_context(config, context)
        .map_err(|error| BusError::Unavailable(format!("the Kafka client can't be made: {error}")))
}

/// A client that reads partitions it chooses itself.
pub(crate) fn reading_config(config: &ClientConfig, group: &str) -> ClientConfig {
    let mut config = config.clone();
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("fetch.wait.max.ms", "250")
        .set("fetch.error.backoff.ms", "100")
        .set("queued.min.messages", "10000")
        // Its default of a second is how long a reader that keeps up would wait again and again.
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "8192");
    config
}

impl Desk {
    pub(crate) fn open(config: ClientConfig, context: Context) -> Result<Self, BusError> {
        let mut own = config.clone();
        own.set("isolation.level", "read_committed").set("allow.auto.create.topics", "false");
        let client = client(&own, context.clone())?;
        Ok(Self { config, context, client })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.config
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Why a call failed.
    pub(crate) fn failure(&self, error: &KafkaError, about: &About<'_>) -> Failure {
        self.listen();
        self.context.explain(error, about)
    }

    pub(crate) fn unavailable(&self, error: &KafkaError, about: &About<'_>) -> BusError {
        BusError::Unavailable(self.failure(error, about).text)
    }

    /// Takes in what the client told beside its answers; it would keep it for ever.
    pub(crate) fn listen(&self) {
        // What it took in itself looks like nothing at all, so that the end can not be seen.
        for _event in 0..EVENTS {
            drop(self.client.poll(Duration::ZERO));
        }
    }

    /// The topic's partitions in order; `None` where there is no such topic.
    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, KafkaError> {
        let metadata = self.client.fetch_metadata(Some(topic), GREETING)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        match found.error() {
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) => return Ok(None),
            Some(error) => return Err(KafkaError::MetadataFetch(error.into())),
            None => {}
        }
        let without_leader = found.partitions().iter().any(|partition| partition.leader() < 0);
        if without_leader || found.partitions().is_empty() {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable));
        }
        let mut partitions: Vec<i32> = found.partitions().iter().map(MetadataPartition::id).collect();
        partitions.sort_unstable();
        Ok(Some(partitions))
    }

    /// All topics that this client may see.
    pub(crate) fn topics(&self) -> Result<Vec<String>, KafkaError> {
        let metadata = self.client.fetch_metadata(None, PATIENCE)?;
        Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
    }

    pub(crate) fn groups(&self) -> Result<Vec<String>, KafkaError> {
        let groups = self.client.fetch_group_list(None, PATIENCE)?;
        Ok(groups.groups().iter().map(|group| group.name().to_owned()).collect())
    }

    pub(crate) fn watermarks(&self, topic: &str, partitions: &[i32]) -> Result<Watermarks, KafkaError> {
        let low = self.offsets(topic, partitions, Offset::Beginning)?;
        let high = self.offsets(topic, partitions, Offset::End)?;
        Ok(partitions
            .iter()
            .filter_map(|partition| Some((*partition, (*low.get(partition)?, *high.get(partition)?))))
            .collect())
    }

    /// The offset behind the last record of each partition.
    pub(crate) fn ends(&self, topic: &str, partitions: &[i32]) -> Result<BTreeMap<i32, u64>, KafkaError> {
        self.offsets(topic, partitions, Offset::End)
    }

    /// The first offset of each partition at or after a time; its end where there is none.
    pub(crate) fn offsets_at(
        &self,
        topic: &str,
        partitions: &[i32],
        time: Timestamp,
    ) -> Result<BTreeMap<i32, u64>, KafkaError> {
        let found = self.offsets(topic, partitions, Offset::Offset(time.as_millisecond().max(0)))?;
        if found.len() == partitions.len() {
            return Ok(found);
        }
        let mut all = self.ends(topic, partitions)?;
        all.extend(found);
        Ok(all)
    }

    fn offsets(
        &self,
        topic: &str,
        partitions: &[i32],
        asked: Offset,
    ) -> Result<BTreeMap<i32, u64>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(topic, *partition, asked)?;
        }
        let answer = self.client.offsets_for_times(list, PATIENCE)?;
        let mut found = BTreeMap::new();
        for element in answer.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                found.insert(element.partition(), u64::try_from(offset).unwrap_or(0));
            }
        }
        Ok(found)
    }

    /// A topic's settings by name; none where this client may not see them.
    pub(crate) async fn topic_settings(&self, topic: &str) -> BTreeMap<String, String> {
        let Ok(admin) = self.admin() else { return BTreeMap::new() };
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
        let resources = described.unwrap_or_default().into_iter().filter_map(Result::ok);
        let entries = resources.flat_map(|resource| resource.entries);
        entries.filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    /// Made for one use: nobody would listen to a longer-lived one.
    pub(crate) fn admin(&self) -> Result<AdminClient<Context>, BusError> {
        let mut config = self.config.clone();
        config.set_log_level(RDKafkaLogLevel::Emerg);
        client(&config, self.context.clone())
    }
}
