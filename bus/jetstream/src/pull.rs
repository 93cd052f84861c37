//! Requests for deliveries to one consumer on the server, one at a time.

use std::time::Duration;

use async_nats::{Message, Subscriber};
use bus_core::BusError;
use futures_util::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::layout::Part;
use crate::link::Live;

/// A request is asked anew after so long.
const EXPIRES: Duration = Duration::from_secs(30);
/// While a request waits the server says so often that it still knows it.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// No word for so long, and the request is lost.
pub(crate) const SILENCE: Duration = Duration::from_millis(4_500);

/// The requests to one consumer on the server.
pub(crate) struct Pull {
    pub(crate) part: Part,
    pub(crate) inbox: Option<Inbox>,
    /// Deliveries that were asked for and have not come.
    pub(crate) outstanding: u64,
    /// Deliveries that wait on the server, as far as is known.
    pub(crate) waiting: u64,
    pub(crate) heard_at: Instant,
    /// Nobody answered: is it still there?
    pub(crate) is_suspect: bool,
}

pub(crate) struct Inbox {
    pub(crate) subscriber: Subscriber,
    pub(crate) prefix: String,
    pub(crate) requests: u64,
}

/// What a delivery's reply subject tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) deliveries: u32,
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) waiting: u64,
}

impl Pull {
    /// A message that is there already.
    pub(crate) fn take(&mut self) -> Option<Message> {
        self.inbox.as_mut()?.subscriber.next().now_or_never().flatten()
    }

    pub(crate) async fn ask(&mut self, live: &Live, stream: &str, max: usize) -> Result<(), BusError> {
        if self.outstanding > 0 && self.heard_at.elapsed() > SILENCE {
            self.outstanding = 0;
        }
        let Some(inbox) = self.inbox.as_mut().filter(|_| self.outstanding == 0) else { return Ok(()) };
        let batch = self.waiting.clamp(1, u64::try_from(max.max(1)).unwrap_or(u64::MAX));
        let (expires, heartbeat) = (EXPIRES.as_nanos(), HEARTBEAT.as_nanos());
        let (expires, heartbeat) =
            (u64::try_from(expires).unwrap_or(u64::MAX), u64::try_from(heartbeat).unwrap_or(u64::MAX));
        let body = json!({"batch": batch, "expires": expires, "idle_heartbeat": heartbeat});
        let request = inbox.requests + 1;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", self.part.durable);
        let sent = live.client.publish_with_reply(
            subject,
            format!("{}.{request}", inbox.prefix),
            body.to_string().into(),
        );
        sent.await.map_err(|error| BusError::Unavailable(error.to_string()))?;
        inbox.requests = request;
        self.outstanding = batch;
        self.heard_at = Instant::now();
        Ok(())
    }

    /// What the server says of a request: it still waits, has ended, or nobody has it.
    pub(crate) fn status(&mut self, message: &Message) {
        const IDLE: u16 = 100;
        const NOTHING: u16 = 404;
        const EXPIRED: u16 = 408;
        let Some(inbox) = &self.inbox else { return };
        let is_current =
            message.subject.strip_prefix(inbox.prefix.as_str()) == Some(&format!(".{}", inbox.requests));
        match message.status.map(|status| status.as_u16()) {
            _ if !is_current => {}
            Some(IDLE) => {}
            Some(NOTHING | EXPIRED) => self.outstanding = 0,
            _ => {
                self.outstanding = 0;
                self.is_suspect = true;
            }
        }
    }
}

/// `$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<deliveries>.<sequence>.<consumer's>.<time>.<waiting>[.<random>]`
pub(crate) fn told(reply: &str) -> Option<Told> {
    let tokens: Vec<&str> = reply.strip_prefix("$JS.ACK.")?.split('.').collect();
    let begin = if tokens.len() > 7 { 4 } else { 2 };
    let number = |index: usize| tokens.get(begin + index)?.parse::<u64>().ok();
    Some(Told {
        deliveries: u32::try_from(number(0)?).unwrap_or(u32::MAX),
        sequence: number(1)?,
        at: Timestamp::from_nanosecond(i128::from(number(3)?)).ok()?,
        waiting: number(4)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_subject_tells_of_its_delivery() {
        let expected = Told {
            deliveries: 2,
            sequence: 7,
            at: Timestamp::from_nanosecond(1_700_000_000_000_000_001).unwrap(),
            waiting: 5,
        };
        for reply in [
            "$JS.ACK.zetes_ci_b.s_t.2.7.9.1700000000000000001.5",
            "$JS.ACK.hub.ACCHASH.zetes_ci_b.s_t.2.7.9.1700000000000000001.5.x",
        ] {
            assert_eq!(told(reply), Some(expected), "{reply}");
        }
        assert_eq!(told("_INBOX.x"), None);
    }
}
