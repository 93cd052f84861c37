//! What an operator should know, told once in the log and for as long as it lasts in the bus's health.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rdkafka::message::Message;
use zetes_api::EventError;

#[derive(Debug, Default)]
pub(crate) struct Warnings(Mutex<Told>);

#[derive(Debug, Default)]
struct Told {
    lasting: Vec<String>,
    /// By partition: the last offset, so that several consumers that pass it count it once.
    no_events: BTreeMap<i32, NoEvents>,
}

#[derive(Debug)]
struct NoEvents {
    count: u64,
    first: i64,
    last: i64,
}

impl Warnings {
    /// Replaces what was told of how the bus is configured.
    pub(crate) fn set(&self, lasting: Vec<String>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in lasting.iter().filter(|warning| !told.lasting.contains(warning)) {
            tracing::warn!(warning, "the Kafka bus works otherwise than its EventBus asks");
        }
        told.lasting = lasting;
    }

    /// A record that can't be handed out, and is passed.
    pub(crate) fn no_event(&self, message: &impl Message, error: &EventError) {
        let (partition, offset) = (message.partition(), message.offset());
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = told.no_events.entry(partition).or_insert(NoEvents { count: 0, first: offset, last: -1 });
        if offset <= seen.last {
            return;
        }
        seen.count += 1;
        seen.last = offset;
        if seen.count == 1 {
            tracing::error!(
                topic = message.topic(),
                partition,
                offset,
                %error,
                "a record of the bus's topic is no CloudEvent and was passed; later ones of the partition are counted in the bus's health"
            );
        }
    }

    pub(crate) fn all(&self) -> Vec<String> {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let no_events = told.no_events.iter().map(|(partition, seen)| {
            let NoEvents { count, first, last } = seen;
            format!("{count} records of partition {partition} are no CloudEvents and were passed, the first at offset {first}, the last at {last}")
        });
        told.lasting.iter().cloned().chain(no_events).collect()
    }
}
