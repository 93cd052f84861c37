//! The promises of a bus, as cases that every bus passes. A driver's tests call [`contract_suite`](crate::contract_suite) with
//! what opens its bus.
#![expect(clippy::missing_panics_doc, reason = "a case that fails panics; that is what it is for")]

mod consuming;
mod publishing;
mod reading;
mod settling;
mod state;

use std::sync::Arc;
use std::time::Duration;

use zetes_api::{Event, Namespace};

use crate::{
    Bus, Change, Consumer, ConsumerName, Delivery, EntryKind, Interest, Publication, ReadFilter, Retention,
    Revision, Start, StateKey, Subscription,
};

pub use consuming::*;
pub use publishing::*;
pub use reading::*;
pub use settling::*;
pub use state::*;

/// Opens the bus under test. Made anew for each case, with nothing on it.
pub trait Factory {
    /// The bus as a namespace sees it. Opened again, it is another process on the same bus; the same one where a bus belongs to one
    /// process.
    fn open(&self, namespace: &str, retention: Retention) -> impl Future<Output = Arc<dyn Bus>>;

    /// Closes the bus and opens it again, as a restart of the process does.
    fn reopen(
        &self,
        bus: Arc<dyn Bus>,
        namespace: &str,
        retention: Retention,
    ) -> impl Future<Output = Arc<dyn Bus>>;

    /// Lets time pass for the bus.
    fn advance(&self, by: Duration) -> impl Future<Output = ()>;

    /// What a case takes for a second: a server's clock can't be turned, so that a bus on one is given shorter times.
    fn second(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// One test for each promise. `$factory` is evaluated anew for each.
#[macro_export]
macro_rules! contract_suite {
    ($factory:expr) => {
        $crate::contract_suite!(@cases $factory,
            receipts_count_up_in_order
            a_duplicate_is_not_stored_again
            a_duplicate_within_a_batch_is_not_stored_again
            a_duplicate_is_known_after_a_restart
            an_event_that_is_too_large_is_refused_and_the_rest_of_its_batch_can_be_published
            a_full_bus_refuses_and_takes_again_what_has_room
            namespaces_share_nothing
            a_consumer_sees_what_came_after_it
            a_consumer_from_the_earliest_sees_everything
            a_consumer_from_a_time_sees_what_came_since
            a_consumer_from_a_sequence_begins_with_it
            only_what_was_asked_for_is_handed_out
            an_interest_in_anything_sees_everything_of_its_namespace
            a_fetch_waits_for_what_is_published_later
            settling_may_happen_in_any_order
            what_is_not_settled_in_time_comes_again
            a_nak_brings_a_delivery_again_after_its_delay
            progress_keeps_a_delivery_in_hand
            no_more_than_the_limit_is_in_flight
            subscribers_share_the_deliveries
            what_a_dropped_subscriber_held_comes_again
            a_position_outlives_the_process
            changed_interests_keep_the_position
            a_commit_is_made_whole_or_not_at_all
            state_has_revisions_and_is_listed_by_bucket
            state_outlives_the_process
            of_two_writers_with_the_same_revision_one_wins
            any_text_is_a_key
            events_are_read_back_in_pages
            records_are_found_by_their_event
            statistics_tell_how_far_a_consumer_is
            what_a_consumer_has_not_settled_is_told
            a_removed_consumer_is_forgotten
            a_closed_bus_says_so
        );
    };
    (@cases $factory:expr, $($case:ident)+) => {$(
        #[tokio::test]
        async fn $case() {
            $crate::contract::$case(&$factory).await;
        }
    )+};
}

/// How long a case waits for a bus that works.
const PATIENCE: Duration = Duration::from_secs(20);
const NAMESPACE: &str = "ci";

fn event(namespace: &str, subject: &str, id: &str) -> Publication {
    event_of(namespace, subject, id, "{}".to_owned())
}

fn event_of(namespace: &str, subject: &str, id: &str, data: String) -> Publication {
    let event = Event::with_data("webhook", "hooks", subject, id, data);
    Publication { namespace: Namespace::from(namespace), event: Arc::new(event) }
}

fn interest(source: Option<&str>, subject: Option<&str>) -> Interest {
    Interest { source: source.map(Into::into), subject: subject.map(Into::into), dependency: "d".into() }
}

fn subscription(factory: &impl Factory, trigger: &str) -> Subscription {
    Subscription {
        consumer: consumer(trigger),
        interests: vec![interest(Some("hooks"), Some("push"))],
        start: Start::Now,
        ack_deadline: factory.second() * 30,
        max_in_flight: 100,
    }
}

fn consumer(trigger: &str) -> ConsumerName {
    ConsumerName { namespace: NAMESPACE.into(), sensor: "s".into(), trigger: trigger.into() }
}

async fn opened(factory: &impl Factory) -> Arc<dyn Bus> {
    factory.open(NAMESPACE, Retention::default()).await
}

async fn reopened(factory: &impl Factory, bus: Arc<dyn Bus>) -> Arc<dyn Bus> {
    factory.reopen(bus, NAMESPACE, Retention::default()).await
}

async fn publish(bus: &Arc<dyn Bus>, ids: &[&str]) {
    bus.publish(ids.iter().map(|id| event(NAMESPACE, "push", id)).collect()).await.expect("the bus takes it");
}

async fn subscribe(factory: &impl Factory, bus: &Arc<dyn Bus>, trigger: &str) -> Box<dyn Consumer> {
    bus.subscribe(subscription(factory, trigger)).await.expect("the consumer is created")
}

/// Exactly so many deliveries, however many fetches they take.
async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let fetch = tokio::time::timeout(PATIENCE, consumer.fetch(count - taken.len())).await;
        taken.extend(fetch.expect("deliveries come").expect("the bus works"));
    }
    taken
}

/// Nothing comes before something that is published now.
async fn nothing_but(bus: &Arc<dyn Bus>, consumer: &mut Box<dyn Consumer>, mark: &str) {
    publish(bus, &[mark]).await;
    assert_eq!(ids(&take(consumer, 1).await), [mark], "something else came first");
}

fn ids(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| delivery.event.id.to_string()).collect()
}

async fn ack(bus: &Arc<dyn Bus>, deliveries: &[Delivery]) {
    let acks = deliveries.iter().map(|delivery| Change::Ack(delivery.ticket.clone())).collect();
    bus.commit(acks).await.expect("the bus works");
}

/// As in [`Change::Put`].
type Expected = Option<Option<Revision>>;

fn put(bucket: &str, key: &str, expected: Expected) -> Change {
    Change::Put { key: StateKey::new(bucket, key), value: key.to_owned().into(), expected }
}

/// All that a range has, however many pages it takes.
async fn read_all(bus: &Arc<dyn Bus>, kind: EntryKind, filter: &ReadFilter) -> (Vec<crate::Entry>, usize) {
    let (mut entries, mut from, mut pages) = (Vec::new(), 0, 0);
    loop {
        let page = bus.read(kind, from..u64::MAX, filter.clone()).await.expect("the bus works");
        pages += 1;
        entries.extend(page.entries);
        match page.next {
            Some(next) => {
                assert!(next > from, "a page ends before it began");
                from = next;
            }
            None => return (entries, pages),
        }
    }
}
