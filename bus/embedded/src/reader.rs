//! Reading back: for consumers that are behind, and for people.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::{BusError, Entry as BusEntry, EntryBody, EntryKind, Page, ReadFilter};
use bytes::Bytes;
use jiff::Timestamp;
use zetes_api::Namespace;

use crate::codec::Entry;
use crate::log::View;
use crate::scan::{Found, Scan};
use crate::tables::Stored;

/// Bytes of a page, about.
const PAGE_BYTES: usize = 1 << 20;
/// Pages of events that consumers read from the disk share.
const PAGES: usize = 8;
/// What an event takes in memory beside its bytes, about.
pub(crate) const OVERHEAD: usize = 400;
/// Damaged places that are remembered, so that each is told once.
const TOLD: usize = 1_000;
/// "Input/output error", for which std has no kind.
const EIO: i32 = 5;

/// An entry with a sequence, and where its frame begins: segment and byte.
pub(crate) struct Item<'b> {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) entry: &'b Entry<'b>,
    pub(crate) place: (u64, u64),
}

/// Calls `each` for every event and record from `from` on, until it says stop. What is damaged is passed over and named.
///
/// `resume` is a place of an earlier item at or before `from`: nothing before it is read. Blocks.
///
/// **Errors** A file can't be opened or read; trying again may help.
pub(crate) fn walk(
    view: &View,
    from: u64,
    resume: Option<(u64, u64)>,
    mut each: impl FnMut(Item<'_>) -> bool,
) -> Result<Vec<String>, BusError> {
    let mut damaged = Vec::new();
    for stretch in view.stretches(from) {
        let stretch = stretch?;
        let begin = resume.filter(|(number, _)| *number == stretch.number).map_or(stretch.from, |(_, at)| at);
        let mut scan = Scan::new(&stretch.file, stretch.number, begin, stretch.end);
        loop {
            let (bad_from, bad_to, ends) = match scan.next() {
                Ok(Found::Frame { frame, offset, .. }) => {
                    let place = (stretch.number, offset);
                    let entries = frame.entries().filter(|(_, entry)| entry.takes_sequence());
                    for (sequence, entry) in entries.skip_while(|(sequence, _)| *sequence < from) {
                        if !each(Item { sequence, at: frame.head.at, entry: &entry, place }) {
                            return Ok(damaged);
                        }
                    }
                    continue;
                }
                Ok(Found::Damaged { from, to }) => (from, to, false),
                Ok(Found::Rest { from, .. }) => (from, stretch.end, true),
                Ok(Found::End { at }) => (at, stretch.end, true),
                // The disk has lost it.
                Err(error)
                    if error.raw_os_error() == Some(EIO) || error.kind() == ErrorKind::UnexpectedEof =>
                {
                    damaged.push(format!("{}: {error}", stretch.name));
                    break;
                }
                Err(error) => return Err(BusError::Unavailable(format!("{}: {error}", stretch.name))),
            };
            if bad_from < bad_to {
                damaged.push(format!("{}: bytes {bad_from} to {bad_to}", stretch.name));
            }
            if ends {
                break;
            }
        }
    }
    Ok(damaged)
}

/// All events of a range of sequences.
#[derive(Debug)]
pub(crate) struct EventPage {
    pub(crate) range: Range<u64>,
    pub(crate) events: Vec<Stored>,
    /// Where the next page begins in the log.
    resume: Option<(u64, u64)>,
}

impl EventPage {
    pub(crate) fn from(&self, sequence: u64) -> impl Iterator<Item = &Stored> {
        let begin = self.events.partition_point(|stored| stored.sequence < sequence);
        self.events.iter().skip(begin)
    }
}

/// Events from `range` on, about one page of them. Blocks.
fn events(
    view: &View,
    range: Range<u64>,
    resume: Option<(u64, u64)>,
) -> Result<(EventPage, Vec<String>), BusError> {
    let mut page = EventPage { range: range.clone(), events: Vec::new(), resume: None };
    let mut bytes = 0;
    let mut namespace: Option<Namespace> = None;
    let damaged = walk(view, range.start, resume, |Item { sequence, at, entry, place }| {
        if sequence >= range.end || bytes >= PAGE_BYTES {
            page.range.end = page.range.end.min(sequence);
            page.resume = Some(place);
            return false;
        }
        if let Entry::Event(stored) = entry
            && let Some(event) = stored.event()
        {
            let known = namespace.take().filter(|known| known.as_str() == stored.namespace);
            let known = known.unwrap_or_else(|| stored.namespace.into());
            namespace = Some(known.clone());
            let size = stored.len() + OVERHEAD;
            bytes += size;
            page.events.push(Stored { sequence, at, namespace: known, event: Arc::new(event), bytes: size });
        }
        true
    })?;
    Ok((page, damaged))
}

/// The newest pages that were read from the disk: consumers that are equally far behind read each once.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    recent: Mutex<VecDeque<Arc<EventPage>>>,
    told: Mutex<Vec<String>>,
}

