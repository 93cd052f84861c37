//! The client that reads. It is polled by who waits for records, and by nobody else: partitions change hands only there, never while a
//! batch becomes durable.

use std::sync::Arc;
use std::time::Duration;

use connection_kafka::{About, Context};
use eventsource_core::Error;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::sync::Notify;

use crate::look::{Offsets, client_error};
use crate::place::Cursor;

/// The client tells when something comes; what it took in itself may stand before that unseen.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) type Polled<'c> = Result<BorrowedMessage<'c>, KafkaError>;

/// Ends with the value: in order by [`Client::end`], otherwise where it is dropped.
pub(crate) struct Client {
    consumer: Option<BaseConsumer<Context>>,
    news: Arc<Notify>,
    context: Context,
    topic: String,
    /// Empty where one partition is read without a group.
    group: String,
}

/// What an error of the client means.
pub(crate) enum Disturbance {
    /// Nothing is wrong.
    Passing,
    /// The client tries on by itself, and somebody should know.
    Trouble(String),
    End(Error),
}

impl Client {
    /// A member of a group.
    pub(crate) fn join(
        config: &ClientConfig,
        context: Context,
        topic: &str,
        group: &str,
    ) -> Result<Self, Error> {
        let client = Self::open(config, context, topic, group)?;
        let subscribed = client.consumer()?.subscribe(&[topic]);
        subscribed.map_err(|error| client.failed(&error))?;
        Ok(client)
    }

    /// A reader of one partition.
    pub(crate) fn assign(config: &ClientConfig, context: Context, cursor: &Cursor) -> Result<Self, Error> {
        let client = Self::open(config, context, &cursor.topic, "")?;
        let assigned = || {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&cursor.topic, cursor.partition, Offset::Offset(cursor.next))?;
            client.consumer.as_ref().map_or(Ok(()), |consumer| consumer.assign(&list))
        };
        assigned().map_err(|error| client.failed(&error))?;
        Ok(client)
    }

    fn open(config: &ClientConfig, context: Context, topic: &str, group: &str) -> Result<Self, Error> {
        let mut consumer = BaseConsumer::from_config_and_context(config, context.clone())
            .map_err(|error| client_error(&error))?;
        let news = Arc::new(Notify::new());
        let told = news.clone();
        consumer.set_nonempty_callback(move || told.notify_one());
        Ok(Self { consumer: Some(consumer), news, context, topic: topic.to_owned(), group: group.to_owned() })
    }

    fn consumer(&self) -> Result<&BaseConsumer<Context>, Error> {
        self.consumer.as_ref().ok_or_else(|| Error::upstream("the Kafka client has ended"))
    }

    /// The next record, or what disturbs the client. Cancel safe.
    pub(crate) async fn next(&self) -> Polled<'_> {
        loop {
            if let Some(polled) = self.ready() {
                return polled;
            }
            // In vain is as well: then it is time to look again.
            drop(tokio::time::timeout(LOOK_AGAIN, self.news.notified()).await);
        }
    }

    /// The next record that is there already.
    pub(crate) fn ready(&self) -> Option<Polled<'_>> {
        let consumer = self.consumer.as_ref()?;
        // What it takes in itself looks like nothing at all.
        consumer.poll(Duration::ZERO).or_else(|| consumer.poll(Duration::ZERO))
    }

    /// The client will commit these places, each behind a record that is durable.
    pub(crate) fn store(&self, next: &Offsets) -> Result<(), Error> {
        let stored = || {
            let mut list = TopicPartitionList::with_capacity(next.len());
            for (partition, offset) in next {
                list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
            }
            self.consumer.as_ref().map_or(Ok(()), |consumer| consumer.store_offsets(&list))
        };
        match stored() {
            // Its partitions are another member's now, where these records come again.
            Err(KafkaError::StoreOffset(Code::State | Code::UnknownPartition)) => Ok(()),
            other => other.map_err(|error| self.failed(&error)),
        }
    }

    pub(crate) fn disturbance(&self, error: &KafkaError) -> Disturbance {
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code.is_some_and(ends) {
            return Disturbance::End(self.failed(error));
        }
        match code {
            // Nobody asks for a group where there is none.
            Some(Code::GroupAuthorizationFailed) if self.group.is_empty() => Disturbance::Passing,
            Some(Code::GroupAuthorizationFailed) => Disturbance::End(self.failed(error)),
            // It was busy with a batch, and joins again.
            Some(Code::PollExceeded) => Disturbance::Passing,
            _ => Disturbance::Trouble(format!("a broker failed, and the client tries on: {error}")),
        }
    }

    fn failed(&self, error: &KafkaError) -> Error {
        let code = error.rdkafka_error_code();
        let group = &self.group;
        if code == Some(Code::InconsistentGroupProtocol) {
            return Error::upstream(format!(
                "the other members of consumer group {group} share it out in another way: give all of them the same `rebalanceStrategy`"
            ));
        }
        let about = match code {
            Some(Code::GroupAuthorizationFailed) => About::ReadGroup(group),
            _ => About::ReadTopic(&self.topic),
        };
        Error::upstream(self.context.explain(error, &about))
    }

    /// Commits what is stored, and leaves the group. Takes as long as a session where a commit is on its way to brokers that are gone.
    pub(crate) async fn end(mut self) {
        if let Some(consumer) = self.consumer.take() {
            // It blocks.
            drop(tokio::task::spawn_blocking(move || connection_kafka::end(Arc::new(consumer))).await);
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            connection_kafka::end(Arc::new(consumer));
        }
    }
}

/// The client would try on; the supervisor does, and tells it.
fn ends(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::SSL
            | Code::TopicAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::InconsistentGroupProtocol
    )
}
