//! One subscriber: asks the server for deliveries when somebody fetches, and for no more than was asked for.
//!
//! The consumer on the server is pulled with one request at a time. Where the last delivery said that more are waiting, it is
//! for as many as the fetch wants; else for one, so that an idle subscriber never keeps events from another. What came for a fetch
//! that was cancelled waits for the next one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_nats::{Message, Subject};
use bus_core::{BusError, Consumer, Delivery, Start, Subscription, Ticket};
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use zetes_api::Event;

use crate::api::{ApiError, code};
use crate::bus::Shared;
use crate::held::{Arrival, Arrived, Table};
use crate::layout::Part;
use crate::link::Live;
use crate::pull::{Inbox, Pull, SILENCE, Told, told};
use crate::signals;
use crate::subscribe::Terms;

/// What the server is about to send is waited for so long before the rest is handed out: whole batches cost fewer round trips.
const GATHER: Duration = Duration::from_millis(2);
/// Before it is looked again whether somebody leads the consumer.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct JetStreamConsumer {
    shared: Arc<Shared>,
    subscription: Subscription,
    terms: Terms,
    table: Arc<Table>,
    holder: u64,
    pulls: Vec<Pull>,
    /// What has come and was not fetched: kept here, so that a fetch may be cancelled.
    came: VecDeque<Delivery>,
    live: Option<Arc<Live>>,
    /// When the stream was created: another time is another stream, without our consumers.
    created: String,
    fetched_at: Instant,
}

