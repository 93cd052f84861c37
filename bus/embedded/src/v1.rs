//! The checkpoint of version 1 of the format, to be read once: the first checkpoint of this version takes its place.

use std::fs;
use std::ops::Range;
use std::path::Path;

use bus_core::{ConsumerName, Interest, StateKey};
use serde::Deserialize;

use crate::codec::Effect;

/// Everything that acknowledgements and changes up to a place amount to.
#[derive(Debug, Deserialize)]
pub(crate) struct Checkpoint {
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) next_sequence: u64,
    pub(crate) next_revision: u64,
    consumers: Vec<Consumer>,
    state: Vec<(StateKey, Vec<u8>, u64)>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    name: ConsumerName,
    interests: Vec<Interest>,
    unsettled: Vec<Range<u64>>,
    high_water: u64,
}

impl Checkpoint {
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    pub(crate) fn effects(self) -> impl Iterator<Item = Effect> {
        let consumers = self.consumers.into_iter().map(|consumer| Effect::Position {
            consumer: consumer.name,
            interests: consumer.interests,
            unsettled: consumer.unsettled,
            high_water: consumer.high_water,
        });
        let state = self.state.into_iter();
        let state = state.map(|(key, value, revision)| Effect::Put { key, value: value.into(), revision });
        consumers.chain(state)
    }
}