impl Pages {
    /// The page that has a sequence.
    pub(crate) fn find(&self, sequence: u64) -> Option<Arc<EventPage>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().find(|page| page.range.contains(&sequence)).cloned()
    }

    /// Reads the page that begins with a sequence and ends before `end` at the latest. Blocks.
    pub(crate) fn load(&self, view: &View, sequence: u64, end: u64) -> Result<Arc<EventPage>, BusError> {
        let resume = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().find(|page| page.range.end == sequence).and_then(|page| page.resume)
        };
        let (page, damaged) = events(view, sequence..end, resume)?;
        self.tell(&damaged);
        let page = Arc::new(page);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.truncate(PAGES - 1);
        recent.push_front(page.clone());
        Ok(page)
    }

    /// These places were told already.
    pub(crate) fn knows(&self, damaged: &[String]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.extend(damaged.iter().take(TOLD).cloned());
    }

    /// Tells an operator of damaged places, of each once.
    pub(crate) fn tell(&self, damaged: &[String]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for place in damaged {
            if told.len() < TOLD && !told.contains(place) {
                tracing::error!(place, "a part of the bus is damaged and can't be served");
                told.push(place.clone());
            }
        }
    }
}

/// When the first entry at or behind a sequence was written. Blocks.
pub(crate) fn time_of(view: &View, sequence: u64) -> Result<Option<Timestamp>, BusError> {
    let mut found = None;
    walk(view, sequence, None, |item| {
        found = Some(item.at);
        false
    })?;
    Ok(found)
}

/// The first event that was written at or after a time. Blocks.
pub(crate) fn first_since(view: &View, time: Timestamp) -> Result<Option<u64>, BusError> {
    let mut found = None;
    let Some(from) = view.first_since(time) else { return Ok(None) };
    walk(view, from, None, |item| {
        found = (item.at >= time && matches!(item.entry, Entry::Event(_))).then_some(item.sequence);
        found.is_none()
    })?;
    Ok(found)
}

/// A page for people. Blocks.
pub(crate) fn page(
    view: &View,
    kind: EntryKind,
    range: &Range<u64>,
    filter: &ReadFilter,
) -> Result<Page, BusError> {
    let mut page = Page::default();
    let mut bytes = 0;
    let damaged = walk(view, range.start, None, |Item { sequence, at, entry, .. }| {
        if sequence >= range.end {
            return false;
        }
        if bytes >= PAGE_BYTES {
            page.next = Some(sequence);
            return false;
        }
        if let Some((namespace, body)) = wanted(entry, kind, filter) {
            bytes += size(&body);
            page.entries.push(BusEntry { sequence, at, namespace, body });
        }
        true
    })?;
    page.damaged = damaged;
    Ok(page)
}

fn size(body: &EntryBody) -> usize {
    match body {
        EntryBody::Event(event) => event.data.as_ref().map_or(0, Bytes::len) + OVERHEAD,
        EntryBody::Record(record) => record.len(),
    }
}

fn wanted(entry: &Entry<'_>, kind: EntryKind, filter: &ReadFilter) -> Option<(Namespace, EntryBody)> {
    let is_ours =
        |namespace: &str| filter.namespace.as_ref().is_none_or(|wanted| wanted.as_str() == namespace);
    match entry {
        Entry::Event(stored) if kind == EntryKind::Event && is_ours(stored.namespace) => {
            let event = stored.event()?;
            let is_it = filter.about.as_ref().is_none_or(|id| *id == event.id);
            is_it.then(|| (stored.namespace.into(), EntryBody::Event(Arc::new(event))))
        }
        Entry::Record(stored) if kind == EntryKind::Record && is_ours(stored.namespace) => {
            let is_it = filter.about.as_ref().is_none_or(|id| stored.about.contains(&id.as_str()));
            is_it.then(|| (stored.namespace.into(), EntryBody::Record(Bytes::copy_from_slice(stored.record))))
        }
        _ => None,
    }
}
