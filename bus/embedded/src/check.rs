//! Reads a whole directory and says what is wrong with it. Beside a running owner, too: nothing is written.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use bus_core::BusError;
use serde::Serialize;

use crate::checkpoint;
use crate::codec::{Effect, Entry, VERSION};
use crate::disk::failed;
use crate::identities::run_files;
use crate::recovery::{check_versions, segments};
use crate::run::Run;
use crate::scan::{Found, Scan};
use crate::segment::{FileHead, START, Segment, number_of, read_head};
use crate::summary;

/// What a directory holds, and what of it is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    /// The newest version of the format that this program knows.
    pub version: u32,
    /// Segments of an older version, which are read as they are.
    pub older_segments: u64,
    pub segments: u64,
    pub frames: u64,
    /// Bytes of whole frames.
    pub bytes: u64,
    pub events: u64,
    pub records: u64,
    /// Settled deliveries.
    pub acks: u64,
    /// Changes of state.
    pub state: u64,
    /// Consumers created, changed and removed.
    pub consumers: u64,
    /// Identities in the runs of the duplicate window.
    pub identities: u64,
    /// The first and last sequence that an event or record has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequences: Option<(u64, u64)>,
    /// Bytes behind the last frame: a write that is not finished, or was not.
    pub unfinished_bytes: u64,
    /// What can't be read. It is not served; everything else is.
    pub damaged: Vec<DamagedPlace>,
    /// Files beside the log that do not say what it says. They are made anew from it.
    pub disagreements: Vec<Disagreement>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DamagedPlace {
    /// Relative to the directory.
    pub file: String,
    pub from: u64,
    pub to: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disagreement {
    /// Relative to the directory.
    pub file: String,
    pub reason: String,
}

impl CheckReport {
    /// Nothing is damaged and nothing disagrees.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.disagreements.is_empty()
    }

    fn disagrees(&mut self, file: String, reason: impl Into<String>) {
        self.disagreements.push(Disagreement { file, reason: reason.into() });
    }
}

fn relative(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).display().to_string()
}

/// Reads everything in a directory. Blocks for as long as that takes.
///
/// # Errors
/// The directory can't be read, or a newer version has written it.
pub fn check(folder: &Path) -> Result<CheckReport, BusError> {
    let log = folder.join("log");
    check_versions(folder, &log)?;
    let mut report = CheckReport { version: VERSION, ..CheckReport::default() };
    let paths = segments(&log).map_err(|error| failed(&log, &error))?;
    let mut last = None;
    for (index, path) in paths.iter().enumerate() {
        let is_last = index + 1 == paths.len();
        match check_segment(folder, path, is_last, &mut report) {
            // Retention of a running owner has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path, &error)),
            Ok(segment) => last = segment.or(last),
        }
    }
    check_checkpoint(folder, &log, last.as_ref(), &mut report).map_err(|error| failed(folder, &error))?;
    check_runs(folder, &mut report).map_err(|error| failed(folder, &error))?;
    Ok(report)
}

