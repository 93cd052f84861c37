//! A closed segment's summary, so that a start does not read the segment: `log/<number>.sum`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::codec::{VERSION, checksum};
use crate::segment::{Segment, sync_folder};
use crate::wire::{Input, put_long, put_number};

const MAGIC: [u8; 8] = *b"ZETESSUM";

pub(crate) fn path_of(segment: &Path) -> PathBuf {
    segment.with_extension("sum")
}

/// What a segment amounts to, as bytes; a checkpoint holds that of the segment it stands in.
pub(crate) fn encode(buffer: &mut Vec<u8>, segment: &Segment) {
    for number in [
        segment.number,
        segment.size,
        segment.end,
        segment.first_sequence,
        segment.next_sequence,
        segment.events,
    ] {
        put_long(buffer, number);
    }
    buffer.extend_from_slice(&segment.last_at.map_or(i64::MIN, Timestamp::as_microsecond).to_le_bytes());
    buffer.extend_from_slice(&segment.generation.to_le_bytes());
    put_number(buffer, segment.places.len());
    for (sequence, offset) in &segment.places {
        put_long(buffer, *sequence);
        put_long(buffer, *offset);
    }
}

pub(crate) fn decode(input: &mut Input<'_>, path: PathBuf) -> Option<Segment> {
    let number = input.long()?;
    let (size, end) = (input.long()?, input.long()?);
    let (first_sequence, next_sequence) = (input.long()?, input.long()?);
    let events = input.long()?;
    let last_at = Timestamp::from_microsecond(input.signed()?).ok();
    let generation = input.number()?;
    let count = input.number()?;
    let places = (0..count).map(|_| Some((input.long()?, input.long()?))).collect::<Option<_>>()?;
    Some(Segment {
        number,
        path,
        size,
        end,
        first_sequence,
        next_sequence,
        last_at,
        events,
        generation,
        places,
    })
}

/// Writes the summary of a closed segment durably. Blocks.
pub(crate) fn write(segment: &Segment) -> io::Result<()> {
    let mut buffer = MAGIC.to_vec();
    buffer.extend_from_slice(&VERSION.to_le_bytes());
    encode(&mut buffer, segment);
    let crc = checksum(segment.number, &buffer);
    put_number(&mut buffer, crate::wire::short(u64::from(crc)));
    write_aside(&path_of(&segment.path), &buffer)
}

/// Writes a file aside, makes it durable, and puts it in its place.
pub(crate) fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension("tmp");
    let written = (|| {
        let mut file = fs::File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // A half-written file takes room that is needed elsewhere.
        drop(fs::remove_file(&aside));
    }
    written.and_then(|()| sync_folder(path))
}

/// The summary of a segment of this number and path; `None` when there is none that fits and is whole.
pub(crate) fn read(path: &Path, number: u64) -> Option<Segment> {
    let bytes = fs::read(path_of(path)).ok()?;
    let (checked, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let mut input = Input(checked);
    if input.array::<8>()? != MAGIC
        || input.number()? != VERSION
        || Input(crc).number()? != checksum(number, checked)
    {
        return None;
    }
    let segment = decode(&mut input, path.to_owned())?;
    let size = fs::metadata(path).ok()?.len();
    (segment.number == number && segment.size == size && segment.end <= size && input.0.is_empty())
        .then_some(segment)
}
