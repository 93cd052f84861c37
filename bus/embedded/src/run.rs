//! Identities of older events: immutable sorted files, of which only a filter is in memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bus_core::Identity;
use jiff::Timestamp;

use crate::codec::{VERSION, checksum};
use crate::disk::{Gentle, PIECE};
use crate::segment::sync_folder;
use crate::wire::{Input, long, overwrite, put_long, put_number, short};

const MAGIC: [u8; 8] = *b"ZETESIDS";
/// Bytes of the head: magic, version, checksum of head and times and filter, from, to, count, words of the filter, times.
const HEAD: usize = 64;
/// Entries of 24 bytes in a block, which has its checksum at its end.
const ENTRIES: usize = 170;
pub(crate) const BLOCK: usize = 4096;
/// A filter's words of 64 bits for so many entries: 16 bits each.
const ENTRIES_OF_BUCKET: u64 = 32;
const WORDS_OF_BUCKET: u64 = 8;

/// A run of identities in a file.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) path: PathBuf,
    file: File,
    /// Every event from this sequence on to before `to` is in it.
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
    filter: Vec<u64>,
    times: Times,
    blocks_at: u64,
}

/// When sequences were published, in steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<(u64, i64)>);

impl Times {
    /// Remembers the time of a sequence if it is a step later than the last one.
    pub(crate) fn note(&mut self, sequence: u64, micros: i64, step: i64) {
        if self.0.last().is_none_or(|(_, last)| micros.saturating_sub(*last) >= step) {
            self.0.push((sequence, micros));
        }
    }

    /// Within a step after it: the time of the next step that was noted.
    pub(crate) fn of(&self, sequence: u64) -> Option<Timestamp> {
        let behind = self.0.partition_point(|(first, _)| *first <= sequence);
        let found = self.0.get(behind.saturating_sub(1)).or_else(|| self.0.last());
        found.and_then(|(_, micros)| Timestamp::from_microsecond(*micros).ok())
    }

    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.0.last().and_then(|(_, micros)| Timestamp::from_microsecond(*micros).ok())
    }
}

/// Writes a run: `entries` come in order of identity.
pub(crate) struct RunWriter {
    path: PathBuf,
    aside: PathBuf,
    file: BufWriter<Gentle>,
    filter: Vec<u64>,
    times: Times,
    from: u64,
    to: u64,
    count: u64,
    block: Vec<u8>,
    blocks: u64,
}

fn file_name(from: u64, to: u64) -> String {
    format!("{from:020}-{to:020}.ids")
}

fn bucket(identity: Identity, words: usize) -> usize {
    let buckets = long(words) / WORDS_OF_BUCKET;
    let place = ((identity.0 & u128::from(u64::MAX)) * u128::from(buckets)) >> 64;
    short(u64::try_from(place).unwrap_or(0) * WORDS_OF_BUCKET)
}

/// One bit of each word of its bucket.
fn bits(identity: Identity) -> impl Iterator<Item = u64> {
    let hash = identity.0 >> 64;
    (0..WORDS_OF_BUCKET).map(move |word| 1_u64 << (hash >> (word * 6) & 63))
}

fn blocks_at(times: usize, words: usize) -> u64 {
    let head = long(HEAD) + 16 * long(times) + 8 * long(words);
    head.next_multiple_of(long(BLOCK))
}

impl RunWriter {
    /// A run in `folder` of at most `count` entries.
    pub(crate) fn new(folder: &Path, from: u64, to: u64, count: u64, times: Times) -> io::Result<Self> {
        let path = folder.join(file_name(from, to));
        let aside = path.with_extension("tmp");
        let words = short(count.div_ceil(ENTRIES_OF_BUCKET).max(1) * WORDS_OF_BUCKET);
        let mut file = BufWriter::with_capacity(256 << 10, Gentle::create(&aside)?);
        io::Seek::seek(&mut file.get_mut().file, io::SeekFrom::Start(blocks_at(times.0.len(), words)))?;
        let filter = vec![0; words];
        Ok(Self {
            path,
            aside,
            file,
            filter,
            times,
            from,
            to,
            count: 0,
            block: Vec::with_capacity(BLOCK),
            blocks: 0,
        })
    }

