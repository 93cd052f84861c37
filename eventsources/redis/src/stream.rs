//! `redisStream`: entries of Redis streams become events (spec/event-sources.md 2.13).
//!
//! At least once: an entry is acknowledged after its event is durable. What an earlier process read and did not acknowledge comes
//! first, with the same event ids. The last entries that were read are remembered on the bus, so that a server which has lost
//! its data is read on from there.

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{Check, Context, Draft, Error, EventSource, SourceFilter};
use redis::{Value, cmd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zetes_api::{EventId, Invalid, SecretKeyRef, Tls};

use crate::connection::{Connection, PATIENCE};
use crate::entries::{Entry, EntryId, entries};
use crate::group::{self, Group, Positions};
use crate::server::Server;

const DEFAULT_GROUP: &str = "argo-events-cg";
/// A process that comes after us is the same consumer, and gets what we did not acknowledge.
const CONSUMER: &str = "argo-events-worker";
const DEFAULT_COUNT: i32 = 10;
const MOST_COUNT: i32 = 10_000;
/// How long the server waits for new entries before it answers that there are none.
const BLOCK: Duration = Duration::from_secs(2);

/// Which streams are read, as one consumer of a group.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `host:port` of the server; without a port 6379.
    pub host_address: String,
    /// Names of the streams; they must exist. A new group sees only entries that are added after it was made.
    pub streams: Option<Vec<String>>,
    /// Name of the consumer group. Default `argo-events-cg`. Who reads the same stream in the same group gets part of its entries.
    pub consumer_group: String,
    /// Entries per stream in one read, at most 10,000. Default 10.
    pub max_msg_count_per_read: i32,
    /// User name, where the server has users; with `password`.
    pub username: String,
    /// Secret that holds the password. Without it nobody logs in.
    pub password: Option<SecretKeyRef>,
    /// Number of the database. Default 0.
    pub db: i32,
    /// TLS to the server.
    pub tls: Option<Tls>,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `redisStream`.
pub struct RedisStream {
    connection: Connection,
    group: Group,
    count: i32,
    positions: Positions,
    metadata: Option<BTreeMap<String, String>>,
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'d> {
    stream: &'d str,
    message_id: String,
    values: &'d serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl EventSource for RedisStream {
    const KIND: &'static str = "redisStream";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        config.server().check(&mut check);
        check.present("streams", config.streams.as_ref());
        if config.streams.as_ref().is_some_and(Vec::is_empty) {
            check.idle("streams", "expected at least one stream");
        }
        check.filter(config.filter.as_ref());
        check.end()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let group = config.group()?;
        let mut connection = Connection::open(config.server(), cx).await?;
        let mut positions = Positions::remembered(cx).await?;
        let lost = group::join(&mut connection, &group, &mut positions).await?;
        cx.trouble(lost);
        positions.remember(cx).await?;
        Ok(Self { connection, count: config.count(), group, positions, metadata: config.metadata })
    }

    async fn run(mut self, cx: &Context) -> Result<(), Error> {
        let mut unacknowledged: BTreeMap<String, EntryId> =
            self.group.streams.iter().map(|stream| (stream.clone(), EntryId::default())).collect();
        // Entries that were handed out and not emitted come again at the next start.
        while let Some(read) = cx.unless_stopped(self.read(&unacknowledged)).await {
            let batch = read?;
            unacknowledged = still_unacknowledged(&unacknowledged, &batch);
            if batch.is_empty() {
                continue;
            }
            let drafts: Result<Vec<_>, _> =
                batch.iter().map(|entry| draft(entry, self.metadata.as_ref())).collect();
            cx.emit_all(drafts?).await?;
            self.acknowledge(&batch).await?;
            self.positions.advance(&batch, cx).await?;
        }
        Ok(())
    }
}

impl RedisStream {
    /// Of each stream what is left of the entries that an earlier process did not acknowledge, then new ones.
    async fn read(&mut self, unacknowledged: &BTreeMap<String, EntryId>) -> Result<Vec<Entry>, Error> {
        let mut command = cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.group.name).arg(CONSUMER).arg("COUNT").arg(self.count);
        command.arg("BLOCK").arg(BLOCK.as_millis().to_string()).arg("STREAMS").arg(&self.group.streams);
        for stream in &self.group.streams {
            match unacknowledged.get(stream) {
                Some(after) => command.arg(after.to_string()),
                None => command.arg(">"),
            };
        }
        let answer = self.connection.ask::<Value>(&command, BLOCK + PATIENCE).await;
        let answer = answer.map_err(|error| self.connection.failure(&error))?;
        entries(answer).ok_or_else(|| Error::upstream("the answer to XREADGROUP can't be read"))
    }

    async fn acknowledge(&mut self, batch: &[Entry]) -> Result<(), Error> {
        for stream in &self.group.streams {
            let ids: Vec<String> = batch
                .iter()
                .filter(|entry| entry.stream == *stream)
                .map(|entry| entry.id.to_string())
                .collect();
            if !ids.is_empty() {
                let mut command = cmd("XACK");
                command.arg(stream).arg(&self.group.name).arg(ids);
                let answer = self.connection.ask::<u64>(&command, PATIENCE).await;
                answer.map_err(|error| self.connection.failure(&error))?;
            }
        }
        Ok(())
    }
}

impl Config {
    fn server(&self) -> Server {
        Server {
            address: self.host_address.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            db: self.db,
            tls: self.tls.clone(),
        }
    }

    fn group(&self) -> Result<Group, Error> {
        let name = Some(self.consumer_group.as_str()).filter(|name| !name.is_empty());
        let mut streams = self.streams.clone().unwrap_or_default();
        streams.sort();
        streams.dedup();
        if streams.is_empty() {
            return Err(Error::permanent("streams is empty: nothing would be received"));
        }
        Ok(Group { name: name.unwrap_or(DEFAULT_GROUP).to_owned(), streams })
    }

    fn count(&self) -> i32 {
        if self.max_msg_count_per_read > 0 {
            self.max_msg_count_per_read.min(MOST_COUNT)
        } else {
            DEFAULT_COUNT
        }
    }
}

/// A stream that has brought nothing more has no unacknowledged entries left.
fn still_unacknowledged(before: &BTreeMap<String, EntryId>, batch: &[Entry]) -> BTreeMap<String, EntryId> {
    let last = |stream: &str| batch.iter().rev().find(|entry| entry.stream == stream).map(|entry| entry.id);
    before.keys().filter_map(|stream| Some((stream.clone(), last(stream)?))).collect()
}

fn draft(entry: &Entry, metadata: Option<&BTreeMap<String, String>>) -> Result<Draft, Error> {
    let id = Some(EventId::from(format!("{}/{}", entry.stream, entry.id)));
    let Some(values) = &entry.values else {
        return Ok(Draft::unreadable(id, "", "the entry was deleted from its stream before it was read"));
    };
    Draft::json(id, &Data { stream: &entry.stream, message_id: entry.id.to_string(), values, metadata })
}

#[cfg(test)]
mod tests;
