//! Segments: files of a fixed size, written full of zeros beforehand, so that a sync never has to journal a new size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::codec::{Head, VERSION, checksum};
use crate::disk::{Gentle, PIECE};
use crate::wire::{Input, long, overwrite, short};

pub(crate) const MAGIC: [u8; 8] = *b"ZETESLOG";
/// Bytes in front of the first frame: magic, version, number, first sequence, checksum, room for later.
pub(crate) const START: u64 = 64;
/// A place in the file is remembered every so many bytes.
const STRIDE: u64 = 256 << 10;

/// What is known of one file of the log without reading it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Segment {
    /// Counts from 1; part of every checksum.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Behind the last frame.
    pub(crate) end: u64,
    /// The first sequence that it may hold, and the one behind the last.
    pub(crate) first_sequence: u64,
    pub(crate) next_sequence: u64,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) events: u64,
    /// The newest generation of its frames.
    pub(crate) generation: u32,
    /// First sequences of frames and where they begin, in order.
    pub(crate) places: Vec<(u64, u64)>,
}

/// The segment that is written.
#[derive(Clone, Debug)]
pub(crate) struct Active {
    pub(crate) segment: Segment,
    pub(crate) file: Arc<File>,
}

/// What the head of a segment's file says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum FileHead {
    /// Only zeros: nothing was ever written to it.
    Unwritten,
    /// It can't be read; the frames may be whole all the same.
    Damaged,
    Written {
        version: u32,
        number: u64,
        first_sequence: u64,
    },
}

pub(crate) fn path(log: &Path, number: u64) -> PathBuf {
    log.join(format!("{number:020}.seg"))
}

/// The number of a segment by its file's name. Version 1 called them `.log`.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".seg").or_else(|| name.strip_suffix(".log"))?.parse().ok()
}

/// Whether more zeros are to be written.
pub(crate) enum Step {
    On,
    /// What there is will do.
    Enough,
    Stop,
}

/// Writes a file full of zeros and makes it durable, name included. `step` is asked before each piece, and told how much there is.
/// Blocks for as long as the disk needs.
pub(crate) fn zero_filled(path: &Path, size: u64, step: &dyn Fn(u64) -> Step) -> io::Result<()> {
    let mut file = Gentle::create(path)?;
    let zeros = vec![0_u8; short(PIECE)];
    let mut left = size;
    while left > 0 {
        match step(size - left) {
            Step::On => {}
            Step::Enough => break,
            Step::Stop => return Err(io::ErrorKind::Interrupted.into()),
        }
        let piece = short(left.min(PIECE));
        file.write_all(zeros.get(..piece).unwrap_or_default())?;
        left -= long(piece);
    }
    file.file.sync_all()?;
    sync_folder(path)
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

pub(crate) fn read_head(file: &File) -> io::Result<FileHead> {
    let mut head = [0_u8; 64];
    if file.metadata()?.len() < START {
        return Ok(FileHead::Unwritten);
    }
    file.read_exact_at(&mut head, 0)?;
    if head.iter().all(|byte| *byte == 0) {
        return Ok(FileHead::Unwritten);
    }
    Ok(parse_head(&head).unwrap_or(FileHead::Damaged))
}

fn parse_head(head: &[u8; 64]) -> Option<FileHead> {
    let mut input = Input(head);
    if input.array::<8>()? != MAGIC {
        return None;
    }
    let (version, _) = (input.number()?, input.number()?);
    let (number, first_sequence) = (input.long()?, input.long()?);
    let (checked, crc) = head.split_at_checked(60)?;
    // Version 1 had no checksum here; of a newer version only the version is understood.
    let is_whole = version != VERSION || checksum(number, checked) == Input(crc).number()?;
    is_whole.then_some(FileHead::Written { version, number, first_sequence })
}

impl Segment {
    pub(crate) fn new(number: u64, path: PathBuf, size: u64, first_sequence: u64) -> Self {
        Self {
            number,
            path,
            size,
            end: START,
            first_sequence,
            next_sequence: first_sequence,
            last_at: None,
            events: 0,
            generation: 0,
            places: Vec::new(),
        }
    }

    /// Remembers a frame that ends at `end`, gives sequences below `next_sequence` and holds so many events.
    pub(crate) fn note(&mut self, head: &Head, offset: u64, end: u64, next_sequence: u64, events: u64) {
        if self.places.last().is_none_or(|(_, last)| offset >= last + STRIDE) {
            self.places.push((head.first_sequence, offset));
        }
        self.end = end;
        self.next_sequence = self.next_sequence.max(next_sequence);
        self.last_at = Some(head.at);
        self.events += events;
        self.generation = self.generation.max(head.generation);
    }

    /// Where to begin to read for a sequence.
    pub(crate) fn place_of(&self, sequence: u64) -> u64 {
        let behind = self.places.partition_point(|(first, _)| *first <= sequence);
        behind.checked_sub(1).and_then(|at| self.places.get(at)).map_or(START, |(_, offset)| *offset)
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Active {
    /// Makes a zero-filled file a segment. Its head becomes durable with its first frame.
    pub(crate) fn create(log: &Path, number: u64, spare: &Path, first_sequence: u64) -> io::Result<Self> {
        let path = path(log, number);
        let file = OpenOptions::new().read(true).write(true).open(spare)?;
        let mut head = [0_u8; 64];
        overwrite(&mut head, 0, &MAGIC);
        overwrite(&mut head, 8, &VERSION.to_le_bytes());
        overwrite(&mut head, 16, &number.to_le_bytes());
        overwrite(&mut head, 24, &first_sequence.to_le_bytes());
        let crc = checksum(number, head.get(..60).unwrap_or_default());
        overwrite(&mut head, 60, &crc.to_le_bytes());
        file.write_all_at(&head, 0)?;
        std::fs::rename(spare, &path)?;
        sync_folder(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { segment: Segment::new(number, path, size, first_sequence), file: Arc::new(file) })
    }
}
