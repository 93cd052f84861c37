//! The tables as of one place in the log, so that recovery reads no older frame.
//!
//! Consumers are taken at once, together with the place. State is taken in pieces meanwhile, so that nobody waits for all of it: an entry
//! that is newer than the place is written again by the frames behind it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bus_core::StateKey;
use jiff::Timestamp;

use crate::codec::{Effect, Entry, Head, VERSION, put_effect, put_frame};
use crate::disk::Gentle;
use crate::scan::{Found, Scan};
use crate::segment::{START, Segment, sync_folder};
use crate::summary;
use crate::tables::Tables;
use crate::wire::{Input, overwrite, put_bytes, put_long, put_number};

const FILE: &str = "checkpoint";
const OLDER: &str = "checkpoint.old";
/// What version 1 wrote.
const FILE_V1: &str = "checkpoint.json";
const MAGIC: [u8; 8] = *b"ZETESCHK";
/// State entries that are taken at a time.
const PIECE: usize = 1_000;
/// Every frame of a checkpoint is checked with this in the place of a segment's number.
const NUMBER: u64 = u64::MAX;

/// Where a checkpoint stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) next_sequence: u64,
    pub(crate) next_revision: u64,
    pub(crate) last_event: u64,
    /// The segment up to the place.
    pub(crate) segment: Segment,
}

/// A checkpoint that was read.
pub(crate) struct Checkpoint {
    pub(crate) place: Place,
    pub(crate) effects: Vec<Effect>,
}

/// What there was to read.
pub(crate) enum Read {
    Found(Box<Checkpoint>),
    /// Version 1's: segment, offset, and what it says.
    V1(crate::v1::Checkpoint),
    Nothing,
}

fn frame(buffer: &mut Vec<u8>, count: usize, entries: &[u8]) {
    let head = Head { generation: 0, count, first_sequence: 0, at: Timestamp::UNIX_EPOCH };
    put_frame(buffer, NUMBER, head, entries);
}

