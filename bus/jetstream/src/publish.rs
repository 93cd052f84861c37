//! Messages into streams: pipelined, in order, with a bound on what waits for its acknowledgement.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use bus_core::{BusError, Publication, Receipt};
use bytes::Bytes;

use crate::api::{ApiError, code};
use crate::bus::Shared;
use crate::link::Live;

/// So many messages are sent before the first acknowledgement is waited for.
const CHUNK: usize = 512;
/// What passes by itself is waited for so often, with this pause.
pub(crate) const TRIES: u32 = 40;
pub(crate) const PAUSE: Duration = Duration::from_millis(25);

/// A message on its way into a stream.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) subject: String,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Bytes,
}

/// Where the stream has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) sequence: u64,
    pub(crate) duplicate: bool,
}

impl Outgoing {
    /// Bytes as the server counts them.
    fn bytes(&self) -> usize {
        let headers = self.headers.iter().flat_map(|(name, values)| {
            let name: &str = name.as_ref();
            values.iter().map(move |value| name.len() + value.as_str().len() + ": \r\n".len())
        });
        let headers: usize = headers.sum();
        self.payload.len() + if headers == 0 { 0 } else { headers + "NATS/1.0\r\n\r\n".len() }
    }
}

impl Shared {
    pub(crate) async fn publish(&self, batch: Vec<Publication>) -> Result<Vec<Receipt>, BusError> {
        let live = self.live()?;
        let messages: Vec<Outgoing> =
            batch.iter().map(|publication| self.outgoing(publication)).collect::<Result<_, _>>()?;
        check_sizes(&live, &messages)?;
        let mut receipts: Vec<Option<Receipt>> = vec![None; messages.len()];
        loop {
            let left: Vec<usize> = (0..messages.len())
                .filter(|index| receipts.get(*index).is_some_and(Option::is_none))
                .collect();
            let sent: Vec<Outgoing> = left.iter().filter_map(|index| messages.get(*index).cloned()).collect();
            if sent.is_empty() {
                return Ok(receipts.into_iter().flatten().collect());
            }
            let rooms = self.room.made();
            let answers = self.send(&live, &sent).await.map_err(|error| live.failed(error))?;
            let mut refused = None;
            for (index, answer) in left.iter().zip(answers) {
                match answer {
                    Ok(Placed { sequence, duplicate }) => {
                        if let Some(receipt) = receipts.get_mut(*index) {
                            *receipt = Some(Receipt { sequence, duplicate });
                        }
                    }
                    Err(error) => refused = refused.or(Some(error)),
                }
            }
            match refused {
                Some(error) if is_full(&error) => self.make_room(&live, rooms, sent.len()).await?,
                Some(error) => return Err(live.failed(error)),
                None => {}
            }
        }
    }

    fn outgoing(&self, publication: &Publication) -> Result<Outgoing, BusError> {
        let Publication { namespace, event } = publication;
        if !self.layout.is_argo() && *namespace != self.layout.namespace {
            return Err(BusError::Refused(format!(
                "this bus carries events of namespace `{}`, not of `{namespace}`",
                self.layout.namespace
            )));
        }
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Msg-Id", self.layout.message_id(event));
        Ok(Outgoing {
            subject: self.layout.event_subject(event)?,
            headers,
            payload: self.layout.body(event).into(),
        })
    }

    async fn send_patiently(&self, live: &Live, chunk: &[Outgoing]) -> Vec<Result<Placed, ApiError>> {
        let mut answers = send_chunk(live, chunk).await;
        for _ in 0..TRIES {
            let passing: Vec<usize> = (0..answers.len())
                .filter(|index| matches!(answers.get(*index), Some(Err(error)) if is_passing(error)))
                .collect();
            if passing.is_empty() {
                break;
            }
            self.options.clock.sleep(PAUSE).await;
            let again: Vec<Outgoing> =
                passing.iter().filter_map(|index| chunk.get(*index).cloned()).collect();
            for (index, answer) in passing.into_iter().zip(send_chunk(live, &again).await) {
                if let Some(place) = answers.get_mut(index) {
                    *place = answer;
                }
            }
        }
        answers
    }