impl JetStreamConsumer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        subscription: Subscription,
        terms: Terms,
        created: String,
        parts: Vec<(Part, u64)>,
    ) -> Self {
        static HOLDERS: AtomicU64 = AtomicU64::new(0);
        let now = Instant::now();
        let pull = |(part, waiting)| Pull {
            part,
            inbox: None,
            outstanding: 0,
            waiting,
            heard_at: now,
            is_suspect: false,
        };
        Self {
            table: shared.tables.of(&subscription.consumer),
            shared,
            subscription,
            terms,
            holder: HOLDERS.fetch_add(1, Ordering::Relaxed),
            pulls: parts.into_iter().map(pull).collect(),
            came: VecDeque::new(),
            live: None,
            created,
            fetched_at: now,
        }
    }

    async fn fetch_now(&mut self, max: usize) -> Result<Vec<Delivery>, BusError> {
        loop {
            if self.table.removed.is_cancelled() {
                return Err(BusError::Closed);
            }
            self.take_what_came(max);
            if self.came.len() >= max || (!self.came.is_empty() && !self.more_is_on_its_way()) {
                return Ok(self.hand_out(max));
            }
            let (removed, mut status) = (self.table.removed.clone(), self.shared.status());
            let live = tokio::select! {
                live = signals::live(&mut status) => live.ok_or(BusError::Closed)?,
                () = removed.cancelled() => return Err(BusError::Closed),
            };
            if self.came.is_empty()
                && let Err(error) = self.ask(&live, max).await
            {
                tracing::debug!(consumer = %self.subscription.consumer, %error, "nothing could be fetched");
                self.shared.options.clock.sleep(PAUSE).await;
                continue;
            }
            let patience = if self.came.is_empty() { SILENCE } else { GATHER };
            let has_come = self.wait(&live, &removed, patience).await;
            if !has_come && !self.came.is_empty() {
                return Ok(self.hand_out(max));
            }
        }
    }

    fn hand_out(&mut self, max: usize) -> Vec<Delivery> {
        let deliveries: Vec<_> = self.came.drain(..self.came.len().min(max)).collect();
        self.keep_in_hand(&deliveries);
        self.fetched_at = Instant::now();
        deliveries
    }

    /// What has come already.
    fn take_what_came(&mut self, max: usize) {
        for index in 0..self.pulls.len() {
            while self.came.len() < max
                && let Some(message) = self.pulls.get_mut(index).and_then(Pull::take)
            {
                self.came(index, &message);
            }
        }
    }

    /// The server has more than it has sent of what was asked for.
    fn more_is_on_its_way(&self) -> bool {
        self.pulls.iter().any(|pull| pull.outstanding > 0 && pull.waiting > 0)
    }

    /// What waited here for long has had its ack deadline running all the time.
    fn keep_in_hand(&self, deliveries: &[Delivery]) {
        if self.fetched_at.elapsed() > self.subscription.ack_deadline / 4 {
            let replies = deliveries.iter().flat_map(|delivery| self.table.replies(delivery.ticket.sequence));
            replies.for_each(|reply| self.shared.signals.progress(reply));
        }
    }

    /// Makes sure that each part has asked for something.
    async fn ask(&mut self, live: &Arc<Live>, max: usize) -> Result<(), BusError> {
        if !self.live.as_ref().is_some_and(|known| Arc::ptr_eq(known, live)) {
            self.attach(live).await?;
        }
        for index in 0..self.pulls.len() {
            if self.pulls.get(index).is_some_and(|pull| pull.is_suspect) {
                self.look_for(live, index).await?;
            }
            if let Some(pull) = self.pulls.get_mut(index) {
                pull.ask(live, &self.shared.layout.events, max).await?;
            }
        }
        Ok(())
    }

    /// Takes to another connection. What came over the last one was handed out before.
    async fn attach(&mut self, live: &Arc<Live>) -> Result<(), BusError> {
        for pull in &mut self.pulls {
            let prefix = live.client.new_inbox();
            let subscriber = live.client.subscribe(format!("{prefix}.*")).await;
            let subscriber = subscriber.map_err(|error| BusError::Unavailable(error.to_string()))?;
            pull.inbox = Some(Inbox { subscriber, prefix, requests: 0 });
            pull.outstanding = 0;
        }
        self.live = Some(live.clone());
        Ok(())
    }

    /// Waits for a message. `false`: something else happened.
    async fn wait(
        &mut self,
        live: &Live,
        removed: &tokio_util::sync::CancellationToken,
        patience: Duration,
    ) -> bool {
        let next = std::future::poll_fn(|cx| {
            for (index, pull) in self.pulls.iter_mut().enumerate() {
                if let Some(inbox) = &mut pull.inbox
                    && let Poll::Ready(message) = inbox.subscriber.poll_next_unpin(cx)
                {
                    return Poll::Ready((index, message));
                }
            }
            Poll::Pending
        });
        let came = tokio::select! {
            biased;
            came = tokio::time::timeout(patience, next) => came.ok(),
            () = removed.cancelled() => None,
            () = live.gone.cancelled() => None,
        };
        let Some((index, message)) = came else { return false };
        let Some(message) = message else {
            // The connection's task has ended; a new one comes.
            self.live = None;
            if let Some(pull) = self.pulls.get_mut(index) {
                pull.inbox = None;
            }
            live.doubt();
            return false;
        };
        self.came(index, &message);
        true
    }

    /// Notes a message, to be handed out if it is a delivery.
    fn came(&mut self, index: usize, message: &Message) {
        let delivery = self.delivery(index, message);
        self.came.extend(delivery);
    }

    fn delivery(&mut self, index: usize, message: &Message) -> Option<Delivery> {
        let pull = self.pulls.get_mut(index)?;
        pull.heard_at = Instant::now();
        if message.status.is_some() {
            pull.status(message);
            return None;
        }
        let reply = message.reply.clone()?;
        let told = told(&reply)?;
        pull.outstanding = pull.outstanding.saturating_sub(1);
        pull.waiting = told.waiting;
        match Event::from_json(&message.payload) {
            Ok(event) => self.arrived(index, reply, told, event),
            Err(error) => {
                let stream = &self.shared.layout.events;
                tracing::warn!(stream, sequence = told.sequence, %error, "a message on the bus is no event; it is passed over");
                self.shared.signals.ack(reply);
                None
            }
        }
    }

    fn arrived(&self, part: usize, reply: Subject, told: Told, event: Event) -> Option<Delivery> {
        let wants = |pull: &&Pull| pull.part.interests.iter().any(|interest| interest.wants(&event));
        let is_wanted = self.pulls.get(part).is_some_and(|pull| pull.part.is_exact || wants(&pull));
        if !is_wanted {
            self.shared.signals.ack(reply);
            return None;
        }
        let parts = self.pulls.iter().filter(wants).count();
        let connection = self.live.as_ref().map_or(0, |live| live.number);
        let arrived = Arrived { sequence: told.sequence, part, reply: reply.clone(), parts, connection };
        match self.table.arrived(arrived, self.holder, self.subscription.max_in_flight) {
            Arrival::HandOut => {
                let ticket = Ticket { consumer: self.subscription.consumer.clone(), sequence: told.sequence };
                Some(Delivery {
                    ticket,
                    event: Arc::new(event),
                    published_at: told.at,
                    deliveries: told.deliveries,
                })
            }
            Arrival::Known => None,
            Arrival::Settled => {
                self.shared.signals.ack(reply);
                None
            }
        }
    }

    /// Whether the consumer is there. One that went with its stream is created again, on the new stream's first event; one that was
    /// removed is [`BusError::Closed`].
    async fn look_for(&mut self, live: &Live, index: usize) -> Result<(), BusError> {
        let Some(pull) = self.pulls.get_mut(index) else { return Ok(()) };
        let stream = &self.shared.layout.events;
        match live.consumer_info(stream, &pull.part.durable).await {
            Ok(info) => {
                pull.waiting = info.num_pending;
                pull.is_suspect = false;
                self.shared.options.clock.sleep(PAUSE).await;
                Ok(())
            }
            Err(error) if error.is(code::CONSUMER_NOT_FOUND) => {
                let created = live.stream_info(stream).await.map_err(|error| live.failed(error))?.created;
                if created == self.created {
                    self.shared.tables.remove(&self.subscription.consumer);
                    self.table.removed.cancel();
                    return Err(BusError::Closed);
                }
                let info = self.shared.put_part(live, &self.terms, &pull.part, Start::Earliest).await;
                pull.waiting = info.map_err(|error: ApiError| live.failed(error))?.num_pending;
                pull.is_suspect = false;
                Ok(())
            }
            Err(error) => Err(live.failed(error)),
        }
    }
}

impl Consumer for JetStreamConsumer {
    fn fetch(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>, BusError>> {
        Box::pin(self.fetch_now(max.max(1)))
    }

    fn nak(&self, ticket: Ticket, delay: Duration) {
        for reply in self.shared.tables.replies(&ticket) {
            self.shared.signals.nak(reply, delay);
        }
    }

    fn progress(&self, tickets: &[Ticket]) {
        for ticket in tickets {
            for reply in self.shared.tables.replies(ticket) {
                self.shared.signals.progress(reply);
            }
        }
    }
}

impl Drop for JetStreamConsumer {
    /// Gives back what it holds, and what came for it and was not fetched. Its inboxes go first, so that nothing is sent there again.
    fn drop(&mut self) {
        let mut replies: VecDeque<Subject> = self.table.release(self.holder).into();
        for pull in &mut self.pulls {
            while let Some(message) = pull.take() {
                replies.extend(message.reply);
            }
            pull.inbox = None;
        }
        for reply in replies {
            self.shared.signals.nak(reply, Duration::ZERO);
        }
    }
}
