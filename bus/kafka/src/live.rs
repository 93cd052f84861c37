//! A bus that is connected: what there is from a connection on, until it must be made anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bus_core::{
    BusError, BusStats, Change, ConsumerName, ConsumerStats, Durability, EntryKind, Page, ReadFilter,
    Subscription,
};
use connection_kafka::{About, Context};
use jiff::Timestamp;
use rdkafka::admin::AdminOptions;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use tokio::sync::Mutex as AsyncMutex;

use crate::desk::{Desk, PATIENCE, blocking};
use crate::inbox::End;
use crate::layout::{Layout, PARTITIONS, sequence};
use crate::options::{Names, Options};
use crate::pages;
use crate::placing::Placing;
use crate::producer::{Producer, Record};
use crate::reader::{Common, Reader};
use crate::room::Room;
use crate::seen::Seen;
use crate::standings::{standings, unsettled};
use crate::state::State;
use crate::tail;
use crate::topics;
use crate::warnings::Warnings;

/// What brokers take where they don't tell.
const DEFAULT_MESSAGE_BYTES: u64 = 1_048_588;

pub(crate) struct Live {
    pub(crate) common: Arc<Common>,
    pub(crate) producer: Arc<Producer>,
    pub(crate) room: Room,
    pub(crate) max_event_bytes: u64,
    state: State,
    readers: Mutex<BTreeMap<ConsumerName, Arc<Reader>>>,
    /// One reader is opened at a time.
    opening: AsyncMutex<()>,
}

/// Connects with the secrets as they are now, makes what is missing and reads what is needed.
pub(crate) async fn connect(options: &Options, warnings: &Arc<Warnings>) -> Result<Live, BusError> {
    let layout = Layout::new(options);
    // What makes topics never asks for a token: the client of rdkafka for that has nobody who polls it.
    if options.connection.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == "OAUTHBEARER") {
        let told = "a bus can't log in by token (`sasl.mechanism: OAUTHBEARER`); use SCRAM-SHA-512 or a client certificate";
        return Err(BusError::Unavailable(told.to_owned()));
    }
    let config = options.connection.client_config().map_err(|failure| BusError::Unavailable(failure.text))?;
    let context = Context::new(options.connection.clone());
    let desk = {
        let (config, context) = (config.clone(), context.clone());
        Arc::new(blocking(move || Desk::open(config, context)).await??)
    };
    let partitions = topics::ensure(&desk, &layout, options).await?;
    let seen = Arc::new(Mutex::new(Seen::new(&options.retention)));
    let producer = Arc::new(Producer::open(&config, context, seen.clone())?);
    let state = State::open(&layout.state, &desk, &producer, &layout.reader_group(), &options.clock)?;
    let settings = desk.topic_settings(&layout.events).await;
    let max_event_bytes = settings.get("max.message.bytes").and_then(|bytes| bytes.parse().ok());
    let common = Arc::new(Common {
        desk,
        layout,
        namespace: options.namespace.clone(),
        placing: Placing::new(options.partition_key.as_deref(), &partitions),
        partitions,
        seen,
        window: options.retention.duplicate_window,
        oldest: options.group.oldest,
        warnings: warnings.clone(),
        clock: options.clock.clone(),
    });
    warnings.set(lasting(&common, &settings, options).await?);
    {
        let common = common.clone();
        blocking(move || tail::remember(&common)).await??;
    }
    state.catch_up().await?;
    state.repair_all().await?;
    Ok(Live {
        common,
        producer,
        room: Room::new(&options.retention),
        max_event_bytes: max_event_bytes.unwrap_or(DEFAULT_MESSAGE_BYTES),
        state,
        readers: Mutex::default(),
        opening: AsyncMutex::new(()),
    })
}

/// What works otherwise than the EventBus asks.
async fn lasting(
    common: &Arc<Common>,
    settings: &BTreeMap<String, String>,
    options: &Options,
) -> Result<Vec<String>, BusError> {
    let mut warnings = Vec::new();
    let topic = &common.layout.events;
    if options.connection.tls.as_ref().is_some_and(|tls| tls.insecure_skip_verify) {
        warnings.push("`tls.insecureSkipVerify`: the brokers' certificates are not verified".to_owned());
    }
    if settings.is_empty() {
        warnings.push(format!(
            "the settings of topic {topic} can't be seen: its limit is taken for the default; grant DescribeConfigs on it"
        ));
    }
    let keeps_all = settings.get("retention.ms").is_none_or(|kept| kept == "-1");
    if common.layout.names == Names::Own && !keeps_all {
        warnings.push(format!(
            "topic {topic} has a `retention.ms` of its own: Kafka removes events that no trigger has read; set it to -1"
        ));
    }
    if common.layout.names == Names::Argo {
        warnings.extend(foreign_work(common).await?);
    }
    Ok(warnings)
}

