//! A look through the headers of all events, for those with one id: by a consumer that goes away by itself.

use std::time::Duration;

use async_nats::Subscriber;
use bus_core::BusError;
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::json;
use zetes_api::EventId;

use crate::api::{ApiError, PATIENCE};
use crate::bus::Shared;
use crate::link::Live;
use crate::names;
use crate::pull::told;
use crate::reading::Reading;

const BATCH: u64 = 1_000;

#[derive(Deserialize)]
struct Created {
    name: String,
}

impl Shared {
    /// Sequences of events whose message id ends with this id.
    pub(crate) async fn find(
        &self,
        live: &Live,
        reading: &Reading,
        id: &EventId,
    ) -> Result<Vec<u64>, BusError> {
        if reading.from >= reading.end {
            return Ok(Vec::new());
        }
        let stream = &self.layout.events;
        let nanoseconds = u64::try_from(Duration::from_secs(30).as_nanos()).unwrap_or(u64::MAX);
        let config = json!({
            "deliver_policy": "by_start_sequence", "opt_start_seq": reading.from, "ack_policy": "none", "replay_policy": "instant",
            "headers_only": true, "mem_storage": true, "num_replicas": 1, "inactive_threshold": nanoseconds,
        });
        let body = json!({"stream_name": stream, "config": config});
        let created = live.ask::<Created>(&format!("CONSUMER.CREATE.{stream}"), &body).await;
        let name = created.map_err(|error| live.failed(error))?.name;
        let found = self.find_with(live, reading, id, &name).await;
        // It would go away by itself a little later.
        let _is_deleted = live.delete_consumer(stream, &name).await.is_ok();
        found.map_err(|error| live.failed(error))
    }

    async fn find_with(
        &self,
        live: &Live,
        reading: &Reading,
        id: &EventId,
        name: &str,
    ) -> Result<Vec<u64>, ApiError> {
        let unsent = |error: &dyn std::fmt::Display| ApiError::Unanswered(error.to_string());
        let inbox = live.client.new_inbox();
        let mut messages = live.client.subscribe(inbox.clone()).await.map_err(|error| unsent(&error))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{name}", self.layout.events);
        let request =
            json!({"batch": BATCH, "expires": u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX)});
        let (mut found, mut left) = (Vec::new(), 0);
        let id = names::header(id.as_str());
        loop {
            if left == 0 {
                let sent = live.client.publish_with_reply(
                    subject.clone(),
                    inbox.clone(),
                    request.to_string().into(),
                );
                sent.await.map_err(|error| unsent(&error))?;
                left = BATCH;
            }
            let message = live.until_gone(|denied| denied == subject, next(&mut messages)).await??;
            let Some(told) = message.reply.as_deref().and_then(told) else {
                left = 0;
                continue;
            };
            left -= 1;
            if told.sequence >= reading.end {
                return Ok(found);
            }
            let header = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            if header.is_some_and(|header| is_of(header.as_str(), &id)) {
                found.push(told.sequence);
            }
            if told.sequence + 1 >= reading.end
                || (told.waiting == 0 && self.is_last(live, told.sequence).await?)
            {
                return Ok(found);
            }
        }
    }

    /// Whether the stream's leader has nothing behind this sequence: the consumer may stand where the newest has not come to.
    async fn is_last(&self, live: &Live, sequence: u64) -> Result<bool, ApiError> {
        Ok(live.next(&self.layout.events, sequence + 1, &[">".to_owned()]).await?.is_none())
    }
}

async fn next(messages: &mut Subscriber) -> Result<async_nats::Message, ApiError> {
    match tokio::time::timeout(PATIENCE * 2, messages.next()).await {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(ApiError::Unanswered("the connection to the NATS server was lost".to_owned())),
        Err(_) => Err(ApiError::Unanswered("the server stopped bringing headers".to_owned())),
    }
}

/// Argo Events' message ids are the event's id alone.
fn is_of(message_id: &str, id: &str) -> bool {
    message_id.strip_suffix(id).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}
