//! Where reading begins.

use eventsource_core::{Context, Error};
use serde::{Deserialize, Serialize};

use crate::look::Look;

/// The first start of a reader that has no place yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    Oldest,
    Newest,
}

impl Beginning {
    pub(crate) fn of(is_oldest: bool) -> Self {
        if is_oldest { Self::Oldest } else { Self::Newest }
    }

    /// librdkafka's word for it.
    pub(crate) fn reset(self) -> &'static str {
        match self {
            Self::Oldest => "earliest",
            Self::Newest => "latest",
        }
    }
}

/// Our own place in a partition (S36).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    /// Offset of the next record.
    pub(crate) next: i64,
}

impl Cursor {
    /// The one that is kept, if it is of this partition.
    pub(crate) async fn kept(topic: &str, partition: i32, cx: &Context) -> Result<Option<Self>, Error> {
        let kept: Option<Self> = cx.cursor().await?.and_then(|kept| serde_json::from_slice(&kept).ok());
        Ok(kept.filter(|kept| kept.topic == topic && kept.partition == partition))
    }

    pub(crate) async fn keep(&self, cx: &Context) -> Result<(), Error> {
        let text = serde_json::to_vec(self).map_err(Error::permanent)?;
        cx.set_cursor(text.into()).await
    }
}

/// Gives a group that is new its beginning, so that `newest` counts only the first time, and says where it begins in partitions in
/// which it has no place: when it has one in all that there are, those that come later are read whole. Blocks.
pub(crate) fn begin_group(look: &Look, beginning: Beginning) -> Result<Beginning, Error> {
    let partitions = look.partitions()?;
    let known = look.committed(&partitions)?;
    let without: Vec<i32> = partitions.into_iter().filter(|number| !known.contains_key(number)).collect();
    if beginning == Beginning::Oldest || without.is_empty() {
        return Ok(Beginning::Oldest);
    }
    // Who is in it has seen to its beginning, in its own way.
    if look.has_members() || !look.commit(&look.ends(&without)?)? {
        return Ok(beginning);
    }
    Ok(Beginning::Oldest)
}

/// Where a partition without a place begins. Blocks.
pub(crate) fn begin_partition(
    look: &Look,
    (topic, partition): (&str, i32),
    beginning: Beginning,
) -> Result<Cursor, Error> {
    let partitions = look.partitions()?;
    if !partitions.contains(&partition) {
        let most = partitions.last().copied().unwrap_or_default();
        return Err(Error::upstream(format!(
            "partition {partition} of topic {topic} does not exist: it has the partitions 0 to {most}; correct `partition`"
        )));
    }
    let next = match beginning {
        Beginning::Oldest => 0,
        Beginning::Newest => look.ends(&[partition])?.get(&partition).copied().unwrap_or_default(),
    };
    Ok(Cursor { topic: topic.to_owned(), partition, next })
}
