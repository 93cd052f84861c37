//! From a directory to tables: what the last checkpoint does not have is read from the log. Every whole frame counts, an unfinished one at
//! the end is cut, damage in the middle is told.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bus_core::BusError;
use jiff::SignedDuration;

use crate::checkpoint::{self, Read};
use crate::codec::{Entry, VERSION};
use crate::disk::failed;
use crate::identities::Identities;
use crate::options::{OpenReport, Options};
use crate::reader::{self, Item};
use crate::scan::{Found, Scan};
use crate::segment::{self, Active, FileHead, START, Segment};
use crate::summary;
use crate::tables::Tables;

/// What was rebuilt.
pub(crate) struct Recovered {
    pub(crate) tables: Tables,
    pub(crate) identities: Identities,
    pub(crate) report: OpenReport,
    /// Closed segments that have no summary yet.
    pub(crate) unsummarized: Vec<Arc<Segment>>,
    /// Higher than that of any frame in the log.
    pub(crate) generation: u32,
    /// The segment that the last checkpoint stands in.
    pub(crate) checkpointed: u64,
}

/// Rebuilds everything. Blocks.
pub(crate) fn recover(folder: &Path, log: &Path, options: &Options) -> Result<Recovered, BusError> {
    check_versions(folder, log)?;
    let mut recovery = Recovery {
        tables: Tables::new(options.cache_bytes),
        report: OpenReport::default(),
        from: (0, 0),
        partial: None,
        unsummarized: Vec::new(),
    };
    recovery.checkpoint(folder, log).map_err(|error| failed(folder, &error))?;
    let paths = segments(log).map_err(|error| failed(log, &error))?;
    for (index, path) in paths.iter().enumerate() {
        let last = index + 1 == paths.len();
        recovery.segment(path, last).map_err(|error| failed(path, &error))?;
    }
    let Recovery { mut tables, report, unsummarized, from, .. } = recovery;
    let high_water = tables.next_sequence;
    for reader in tables.readers.values_mut() {
        reader.position.handed_out_before(high_water);
    }
    tables.nothing_cached_before(high_water);
    let identities = identities(folder, &tables, options)?;
    let generation = tables.log.all().map(|segment| segment.generation).max().unwrap_or(0) + 1;
    Ok(Recovered { tables, identities, report, unsummarized, generation, checkpointed: from.0 })
}

/// Segments of the log, oldest first.
pub(crate) fn segments(log: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(log)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| segment::number_of(path).is_some());
    paths.sort_by_key(|path| segment::number_of(path));
    Ok(paths)
}

/// Refuses what a newer version has written before anything is touched.
pub(crate) fn check_versions(folder: &Path, log: &Path) -> Result<(), BusError> {
    let newer = |path: &Path, version: u32| {
        BusError::Damaged(format!(
            "{} has version {version} of the format; this program reads up to {VERSION}: use the version of Zetes that wrote it",
            path.display()
        ))
    };
    if let Some(version) = checkpoint::version_of(folder).filter(|version| *version > VERSION) {
        return Err(newer(&folder.join("checkpoint"), version));
    }
    for path in segments(log).map_err(|error| failed(log, &error))?.iter().rev().take(2) {
        let head = File::open(path).and_then(|file| segment::read_head(&file));
        if let FileHead::Written { version, .. } = head.map_err(|error| failed(path, &error))?
            && version > VERSION
        {
            return Err(newer(path, version));
        }
    }
    Ok(())
}

struct Recovery {
    tables: Tables,
    report: OpenReport,
    /// What lies before this place is in the checkpoint.
    from: (u64, u64),
    /// What the checkpoint knows of the segment that it stands in.
    partial: Option<Segment>,
    unsummarized: Vec<Arc<Segment>>,
}

impl Recovery {
    fn checkpoint(&mut self, folder: &Path, log: &Path) -> io::Result<()> {
        match checkpoint::read(folder, log, &mut self.report.damaged)? {
            Read::Found(found) => {
                self.tables.next_sequence = found.place.next_sequence;
                self.tables.next_revision = found.place.next_revision;
                self.tables.last_event = found.place.last_event;
                self.from = (found.place.segment.number, found.place.segment.end);
                self.partial = Some(found.place.segment);
                found.effects.into_iter().for_each(|effect| self.tables.apply(effect));
            }
            Read::V1(found) => {
                self.tables.next_sequence = found.next_sequence;
                self.tables.next_revision = found.next_revision;
                self.tables.last_event = found.next_sequence.saturating_sub(1);
                self.from = (found.segment, found.offset);
                found.effects().for_each(|effect| self.tables.apply(effect));
            }
            Read::Nothing => {}
        }
        Ok(())
    }