/// Writes a checkpoint of the tables as they are now; gives the number of its segment, `None` when there is nothing to write.
///
/// Blocks. `sync` makes durable what was written to the log.
pub(crate) fn write(
    folder: &Path,
    tables: &Mutex<Tables>,
    sync: &dyn Fn() -> io::Result<()>,
) -> io::Result<Option<u64>> {
    let lock = || tables.lock().unwrap_or_else(PoisonError::into_inner);
    let mut head = Vec::new();
    let mut consumers = Vec::new();
    let segment = {
        let tables = lock();
        let Some(active) = tables.log.active.clone() else { return Ok(None) };
        for number in [tables.next_sequence, tables.next_revision, tables.last_event] {
            put_long(&mut head, number);
        }
        for (name, reader) in &tables.readers {
            consumers.push(Effect::Position {
                consumer: name.clone(),
                interests: reader.interests.clone(),
                unsettled: reader.position.unsettled(),
                high_water: reader.position.high_water(),
            });
        }
        active.segment
    };
    // Where a sync is owed: the checkpoint must not be ahead of the log.
    sync()?;
    let aside = folder.join("checkpoint.tmp");
    let written = write_aside(&aside, &mut head, &segment, &consumers, tables);
    if written.is_err() {
        drop(fs::remove_file(&aside));
    }
    written?;
    let path = folder.join(FILE);
    match fs::rename(&path, folder.join(OLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::rename(&aside, &path)?,
    }
    sync_folder(&path)?;
    drop(fs::remove_file(folder.join(FILE_V1)));
    Ok(Some(segment.number))
}

fn write_aside(
    aside: &Path,
    head: &mut Vec<u8>,
    segment: &Segment,
    consumers: &[Effect],
    tables: &Mutex<Tables>,
) -> io::Result<()> {
    let mut file = BufWriter::new(Gentle::create(aside)?);
    let mut buffer = vec![0; crate::wire::short(START)];
    overwrite(&mut buffer, 0, &MAGIC);
    overwrite(&mut buffer, 8, &VERSION.to_le_bytes());
    let name = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    put_bytes(head, name.as_bytes());
    summary::encode(head, segment);
    frame(&mut buffer, 0, head);
    file.write_all(&buffer)?;
    let (mut frames, mut from) = (1_usize, Bound::Unbounded);
    for some in consumers.chunks(PIECE) {
        frames += 1;
        write_effects(&mut file, some)?;
    }
    loop {
        let some = state_after(tables, &from);
        let Some(Effect::Put { key, .. }) = some.last() else { break };
        from = Bound::Excluded(key.clone());
        frames += 1;
        write_effects(&mut file, &some)?;
    }
    buffer.clear();
    let mut last = Vec::new();
    put_number(&mut last, frames);
    frame(&mut buffer, 0, &last);
    file.write_all(&buffer)?;
    file.into_inner()?.file.sync_all()
}

fn state_after(tables: &Mutex<Tables>, from: &Bound<StateKey>) -> Vec<Effect> {
    let tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
    let some = tables.state.range((from.clone(), Bound::Unbounded)).take(PIECE);
    let put = some.map(|(key, entry)| Effect::Put {
        key: key.clone(),
        value: entry.value.clone(),
        revision: entry.revision.0,
    });
    put.collect()
}

fn write_effects(file: &mut BufWriter<Gentle>, effects: &[Effect]) -> io::Result<()> {
    let (mut entries, mut buffer) = (Vec::new(), Vec::new());
    for effect in effects {
        put_effect(&mut entries, effect);
    }
    frame(&mut buffer, effects.len(), &entries);
    file.write_all(&buffer)
}

/// The newest checkpoint that is whole. A damaged one is told in `damaged`; then the one before it is taken.
pub(crate) fn read(folder: &Path, log: &Path, damaged: &mut Vec<String>) -> io::Result<Read> {
    for name in [FILE, OLDER] {
        let path = folder.join(name);
        match read_file(&path, log) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(Some(checkpoint)) => return Ok(Read::Found(Box::new(checkpoint))),
            Ok(None) => damaged.push(format!(
                "{}: the checkpoint is damaged; an older one is used, with what the log has behind it",
                path.display()
            )),
        }
    }
    let v1 = crate::v1::Checkpoint::read(&folder.join(FILE_V1));
    Ok(v1.map_or(Read::Nothing, Read::V1))
}

/// `Ok(None)`: it is damaged.
pub(crate) fn read_file(path: &Path, log: &Path) -> io::Result<Option<Checkpoint>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut scan = Scan::new(&file, NUMBER, START, size);
    let (mut place, mut effects, mut frames, mut is_whole) = (None, Vec::new(), 0_u32, false);
    loop {
        match scan.next()? {
            Found::Frame { frame, .. } if frame.head.count == 0 => match place {
                None => place = read_place(frame.raw(), log),
                Some(_) => is_whole = Input(frame.raw()).number() == Some(frames),
            },
            Found::Frame { frame, .. } => {
                effects.extend(frame.entries().filter_map(|(_, entry)| match entry {
                    Entry::Effect(effect) => Some(effect),
                    Entry::Event(_) | Entry::Record(_) => None,
                }));
            }
            Found::End { .. } => break,
            Found::Damaged { .. } | Found::Rest { .. } => return Ok(None),
        }
        frames += 1;
    }
    Ok(place.filter(|_| is_whole).map(|place| Checkpoint { place, effects }))
}

fn read_place(bytes: &[u8], log: &Path) -> Option<Place> {
    let mut input = Input(bytes);
    let (next_sequence, next_revision, last_event) = (input.long()?, input.long()?, input.long()?);
    let path: PathBuf = log.join(input.text()?);
    let segment = summary::decode(&mut input, path)?;
    Some(Place { next_sequence, next_revision, last_event, segment })
}

/// The version that a checkpoint's file claims.
pub(crate) fn version_of(folder: &Path) -> Option<u32> {
    let mut head = [0; 12];
    File::open(folder.join(FILE)).ok()?.read_exact(&mut head).ok()?;
    let mut input = Input(&head);
    (input.array::<8>()? == MAGIC).then(|| input.number())?
}
