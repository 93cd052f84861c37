//! Reading back: for consumers that are behind, and for people.

use std::ops::Range;
use std::sync::Arc;

use bus_core::{Entry as BusEntry, EntryBody, Page, ReadFilter};
use jiff::Timestamp;
use zetes_api::{Event, Namespace};

use crate::codec::Entry;
use crate::segment::{Found, Segment};

/// Bytes of a page, about.
const PAGE_BYTES: usize = 1 << 20;

/// An event of the log with its place on the bus.
pub(crate) struct Read {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) namespace: Namespace,
    pub(crate) event: Arc<Event>,
}

/// Calls `each` for every entry from `from` on, until it says stop. What can't be read is passed over and named.
fn walk(
    segments: &[Segment],
    from: u64,
    mut each: impl FnMut(u64, Timestamp, &Entry) -> bool,
) -> Vec<String> {
    let mut damaged = Vec::new();
    let begin = segments.partition_point(|segment| segment.first_sequence <= from).saturating_sub(1);
    for segment in segments.iter().skip(begin) {
        let mut offset = segment.place_of(from);
        while offset < segment.end {
            match segment.frame_at(offset) {
                Ok(Found::Frame(frame, next)) => {
                    let numbered = frame.entries.iter().filter(|entry| entry.takes_sequence());
                    for (sequence, entry) in (frame.first_sequence..).zip(numbered) {
                        if sequence >= from && !each(sequence, frame.at, entry) {
                            return damaged;
                        }
                    }
                    offset = next;
                }
                Ok(Found::Nothing) => break,
                Ok(Found::Garbage) => {
                    damaged.push(format!("{}: byte {offset}", segment.path.display()));
                    match (offset + 1..segment.end)
                        .find(|at| matches!(segment.frame_at(*at), Ok(Found::Frame(..))))
                    {
                        Some(next) => offset = next,
                        None => break,
                    }
                }
                Err(error) => {
                    damaged.push(format!("{}: {error}", segment.path.display()));
                    break;
                }
            }
        }
    }
    damaged
}

/// Events from `from` to before `end`, about one page of them, and where to go on. Blocks.
pub(crate) fn events(segments: &[Segment], from: u64, end: u64) -> (Vec<Read>, u64) {
    let (mut found, mut bytes, mut next) = (Vec::new(), 0, end);
    walk(segments, from, |sequence, at, entry| {
        if sequence >= end || bytes >= PAGE_BYTES {
            next = next.min(sequence);
            return false;
        }
        if let Entry::Event { namespace, json } = entry
            && let Ok(event) = Event::from_json(json)
        {
            bytes += json.len();
            found.push(Read { sequence, at, namespace: namespace.clone(), event: Arc::new(event) });
        }
        true
    });
    (found, next)
}

/// A page for people. Blocks.
pub(crate) fn page(segments: &[Segment], range: &Range<u64>, filter: &ReadFilter) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    let damaged = walk(segments, range.start, |sequence, at, entry| {
        if sequence >= range.end {
            return false;
        }
        if bytes >= PAGE_BYTES {
            page.next = Some(sequence);
            return false;
        }
        if let Some((namespace, body)) = wanted(entry, filter) {
            bytes += size(&body);
            page.entries.push(BusEntry { sequence, at, namespace, body });
        }
        true
    });
    page.damaged = damaged;
    page
}

fn size(body: &EntryBody) -> usize {
    match body {
        EntryBody::Event(event) => event.data.as_ref().map_or(0, bytes::Bytes::len) + 256,
        EntryBody::Record(record) => record.len(),
    }
}

fn wanted(entry: &Entry, filter: &ReadFilter) -> Option<(Namespace, EntryBody)> {
    let is_ours = |namespace: &Namespace| filter.namespace.as_ref().is_none_or(|wanted| wanted == namespace);
    match entry {
        Entry::Event { namespace, json } if filter.events && is_ours(namespace) => {
            let event = Event::from_json(json).ok()?;
            let is_it = filter.about.as_ref().is_none_or(|id| *id == event.id);
            is_it.then(|| (namespace.clone(), EntryBody::Event(Arc::new(event))))
        }
        Entry::Record { namespace, about, record } if filter.records && is_ours(namespace) => {
            let is_it = filter.about.as_ref().is_none_or(|id| about.contains(id));
            is_it.then(|| (namespace.clone(), EntryBody::Record(record.clone())))
        }
        _ => None,
    }
}
