//! The tables as of one place in the log, so that recovery reads no frame twice that is older.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use bus_core::{ConsumerName, Interest, Position, Revision, StateEntry, StateKey};
use serde::{Deserialize, Serialize};

use crate::tables::{Reader, Tables};

const FILE: &str = "checkpoint.json";

/// Everything that acknowledgements and changes up to a place amount to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Frames before this place are in here.
    pub(crate) segment: u64,
    pub(crate) offset: u64,
    pub(crate) next_sequence: u64,
    next_revision: u64,
    consumers: Vec<Consumer>,
    state: Vec<(StateKey, Vec<u8>, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Consumer {
    name: ConsumerName,
    interests: Vec<Interest>,
    unsettled: Vec<std::ops::Range<u64>>,
    high_water: u64,
}

impl Checkpoint {
    pub(crate) fn of(tables: &Tables) -> Option<Self> {
        let last = tables.segments.last()?;
        let consumers = tables.readers.iter().map(|(name, reader)| Consumer {
            name: name.clone(),
            interests: reader.interests.clone(),
            unsettled: reader.position.unsettled(),
            high_water: reader.position.high_water(),
        });
        let state =
            tables.state.iter().map(|(key, entry)| (key.clone(), entry.value.to_vec(), entry.revision.0));
        Some(Self {
            segment: last.number,
            offset: last.end,
            next_sequence: tables.next_sequence,
            next_revision: tables.next_revision,
            consumers: consumers.collect(),
            state: state.collect(),
        })
    }

    /// Writes it aside, makes it durable, and puts it in its place. Blocks.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let aside = folder.join("checkpoint.tmp");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&aside, folder.join(FILE))?;
        File::open(folder)?.sync_all()
    }

    /// `None`: there is none, or it can't be read; the log alone tells everything as long as no segment was removed.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(FILE)).ok()?).ok()
    }

    pub(crate) fn restore(self, tables: &mut Tables) {
        tables.next_sequence = self.next_sequence;
        tables.next_revision = self.next_revision;
        for consumer in self.consumers {
            let position = Position::restored(consumer.unsettled, consumer.high_water);
            let reader = Reader {
                position,
                interests: consumer.interests,
                subscriber: 0,
                ack_deadline: Duration::from_mins(1),
                max_in_flight: 0,
            };
            tables.readers.insert(consumer.name, reader);
        }
        for (key, value, revision) in self.state {
            tables.state.insert(key, StateEntry { value: value.into(), revision: Revision(revision) });
        }
    }
}