/// Work that the reference's sensors left in their own topics, which nobody does any more.
async fn foreign_work(common: &Arc<Common>) -> Result<Vec<String>, BusError> {
    let common = common.clone();
    blocking(move || {
        let desk = &common.desk;
        let failed = |error: KafkaError| desk.unavailable(&error, &About::Cluster);
        let mut warnings = Vec::new();
        for topic in desk.topics().map_err(failed)? {
            if !common.layout.is_foreign_work(&topic) {
                continue;
            }
            let lag = crate::groups::foreign_lag(&common, &topic)?;
            if lag > 0 {
                warnings.push(format!(
                    "topic {topic} of an Argo sensor holds up to {lag} records that it has not done: let it finish before its Sensor is handed over"
                ));
            }
        }
        Ok(warnings)
    })
    .await?
}

impl Live {
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn readers(&self) -> BTreeMap<ConsumerName, Arc<Reader>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConsumerName, Arc<Reader>>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new subscriber of the consumer's reader, which is opened where there is none.
    pub(crate) async fn subscribe(
        &self,
        subscription: &Subscription,
    ) -> Result<(Arc<Reader>, u64), BusError> {
        let _one = self.opening.lock().await;
        let name = &subscription.consumer;
        let open = self.lock().get(name).cloned();
        if let Some(reader) = open {
            if let Some(holder) = reader.join(subscription) {
                return Ok((reader, holder));
            }
            reader.left().await;
            self.lock().remove(name);
            drop_blocking(reader).await?;
        }
        let (common, wanted) = (self.common.clone(), subscription.clone());
        let (reader, holder) = blocking(move || Reader::open(&common, &wanted)).await??;
        let reader = Arc::new(reader);
        self.lock().insert(name.clone(), reader.clone());
        Ok((reader, holder))
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<(), BusError> {
        self.state.write(&changes).await?;
        self.record(&changes).await?;
        let mut acks: BTreeMap<ConsumerName, Vec<_>> = BTreeMap::new();
        for change in changes {
            if let Change::Ack(ticket) = change {
                acks.entry(ticket.consumer.clone()).or_default().push(ticket);
            }
        }
        for (name, tickets) in acks {
            let reader = self.lock().get(&name).cloned();
            if let Some(reader) = reader {
                blocking(move || reader.settle(&tickets)).await??;
            }
        }
        Ok(())
    }

    async fn record(&self, changes: &[Change]) -> Result<(), BusError> {
        let topic = &self.common.layout.records;
        let mut sent = Vec::new();
        for change in changes {
            let Change::Record { about, record, .. } = change else { continue };
            let ids = serde_json::to_vec(about).unwrap_or_default();
            let record = Record {
                topic: topic.clone(),
                partition: Some(0),
                key: about.first().map(|id| id.as_str().as_bytes().to_vec()).unwrap_or_default(),
                value: Some(record.to_vec()),
                headers: Some(OwnedHeaders::new().insert(Header { key: pages::ABOUT, value: Some(&ids) })),
                at: self.common.clock.now(),
                identity: None,
            };
            sent.push(self.producer.send(record).await?);
        }
        for one in sent {
            self.producer.written(one, topic).await?;
        }
        Ok(())
    }

    pub(crate) async fn read(
        &self,
        kind: EntryKind,
        range: std::ops::Range<u64>,
        filter: ReadFilter,
    ) -> Result<Page, BusError> {
        let common = self.common.clone();
        blocking(move || pages::read(&common, kind, &range, &filter)).await?
    }

    pub(crate) async fn stats(&self) -> Result<BusStats, BusError> {
        let found = standings(&self.common, &self.readers()).await?;
        let events: u64 = found.marks.values().map(|(low, high)| high.saturating_sub(*low)).sum();
        let place = |number: i32, offset: u64| sequence(number, i64::try_from(offset).unwrap_or(i64::MAX));
        let next = found.marks.values().map(|(_, high)| high.saturating_mul(PARTITIONS)).max().unwrap_or(0);
        let firsts = found.marks.iter().filter(|(_, (low, high))| low < high);
        let first = firsts.map(|(number, (low, _))| place(*number, *low)).min();
        let mut consumers = Vec::new();
        for (name, standing) in found.consumers {
            let oldest_unread = match standing.oldest {
                None if standing.lag > 0 => self.oldest_of(&standing.floors).await?,
                oldest => oldest,
            };
            let (lag, in_flight) = (standing.lag, standing.in_flight);
            consumers.push(ConsumerStats { name, lag, in_flight, oldest_unread });
        }
        Ok(BusStats {
            durability: Durability::PageCache,
            first_sequence: first.unwrap_or(next),
            next_sequence: next,
            events,
            bytes: events.saturating_mul(self.room.event_bytes().await),
            evicted_unread: self.room.evicted_unread().await,
            consumers,
        })
    }

    /// When the oldest record at or above the floors was published.
    async fn oldest_of(&self, floors: &BTreeMap<i32, u64>) -> Result<Option<Timestamp>, BusError> {
        let mut oldest = None;
        for (number, floor) in floors {
            let from = sequence(*number, i64::try_from(*floor).unwrap_or(i64::MAX));
            let page = self.read(EntryKind::Event, from..from + 1, ReadFilter::default()).await?;
            oldest = oldest.into_iter().chain(page.entries.first().map(|entry| entry.at)).min();
        }
        Ok(oldest)
    }

    pub(crate) async fn unsettled(&self, name: &ConsumerName) -> Result<Vec<std::ops::Range<u64>>, BusError> {
        unsettled(&self.common, &self.readers(), name).await
    }

    pub(crate) async fn remove_consumer(&self, name: &ConsumerName) -> Result<(), BusError> {
        let reader = self.lock().remove(name);
        if let Some(reader) = reader {
            reader.end(End::Closed);
            reader.left().await;
            drop_blocking(reader).await?;
        }
        let group = self.common.layout.group(name);
        let failed = |code| self.common.desk.unavailable(&KafkaError::AdminOp(code), &About::Group(&group));
        let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
        let removed = self.common.desk.admin()?.delete_groups(&[&group], &options).await;
        let removed = removed.map_err(|error| self.common.desk.unavailable(&error, &About::Group(&group)))?;
        for result in removed {
            match result {
                Ok(_) | Err((_, Code::GroupIdNotFound)) => {}
                Err((_, Code::NonEmptyGroup)) => {
                    return Err(BusError::Unavailable(format!(
                        "consumer {name} is subscribed by another process; stop that first"
                    )));
                }
                Err((_, code)) => return Err(failed(code)),
            }
        }
        Ok(())
    }

    /// Writes what is on its way, leaves the groups, and ends who subscribes.
    pub(crate) async fn end(&self, end: &End) -> Result<(), BusError> {
        let readers = std::mem::take(&mut *self.lock());
        for reader in readers.values() {
            reader.end(end.clone());
        }
        let producer = self.producer.clone();
        blocking(move || producer.flush()).await?;
        for reader in readers.into_values() {
            reader.left().await;
            drop_blocking(reader).await?;
        }
        Ok(())
    }

    /// Whether the brokers answer, and what this client must be made anew for.
    pub(crate) async fn check(&self) -> Result<(), Trouble> {
        if let Some(fatal) = self.producer.fatal_error() {
            return Err(Trouble { text: format!("the Kafka client gave up: {fatal}"), is_final: true });
        }
        let common = self.common.clone();
        let checked = blocking(move || {
            let topic = &common.layout.events;
            let found = common
                .desk
                .partitions(topic)
                .and_then(|found| found.ok_or(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition)));
            let failure = |error| common.desk.failure(&error, &About::Topic(topic));
            let known: BTreeSet<i32> = common.partitions.iter().copied().collect();
            let found: BTreeSet<i32> = found.map_err(failure)?.into_iter().collect();
            common.desk.listen();
            common.desk.context().forget();
            Ok::<_, connection_kafka::Failure>(found == known)
        });
        match checked.await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => {
                Err(Trouble { text: "the topic has other partitions than before".to_owned(), is_final: true })
            }
            Ok(Err(failure)) => {
                // A topic that is missing is made again, and a login is tried with the secrets as they are now.
                let is_final = failure.kind.is_about_secrets()
                    || failure.kind == connection_kafka::FailureKind::TopicMissing;
                Err(Trouble { text: failure.text, is_final })
            }
            Err(error) => Err(Trouble { text: error.to_string(), is_final: false }),
        }
    }
}

/// Why a connected bus does not work.
pub(crate) struct Trouble {
    pub(crate) text: String,
    /// This connection will not do it any more.
    pub(crate) is_final: bool,
}

/// The end of a client waits for its threads.
async fn drop_blocking<T: Send + 'static>(value: T) -> Result<(), BusError> {
    blocking(move || drop(value)).await
}
