//! One subscriber of a consumer.

use std::sync::Arc;
use std::time::Duration;

use bus_core::{BusError, Consumer, ConsumerName, Delivery, Ticket, later};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::bus::Shared;
use crate::reader::EventPage;
use crate::tables::{Reader, Stored, Tables};

pub(crate) struct EmbeddedConsumer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) news: watch::Receiver<u64>,
    pub(crate) name: ConsumerName,
    pub(crate) holder: u64,
}

/// What a look at the tables gave.
enum Look {
    Deliveries(Vec<Delivery>),
    /// Nothing now; look again when there is news, or at this time.
    Wait(Option<Timestamp>),
    /// The events from here on are on the disk only.
    Behind(u64),
    /// Some events were passed over; look again.
    Again,
}

/// What is known of a sequence without reading the disk.
enum Known {
    Event(Stored),
    /// The log does not have it any more.
    Gone,
    OnDisk,
}

impl EmbeddedConsumer {
    fn look(&self, max: usize, page: Option<&EventPage>) -> Result<Look, BusError> {
        let now = self.shared.clock.now();
        let mut tables = self.shared.lock();
        let reader = self.reader(&mut tables)?;
        let due = later(now, reader.ack_deadline);
        let room = reader.max_in_flight.saturating_sub(reader.position.in_flight()).min(max);
        let mut deliveries = Vec::new();
        if let Some(sequence) = self.hand_out_again(&mut tables, max, page, &mut deliveries, (now, due))? {
            return Ok(if deliveries.is_empty() {
                Look::Behind(sequence)
            } else {
                Look::Deliveries(deliveries)
            });
        }
        let room = room.min(max.saturating_sub(deliveries.len()));
        let next = self.reader(&mut tables)?.position.next_unread();
        if room > 0 && next <= tables.last_event {
            let Some((found, passed)) = self.find(&tables, next, room, page)? else {
                return Ok(if deliveries.is_empty() {
                    Look::Behind(next)
                } else {
                    Look::Deliveries(deliveries)
                });
            };
            let reader = self.reader(&mut tables)?;
            deliveries.extend(found.into_iter().map(|stored| {
                let count = reader.position.hand_out(stored.sequence, stored.at, due, self.holder);
                self.delivery(stored, count)
            }));
            if let Some(passed) = passed {
                reader.position.pass(passed);
            }
            if deliveries.is_empty() && reader.position.next_unread() <= tables.last_event {
                return Ok(Look::Again);
            }
        }
        let due = self.reader(&mut tables)?.position.next_due();
        Ok(if deliveries.is_empty() { Look::Wait(due) } else { Look::Deliveries(deliveries) })
    }

