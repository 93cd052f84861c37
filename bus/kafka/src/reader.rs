//! The one client that a consumer has in this process, however many subscribers share it: a member of the consumer's group.
//!
//! A thread polls it, which is also how it stays a member. Partitions that go to another member are handed over in order: nothing
//! more of them is handed out, what is in hand has a moment to be settled, the position is committed, and then they go.

mod commit;
mod rebalance;
mod turns;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{BusError, Delivery, Subscription, Ticket};
use connection_kafka::About;
use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use zetes_api::Namespace;
use zetes_runtime::Clock;

use crate::desk::{self, Desk, PATIENCE};
use crate::groups::beginning;
use crate::inbox::{End, Inbox};
use crate::intake::Intake;
use crate::layout::Layout;
use crate::placing::Placing;
use crate::seen::Seen;
use crate::thread::{Stop, Thread};
use crate::warnings::Warnings;
use rebalance::Callbacks;
use turns::Turns;

const POLL: Duration = Duration::from_millis(100);
/// So long the thread waits for room before it tells the brokers to send nothing.
const WAIT_FOR_ROOM: Duration = Duration::from_millis(500);
/// Positions that only moved over what nobody wanted are committed this often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// What all readers of a bus share.
pub(crate) struct Common {
    pub(crate) desk: Arc<Desk>,
    pub(crate) layout: Layout,
    pub(crate) namespace: Namespace,
    pub(crate) partitions: Vec<i32>,
    pub(crate) placing: Placing,
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) window: Duration,
    pub(crate) oldest: bool,
    pub(crate) warnings: Arc<Warnings>,
    pub(crate) clock: Clock,
}

pub(crate) struct Reader {
    shared: Arc<Shared>,
    _thread: Thread,
}

/// What the thread, the client's callbacks and the subscribers have in common.
struct Shared {
    common: Arc<Common>,
    group: String,
    inbox: Mutex<Inbox>,
    /// Somebody settled or fetched, or it is time to stop.
    moved: Condvar,
    /// There is something to fetch, or nothing ever will be.
    news: Notify,
    /// Who waits for a commit waits in line; the version that the last one had.
    order: Mutex<u64>,
    /// Held from looking at positions until they are sent, so that an older one never overtakes.
    sending: Turns,
    read_again: watch::Sender<bool>,
    left: watch::Sender<bool>,
    client: Mutex<Option<Arc<BaseConsumer<Callbacks>>>>,
}

impl Reader {
    /// Makes the consumer where it does not exist yet, and joins its group. Gives the first subscriber's number, too. Blocks.
    pub(crate) fn open(common: &Arc<Common>, subscription: &Subscription) -> Result<(Self, u64), BusError> {
        let group = common.layout.group(&subscription.consumer);
        let mut inbox = Inbox::new(subscription);
        let (holder, _) = inbox.join(subscription);
        let shared = Arc::new(Shared {
            common: common.clone(),
            group: group.clone(),
            inbox: Mutex::new(inbox),
            moved: Condvar::new(),
            news: Notify::new(),
            order: Mutex::new(0),
            sending: Turns::default(),
            read_again: watch::Sender::new(false),
            left: watch::Sender::new(false),
            client: Mutex::new(None),
        });
        let mut config = desk::reading_config(common.desk.config(), &group);
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("max.poll.interval.ms", "120000");
        let context = common.desk.context().clone();
        let client: BaseConsumer<Callbacks> =
            desk::client(&config, Callbacks { context, shared: shared.clone() })?;
        if let Some(beginning) = beginning(common, &client, &group, subscription)? {
            let created = shared.create(&client, &beginning);
            created.map_err(|error| common.desk.unavailable(&error, &About::Group(&group)))?;
        }
        client
            .subscribe(&[&common.layout.events])
            .map_err(|error| common.desk.unavailable(&error, &About::Group(&group)))?;
        let client = Arc::new(client);
        *lock(&shared.client) = Some(client.clone());
        let thread = {
            let shared = shared.clone();
            Thread::start("zetes-kafka-reader", move |stop| {
                run(&shared, client, &stop);
            })?
        };
        Ok((Self { shared, _thread: thread }, holder))
    }

    /// A new subscriber's number; `None` when the reader has ended or is about to.
    pub(crate) fn join(&self, subscription: &Subscription) -> Option<u64> {
        let mut inbox = self.shared.inbox();
        if inbox.end.is_some() {
            return None;
        }
        let (holder, read_again) = inbox.join(subscription);
        if read_again {
            self.shared.read_again.send_replace(true);
        }
        Some(holder)
    }

    pub(crate) fn leave(&self, holder: u64) {
        let now = self.shared.common.clock.now();
        self.shared.inbox().leave(holder, now);
        self.shared.moved.notify_all();
        self.shared.news.notify_waiters();
        self.shared.news.notify_one();
    }

    pub(crate) fn end(&self, end: End) {
        self.shared.end(end);
    }

    /// Waits until the group is left.
    pub(crate) async fn left(&self) {
        let _left = self.shared.left.subscribe().wait_for(|left| *left).await.is_ok();
    }

    /// Waits until there is something to hand out. Cancel safe: what is handed out is returned.
    pub(crate) async fn fetch(&self, holder: u64, max: usize) -> Result<Vec<Delivery>, End> {
        let clock = &self.shared.common.clock;
        loop {
            let news = self.shared.news.notified();
            let due = {
                let mut inbox = self.shared.inbox();
                if let Some(end) = &inbox.end {
                    return Err(end.clone());
                }
                let deliveries = inbox.hand_out(holder, max.max(1), clock.now());
                if !deliveries.is_empty() {
                    self.shared.moved.notify_all();
                    return Ok(deliveries);
                }
                inbox.next_due().unwrap_or(Timestamp::MAX)
            };
            tokio::select! {
                () = news => {}
                () = clock.sleep_until(due) => {}
            }
        }
    }