fn check_segment(
    folder: &Path,
    path: &Path,
    is_last: bool,
    report: &mut CheckReport,
) -> io::Result<Option<Segment>> {
    let file = File::open(path)?;
    let (name, size) = (relative(folder, path), file.metadata()?.len());
    let number = number_of(path).unwrap_or(0);
    let first_sequence = match read_head(&file)? {
        FileHead::Unwritten if is_last => return Ok(None),
        FileHead::Written { version, first_sequence, .. } => {
            report.older_segments += u64::from(version < VERSION);
            first_sequence
        }
        FileHead::Unwritten | FileHead::Damaged => {
            report.damaged.push(DamagedPlace { file: name.clone(), from: 0, to: START });
            0
        }
    };
    report.segments += 1;
    let summary = summary::read(path, number);
    let known_end = summary.as_ref().map(|summary| summary.end);
    let mut found = Segment::new(number, path.to_owned(), size, first_sequence);
    let mut scan = Scan::new(&file, number, START, known_end.unwrap_or(size));
    loop {
        match scan.next()? {
            Found::Frame { frame, offset, next } => {
                report.frames += 1;
                report.bytes += next - offset;
                let mut entries = 0;
                for (sequence, entry) in frame.entries() {
                    entries += 1;
                    report.count(sequence, &entry);
                }
                if entries < frame.head.count {
                    report.damaged.push(DamagedPlace { file: name.clone(), from: offset, to: next });
                }
                let (next_sequence, events) = frame.measure().unwrap_or((frame.head.first_sequence, 0));
                found.note(&frame.head, offset, next, next_sequence, events);
            }
            Found::Damaged { from, to } => {
                report.damaged.push(DamagedPlace { file: name.clone(), from, to });
            }
            Found::Rest { from, to } if is_last && known_end.is_none() => {
                report.unfinished_bytes += to - from;
                break;
            }
            Found::Rest { from, to } => {
                report.damaged.push(DamagedPlace { file: name.clone(), from, to });
                break;
            }
            Found::End { at } => {
                if let Some(end) = known_end.filter(|end| at < *end) {
                    report.damaged.push(DamagedPlace { file: name.clone(), from: at, to: end });
                }
                break;
            }
        }
    }
    check_summary(folder, path, summary.as_ref(), &found, report);
    Ok(Some(found))
}

fn check_summary(
    folder: &Path,
    path: &Path,
    summary: Option<&Segment>,
    found: &Segment,
    report: &mut CheckReport,
) {
    let file = relative(folder, &summary::path_of(path));
    match summary {
        None if summary::path_of(path).exists() => report.disagrees(file, "it can't be read"),
        None => {}
        Some(summary) => {
            let told = (summary.first_sequence, summary.next_sequence, summary.end, summary.events);
            let is = (found.first_sequence, found.next_sequence, found.end, found.events);
            if told != is {
                let words = "first sequence, next sequence, end and events";
                report.disagrees(file, format!("{words} are {told:?}; the segment has {is:?}"));
            }
        }
    }
}

fn check_checkpoint(
    folder: &Path,
    log: &Path,
    last: Option<&Segment>,
    report: &mut CheckReport,
) -> io::Result<()> {
    for name in ["checkpoint", "checkpoint.old"] {
        let path = folder.join(name);
        let read = match checkpoint::read_file(&path, log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        match (read, last) {
            (None, _) => report.disagrees(name.to_owned(), "it can't be read"),
            (Some(read), Some(last)) => {
                let (place, end) = (&read.place.segment, (last.number, last.end));
                if (place.number, place.end) > end {
                    let of = format!("it stands at segment {} byte {}", place.number, place.end);
                    report.disagrees(
                        name.to_owned(),
                        format!("{of}; the log ends at segment {} byte {}", end.0, end.1),
                    );
                }
            }
            (Some(_), None) => {}
        }
    }
    Ok(())
}

fn check_runs(folder: &Path, report: &mut CheckReport) -> io::Result<()> {
    let runs = folder.join("identities");
    if !fs::exists(&runs)? {
        return Ok(());
    }
    for path in run_files(&runs)?.iter().filter(|path| path.extension().is_some_and(|one| one == "ids")) {
        let name = relative(folder, path);
        match Run::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(None) => report.disagrees(name, "it can't be read"),
            Ok(Some(run)) => match run.check() {
                Ok(()) => report.identities += run.count,
                Err(error) => report.disagrees(name, error.to_string()),
            },
        }
    }
    Ok(())
}

impl CheckReport {
    fn count(&mut self, sequence: u64, entry: &Entry<'_>) {
        if entry.takes_sequence() {
            self.sequences = Some((self.sequences.map_or(sequence, |(first, _)| first), sequence));
        }
        match entry {
            Entry::Event(_) => self.events += 1,
            Entry::Record(_) => self.records += 1,
            Entry::Effect(Effect::Acks { ranges, .. }) => {
                self.acks += ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
            }
            Entry::Effect(Effect::Put { .. } | Effect::Delete { .. }) => self.state += 1,
            Entry::Effect(_) => self.consumers += 1,
        }
    }
}
