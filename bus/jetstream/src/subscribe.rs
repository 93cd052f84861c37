//! Consumers on the server: created, found again, changed in place, removed.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{BusError, ConsumerName, Start, Subscription};
use serde_json::{Map, Value, json};

use crate::api::{ApiError, ConsumerInfo, code};
use crate::bus::Shared;
use crate::consumer::JetStreamConsumer;
use crate::layout::Part;
use crate::link::Live;
use crate::names;

/// Argo Events' own consumers (spec/control-plane.md 3.2).
const ARGO_ACK_WAIT: Duration = Duration::from_secs(30);
const ARGO_MAX_ACK_PENDING: u64 = 65_536;
const MAX_WAITING: u64 = 512;

/// What a consumer on the server is asked to be.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) name: ConsumerName,
    ack_wait: Duration,
    max_ack_pending: u64,
}

impl Shared {
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        subscription: Subscription,
    ) -> Result<JetStreamConsumer, BusError> {
        let live = self.live()?;
        if !self.layout.is_argo() && subscription.consumer.namespace != self.layout.namespace {
            return Err(BusError::Refused(format!(
                "this bus carries events of namespace `{}`, not of `{}`",
                self.layout.namespace, subscription.consumer.namespace
            )));
        }
        let terms = self.terms(&subscription);
        let parts =
            self.layout.parts(&subscription.consumer, &subscription.interests, live.knows_filters())?;
        let created =
            live.stream_info(&self.layout.events).await.map_err(|error| live.failed(error))?.created;
        let mut pending = Vec::with_capacity(parts.len());
        for part in &parts {
            let info = self
                .put_part(&live, &terms, part, subscription.start)
                .await
                .map_err(|error| live.failed(error))?;
            pending.push(info.num_pending);
            self.tables.named(&part.durable, &subscription.consumer);
        }
        Ok(JetStreamConsumer::new(
            self.clone(),
            subscription,
            terms,
            created,
            parts.into_iter().zip(pending).collect(),
        ))
    }

    fn terms(&self, subscription: &Subscription) -> Terms {
        let (ack_wait, max_ack_pending) = if self.layout.is_argo() {
            (ARGO_ACK_WAIT, ARGO_MAX_ACK_PENDING)
        } else {
            (subscription.ack_deadline, u64::try_from(subscription.max_in_flight.max(1)).unwrap_or(u64::MAX))
        };
        Terms { name: subscription.consumer.clone(), ack_wait, max_ack_pending }
    }

    /// Creates the consumer, or brings the one that is there in line; its position stays.
    pub(crate) async fn put_part(
        &self,
        live: &Live,
        terms: &Terms,
        part: &Part,
        start: Start,
    ) -> Result<ConsumerInfo, ApiError> {
        let stream = &self.layout.events;
        match live.consumer_info(stream, &part.durable).await {
            Ok(info) => {
                let config =
                    if self.layout.is_argo() { refiltered(&info, part) } else { changed(&info, terms, part) };
                match config {
                    Some(config) if live.knows_filters() || has_filters(&info, part) => {
                        live.put_consumer(stream, &part.durable, &config).await
                    }
                    Some(_) => self.replace(live, terms, part, &info).await,
                    None => Ok(info),
                }
            }
            Err(error) if error.is(code::CONSUMER_NOT_FOUND) => {
                let start = if self.layout.is_argo() { Start::Now } else { start };
                live.put_consumer(stream, &part.durable, &config(terms, part, start)).await
            }
            Err(error) => Err(error),
        }
    }

    /// A consumer with other filters from the same position on, for servers where they can't be changed. What was settled behind the
    /// oldest unsettled delivery comes again.
    async fn replace(
        &self,
        live: &Live,
        terms: &Terms,
        part: &Part,
        info: &ConsumerInfo,
    ) -> Result<ConsumerInfo, ApiError> {
        let stream = &self.layout.events;
        live.delete_consumer(stream, &part.durable).await?;
        let config = config(terms, part, Start::Sequence(info.ack_floor.stream_seq + 1));
        live.put_consumer(stream, &part.durable, &config).await
    }

    pub(crate) async fn remove_consumer(&self, name: &ConsumerName) -> Result<(), BusError> {
        let live = self.live()?;
        for durable in self.durables(&live, name).await? {
            live.delete_consumer(&self.layout.events, &durable).await.map_err(|error| live.failed(error))?;
        }
        self.tables.remove(name);
        Ok(())
    }

    /// The consumers on the server that a trigger has.
    pub(crate) async fn durables(&self, live: &Live, name: &ConsumerName) -> Result<Vec<String>, BusError> {
        if !self.layout.is_argo() {
            return Ok(vec![names::consumer(name)]);
        }
        let consumers = live.consumers(&self.layout.events).await.map_err(|error| live.failed(error))?;
        let theirs = consumers.iter().filter(|consumer| self.consumer_name(consumer).as_ref() == Some(name));
        Ok(theirs.map(|consumer| consumer.name.clone()).collect())
    }
}

/// A new consumer.
fn config(terms: &Terms, part: &Part, start: Start) -> Map<String, Value> {
    let mut config = Map::new();
    let mut set = |key: &str, value: Value| drop(config.insert(key.to_owned(), value));
    set("durable_name", json!(part.durable));
    set("ack_policy", json!("explicit"));
    set("replay_policy", json!("instant"));
    set("max_deliver", json!(-1));
    set("max_waiting", json!(MAX_WAITING));
    let policy = match start {
        Start::Now => "new",
        Start::Earliest | Start::Sequence(0) => "all",
        Start::Time(time) => {
            set("opt_start_time", json!(time.to_string()));
            "by_start_time"
        }
        Start::Sequence(sequence) => {
            set("opt_start_seq", json!(sequence));
            "by_start_sequence"
        }
    };
    set("deliver_policy", json!(policy));
    apply(&mut config, terms, part);
    config
}

/// What may be changed of a consumer at any time.
fn apply(config: &mut Map<String, Value>, terms: &Terms, part: &Part) {
    config.insert("description".to_owned(), json!(names::description(&terms.name)));
    config.insert("ack_wait".to_owned(), json!(u64::try_from(terms.ack_wait.as_nanos()).unwrap_or(u64::MAX)));
    config.insert("max_ack_pending".to_owned(), json!(terms.max_ack_pending));
    filter(config, part);
}

fn filter(config: &mut Map<String, Value>, part: &Part) {
    config.remove("filter_subject");
    config.remove("filter_subjects");
    match part.filters.as_slice() {
        [one] => config.insert("filter_subject".to_owned(), json!(one)),
        many => config.insert("filter_subjects".to_owned(), json!(many)),
    };
}

/// The configuration that an existing consumer should have, if it has another.
fn changed(info: &ConsumerInfo, terms: &Terms, part: &Part) -> Option<Map<String, Value>> {
    let mut config = info.config.clone();
    apply(&mut config, terms, part);
    let keys = ["description", "ack_wait", "max_ack_pending"];
    let is_same = keys.iter().all(|key| config.get(*key) == info.config.get(*key));
    (!is_same || !has_filters(info, part)).then_some(config)
}

/// A consumer of Argo's is left as it is, but for what it is handed.
fn refiltered(info: &ConsumerInfo, part: &Part) -> Option<Map<String, Value>> {
    let mut config = info.config.clone();
    filter(&mut config, part);
    (!has_filters(info, part)).then_some(config)
}

fn has_filters(info: &ConsumerInfo, part: &Part) -> bool {
    let mut filters = info.filters();
    filters.sort();
    filters == part.filters
}
