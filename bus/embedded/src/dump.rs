//! Every entry of a directory's log as a line, for people and their tools. Beside a running owner, too: nothing is written.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use bus_core::BusError;
use jiff::Timestamp;
use serde::Serialize;

use crate::codec::{Effect, Entry};
use crate::disk::failed;
use crate::recovery::{check_versions, segments};
use crate::scan::{Found, Scan};
use crate::segment::{START, number_of};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DumpLine {
    /// Name of the segment's file in `log/`.
    pub file: String,
    /// Where its frame begins.
    pub byte: u64,
    /// Its own for events and records; of everything else, that of the next event or record.
    pub sequence: u64,
    pub time: Timestamp,
    #[serde(flatten)]
    pub kind: DumpKind,
}

/// What the entry says.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DumpKind {
    Event {
        namespace: String,
        source: String,
        event: String,
        id: String,
        event_type: String,
        /// Bytes of its data.
        data_bytes: u64,
    },
    Record {
        namespace: String,
        about: Vec<String>,
        /// As text, where it is text.
        #[serde(skip_serializing_if = "Option::is_none")]
        record: Option<String>,
        record_bytes: u64,
    },
    /// Settled sequences, from the first to before the second.
    Acks {
        consumer: String,
        ranges: Vec<(u64, u64)>,
    },
    Put {
        bucket: String,
        key: String,
        revision: u64,
        value_bytes: u64,
    },
    Delete {
        bucket: String,
        key: String,
    },
    Consumer {
        consumer: String,
        start: u64,
    },
    RemovedConsumer {
        consumer: String,
    },
    /// Bytes that can't be read.
    Damaged {
        to: u64,
    },
    /// An entry that this program does not understand.
    Unknown,
}

/// Gives every entry from a range of sequences to `each`, in the order of the log. Blocks.
///
/// # Errors
/// The directory can't be read, or a newer version has written it.
pub fn dump(folder: &Path, range: Range<u64>, each: &mut impl FnMut(DumpLine)) -> Result<(), BusError> {
    let log = folder.join("log");
    check_versions(folder, &log)?;
    for path in segments(&log).map_err(|error| failed(&log, &error))? {
        dump_segment(&path, &range, each).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

fn dump_segment(path: &Path, range: &Range<u64>, each: &mut impl FnMut(DumpLine)) -> std::io::Result<()> {
    let file = File::open(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut scan = Scan::new(&file, number_of(path).unwrap_or(0), START, file.metadata()?.len());
    let mut time = Timestamp::UNIX_EPOCH;
    let mut sequence = 0;
    loop {
        match scan.next()? {
            Found::Frame { frame, offset, .. } => {
                time = frame.head.at;
                let mut seen = 0;
                let mut line = |sequence, kind| {
                    if range.contains(&sequence) {
                        each(DumpLine { file: name.clone(), byte: offset, sequence, time, kind });
                    }
                };
                for (of_entry, entry) in frame.entries() {
                    seen += 1;
                    sequence = of_entry + u64::from(entry.takes_sequence());
                    line(of_entry, kind(&entry));
                }
                if seen < frame.head.count {
                    line(sequence.max(frame.head.first_sequence), DumpKind::Unknown);
                }
            }
            Found::Damaged { from, to } => {
                if range.contains(&sequence) {
                    let kind = DumpKind::Damaged { to };
                    each(DumpLine { file: name.clone(), byte: from, sequence, time, kind });
                }
            }
            // An unfinished write, or what a failed one has left.
            Found::Rest { .. } | Found::End { .. } => return Ok(()),
        }
    }
}

fn kind(entry: &Entry<'_>) -> DumpKind {
    let bytes = |length: usize| crate::wire::long(length);
    match entry {
        Entry::Event(stored) => stored.event().map_or(DumpKind::Unknown, |event| DumpKind::Event {
            namespace: stored.namespace.to_owned(),
            source: event.source.to_string(),
            event: event.subject.to_string(),
            id: event.id.to_string(),
            event_type: event.event_type.clone(),
            data_bytes: event.data.as_ref().map_or(0, |data| bytes(data.len())),
        }),
        Entry::Record(stored) => DumpKind::Record {
            namespace: stored.namespace.to_owned(),
            about: stored.about.iter().map(|id| (*id).to_owned()).collect(),
            record: std::str::from_utf8(stored.record).ok().map(str::to_owned),
            record_bytes: bytes(stored.record.len()),
        },
        Entry::Effect(effect) => kind_of_effect(effect),
    }
}

fn kind_of_effect(effect: &Effect) -> DumpKind {
    match effect {
        Effect::Acks { consumer, ranges } => DumpKind::Acks {
            consumer: consumer.to_string(),
            ranges: ranges.iter().map(|range| (range.start, range.end)).collect(),
        },
        Effect::Put { key, value, revision } => DumpKind::Put {
            bucket: key.bucket.clone(),
            key: key.key.clone(),
            revision: *revision,
            value_bytes: crate::wire::long(value.len()),
        },
        Effect::Delete { key } => DumpKind::Delete { bucket: key.bucket.clone(), key: key.key.clone() },
        Effect::Consumer { consumer, start, .. } => {
            DumpKind::Consumer { consumer: consumer.to_string(), start: *start }
        }
        Effect::NoConsumer { consumer } => DumpKind::RemovedConsumer { consumer: consumer.to_string() },
        Effect::Position { .. } => DumpKind::Unknown,
    }
}
