//! From a directory to tables: every whole frame counts, an unfinished one at the end is cut, damage in the middle is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus_core::BusError;
use zetes_api::Event;

use crate::checkpoint::Checkpoint;
use crate::codec::{Entry, Frame};
use crate::options::{OpenReport, Options};
use crate::segment::{self, Found, Segment};
use crate::tables::Tables;

/// What was rebuilt.
pub(crate) struct Recovered {
    pub(crate) tables: Tables,
    pub(crate) report: OpenReport,
    /// Higher than that of any frame in the log.
    pub(crate) generation: u32,
}

pub(crate) fn unavailable(path: &Path, error: &std::io::Error) -> BusError {
    BusError::Unavailable(format!("{}: {error}", path.display()))
}

/// Reads everything. Blocks.
pub(crate) fn recover(folder: &Path, log: &Path, options: &Options) -> Result<Recovered, BusError> {
    let mut tables = Tables::new(&options.retention, options.cache_bytes);
    let mut from = (0, 0);
    if let Some(checkpoint) = Checkpoint::read(folder) {
        from = (checkpoint.segment, checkpoint.offset);
        checkpoint.restore(&mut tables);
    }
    let mut recovery = Recovery { tables, report: OpenReport::default(), generation: 0, from };
    let paths = segments(log)?;
    for (index, path) in paths.iter().enumerate() {
        let last = index + 1 == paths.len();
        recovery.segment(path, last).map_err(|error| unavailable(path, &error))?;
    }
    let Recovery { mut tables, report, generation, .. } = recovery;
    let high_water = tables.next_sequence;
    for reader in tables.readers.values_mut() {
        reader.position.handed_out_before(high_water);
    }
    Ok(Recovered { tables, report, generation: generation + 1 })
}

fn segments(log: &Path) -> Result<Vec<PathBuf>, BusError> {
    let entries = fs::read_dir(log).map_err(|error| unavailable(log, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| segment::number_of(path).is_some())
        .collect();
    paths.sort();
    Ok(paths)
}

struct Recovery {
    tables: Tables,
    report: OpenReport,
    generation: u32,
    /// Changes before this place are in the checkpoint.
    from: (u64, u64),
}

impl Recovery {
    fn segment(&mut self, path: &Path, last: bool) -> std::io::Result<()> {
        let Some(mut segment) = Segment::open(path)? else {
            if !last {
                self.report.damaged.push(format!("{}: no valid head", path.display()));
            }
            return fs::remove_file(path);
        };
        let mut offset = segment::START;
        loop {
            match segment.frame_at(offset)? {
                // What an earlier, failed write left behind an overwritten one.
                Found::Frame(frame, _) if frame.generation < self.generation => break,
                Found::Frame(frame, next) => {
                    self.frame(&frame, &mut segment, offset);
                    offset = next;
                }
                Found::Nothing => break,
                Found::Garbage => match self.next_frame(&segment, offset)? {
                    Some(next) => {
                        self.report.damaged.push(format!("{}: bytes {offset} to {next}", path.display()));
                        offset = next;
                    }
                    None if last => {
                        self.report.cut_bytes += written(&segment, offset)?;
                        break;
                    }
                    None => {
                        self.report.damaged.push(format!("{}: from byte {offset} on", path.display()));
                        break;
                    }
                },
            }
        }
        segment.end = offset;
        self.tables.segments.push(segment);
        Ok(())
    }

    fn frame(&mut self, frame: &Frame, segment: &mut Segment, offset: u64) {
        self.generation = self.generation.max(frame.generation);
        let events = frame.entries.iter().filter(|entry| matches!(entry, Entry::Event { .. })).count();
        segment.note(offset, frame.first_sequence, frame.at, u64::try_from(events).unwrap_or(0));
        let known = (segment.number, offset) < self.from;
        let mut sequence = frame.first_sequence;
        for entry in &frame.entries {
            let event = match entry {
                Entry::Event { json, .. } => Event::from_json(json).ok().map(Arc::new),
                _ => None,
            };
            if !known || matches!(entry, Entry::Event { .. }) {
                self.tables.apply(entry, sequence, frame.at, event);
            }
            sequence += u64::from(entry.takes_sequence());
        }
        self.tables.next_sequence = self.tables.next_sequence.max(sequence);
    }

    /// The next place behind `offset` where a frame of this log begins: then what lies between is damage and not an unfinished
    /// write.
    fn next_frame(&self, segment: &Segment, offset: u64) -> std::io::Result<Option<u64>> {
        let end = offset + written(segment, offset)?;
        for at in offset + 1..end {
            if let Found::Frame(frame, _) = segment.frame_at(at)?
                && frame.generation >= self.generation
                && frame.first_sequence >= self.tables.next_sequence
            {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// Bytes from `offset` to the last one that is not zero.
fn written(segment: &Segment, offset: u64) -> std::io::Result<u64> {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0_u8; usize::try_from(segment.size.saturating_sub(offset)).unwrap_or(0)];
    segment.file.read_exact_at(&mut bytes, offset)?;
    let last = bytes.iter().rposition(|byte| *byte != 0);
    Ok(last.map_or(0, |last| u64::try_from(last + 1).unwrap_or(0)))
}
