//! Turns records into events for one consumer.

use std::sync::{Arc, PoisonError};

use bus_core::{Duplicates, Identity, Interest};
use jiff::Timestamp;
use rdkafka::message::Message;
use zetes_api::Event;

use crate::inbox::Read;
use crate::layout::{record_key, sequence};
use crate::reader::Common;

/// Turns records into what is handed out.
pub(crate) struct Intake<'c> {
    common: &'c Common,
    /// Of a consumer that is behind: what the bus's own memory of duplicates does not reach back to.
    behind: Duplicates,
}

impl<'c> Intake<'c> {
    pub(crate) fn new(common: &'c Common) -> Self {
        Self { common, behind: Duplicates::new(common.window) }
    }

    pub(crate) fn read(&mut self, message: &impl Message, interests: &[Interest]) -> Read {
        let at = message.timestamp().to_millis().and_then(|at| Timestamp::from_millisecond(at).ok());
        let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
        let event = self.event(message, interests, at).map(Arc::new);
        let offset = u64::try_from(message.offset()).unwrap_or(0);
        Read { offset, at, event, bytes: message.payload().map_or(0, <[u8]>::len) }
    }

    /// `None` where it is of no interest, a copy, or no event.
    fn event(&mut self, message: &impl Message, interests: &[Interest], at: Timestamp) -> Option<Event> {
        if let Some(key) = message.key()
            && !interests.iter().any(|interest| match (&interest.source, &interest.subject) {
                (Some(source), Some(subject)) => {
                    record_key(source.as_str(), subject.as_str()).as_bytes() == key
                }
                _ => true,
            })
        {
            return None;
        }
        let event = match Event::from_json(message.payload().unwrap_or_default()) {
            Ok(event) => event,
            Err(error) => {
                self.common.warnings.no_event(message, &error);
                return None;
            }
        };
        let is_wanted = interests.iter().any(|interest| interest.wants(&event));
        (is_wanted && !self.is_copy(message, &event, at)).then_some(event)
    }

    fn is_copy(&mut self, message: &impl Message, event: &Event, at: Timestamp) -> bool {
        let common = self.common;
        let identity = Identity::of(&common.namespace, event);
        let sequence = sequence(message.partition(), message.offset());
        let now = common.clock.now();
        if self.behind.find(identity, at).is_some_and(|first| first < sequence) {
            return true;
        }
        let mut seen = common.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_within(at, now) {
            self.behind.forget(now);
            seen.forget(now);
            return seen.is_copy(identity, sequence, at);
        }
        self.behind.forget(at);
        self.behind.insert(identity, sequence, at);
        false
    }
}