    pub(crate) fn push(&mut self, identity: Identity, sequence: u64) -> io::Result<()> {
        let at = bucket(identity, self.filter.len());
        for (word, bit) in self.filter.iter_mut().skip(at).zip(bits(identity)) {
            *word |= bit;
        }
        self.block.extend_from_slice(&identity.0.to_be_bytes());
        put_long(&mut self.block, sequence);
        self.count += 1;
        if self.block.len() == ENTRIES * 24 { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> io::Result<()> {
        let entries = self.block.len() / 24;
        self.block.resize(BLOCK - 8, 0);
        put_number(&mut self.block, entries);
        let crc = checksum(self.blocks, &self.block);
        self.block.extend_from_slice(&crc.to_le_bytes());
        self.file.write_all(&self.block)?;
        self.block.clear();
        self.blocks += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<Run> {
        let finished = self.finish_aside();
        if finished.is_err() {
            drop(fs::remove_file(&self.aside));
        }
        finished?;
        Run::open(&self.path)?.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn finish_aside(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.write_block()?;
        }
        self.file.flush()?;
        let mut head = vec![0; HEAD];
        overwrite(&mut head, 0, &MAGIC);
        overwrite(&mut head, 8, &VERSION.to_le_bytes());
        for (at, number) in [
            (16, self.from),
            (24, self.to),
            (32, self.count),
            (40, long(self.filter.len())),
            (48, long(self.times.0.len())),
        ] {
            overwrite(&mut head, at, &number.to_le_bytes());
        }
        for (sequence, micros) in &self.times.0 {
            put_long(&mut head, *sequence);
            head.extend_from_slice(&micros.to_le_bytes());
        }
        for word in &self.filter {
            put_long(&mut head, *word);
        }
        let crc = checksum(0, head.get(16..).unwrap_or_default());
        overwrite(&mut head, 12, &crc.to_le_bytes());
        let file = &self.file.get_ref().file;
        for (piece, at) in head.chunks(short(PIECE)).zip((0..).step_by(short(PIECE))) {
            file.write_all_at(piece, at)?;
            file.sync_data()?;
        }
        file.sync_all()?;
        fs::rename(&self.aside, &self.path)?;
        sync_folder(&self.path)
    }
}

impl Run {
    /// Opens a run and reads its filter. `Ok(None)`: it is damaged.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut head = [0_u8; HEAD];
        if size < long(HEAD) {
            return Ok(None);
        }
        file.read_exact_at(&mut head, 0)?;
        Ok(Self::read(path, file, size, &head))
    }

    fn read(path: &Path, file: File, size: u64, head: &[u8; HEAD]) -> Option<Self> {
        let mut input = Input(head);
        if input.array::<8>()? != MAGIC || input.number()? != VERSION {
            return None;
        }
        let crc = input.number()?;
        let (from, to, count) = (input.long()?, input.long()?, input.long()?);
        let (words, times) = (input.long()?, input.long()?);
        let length = words.checked_mul(8)?.checked_add(times.checked_mul(16)?)?;
        if words == 0 || words % WORDS_OF_BUCKET != 0 || length > size {
            return None;
        }
        let mut bytes = head.get(16..)?.to_vec();
        bytes.resize(48 + short(length), 0);
        file.read_exact_at(bytes.get_mut(48..)?, long(HEAD)).ok()?;
        if checksum(0, &bytes) != crc {
            return None;
        }
        let mut input = Input(bytes.get(48..)?);
        let times = (0..times).map(|_| Some((input.long()?, input.signed()?))).collect::<Option<Vec<_>>>()?;
        let filter = (0..words).map(|_| input.long()).collect::<Option<Vec<_>>>()?;
        let blocks_at = blocks_at(times.len(), filter.len());
        if blocks_at + count.div_ceil(long(ENTRIES)) * long(BLOCK) > size {
            return None;
        }
        Some(Self { path: path.to_owned(), file, from, to, count, filter, times: Times(times), blocks_at })
    }

    /// When the newest of them was published, within a step.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        self.times.last()
    }

    fn blocks(&self) -> u64 {
        self.count.div_ceil(long(ENTRIES))
    }

    /// The sequence of an identity, if it is here, and when it was published.
    pub(crate) fn find(&self, identity: Identity) -> io::Result<Option<(u64, Option<Timestamp>)>> {
        let words = self.filter.iter().skip(bucket(identity, self.filter.len()));
        if !words.zip(bits(identity)).all(|(word, bit)| word & bit != 0) {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.blocks());
        while high - low > 1 {
            let middle = low.midpoint(high);
            let mut first = [0_u8; 16];
            self.file.read_exact_at(&mut first, self.blocks_at + middle * long(BLOCK))?;
            if u128::from_be_bytes(first) <= identity.0 { low = middle } else { high = middle }
        }
        let mut entries = self.block(low)?;
        let found = entries.find(|(one, _)| *one == identity);
        Ok(found.map(|(_, sequence)| (sequence, self.times.of(sequence))))
    }

    /// The entries of a block.
    pub(crate) fn block(&self, block: u64) -> io::Result<impl Iterator<Item = (Identity, u64)> + use<>> {
        let mut bytes = vec![0_u8; BLOCK];
        self.file.read_exact_at(&mut bytes, self.blocks_at + block * long(BLOCK))?;
        let (checked, crc) = bytes.split_at_checked(BLOCK - 4).ok_or(io::ErrorKind::InvalidData)?;
        let count = Input(checked.get(BLOCK - 8..).unwrap_or_default()).number();
        let count = count.filter(|_| Input(crc).number() == Some(checksum(block, checked)));
        let count = count.ok_or_else(|| {
            let place = self.blocks_at + block * long(BLOCK);
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: byte {place} is damaged", self.path.display()),
            )
        })?;
        let mut at = 0;
        Ok((0..count).map_while(move |_| {
            let mut input = Input(bytes.get(at..)?);
            at += 24;
            Some((Identity(input.array().map(u128::from_be_bytes)?), input.long()?))
        }))
    }
}

