//! What consumer groups have committed, and where new ones begin. All of it blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_core::{BusError, ConsumerName, Start, Subscription};
use connection_kafka::{About, Context};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use zetes_runtime::block_for;

use crate::committed::{Committed, Positions};
use crate::desk::{self, PATIENCE};
use crate::layout::offsets;
use crate::producer::is_transient;
use crate::reader::Common;

/// So long a coordinator may take to move.
pub(crate) const MOVING: Duration = Duration::from_secs(4);
const TRY_AGAIN: Duration = Duration::from_millis(100);

/// The positions with which a new consumer begins; `None` where it exists.
pub(crate) fn beginning<C: ConsumerContext>(
    common: &Common,
    client: &BaseConsumer<C>,
    group: &str,
    subscription: &Subscription,
) -> Result<Option<Positions>, BusError> {
    let known = committed(common, client);
    let known = known.map_err(|error| common.desk.unavailable(&error, &About::Group(group)))?;
    if !known.is_empty() {
        return Ok(None);
    }
    let starts = starts(common, subscription)?.into_iter();
    let position = |(partition, floor)| (partition, Committed { floor, metadata: String::new() });
    Ok(Some(starts.map(position).collect()))
}

fn starts(common: &Common, subscription: &Subscription) -> Result<BTreeMap<i32, u64>, BusError> {
    let topic = &common.layout.events;
    let failed = |error: KafkaError| common.desk.unavailable(&error, &About::Topic(topic));
    let marks = common.desk.watermarks(topic, &common.partitions).map_err(failed)?;
    let lows = || marks.iter().map(|(partition, (low, _))| (*partition, *low)).collect();
    let highs = || marks.iter().map(|(partition, (_, high))| (*partition, *high)).collect();
    let mut starts: BTreeMap<i32, u64> = match subscription.start {
        Start::Now if common.oldest => lows(),
        Start::Now => highs(),
        Start::Earliest => lows(),
        Start::Time(time) => common.desk.offsets_at(topic, &common.partitions, time).map_err(failed)?,
        Start::Sequence(from) => {
            let first = |partition: i32| offsets(&(from..u64::MAX), partition).start;
            let within = |(partition, (low, high)): (&i32, &(u64, u64))| {
                (*partition, first(*partition).clamp(*low, *high))
            };
            marks.iter().map(within).collect()
        }
    };
    starts.extend(continued(common, &subscription.consumer)?);
    Ok(starts)
}

/// Where the reference's own group of the Sensor stands, where there is one.
fn continued(common: &Common, name: &ConsumerName) -> Result<BTreeMap<i32, u64>, BusError> {
    let Some(group) = common.layout.argo_group(name) else { return Ok(BTreeMap::new()) };
    let config = desk::reading_config(common.desk.config(), &group);
    let client: BaseConsumer<Context> = desk::client(&config, common.desk.context().clone())?;
    let found =
        committed(common, &client).map_err(|error| common.desk.unavailable(&error, &About::Group(&group)))?;
    Ok(found.into_iter().map(|(partition, committed)| (partition, committed.floor)).collect())
}

/// What a group has committed, by partition.
pub(crate) fn committed<C: ConsumerContext>(
    common: &Common,
    client: &BaseConsumer<C>,
) -> Result<BTreeMap<i32, Committed>, KafkaError> {
    committed_of(&common.layout.events, client, &common.partitions)
}

pub(crate) fn committed_of<C: ConsumerContext>(
    topic: &str,
    client: &BaseConsumer<C>,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Committed>, KafkaError> {
    let answer = try_again(MOVING, || {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(topic, *partition);
        }
        let answer = client.committed_offsets(list, PATIENCE)?;
        for element in answer.elements() {
            element.error()?;
        }
        Ok(answer)
    })?;
    let mut found = BTreeMap::new();
    for element in answer.elements() {
        if let Offset::Offset(offset) = element.offset() {
            let floor = u64::try_from(offset).unwrap_or(0);
            let metadata = element.metadata().to_owned();
            found.insert(element.partition(), Committed { floor, metadata });
        }
    }
    Ok(found)
}

/// A coordinator that is just moving answers a moment later.
pub(crate) fn try_again<T>(
    within: Duration,
    mut work: impl FnMut() -> Result<T, KafkaError>,
) -> Result<T, KafkaError> {
    let begun = Instant::now();
    loop {
        match work() {
            Err(error)
                if begun.elapsed() < within && error.rdkafka_error_code().is_some_and(is_transient) =>
            {
                block_for(TRY_AGAIN);
            }
            other => return other,
        }
    }
}

/// Records of a topic of the reference's that its groups have not done; the most that one of them has.
pub(crate) fn foreign_lag(common: &Common, topic: &str) -> Result<u64, BusError> {
    let failed = |error: KafkaError| common.desk.unavailable(&error, &About::Topic(topic));
    let sensor = topic.strip_prefix(&common.layout.events).and_then(|rest| rest.strip_prefix('-'));
    let sensor = sensor.and_then(|rest| rest.rsplit_once('-')).map_or("", |(sensor, _)| sensor);
    let name =
        ConsumerName { namespace: common.namespace.clone(), sensor: sensor.into(), trigger: "".into() };
    let Some(group) = common.layout.argo_group(&name) else { return Ok(0) };
    let partitions = common.desk.partitions(topic).map_err(failed)?.unwrap_or_default();
    let marks = common.desk.watermarks(topic, &partitions).map_err(failed)?;
    let config = desk::reading_config(common.desk.config(), &group);
    let client: BaseConsumer<Context> = desk::client(&config, common.desk.context().clone())?;
    let done = committed_of(topic, &client, &partitions).map_err(failed)?;
    Ok(marks
        .iter()
        .map(|(partition, (low, high))| {
            let floor = done.get(partition).map_or(*low, |done| done.floor.max(*low));
            high.saturating_sub(floor)
        })
        .sum())
}
