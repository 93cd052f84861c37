//! The topics are there, made by us where we may.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bus_core::{BusError, Retention};
use connection_kafka::{About, Failure, FailureKind};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use zetes_runtime::Clock;

use crate::desk::{Desk, PATIENCE, blocking};
use crate::layout::{Layout, PARTITIONS};
use crate::options::{Names, Options};

/// Bytes of one event's record, where the topic is ours.
const EVENT_BYTES: u64 = 4 << 20;
/// Bytes of one state entry or record: a dead letter holds several events.
const ENTRY_BYTES: u64 = 16 << 20;
/// So long every record of the state topic is seen by every process that is slow, before it is compacted.
pub(crate) const COMPACTION_LAG_MS: i64 = 600_000;
/// Times that a topic just made is looked for.
const LOOKS: u32 = 50;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A topic as it should be.
struct Wanted {
    name: String,
    partitions: u32,
    settings: Vec<(&'static str, String)>,
}

fn wanted(layout: &Layout, options: &Options) -> Vec<Wanted> {
    let mut events = Vec::new();
    if layout.names == Names::Own {
        // Retention is ours: a record is deleted when everybody has settled it.
        events.push(("retention.ms", "-1".to_owned()));
        events.push(("retention.bytes", "-1".to_owned()));
        events.push(("max.message.bytes", EVENT_BYTES.to_string()));
    }
    let entry = ("max.message.bytes", ENTRY_BYTES.to_string());
    let state = vec![
        ("cleanup.policy", "compact".to_owned()),
        ("min.compaction.lag.ms", COMPACTION_LAG_MS.to_string()),
        entry.clone(),
    ];
    let records = vec![("retention.ms", age_ms(&options.retention)), entry];
    vec![
        Wanted { name: layout.events.clone(), partitions: options.partitions, settings: events },
        Wanted { name: layout.state.clone(), partitions: 1, settings: state },
        Wanted { name: layout.records.clone(), partitions: 1, settings: records },
    ]
}

fn age_ms(retention: &Retention) -> String {
    retention.max_age.map_or_else(|| "-1".to_owned(), |age| age.as_millis().to_string())
}

/// Makes the topics that are missing. Gives the partitions of the events.
///
/// # Errors
/// Where we may not make them: the commands that do.
pub(crate) async fn ensure(
    desk: &Arc<Desk>,
    layout: &Layout,
    options: &Options,
) -> Result<Vec<i32>, BusError> {
    let mut missing = Vec::new();
    for topic in wanted(layout, options) {
        match partitions_of(desk, &topic.name).await? {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(topic),
            Err(failure) if failure.kind == FailureKind::Permission => {
                let commands = commands(options, &wanted(layout, options));
                let text = format!(
                    "{failure}; brokers do not tell such a user whether it exists, so create what is missing first:{commands}"
                );
                return Err(BusError::Unavailable(text));
            }
            Err(failure) => return Err(BusError::Unavailable(failure.text)),
        }
    }
    if !missing.is_empty() {
        create(desk, options, &missing).await?;
    }
    for topic in [&layout.state, &layout.records] {
        await_topic(desk, topic).await?;
    }
    let partitions = await_topic(desk, &layout.events).await?;
    if u64::try_from(partitions.len()).is_ok_and(|count| count > PARTITIONS) {
        let text = format!("the topic {} has more than {PARTITIONS} partitions; name another", layout.events);
        return Err(BusError::Unavailable(text));
    }
    Ok(partitions)
}

async fn partitions_of(desk: &Arc<Desk>, topic: &str) -> Result<Result<Option<Vec<i32>>, Failure>, BusError> {
    let (desk, topic) = (desk.clone(), topic.to_owned());
    blocking(move || desk.partitions(&topic).map_err(|error| desk.failure(&error, &About::Topic(&topic))))
        .await
}

async fn create(desk: &Desk, options: &Options, missing: &[Wanted]) -> Result<(), BusError> {
    let replication = options.replication.map_or(-1, i32::from);
    let topics = missing.iter().map(|topic| {
        let partitions = i32::try_from(topic.partitions).unwrap_or(1);
        let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(replication));
        topic.settings.iter().fold(new, |new, (key, value)| new.set(key, value))
    });
    let topics: Vec<_> = topics.collect();
    let admin_options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let created = desk.admin()?.create_topics(&topics, &admin_options).await;
    let results = created.map_err(|error| desk.unavailable(&error, &About::Cluster))?;
    for result in results {
        match result {
            Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
            Err((
                _,
                Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::PolicyViolation,
            )) => {
                let text = format!(
                    "topics are missing and this user may not create them; create them with these commands, or grant Create on them:{}",
                    commands(options, missing)
                );
                return Err(BusError::Unavailable(text));
            }
            Err((topic, code)) => {
                return Err(desk.unavailable(&KafkaError::AdminOp(code), &About::Topic(&topic)));
            }
        }
    }
    Ok(())
}

/// One line for each topic.
fn commands(options: &Options, missing: &[Wanted]) -> String {
    let mut text = String::new();
    let first = options.connection.url.split(',').next().unwrap_or_default().trim();
    for topic in missing {
        let Wanted { name, partitions, settings } = topic;
        let _infallible = write!(
            text,
            "\nkafka-topics.sh --bootstrap-server {first} --create --topic {name} --partitions {partitions}"
        )
        .is_ok();
        if let Some(copies) = options.replication {
            let _infallible = write!(text, " --replication-factor {copies}").is_ok();
        }
        for (key, value) in settings {
            let _infallible = write!(text, " --config {key}={value}").is_ok();
        }
    }
    text
}

/// A topic that was just made is known everywhere a moment later.
async fn await_topic(desk: &Arc<Desk>, topic: &str) -> Result<Vec<i32>, BusError> {
    let mut last = Code::UnknownTopicOrPartition;
    for _look in 0..LOOKS {
        let looked = {
            let (desk, topic) = (desk.clone(), topic.to_owned());
            blocking(move || desk.partitions(&topic)).await?
        };
        match looked {
            Ok(Some(partitions)) => return Ok(partitions),
            Err(KafkaError::MetadataFetch(Code::LeaderNotAvailable)) => last = Code::LeaderNotAvailable,
            Ok(None) => {}
            Err(error) => return Err(desk.unavailable(&error, &About::Topic(topic))),
        }
        Clock::system().sleep(LOOK_AGAIN).await;
    }
    Err(desk.unavailable(&KafkaError::MetadataFetch(last), &About::Topic(topic)))
}
