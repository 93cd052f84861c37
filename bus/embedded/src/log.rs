//! The segments as the tables know them, and what a reader takes with it to read without holding them.

use std::fs::File;
use std::sync::Arc;

use bus_core::BusError;

use crate::segment::{Active, Segment};

/// All segments, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) closed: Arc<Vec<Arc<Segment>>>,
    /// `None` until something is written.
    pub(crate) active: Option<Active>,
    /// Of the closed ones, so that nobody counts thousands of them for each group.
    closed_bytes: u64,
    closed_events: u64,
}

/// What stood in the log at one moment. Cheap.
#[derive(Clone, Debug)]
pub(crate) struct View {
    closed: Arc<Vec<Arc<Segment>>>,
    active: Option<ActiveView>,
}

#[derive(Clone, Debug)]
struct ActiveView {
    file: Arc<File>,
    number: u64,
    name: String,
    first_sequence: u64,
    place: u64,
    end: u64,
}

/// A part of a segment that is to be read.
pub(crate) struct Stretch {
    pub(crate) file: Arc<File>,
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) from: u64,
    pub(crate) end: u64,
}

impl Log {
    pub(crate) fn first_sequence(&self) -> Option<u64> {
        let oldest = self.closed.first().map(|segment| segment.first_sequence);
        oldest.or_else(|| self.active.as_ref().map(|active| active.segment.first_sequence))
    }

    /// The first sequence behind the oldest segment; `None` when there is only one.
    pub(crate) fn second_sequence(&self) -> Option<u64> {
        let second = self.closed.get(1).map(|segment| segment.first_sequence);
        let active = self.active.as_ref().filter(|_| !self.closed.is_empty());
        second.or_else(|| active.map(|active| active.segment.first_sequence))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Segment> {
        let active = self.active.iter().map(|active| &active.segment);
        self.closed.iter().map(|segment| &**segment).chain(active)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.closed_bytes + self.active.as_ref().map_or(0, |active| active.segment.end)
    }

    pub(crate) fn events(&self) -> u64 {
        self.closed_events + self.active.as_ref().map_or(0, |active| active.segment.events)
    }

    /// The active segment is full: the next one takes its place.
    pub(crate) fn rotate(&mut self, next: Option<Active>) -> Option<Arc<Segment>> {
        let closed = std::mem::replace(&mut self.active, next).map(|active| Arc::new(active.segment));
        if let Some(closed) = &closed {
            self.close(closed.clone());
        }
        closed
    }

    /// Adds a closed segment, the newest.
    pub(crate) fn close(&mut self, segment: Arc<Segment>) {
        self.closed_bytes += segment.end;
        self.closed_events += segment.events;
        Arc::make_mut(&mut self.closed).push(segment);
    }

    /// Takes the oldest segment away, but never the active one.
    pub(crate) fn drop_oldest(&mut self) -> Option<Arc<Segment>> {
        let has_next = self.closed.len() > 1 || self.active.is_some();
        if self.closed.is_empty() || !has_next {
            return None;
        }
        let oldest = Arc::make_mut(&mut self.closed).remove(0);
        self.closed_bytes -= oldest.end;
        self.closed_events -= oldest.events;
        Some(oldest)
    }

    /// What there is to read from a sequence on.
    pub(crate) fn view(&self, from: u64) -> View {
        let active = self.active.as_ref().map(|active| ActiveView {
            file: active.file.clone(),
            number: active.segment.number,
            name: active.segment.name(),
            first_sequence: active.segment.first_sequence,
            place: active.segment.place_of(from),
            end: active.segment.end,
        });
        View { closed: self.closed.clone(), active }
    }
}

impl View {
    /// The stretches that hold what is at or behind a sequence, in order. One that retention has removed meanwhile is passed over.
    pub(crate) fn stretches(&self, from: u64) -> impl Iterator<Item = Result<Stretch, BusError>> {
        let begin = self.closed.partition_point(|segment| segment.next_sequence <= from);
        let closed = self.closed.iter().skip(begin).filter_map(move |segment| {
            let open = || -> std::io::Result<Stretch> {
                Ok(Stretch {
                    file: Arc::new(File::open(&segment.path)?),
                    number: segment.number,
                    name: segment.name(),
                    from: segment.place_of(from),
                    end: segment.end,
                })
            };
            match open() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                other => {
                    Some(other.map_err(|error| BusError::Unavailable(format!("{}: {error}", segment.name()))))
                }
            }
        });
        let active = self.active.iter().map(|active| {
            Ok(Stretch {
                file: active.file.clone(),
                number: active.number,
                name: active.name.clone(),
                from: active.place,
                end: active.end,
            })
        });
        closed.chain(active)
    }

    /// The first sequence of the first segment whose last frame was written at or after this time.
    pub(crate) fn first_since(&self, time: jiff::Timestamp) -> Option<u64> {
        let closed = self.closed.iter().find(|segment| segment.last_at.is_some_and(|at| at >= time));
        closed
            .map(|segment| segment.first_sequence)
            .or_else(|| self.active.as_ref().map(|active| active.first_sequence))
    }
}