impl Run {
    /// Reads all of it: every block is whole, in order, and found by the filter.
    pub(crate) fn check(&self) -> io::Result<()> {
        let (mut last, mut count) = (None, 0);
        for block in 0..self.blocks() {
            for (identity, sequence) in self.block(block)? {
                let is_in_order = last.is_none_or(|last| last < identity);
                let is_inside = (self.from..self.to).contains(&sequence);
                let words = self.filter.iter().skip(bucket(identity, self.filter.len()));
                let is_found = words.zip(bits(identity)).all(|(word, bit)| word & bit != 0);
                if !(is_in_order && is_inside && is_found) {
                    let text = format!("{}: an entry of block {block} is out of place", self.path.display());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                last = Some(identity);
                count += 1;
            }
        }
        if count == self.count { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// Makes one run of several that follow each other. Of an identity that several have, the newest counts.
pub(crate) fn merge(folder: &Path, runs: &[Arc<Run>], stop: &AtomicBool) -> io::Result<Option<Run>> {
    let (Some(first), Some(last)) = (runs.first(), runs.last()) else { return Ok(None) };
    let count = runs.iter().map(|run| run.count).sum();
    let times = Times(runs.iter().flat_map(|run| run.times.0.iter().copied()).collect());
    let mut writer = RunWriter::new(folder, first.from, last.to, count, times)?;
    let mut sources: Vec<_> = runs.iter().map(|run| Source { run, next: 0, entries: None }).collect();
    let mut heap = BinaryHeap::new();
    for (index, source) in sources.iter_mut().enumerate() {
        heap.extend(source.take()?.map(|(identity, sequence)| Reverse((identity, Reverse(sequence), index))));
    }
    let mut written = None;
    while let Some(Reverse((identity, Reverse(sequence), index))) = heap.pop() {
        if stop.load(Ordering::Relaxed) {
            drop(fs::remove_file(&writer.aside));
            return Ok(None);
        }
        if written != Some(identity) {
            writer.push(identity, sequence)?;
            written = Some(identity);
        }
        if let Some(source) = sources.get_mut(index) {
            heap.extend(
                source.take()?.map(|(identity, sequence)| Reverse((identity, Reverse(sequence), index))),
            );
        }
    }
    writer.finish().map(Some)
}

/// A run that is read from its beginning to its end.
struct Source<'r> {
    run: &'r Run,
    next: u64,
    entries: Option<Box<dyn Iterator<Item = (Identity, u64)>>>,
}

impl Source<'_> {
    fn take(&mut self) -> io::Result<Option<(Identity, u64)>> {
        loop {
            if let Some(found) = self.entries.as_mut().and_then(Iterator::next) {
                return Ok(Some(found));
            }
            if self.next >= self.run.blocks() {
                return Ok(None);
            }
            self.entries = Some(Box::new(self.run.block(self.next)?));
            self.next += 1;
        }
    }
}
