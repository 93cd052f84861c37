//! Segments: files of a fixed size, written full of zeros beforehand, so that a sync never has to journal a new size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::codec::{self, Frame, HEAD};

/// `ZETESLOG`, then the format's version.
const MAGIC: [u8; 12] = *b"ZETESLOG\x01\0\0\0";
/// Bytes in front of the first frame: magic, number, room for later.
pub(crate) const START: u64 = 64;
/// A place in the file is remembered every so many bytes.
const STRIDE: u64 = 256 << 10;

/// One file of the log.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    /// Counts from 1; part of every checksum.
    pub(crate) number: u64,
    pub(crate) file: Arc<File>,
    pub(crate) path: PathBuf,
    /// Bytes of the file.
    pub(crate) size: u64,
    /// Where the next frame goes.
    pub(crate) end: u64,
    /// The first sequence that it may hold.
    pub(crate) first_sequence: u64,
    pub(crate) last_at: Option<Timestamp>,
    pub(crate) events: u64,
    /// First sequences of frames and where they begin, in order.
    places: Vec<(u64, u64)>,
}

pub(crate) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.log"))
}

/// The number of a segment by its file's name.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok()
}

/// Writes a file full of zeros and makes it durable, name included. Blocks for as long as the disk needs.
pub(crate) fn zero_filled(path: &Path, size: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0_u8; 1 << 20];
    let mut left = size;
    while left > 0 {
        let piece = usize::try_from(left.min(1 << 20)).unwrap_or(zeros.len());
        file.write_all(zeros.get(..piece).unwrap_or_default())?;
        left -= u64::try_from(piece).unwrap_or(left);
    }
    file.sync_all()
}

impl Segment {
    /// Makes a zero-filled file a segment.
    pub(crate) fn create(folder: &Path, number: u64, spare: &Path, first_sequence: u64) -> io::Result<Self> {
        let path = path(folder, number);
        std::fs::rename(spare, &path)?;
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        file.write_all_at(&MAGIC, 0)?;
        file.write_all_at(&number.to_le_bytes(), 16)?;
        file.write_all_at(&first_sequence.to_le_bytes(), 24)?;
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Self::of(file, path, number, first_sequence)
    }

    /// Opens a segment without reading its frames. `Ok(None)`: the file has no valid head, so nothing was ever written to it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut head = [0_u8; 32];
        if file.read_exact_at(&mut head, 0).is_err() || head.first_chunk() != Some(&MAGIC) {
            return Ok(None);
        }
        let long =
            |at: usize| head.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        let (Some(number), Some(first_sequence)) = (long(16), long(24)) else { return Ok(None) };
        Self::of(file, path.to_owned(), number, first_sequence).map(Some)
    }

    fn of(file: File, path: PathBuf, number: u64, first_sequence: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let file = Arc::new(file);
        Ok(Self {
            number,
            file,
            path,
            size,
            end: START,
            first_sequence,
            last_at: None,
            events: 0,
            places: Vec::new(),
        })
    }

    /// Remembers what a frame at `offset` holds.
    pub(crate) fn note(&mut self, offset: u64, first_sequence: u64, at: Timestamp, events: u64) {
        if self.places.last().is_none_or(|(_, last)| offset >= last + STRIDE) {
            self.places.push((first_sequence, offset));
        }
        self.last_at = Some(at);
        self.events += events;
    }

    /// Where to begin to read for a sequence.
    pub(crate) fn place_of(&self, sequence: u64) -> u64 {
        let behind = self.places.partition_point(|(first, _)| *first <= sequence);
        behind.checked_sub(1).and_then(|at| self.places.get(at)).map_or(START, |(_, offset)| *offset)
    }

    /// The frame at an offset and where the next one begins.
    pub(crate) fn frame_at(&self, offset: u64) -> io::Result<Found> {
        let mut head = [0_u8; HEAD];
        if offset + u64::try_from(HEAD).unwrap_or(0) > self.size {
            return Ok(Found::Nothing);
        }
        self.file.read_exact_at(&mut head, offset)?;
        if head.iter().all(|byte| *byte == 0) {
            return Ok(Found::Nothing);
        }
        let Some(length) = codec::claimed_length(&head) else { return Ok(Found::Garbage) };
        let next = offset + u64::try_from(length).unwrap_or(u64::MAX / 2);
        if next > self.size {
            return Ok(Found::Garbage);
        }
        let mut bytes = vec![0_u8; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(codec::decode(&bytes, self.number).map_or(Found::Garbage, |frame| Found::Frame(frame, next)))
    }
}

/// What stands at an offset.
pub(crate) enum Found {
    Frame(Frame, u64),
    /// Zeros: nothing was written here.
    Nothing,
    /// Neither zeros nor a frame.
    Garbage,
}
