//! The consumer group, and where it was.

use std::collections::BTreeMap;
use std::time::Duration;

use eventsource_core::{Context, Error};
use redis::{Value, cmd};
use tokio::time::Instant;

use crate::connection::{Connection, PATIENCE};
use crate::entries::{Entry, EntryId};

/// Positions are needed only when a server has lost its groups, and entries that come twice have the same ids: so they are written
/// no more often than this.
const REMEMBERED_EVERY: Duration = Duration::from_secs(5);

/// Streams that are read as one consumer.
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) streams: Vec<String>,
}

/// The last entry of each stream that was read, durably. The group on the server knows better as long as it is there.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    last: BTreeMap<String, EntryId>,
    remembered: Option<Instant>,
}

/// What a stream says of itself.
enum Newest {
    Absent,
    At(EntryId),
    /// The user may not ask.
    Unknown,
}

/// Makes the group where it is not there. A stream that has been read before is read on from where that was; what is told then is
/// the result: the server has lost what it knew of us.
pub(crate) async fn join(
    connection: &mut Connection,
    group: &Group,
    positions: &mut Positions,
) -> Result<Option<String>, Error> {
    let mut lost = Vec::new();
    for stream in &group.streams {
        let known = positions.last.get(stream).copied();
        let newest = newest(connection, stream).await?;
        if let (None, Newest::Absent) = (known, &newest) {
            return Err(Error::upstream(format!(
                "{} has no stream `{stream}`; make it (XADD), or correct streams and db",
                connection.server.address
            )));
        }
        let from = start(known, &newest);
        if make(connection, stream, &group.name, from, known.is_some()).await? && known.is_some() {
            lost.push(format!("`{stream}`"));
            positions.last.insert(stream.clone(), from.unwrap_or_default());
        }
        if let (None, Newest::At(newest)) = (known, newest) {
            positions.last.insert(stream.clone(), newest);
        }
    }
    Ok((!lost.is_empty()).then(|| {
        format!(
            "the group `{}` was gone from {} of {}, as when a server loses its data; it was made anew, and entries that were not read \
             yet may be lost",
            group.name,
            lost.join(", "),
            connection.server.address
        )
    }))
}

/// After which entry a new group begins; `None`: after the newest.
fn start(known: Option<EntryId>, newest: &Newest) -> Option<EntryId> {
    known.map(|known| match newest {
        // It has begun anew.
        Newest::Absent => EntryId::default(),
        Newest::At(newest) if *newest < known => EntryId::default(),
        _ => known,
    })
}

/// Whether it was not there before.
async fn make(
    connection: &mut Connection,
    stream: &str,
    group: &str,
    from: Option<EntryId>,
    with_stream: bool,
) -> Result<bool, Error> {
    let mut command = cmd("XGROUP");
    command.arg("CREATE").arg(stream).arg(group).arg(from.map_or("$".to_owned(), |from| from.to_string()));
    if with_stream {
        command.arg("MKSTREAM");
    }
    match connection.ask::<Value>(&command, PATIENCE).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(false),
        Err(error) => Err(connection.failure(&error)),
    }
}

async fn newest(connection: &mut Connection, stream: &str) -> Result<Newest, Error> {
    let mut command = cmd("XINFO");
    command.arg("STREAM").arg(stream);
    match connection.ask::<BTreeMap<String, Value>>(&command, PATIENCE).await {
        Ok(told) => {
            let id =
                told.get("last-generated-id").and_then(|id| redis::from_redis_value_ref::<String>(id).ok());
            Ok(id.and_then(|id| id.parse().ok()).map_or(Newest::Unknown, Newest::At))
        }
        Err(error) if error.detail() == Some("no such key") => Ok(Newest::Absent),
        Err(error) if error.code() == Some("NOPERM") => Ok(Newest::Unknown),
        Err(error) if error.code() == Some("WRONGTYPE") => Err(Error::upstream(format!(
            "`{stream}` of {} is no stream but another kind of key; name a stream",
            connection.server.address
        ))),
        Err(error) => Err(connection.failure(&error)),
    }
}

// === impl Positions ===

impl Positions {
    /// A cursor that can't be read counts as none.
    pub(crate) async fn remembered(cx: &Context) -> Result<Self, Error> {
        let cursor = cx.cursor().await?.unwrap_or_default();
        let texts: BTreeMap<String, String> = serde_json::from_slice(&cursor).unwrap_or_default();
        let last = texts.into_iter().filter_map(|(stream, id)| Some((stream, id.parse().ok()?)));
        Ok(Self { last: last.collect(), remembered: None })
    }

    /// These have been read, and their events are durable.
    pub(crate) async fn advance(&mut self, batch: &[Entry], cx: &Context) -> Result<(), Error> {
        for entry in batch {
            let last = self.last.entry(entry.stream.clone()).or_default();
            *last = entry.id.max(*last);
        }
        if self.remembered.is_none_or(|when| when.elapsed() >= REMEMBERED_EVERY) {
            self.remember(cx).await?;
        }
        Ok(())
    }

    pub(crate) async fn remember(&mut self, cx: &Context) -> Result<(), Error> {
        let texts: BTreeMap<&str, String> =
            self.last.iter().map(|(stream, id)| (stream.as_str(), id.to_string())).collect();
        let text = serde_json::to_vec(&texts).map_err(Error::permanent)?;
        cx.set_cursor(text.into()).await?;
        self.remembered = Some(Instant::now());
        Ok(())
    }
}