    pub(crate) fn nak(&self, ticket: &Ticket, delay: Duration) {
        let now = self.shared.common.clock.now();
        self.shared.inbox().nak(ticket, delay, now);
        self.shared.news.notify_waiters();
    }

    pub(crate) fn progress(&self, tickets: &[Ticket]) {
        let now = self.shared.common.clock.now();
        let mut inbox = self.shared.inbox();
        for ticket in tickets {
            inbox.progress(ticket, now);
        }
    }

    /// Settles and makes it durable. Blocks. What went to another member meanwhile is not settled; it comes again there.
    pub(crate) fn settle(&self, tickets: &[Ticket]) -> Result<(), BusError> {
        let version = {
            let mut inbox = self.shared.inbox();
            for ticket in tickets {
                inbox.settle(ticket);
            }
            inbox.version
        };
        self.shared.moved.notify_all();
        self.shared.news.notify_waiters();
        self.shared.news.notify_one();
        self.shared
            .commit(version)
            .map_err(|error| self.shared.common.desk.unavailable(&error, &About::Group(&self.shared.group)))
    }

    pub(crate) fn with_inbox<T>(&self, look: impl FnOnce(&Inbox) -> T) -> T {
        look(&self.shared.inbox())
    }
}

fn run(shared: &Arc<Shared>, client: Arc<BaseConsumer<Callbacks>>, stop: &Stop) {
    let mut intake = Intake::new(&shared.common);
    let mut committed_at = Instant::now();
    let mut is_paused = false;
    while !shared.is_over(stop) {
        if shared.read_again.send_replace(false) {
            shared.seek(&client);
        }
        let has_room = shared.wait_for_room(is_paused);
        if has_room == is_paused {
            shared.pause(&client, !has_room);
            is_paused = !has_room;
        }
        match client.poll(POLL) {
            Some(Ok(message)) => shared.take_in(&mut intake, &message),
            Some(Err(error)) => shared.failed(&error),
            None => {}
        }
        if committed_at.elapsed() >= COMMIT_EVERY {
            committed_at = Instant::now();
            shared.commit_what_moved(&client);
        }
    }
    shared.commit_what_moved(&client);
    drop(lock(&shared.client).take());
    connection_kafka::end(client);
    shared.left.send_replace(true);
    shared.news.notify_waiters();
}

impl Shared {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    fn end(&self, end: End) {
        self.inbox().end.get_or_insert(end);
        self.moved.notify_all();
        self.news.notify_waiters();
        self.news.notify_one();
    }

    fn is_over(&self, stop: &Stop) -> bool {
        let mut inbox = self.inbox();
        if stop.is_set() {
            inbox.end.get_or_insert(End::Closed);
        } else if inbox.is_unused() {
            inbox.end.get_or_insert(End::Unused);
        }
        inbox.end.is_some()
    }

    fn take_in(&self, intake: &mut Intake<'_>, message: &impl Message) {
        let interests = self.inbox().interests.clone();
        let read = intake.read(message, &interests);
        let is_wanted = read.event.is_some();
        self.inbox().take_in(message.partition(), read);
        if is_wanted {
            self.news.notify_one();
        }
    }

    /// False when there is none after a moment. Who paused already does not wait.
    fn wait_for_room(&self, is_paused: bool) -> bool {
        let inbox = self.inbox();
        if inbox.has_room() || is_paused {
            return inbox.has_room();
        }
        let full = |inbox: &mut Inbox| !inbox.has_room() && inbox.end.is_none() && !inbox.is_unused();
        let waited = self.moved.wait_timeout_while(inbox, WAIT_FOR_ROOM, full);
        let (inbox, _) = waited.unwrap_or_else(PoisonError::into_inner);
        inbox.has_room()
    }

    fn pause(&self, client: &BaseConsumer<Callbacks>, pause: bool) {
        let Ok(assigned) = client.assignment() else { return };
        let result = if pause { client.pause(&assigned) } else { client.resume(&assigned) };
        if let Err(error) = result {
            tracing::debug!(group = self.group, %error, "partitions changed hands while they were paused");
        }
    }

    fn seek(&self, client: &BaseConsumer<Callbacks>) {
        let mut list = TopicPartitionList::new();
        {
            let inbox = self.inbox();
            for partition in inbox.partitions() {
                let offset = i64::try_from(inbox.next_unread(partition)).unwrap_or(i64::MAX);
                let added =
                    list.add_partition_offset(&self.common.layout.events, partition, Offset::Offset(offset));
                if let Err(error) = added {
                    return self.failed(&error);
                }
            }
        }
        if list.count() > 0
            && let Err(error) = client.seek_partitions(list, PATIENCE)
        {
            self.failed(&error);
        }
    }

    /// Ends where trying on does not help; the client itself tries on.
    fn failed(&self, error: &KafkaError) {
        use Code::{GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownTopicOrPartition};
        let code = error.rdkafka_error_code();
        let about = match code {
            Some(TopicAuthorizationFailed | UnknownTopicOrPartition) => {
                About::Topic(&self.common.layout.events)
            }
            _ => About::Group(&self.group),
        };
        let is_fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        let is_refused = matches!(
            code,
            Some(GroupAuthorizationFailed | TopicAuthorizationFailed | UnknownTopicOrPartition)
        );
        if is_fatal || is_refused {
            let failure = self.common.desk.context().explain(error, &about);
            tracing::error!(group = self.group, error = %failure, "a consumer of the Kafka bus ended and begins anew");
            self.end(End::Failed(failure.text));
        } else {
            tracing::debug!(group = self.group, %error, "a consumer of the Kafka bus was disturbed");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