    /// Sends all of them, in order. One answer each; what a refused one leaves behind it may be stored.
    pub(crate) async fn send(
        &self,
        live: &Live,
        messages: &[Outgoing],
    ) -> Result<Vec<Result<Placed, ApiError>>, ApiError> {
        let mut answers = Vec::with_capacity(messages.len());
        for chunk in messages.chunks(CHUNK) {
            // All of a chunk's permits at once, so that no two callers wait for each other's.
            let permits = self.window.acquire_many(u32::try_from(chunk.len()).unwrap_or(u32::MAX)).await;
            let permits = permits.map_err(|_| ApiError::Unanswered("the bus is being closed".to_owned()))?;
            let exchange = self.send_patiently(live, chunk);
            let is_sent_to = |denied: &str| chunk.iter().any(|message| message.subject == denied);
            let chunk_answers = live.until_gone(is_sent_to, exchange).await?;
            drop(permits);
            let has_failed = chunk_answers.iter().any(Result::is_err);
            answers.extend(chunk_answers);
            if has_failed {
                break;
            }
        }
        Ok(answers)
    }
}

/// It passes by itself: nobody leads the stream for a moment, or a message with the same id is on its way through the cluster.
fn is_passing(error: &ApiError) -> bool {
    matches!(error, ApiError::NobodyThere(_)) || error.is(code::DUPLICATE_IN_PROCESS)
}

/// Refuses what the server would drop the connection for.
pub(crate) fn check_sizes(live: &Live, messages: &[Outgoing]) -> Result<(), BusError> {
    let limit = live.client.max_payload();
    match messages.iter().map(Outgoing::bytes).find(|bytes| *bytes > limit) {
        Some(bytes) => Err(BusError::TooLarge { bytes: wide(bytes), limit: wide(limit) }),
        None => Ok(()),
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

async fn send_chunk(live: &Live, chunk: &[Outgoing]) -> Vec<Result<Placed, ApiError>> {
    let mut acknowledgements = Vec::with_capacity(chunk.len());
    for message in chunk {
        let publish =
            PublishMessage::build().payload(message.payload.clone()).headers(message.headers.clone());
        acknowledgements.push(live.context.send_publish(message.subject.clone(), publish).await);
    }
    let mut answers = Vec::with_capacity(chunk.len());
    for (message, acknowledgement) in chunk.iter().zip(acknowledgements) {
        let answer = match acknowledgement {
            Ok(acknowledgement) => acknowledgement.await,
            Err(error) => Err(error),
        };
        let placed = answer.map(|ack| Placed { sequence: ack.sequence, duplicate: ack.duplicate });
        answers.push(placed.map_err(|error| refusal(&error, &message.subject)));
    }
    answers
}

fn refusal(error: &PublishError, subject: &str) -> ApiError {
    use std::error::Error as _;
    let told = error.source().and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>());
    match (error.kind(), told) {
        (PublishErrorKind::StreamNotFound, _) => ApiError::NobodyThere(subject.to_owned()),
        (_, Some(told)) => ApiError::Refused { code: told.error_code().0, description: told.to_string() },
        (PublishErrorKind::TimedOut, _) => ApiError::Unanswered(format!(
            "the server did not say within 5 s that it has stored a message on `{subject}`"
        )),
        _ => ApiError::Unanswered(format!("a message could not be sent to `{subject}`: {error}")),
    }
}

/// What was placed before the first failure, and that failure.
pub(crate) fn until_failure(answers: Vec<Result<Placed, ApiError>>) -> (Vec<Placed>, Option<ApiError>) {
    let mut placed = Vec::with_capacity(answers.len());
    for answer in answers {
        match answer {
            Ok(one) => placed.push(one),
            Err(error) => return (placed, Some(error)),
        }
    }
    (placed, None)
}

/// The code stands for every failure of the store; only its text says that a limit is reached.
fn is_full(error: &ApiError) -> bool {
    matches!(error, ApiError::Refused { code: code::STORE_FAILED, description } if description.contains("maximum"))
}
