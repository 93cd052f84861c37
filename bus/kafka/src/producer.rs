//! The writing client: what it was given is on the brokers when the answer comes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bus_core::{BusError, Identity};
use connection_kafka::{About, Context};
use jiff::Timestamp;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, Statistics};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::desk;
use crate::layout::sequence;
use crate::seen::Seen;

/// Kibibytes on their way to the brokers at a time.
const QUEUE_KIB: u32 = 32 << 10;
/// What a record weighs beside its value.
const RECORD_OVERHEAD: usize = 1 << 10;
/// Larger ones are refused before they come here, by their topic's own limit.
const MAX_MESSAGE: &str = "67108864";
/// So long the client tries to write a record.
const WRITE_MS: &str = "20000";

/// A record to be written.
pub(crate) struct Record {
    pub(crate) topic: String,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Vec<u8>,
    /// `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Option<OwnedHeaders>,
    pub(crate) at: Timestamp,
    /// Of an event: it is remembered when it is stored, whoever waits for it.
    pub(crate) identity: Option<Identity>,
}

/// Partition and offset, when the brokers have it.
pub(crate) type Written = oneshot::Receiver<Result<(i32, i64), KafkaError>>;

pub(crate) struct Producer {
    context: Context,
    client: ThreadedProducer<Reports>,
    room: Arc<Semaphore>,
}

struct Reports {
    context: Context,
    seen: Arc<Mutex<Seen>>,
}

/// What the delivery report needs.
pub(crate) struct Sent {
    answer: oneshot::Sender<Result<(i32, i64), KafkaError>>,
    identity: Option<(Identity, Timestamp)>,
    _room: OwnedSemaphorePermit,
}

impl Producer {
    pub(crate) fn open(
        config: &ClientConfig,
        context: Context,
        seen: Arc<Mutex<Seen>>,
    ) -> Result<Self, BusError> {
        let mut config = config.clone();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "1")
            .set("partitioner", "murmur2_random")
            .set("message.max.bytes", MAX_MESSAGE)
            .set("message.timeout.ms", WRITE_MS)
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "1000");
        let client = desk::client(&config, Reports { context: context.clone(), seen })?;
        let room = Arc::new(Semaphore::new(usize::try_from(QUEUE_KIB).unwrap_or(1024)));
        Ok(Self { context, client, room })
    }

    /// Takes the record on its way; waits while too much is on its way already.
    pub(crate) async fn send(&self, record: Record) -> Result<Written, BusError> {
        let bytes = record.value.as_ref().map_or(0, Vec::len) + record.key.len() + RECORD_OVERHEAD;
        let weight = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).clamp(1, QUEUE_KIB);
        let room = self.room.clone().acquire_many_owned(weight).await.map_err(|_| BusError::Closed)?;
        let (answer, written) = oneshot::channel();
        let identity = record.identity.map(|identity| (identity, record.at));
        let sent = Box::new(Sent { answer, identity, _room: room });
        let mut base = BaseRecord::with_opaque_to(&record.topic, sent)
            .key(&record.key)
            .timestamp(record.at.as_millisecond());
        if let Some(value) = &record.value {
            base = base.payload(value);
        }
        if let Some(partition) = record.partition {
            base = base.partition(partition);
        }
        if let Some(headers) = record.headers.clone() {
            base = base.headers(headers);
        }
        match self.client.send(base) {
            Ok(()) => Ok(written),
            Err((error, _)) => Err(self.unavailable(&error, &record.topic)),
        }
    }

    /// Waits until the brokers have it.
    pub(crate) async fn written(&self, written: Written, topic: &str) -> Result<(i32, i64), BusError> {
        let result = written.await.map_err(|_| BusError::Closed)?;
        result.map_err(|error| self.unavailable(&error, topic))
    }

    /// Why this client can never write again; it must be made anew.
    pub(crate) fn fatal_error(&self) -> Option<String> {
        self.client.client().fatal_error().map(|(_, text)| text)
    }

    /// Blocks until everything is written, or has failed.
    pub(crate) fn flush(&self) {
        if let Err(error) = self.client.flush(Duration::from_secs(20)) {
            tracing::warn!(%error, "what was being written to Kafka when the bus was closed may not be there");
        }
    }

    fn unavailable(&self, error: &KafkaError, topic: &str) -> BusError {
        BusError::Unavailable(self.context.explain(error, &About::Topic(topic)).text)
    }
}

impl ClientContext for Reports {
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

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let result = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.clone()),
        };
        if let Some((identity, at)) = sent.identity {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            // A record that timed out may be there all the same; its readers drop the second one.
            seen.written(
                identity,
                result.as_ref().ok().map(|(partition, offset)| sequence(*partition, *offset)),
                at,
            );
        }
        // Nobody waits any more: the future was dropped.
        let _waited_for = sent.answer.send(result).is_ok();
    }
}

/// Whether the brokers may yet do it.
pub(crate) fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::RebalanceInProgress
            | Code::InProgress
    )
}
