//! `minio`: changes in a bucket of `MinIO` become events (spec/event-sources.md 2.15).
//!
//! The server tells changes over a connection that stays open, and keeps nothing for who is not there: what changes while nobody
//! listens is no event. It says every two seconds that it is still there.

mod bucket;
mod config;
mod lines;
mod notification;

use std::collections::BTreeMap;

use eventsource_core::{Context, Draft, Error, EventSource};
use zetes_api::Invalid;

use bucket::{Bucket, Listening};
pub use config::{BucketName, Config, KeyFilter};
use lines::Line;
use notification::{Data, Notification};

/// Changes that are made durable together.
const MOST_AT_ONCE: usize = 256;

/// The kind `minio`.
pub struct Minio {
    listening: Listening,
    metadata: Option<BTreeMap<String, String>>,
}

impl EventSource for Minio {
    const KIND: &'static str = "minio";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        let bucket = Bucket::open(&config, cx).await?;
        let listening = bucket.listen(&config).await?;
        Ok(Self { listening, metadata: config.metadata })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let mut lines = self.listening.lines();
        while let Some(batch) = cx.next_batch(&mut lines, MOST_AT_ONCE).await {
            let (mut drafts, mut ended) = (Vec::with_capacity(batch.len()), None);
            for line in batch {
                match line {
                    Ok(line) => drafts.extend(draft(line, self.metadata.as_ref())?),
                    Err(error) => ended = Some(error),
                }
            }
            cx.emit_all(drafts).await?;
            if let Some(error) = ended {
                return Err(error);
            }
        }
        Ok(())
    }
}

/// `None`: the server only says that it is there.
fn draft(line: Line, metadata: Option<&BTreeMap<String, String>>) -> Result<Option<Draft>, Error> {
    let line = match line {
        Line::Whole(line) => line,
        Line::TooLong(begin) => {
            let why = format_args!("a line of more than {} bytes; this is how it begins", begin.len());
            return Ok(Some(Draft::unreadable(None, begin.clone(), why)));
        }
    };
    match serde_json::from_slice::<Notification>(&line) {
        Ok(notification) if notification.is_empty() => Ok(None),
        Ok(notification) => {
            Draft::json(notification.id(), &Data { notification: notification.records(), metadata }).map(Some)
        }
        Err(error) => {
            Ok(Some(Draft::unreadable(None, line, format_args!("the line is no notification: {error}"))))
        }
    }
}
