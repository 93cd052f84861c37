//! Records: decisions about events, each on a subject by the event's id, so that those about one event are few messages to look through.

use async_nats::HeaderMap;
use bus_core::{BusError, Entry, EntryBody, Page};
use bytes::Bytes;
use zetes_api::EventId;

use crate::api::Stored;
use crate::bus::Shared;
use crate::link::Live;
use crate::names;
use crate::publish::Outgoing;
use crate::reading::{PAGE_BYTES, Reading};

const ABOUT: &str = "Zetes-About";
/// The same record stands under the first event's subject, too.
const COPY: &str = "Zetes-Copy";

impl Shared {
    /// The messages of a record: the first, and a copy under each other subject.
    pub(crate) fn record(&self, about: &[EventId], record: &Bytes) -> Vec<Outgoing> {
        let mut subjects = vec![self.layout.record_subject(about.first())];
        for id in about.iter().skip(1) {
            let subject = self.layout.record_subject(Some(id));
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        let ids: Vec<String> = about.iter().map(|id| names::header(id.as_str())).collect();
        let mut headers = HeaderMap::new();
        headers.insert(ABOUT, ids.join(" "));
        let messages = subjects.into_iter().enumerate().map(|(index, subject)| {
            let mut headers = headers.clone();
            if index > 0 {
                headers.insert(COPY, "true");
            }
            Outgoing { subject, headers, payload: record.clone() }
        });
        messages.collect()
    }

    /// The records about one event.
    pub(crate) async fn records_about(
        &self,
        live: &Live,
        reading: &Reading,
        id: &EventId,
    ) -> Result<Page, BusError> {
        let subjects = [self.layout.record_subject(Some(id))];
        let wanted = names::header(id.as_str());
        let mut page = Page::default();
        let (mut from, mut bytes) = (reading.from, 0);
        loop {
            let found =
                live.next(&self.layout.records, from, &subjects).await.map_err(|error| live.failed(error))?;
            let Some(stored) = found.filter(|stored| stored.sequence < reading.end) else { return Ok(page) };
            from = stored.sequence + 1;
            if stored.header(ABOUT).is_some_and(|about| about.split(' ').any(|id| id == wanted)) {
                bytes += stored.payload.len();
                page.entries.push(self.record_entry(stored));
            }
            if bytes >= PAGE_BYTES {
                page.next = Some(from);
                return Ok(page);
            }
        }
    }

    /// The record, unless it is a copy.
    pub(crate) fn record_of(&self, stored: Stored) -> Option<Entry> {
        stored.header(COPY).is_none().then(|| self.record_entry(stored))
    }

    fn record_entry(&self, stored: Stored) -> Entry {
        Entry {
            sequence: stored.sequence,
            at: stored.time,
            namespace: self.layout.namespace.clone(),
            body: EntryBody::Record(stored.payload),
        }
    }
}