    fn reader<'t>(&self, tables: &'t mut Tables) -> Result<&'t mut Reader, BusError> {
        let is_open = !tables.closed;
        let reader = tables.readers.get_mut(&self.name);
        reader.filter(|reader| is_open && reader.holders.contains(&self.holder)).ok_or(BusError::Closed)
    }

    fn delivery(&self, stored: Stored, deliveries: u32) -> Delivery {
        let ticket = Ticket { consumer: self.name.clone(), sequence: stored.sequence };
        Delivery { ticket, event: stored.event, published_at: stored.at, deliveries }
    }

    /// Deliveries whose time has come again. They are in flight already, so they need no room. Gives the sequence that must be
    /// read from the disk first, if one must.
    fn hand_out_again(
        &self,
        tables: &mut Tables,
        max: usize,
        page: Option<&EventPage>,
        deliveries: &mut Vec<Delivery>,
        (now, due): (Timestamp, Timestamp),
    ) -> Result<Option<u64>, BusError> {
        while deliveries.len() < max {
            let Some(sequence) = self.reader(tables)?.position.overdue(now) else { break };
            let known = self.known(tables, sequence, page);
            let position = &mut self.reader(tables)?.position;
            match known {
                Known::OnDisk => return Ok(Some(sequence)),
                Known::Gone => position.settle(sequence),
                Known::Event(stored) => {
                    if let Some(count) = position.hand_out_again(sequence, due, self.holder) {
                        deliveries.push(self.delivery(stored, count));
                    }
                }
            }
        }
        Ok(None)
    }

    fn known(&self, tables: &Tables, sequence: u64, page: Option<&EventPage>) -> Known {
        let is_it = |stored: Option<&Stored>| {
            stored
                .filter(|stored| stored.sequence == sequence)
                .map_or(Known::Gone, |stored| Known::Event(stored.clone()))
        };
        if let Some(mut events) = tables.cached_from(sequence) {
            return is_it(events.next());
        }
        if let Some(page) = page.filter(|page| page.range.contains(&sequence)) {
            return is_it(page.from(sequence).next());
        }
        self.shared.pages.find(sequence).map_or(Known::OnDisk, |page| is_it(page.from(sequence).next()))
    }

    /// Up to `room` wanted events from `next` on, and before which sequence nothing else is wanted. `None`: they are on the disk.
    #[expect(clippy::type_complexity, reason = "named by the sentence above")]
    fn find(
        &self,
        tables: &Tables,
        next: u64,
        room: usize,
        page: Option<&EventPage>,
    ) -> Result<Option<(Vec<Stored>, Option<u64>)>, BusError> {
        let reader = tables.readers.get(&self.name).ok_or(BusError::Closed)?;
        let wanted = |events: &mut dyn Iterator<Item = &Stored>, end: u64| {
            let found: Vec<_> =
                events.filter(|stored| reader.wants(&self.name, stored)).take(room).cloned().collect();
            let is_all = found.len() < room;
            (found, is_all.then_some(end))
        };
        if let Some(mut events) = tables.cached_from(next) {
            return Ok(Some(wanted(&mut events, tables.next_sequence)));
        }
        if let Some(page) = page.filter(|page| page.range.contains(&next)) {
            return Ok(Some(wanted(&mut page.from(next), page.range.end)));
        }
        Ok(self.shared.pages.find(next).map(|page| wanted(&mut page.from(next), page.range.end)))
    }

    /// Reads the page that begins with a sequence.
    async fn read(&self, sequence: u64) -> Result<Arc<EventPage>, BusError> {
        let (view, end) = {
            let tables = self.shared.lock();
            (tables.log.view(sequence), tables.next_sequence)
        };
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || shared.pages.load(&view, sequence, end)).await;
        read.map_err(|error| BusError::Unavailable(error.to_string()))?
    }

    fn postpone(&self, tickets: &[Ticket], due: impl Fn(&Reader) -> Timestamp) {
        if let Some(reader) = self.shared.lock().readers.get_mut(&self.name) {
            let due = due(reader);
            for ticket in tickets {
                reader.position.postpone(ticket.sequence, due);
            }
        }
    }
}

impl Consumer for EmbeddedConsumer {
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        Box::pin(async move {
            let mut page = None;
            loop {
                self.news.mark_unchanged();
                match self.look(max.max(1), page.as_deref())? {
                    Look::Deliveries(deliveries) => return Ok(deliveries),
                    Look::Again => {}
                    Look::Behind(from) => page = Some(self.read(from).await?),
                    Look::Wait(due) => {
                        let clock = self.shared.clock.clone();
                        tokio::select! {
                            changed = self.news.changed() => changed.map_err(|_| BusError::Closed)?,
                            () = clock.sleep_until(due.unwrap_or(Timestamp::MAX)) => {}
                        }
                    }
                }
            }
        })
    }

    fn nak(&self, ticket: Ticket, delay: Duration) {
        let due = later(self.shared.clock.now(), delay);
        self.postpone(&[ticket], |_| due);
        // Another subscriber may wait for a later time.
        self.shared.tell();
    }

    fn progress(&self, tickets: &[Ticket]) {
        let now = self.shared.clock.now();
        self.postpone(tickets, |reader| later(now, reader.ack_deadline));
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        if let Some(reader) = self.shared.lock().readers.get_mut(&self.name)
            && reader.holders.remove(&self.holder)
        {
            reader.position.take_back(self.holder, now);
        }
        self.shared.tell();
    }
}
