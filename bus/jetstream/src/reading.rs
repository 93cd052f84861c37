//! Events and records, read back in pages.

use std::ops::Range;
use std::sync::Arc;

use bus_core::{BusError, Entry, EntryBody, EntryKind, Page, ReadFilter};
use futures_util::future::try_join_all;
use serde_json::json;
use zetes_api::{Event, EventId};

use crate::api::{Stored, StreamState};
use crate::bus::Shared;
use crate::link::Live;

pub(crate) const PAGE_BYTES: usize = 1 << 20;
/// Messages that are asked for at once.
const AT_ONCE: u64 = 256;

/// The part of a range that the stream has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) from: u64,
    pub(crate) end: u64,
}

impl Shared {
    pub(crate) async fn read(
        &self,
        kind: EntryKind,
        range: Range<u64>,
        filter: ReadFilter,
    ) -> Result<Page, BusError> {
        let live = self.live()?;
        if filter.namespace.is_some_and(|namespace| namespace != self.layout.namespace) {
            return Ok(Page::default());
        }
        let stream = self.stream_of(kind);
        let state = live.stream_info(stream).await.map_err(|error| live.failed(error))?.state;
        let reading =
            Reading { from: range.start.max(state.first_seq).max(1), end: range.end.min(state.last_seq + 1) };
        match (kind, filter.about) {
            (EntryKind::Record, Some(id)) => self.records_about(&live, &reading, &id).await,
            (EntryKind::Event, Some(id)) => self.event_about(&live, &reading, &id).await,
            (_, None) => self.page(&live, kind, reading, &state).await,
        }
    }

    fn stream_of(&self, kind: EntryKind) -> &str {
        match kind {
            EntryKind::Event => &self.layout.events,
            EntryKind::Record => &self.layout.records,
        }
    }

    async fn page(
        &self,
        live: &Live,
        kind: EntryKind,
        reading: Reading,
        state: &StreamState,
    ) -> Result<Page, BusError> {
        let size = state.bytes.checked_div(state.messages).unwrap_or(1).max(1);
        let at_once = (u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX) / size).clamp(1, AT_ONCE);
        let mut page = Page::default();
        let (mut from, mut bytes) = (reading.from, 0);
        while from < reading.end {
            let end = reading.end.min(from.saturating_add(at_once));
            let found = self.messages(live, kind, from..end).await?;
            if found.is_empty() {
                // A hole; what stands behind it is found with one question.
                let subjects = [">".to_owned()];
                let next = live
                    .next(self.stream_of(kind), end, &subjects)
                    .await
                    .map_err(|error| live.failed(error))?;
                let Some(next) = next else { return Ok(page) };
                from = next.sequence;
                continue;
            }
            from = end;
            for stored in found {
                if bytes >= PAGE_BYTES {
                    page.next = Some(stored.sequence);
                    return Ok(page);
                }
                bytes += stored.payload.len();
                self.add(&mut page, kind, stored);
            }
        }
        Ok(page)
    }

    /// What the stream has of these sequences, asked for at once.
    async fn messages(
        &self,
        live: &Live,
        kind: EntryKind,
        range: Range<u64>,
    ) -> Result<Vec<Stored>, BusError> {
        let stream = self.stream_of(kind);
        let asked =
            range.map(|sequence| async move { live.message(stream, &json!({"seq": sequence})).await });
        let found = try_join_all(asked).await.map_err(|error| live.failed(error))?;
        Ok(found.into_iter().flatten().collect())
    }

    fn add(&self, page: &mut Page, kind: EntryKind, stored: Stored) {
        if kind == EntryKind::Record {
            page.entries.extend(self.record_of(stored));
            return;
        }
        match Event::from_json(&stored.payload) {
            Ok(event) => page.entries.push(self.event_entry(&stored, event)),
            Err(error) => {
                let stream = &self.layout.events;
                page.damaged
                    .push(format!("stream `{stream}`, message {}: no event: {error}", stored.sequence));
            }
        }
    }

    fn event_entry(&self, stored: &Stored, event: Event) -> Entry {
        Entry {
            sequence: stored.sequence,
            at: stored.time,
            namespace: self.layout.namespace.clone(),
            body: EntryBody::Event(Arc::new(event)),
        }
    }

    /// The event with this id; more than one where event sources share ids. Found by the headers alone.
    async fn event_about(&self, live: &Live, reading: &Reading, id: &EventId) -> Result<Page, BusError> {
        let mut page = Page::default();
        let mut bytes = 0;
        for sequence in self.find(live, reading, id).await? {
            if bytes >= PAGE_BYTES {
                page.next = Some(sequence);
                break;
            }
            for stored in self.messages(live, EntryKind::Event, sequence..sequence + 1).await? {
                bytes += stored.payload.len();
                match Event::from_json(&stored.payload) {
                    Ok(event) if event.id == *id => page.entries.push(self.event_entry(&stored, event)),
                    _ => {}
                }
            }
        }
        Ok(page)
    }
}
