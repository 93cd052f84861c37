//! Frames of a file, read in large pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::codec::{Frame, HEAD, claimed_length};
use crate::wire::{long, short};

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Reads one file's frames in order.
pub(crate) struct Scan<'f> {
    file: &'f File,
    number: u64,
    /// Where the next frame is expected.
    at: u64,
    end: u64,
    /// Frames of an older generation are what a failed write left behind, and end the file.
    generation: u32,
    piece: Vec<u8>,
    piece_at: u64,
    filled: usize,
    reads: usize,
}

/// What stands at a place.
pub(crate) enum Found<'b> {
    Frame {
        frame: Frame<'b>,
        offset: u64,
        next: u64,
    },
    /// No frame, but one comes behind it.
    Damaged {
        from: u64,
        to: u64,
    },
    /// Neither frames nor zeros from here to the end: an unfinished write at the end of the log, damage elsewhere.
    Rest {
        from: u64,
        to: u64,
    },
    /// Nothing was written from here on.
    End {
        at: u64,
    },
}

impl<'f> Scan<'f> {
    /// From a place where a frame begins up to `end`, in a file with this number.
    pub(crate) fn new(file: &'f File, number: u64, from: u64, end: u64) -> Self {
        Self {
            file,
            number,
            at: from,
            end,
            generation: 0,
            piece: Vec::new(),
            piece_at: 0,
            filled: 0,
            reads: PIECE / 64,
        }
    }

    /// What comes next.
    pub(crate) fn next(&mut self) -> io::Result<Found<'_>> {
        let offset = self.at;
        if let Some((length, generation)) = self.valid_at(offset)? {
            let next = offset + long(length);
            self.at = next;
            self.generation = generation;
            let frame = Frame::parse(self.window(offset, length)?).ok_or(io::ErrorKind::InvalidData)?;
            return Ok(Found::Frame { frame, offset, next });
        }
        let Some(written) = self.last_byte(offset)? else { return Ok(Found::End { at: offset }) };
        if let Some(to) = self.next_frame(offset, written)? {
            self.at = to;
            return Ok(Found::Damaged { from: offset, to });
        }
        self.at = self.end;
        Ok(Found::Rest { from: offset, to: written })
    }

    /// Length and generation of the frame that stands at `offset`, if one does.
    fn valid_at(&mut self, offset: u64) -> io::Result<Option<(usize, u32)>> {
        let end = self.end;
        if offset + long(HEAD) > end {
            return Ok(None);
        }
        let length = claimed_length(self.window(offset, HEAD)?);
        let Some(length) = length.filter(|length| offset + long(*length) <= end) else { return Ok(None) };
        let (number, oldest) = (self.number, self.generation);
        let frame = Frame::read(self.window(offset, length)?, number);
        Ok(frame.map(|frame| frame.head.generation).filter(|one| *one >= oldest).map(|one| (length, one)))
    }

    /// At least `length` bytes at `offset`, which lie before the end.
    fn window(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let inside = offset >= self.piece_at && offset + long(length) <= self.piece_at + long(self.filled);
        if !inside {
            // The first piece is small: a single event may be all that is asked for.
            self.reads = (self.reads * 4).min(PIECE);
            let wanted = length.max(self.reads).min(short(self.end.saturating_sub(offset)));
            if self.piece.len() < wanted {
                self.piece.resize(wanted, 0);
            }
            let piece = self.piece.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(piece, offset)?;
            self.piece_at = offset;
            self.filled = wanted;
        }
        let begin = short(offset - self.piece_at);
        self.piece.get(begin..begin + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Behind the last byte from `offset` on that is not zero; `None` when all are.
    fn last_byte(&mut self, offset: u64) -> io::Result<Option<u64>> {
        let (mut at, mut last) = (offset, None);
        while at < self.end {
            let length = short((self.end - at).min(long(PIECE)));
            let piece = self.window(at, length)?;
            if let Some(place) = piece.iter().rposition(|byte| *byte != 0) {
                last = Some(at + long(place) + 1);
            }
            at += long(length);
        }
        Ok(last)
    }

    /// The next place behind `offset` where a frame of this file begins.
    fn next_frame(&mut self, offset: u64, end: u64) -> io::Result<Option<u64>> {
        for at in offset + 1..end {
            if self.valid_at(at)?.is_some() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}