    fn segment(&mut self, path: &Path, last: bool) -> io::Result<()> {
        let number = segment::number_of(path).unwrap_or(0);
        if number < self.from.0
            && let Some(summary) = summary::read(path, number)
        {
            self.close(summary, true);
            return Ok(());
        }
        let file = File::options().read(true).write(true).open(path)?;
        let head = segment::read_head(&file)?;
        let size = file.metadata()?.len();
        let (version, segment) = match head {
            FileHead::Unwritten if last => return fs::remove_file(path),
            FileHead::Written { version, first_sequence, .. } => {
                (version, Segment::new(number, path.to_owned(), size, first_sequence))
            }
            FileHead::Unwritten | FileHead::Damaged => {
                self.report.damaged.push(format!("{}: bytes 0 to {START}: the head", path.display()));
                (VERSION, Segment::new(number, path.to_owned(), size, self.tables.next_sequence))
            }
        };
        let segment = match self.partial.take() {
            // A summary may have been written before a crash; what is known up to the checkpoint is as good.
            Some(partial) if partial.number == number => Segment { size, ..partial },
            partial => {
                self.partial = partial;
                segment
            }
        };
        let segment = self.frames(&file, segment, last)?;
        if last && version == VERSION && head != FileHead::Damaged {
            self.tables.log.active = Some(Active { segment, file: Arc::new(file) });
        } else {
            self.close(segment, false);
        }
        Ok(())
    }

    fn close(&mut self, segment: Segment, has_summary: bool) {
        self.tables.next_sequence = self.tables.next_sequence.max(segment.next_sequence);
        let segment = Arc::new(segment);
        if !has_summary {
            self.unsummarized.push(segment.clone());
        }
        self.tables.log.close(segment);
    }

    /// Reads what is behind the segment's known end.
    fn frames(&mut self, file: &File, mut segment: Segment, last: bool) -> io::Result<Segment> {
        let mut scan = Scan::new(file, segment.number, segment.end, segment.size);
        let name = segment.name();
        loop {
            match scan.next()? {
                Found::Frame { frame, offset, next } => {
                    let (next_sequence, events) = frame.measure().unwrap_or((frame.head.first_sequence, 0));
                    segment.note(&frame.head, offset, next, next_sequence, events);
                    if (segment.number, offset) >= self.from {
                        for (sequence, entry) in frame.entries() {
                            match entry {
                                Entry::Event(_) => self.tables.last_event = sequence,
                                Entry::Record(_) => {}
                                Entry::Effect(effect) => self.tables.apply(effect),
                            }
                        }
                    }
                    self.tables.next_sequence = self.tables.next_sequence.max(next_sequence);
                }
                Found::Damaged { from, to } => {
                    self.report.damaged.push(format!("{name}: bytes {from} to {to}"));
                    segment.end = to;
                }
                Found::Rest { from, to } if last => {
                    self.report.cut_bytes += to - from;
                    break;
                }
                Found::Rest { from, to } => {
                    self.report.damaged.push(format!("{name}: bytes {from} to {to}"));
                    break;
                }
                Found::End { .. } => break,
            }
        }
        Ok(segment)
    }
}

/// The duplicate window: its runs, and what of it is in none of them, from the log.
fn identities(folder: &Path, tables: &Tables, options: &Options) -> Result<Identities, BusError> {
    let now = options.clock.now();
    let folder = folder.join("identities");
    let of_disk = |error: io::Error| failed(&folder, &error);
    let mut identities =
        Identities::open(folder.clone(), options.retention.duplicate_window).map_err(of_disk)?;
    identities.older().forget(now).map_err(of_disk)?;
    identities.refresh();
    let window = SignedDuration::try_from(options.retention.duplicate_window).unwrap_or(SignedDuration::MAX);
    let since = now.checked_sub(window).unwrap_or(jiff::Timestamp::MIN);
    let end = tables.next_sequence;
    let first = tables.log.view(0).first_since(since).unwrap_or(end);
    for range in identities.uncovered(first..end) {
        identities.begin_at(range.start);
        let view = tables.log.view(range.start);
        let mut failure = None;
        reader::walk(&view, range.start, None, |Item { sequence, at, entry, .. }| {
            if sequence >= range.end {
                return false;
            }
            if let Entry::Event(event) = entry
                && at >= since
                && let Some(identity) = event.identity()
            {
                identities.insert(identity, sequence, at);
            }
            if identities.is_large() && identities.freeze(sequence + 1) {
                failure = identities.older().write().err();
            }
            failure.is_none()
        })?;
        if let Some(error) = failure {
            return Err(of_disk(error));
        }
        if range.end < end && identities.freeze(range.end) {
            identities.older().write().map_err(of_disk)?;
        }
    }
    identities.refresh();
    identities
        .begin_at(identities.uncovered(first..u64::MAX).last().map_or(end, |range| range.start.min(end)));
    Ok(identities)
}
