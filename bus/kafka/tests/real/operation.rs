//! What happens to a bus in use: brokers end, processes come and go, others write to its topics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::{Bus, Change, Consumer, EntryKind, ReadFilter, Subscription};
use bus_kafka::{KafkaBus, Names, Options};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::task::JoinSet;
use zetes_services::KafkaBroker;

use crate::harness::{PATIENCE, at, event, event_of, eventually, opened, options, shared, subscription};

/// Publishes `count` events of several kinds, each until the bus has it. Gives their ids.
async fn publish_under_load(bus: Arc<KafkaBus>, name: &'static str, count: usize) -> BTreeSet<String> {
    let mut published = BTreeSet::new();
    for number in 0..count {
        let id = format!("{name}-{number}");
        loop {
            match bus.publish(vec![event_of(&format!("kind{}", number % 7), &id)]).await {
                Ok(_) => break,
                Err(error) => {
                    assert!(error.is_transient(), "{error:?}");
                    eventually("the bus works again", || bus.health().failure.is_none().then_some(())).await;
                }
            }
        }
        published.insert(id);
    }
    published
}

async fn all_on(bus: &KafkaBus) -> Vec<String> {
    let (mut ids, mut from) = (Vec::new(), 0);
    loop {
        let page =
            bus.read(EntryKind::Event, from..u64::MAX, ReadFilter::default()).await.expect("the bus works");
        ids.extend(page.entries.iter().filter_map(|entry| match &entry.body {
            bus_core::EntryBody::Event(event) => Some(event.id.to_string()),
            bus_core::EntryBody::Record(_) => None,
        }));
        match page.next {
            Some(next) => from = next,
            None => return ids,
        }
    }
}

fn producer(url: &str) -> FutureProducer {
    ClientConfig::new().set("bootstrap.servers", url).create().expect("the client is made")
}

async fn write(topic: &str, key: &str, value: &str) {
    let producer = producer(&shared().plaintext);
    let sent = producer.send(FutureRecord::to(topic).key(key).payload(value), PATIENCE).await;
    sent.expect("the broker takes it");
}

async fn take(consumer: &mut Box<dyn Consumer>, count: usize) -> Vec<bus_core::Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let fetched = tokio::time::timeout(PATIENCE, consumer.fetch(count)).await.expect("deliveries come");
        taken.extend(fetched.expect("the bus works"));
    }
    taken
}

fn acks(deliveries: &[bus_core::Delivery]) -> Vec<Change> {
    deliveries.iter().map(|delivery| Change::Ack(delivery.ticket.clone())).collect()
}

/// Hands out, settles, and remembers what is settled; fails when something settled comes again.
async fn settle_all(
    bus: Arc<KafkaBus>,
    mut consumer: Box<dyn Consumer>,
    settled: Arc<Mutex<BTreeSet<String>>>,
    until: usize,
) -> Box<dyn Consumer> {
    while settled.lock().expect("nobody panicked").len() < until {
        let Ok(fetched) = tokio::time::timeout(Duration::from_millis(300), consumer.fetch(10)).await else {
            continue;
        };
        let deliveries = match fetched {
            Ok(deliveries) => deliveries,
            Err(error) => {
                assert!(error.is_transient(), "{error:?}");
                eventually("the bus works again", || bus.health().failure.is_none().then_some(())).await;
                continue;
            }
        };
        for delivery in &deliveries {
            let id = delivery.event.id.as_str();
            assert!(
                !settled.lock().expect("nobody panicked").contains(id),
                "settled, and handed out again: {delivery:?}"
            );
        }
        if bus.commit(acks(&deliveries)).await.is_ok() {
            settled
                .lock()
                .expect("nobody panicked")
                .extend(deliveries.iter().map(|delivery| delivery.event.id.to_string()));
        }
    }
    consumer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_published_is_there_when_the_broker_comes_back() {
    const COUNT: usize = 600;
    let mut broker = KafkaBroker::start();
    let bus = Arc::new(opened(options(at(&broker.address()))).await);
    let consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    let settled = Arc::new(Mutex::new(BTreeSet::new()));
    let mut tasks = JoinSet::new();
    tasks.spawn(publish_under_load(bus.clone(), "load", COUNT));
    let reading = {
        let (bus, settled) = (bus.clone(), settled.clone());
        async move { drop(settle_all(bus, consumer, settled, COUNT).await) }
    };
    let mut readers = JoinSet::new();
    readers.spawn(reading);
    eventually("events pass", || (settled.lock().expect("nobody panicked").len() > 50).then_some(())).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill();
        broker.restart();
        broker
    });
    let _broker = broker.await.unwrap();
    let published = tasks.join_next().await.unwrap().unwrap();
    let there = all_on(&bus).await;
    let lost: Vec<_> = published.iter().filter(|id| !there.contains(id)).collect();
    assert!(lost.is_empty(), "published and not there: {lost:?}");
    let read = tokio::time::timeout(PATIENCE, readers.join_next()).await;
    assert!(read.is_ok(), "{} of {COUNT} were settled", settled.lock().expect("nobody panicked").len());
    read.unwrap().unwrap().unwrap();
    assert_eq!(*settled.lock().expect("nobody panicked"), published);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_comes_and_one_that_goes_lose_nothing_and_repeat_nothing() {
    const COUNT: usize = 1_500;
    let options = options(at(&shared().plaintext));
    let one = Arc::new(opened(options.clone()).await);
    let two = Arc::new(opened(options).await);
    let settled = Arc::new(Mutex::new(BTreeSet::new()));
    let of_one = one.subscribe(subscription("t")).await.expect("the bus works");
    let mut publishing = JoinSet::new();
    publishing.spawn(publish_under_load(one.clone(), "load", COUNT));
    let mut reading = JoinSet::new();
    reading.spawn(settle_all(one.clone(), of_one, settled.clone(), COUNT / 2));
    eventually("events pass", || (settled.lock().expect("nobody panicked").len() > 20).then_some(())).await;
    let of_two = two.subscribe(subscription("t")).await.expect("the bus works");
    let mut other = JoinSet::new();
    other.spawn(settle_all(two.clone(), of_two, settled.clone(), COUNT));
    // The first one goes, with its process still there, after half of them.
    drop(reading.join_next().await.unwrap().unwrap());
    let published = publishing.join_next().await.unwrap().unwrap();
    let read = tokio::time::timeout(PATIENCE, other.join_next()).await;
    assert!(read.is_ok(), "{} of {COUNT} were settled", settled.lock().expect("nobody panicked").len());
    read.unwrap().unwrap().unwrap();
    assert_eq!(*settled.lock().expect("nobody panicked"), published);
}

#[tokio::test]
async fn a_record_that_is_no_event_is_passed_and_told() {
    let options = options(at(&shared().plaintext));
    let topic = format!("zetes.ci.{}", options.bus);
    let bus = opened(options).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    write(&topic, "hooks.push", "what is this").await;
    bus.publish(vec![event("a")]).await.expect("the bus works");
    let taken = take(&mut consumer, 1).await;
    assert_eq!(taken[0].event.id.as_str(), "a");
    let warnings = bus.health().warnings;
    assert!(warnings.iter().any(|told| told.starts_with("1 records of partition")), "{warnings:?}");
    let page = bus.read(EntryKind::Event, 0..u64::MAX, ReadFilter::default()).await.expect("the bus works");
    assert_eq!((page.entries.len(), page.damaged.len()), (1, 1), "{:?}", page.damaged);
}

#[tokio::test]
async fn a_copy_that_another_process_published_is_handed_out_once() {
    let options = options(at(&shared().plaintext));
    let topic = format!("zetes.ci.{}", options.bus);
    let bus = opened(options).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    let copy = String::from_utf8(event("a").event.to_json()).unwrap();
    write(&topic, "hooks.push", &copy).await;
    write(&topic, "hooks.push", &copy).await;
    bus.publish(vec![event("b")]).await.expect("the bus works");
    let ids: Vec<_> = take(&mut consumer, 2).await.iter().map(|taken| taken.event.id.to_string()).collect();
    assert_eq!(ids, ["a", "b"]);
    let again = bus.publish(vec![event("a")]).await.expect("the bus works");
    assert!(again[0].duplicate, "what was read is known, too: {again:?}");
}

#[tokio::test]
async fn two_publishers_of_one_event_in_one_process_store_one() {
    let bus = opened(options(at(&shared().plaintext))).await;
    let (one, two) = tokio::join!(bus.publish(vec![event("a")]), bus.publish(vec![event("a")]));
    let (one, two) = (one.expect("the bus works")[0], two.expect("the bus works")[0]);
    assert_eq!(one.sequence, two.sequence);
    assert!(one.duplicate != two.duplicate, "{one:?} {two:?}");
    assert_eq!(all_on(&bus).await, ["a"]);
}

#[tokio::test]
async fn a_consumer_takes_the_place_of_the_sensor_that_argo_ran() {
    let options = Options { names: Names::Argo, ..options(at(&shared().plaintext)) };
    let topic = format!("ci-{}", options.bus);
    let bus = opened(options).await;
    bus.publish(vec![event("done"), event("not done"), event("new")]).await.expect("the bus works");
    let sensor = bus.read(EntryKind::Event, 0..u64::MAX, ReadFilter::default()).await.expect("the bus works");
    let done = sensor.entries[0].sequence;
    let (partition, offset) = (i32::try_from(done % 1024).unwrap(), i64::try_from(done / 1024).unwrap());
    let name = crate::harness::unique();
    tokio::task::spawn_blocking({
        let (topic, group) = (topic.clone(), format!("ci-{name}"));
        move || commit_as(&group, &topic, partition, offset + 1)
    })
    .await
    .unwrap();
    let as_argo = subscription("t");
    let consumer = bus_core::ConsumerName { sensor: name.as_str().into(), ..as_argo.consumer.clone() };
    let mut consumer = bus.subscribe(Subscription { consumer, ..as_argo }).await.expect("the bus works");
    let ids: Vec<_> = take(&mut consumer, 2).await.iter().map(|taken| taken.event.id.to_string()).collect();
    assert_eq!(ids, ["not done", "new"]);
    let record = tokio::task::spawn_blocking(move || first_of(&topic, partition)).await.unwrap();
    assert_eq!(record.0, "hooks.push");
    assert!(record.1.contains("\"data_base64\":\"e30=\""), "{}", record.1);
    assert!(!record.2, "Argo's records have no headers");
}

fn commit_as(group: &str, topic: &str, partition: i32, offset: i64) {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shared().plaintext).set("group.id", group);
    let client: BaseConsumer = config.create().expect("the broker works");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, partition, rdkafka::Offset::Offset(offset)).expect("the broker works");
    client.commit(&list, CommitMode::Sync).expect("the broker works");
}

/// Key, value, and whether there are headers, of a partition's first record.
fn first_of(topic: &str, partition: i32) -> (String, String, bool) {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use rdkafka::message::Message as _;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", shared().plaintext).set("group.id", "zetes-test-reads");
    let client: BaseConsumer = config.create().expect("the broker works");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, partition, rdkafka::Offset::Beginning).expect("the broker works");
    client.assign(&list).expect("the broker works");
    let message = client.poll(PATIENCE).expect("there is one").expect("the broker works");
    let text = |bytes: Option<&[u8]>| {
        String::from_utf8(bytes.unwrap_or_default().to_vec()).expect("the broker works")
    };
    (text(message.key()), text(message.payload()), message.headers().is_some())
}

#[tokio::test]
async fn old_events_that_everybody_has_settled_make_room() {
    let retention = bus_core::Retention { max_events: Some(20), ..bus_core::Retention::default() };
    let bus = opened(Options { retention, ..options(at(&shared().plaintext)) }).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    for round in 0..4 {
        let batch =
            (0..10).map(|number| event_of(&format!("kind{}", number % 3), &format!("{round}-{number}")));
        bus.publish(batch.collect()).await.expect("what is settled makes room");
        let taken = take(&mut consumer, 10).await;
        bus.commit(acks(&taken)).await.expect("the bus works");
    }
    let stats = bus.stats().await.expect("the bus works");
    assert!(stats.events <= 20, "{stats:?}");
    assert_eq!((stats.consumers[0].lag, stats.evicted_unread), (0, 0), "{stats:?}");
}

#[tokio::test]
async fn a_bus_that_may_discard_counts_what_nobody_read() {
    let retention =
        bus_core::Retention { max_events: Some(10), discard_old: true, ..bus_core::Retention::default() };
    let bus = opened(Options { retention, ..options(at(&shared().plaintext)) }).await;
    let mut consumer = bus.subscribe(subscription("t")).await.expect("the bus works");
    for number in 0..15 {
        bus.publish(vec![event(&number.to_string())]).await.expect("there is always room");
    }
    let stats = bus.stats().await.expect("the bus works");
    assert!(stats.events <= 10 && stats.evicted_unread >= 5, "{stats:?}");
    let newest = loop {
        let taken = take(&mut consumer, 1).await;
        bus.commit(acks(&taken)).await.expect("the bus works");
        if taken[0].event.id.as_str() == "14" {
            break taken;
        }
    };
    assert_eq!(newest[0].deliveries, 1);
}

#[tokio::test]
async fn events_with_the_same_partition_key_stand_in_one_partition_whatever_their_kind() {
    let bus = opened(Options {
        partition_key: Some("body.repository".to_owned()),
        ..options(at(&shared().plaintext))
    })
    .await;
    let of = |kind: &str, repository: u32, id: &str| {
        let publication = event_of(kind, id);
        let data = format!(r#"{{"body":{{"repository":"r{repository}"}}}}"#);
        let event = zetes_api::Event { data: Some(data.into()), ..(*publication.event).clone() };
        bus_core::Publication { event: Arc::new(event), ..publication }
    };
    let mut partitions = BTreeSet::new();
    for repository in 0..12 {
        let pair = vec![
            of("push", repository, &format!("push {repository}")),
            of("build", repository, &format!("build {repository}")),
        ];
        let receipts = bus.publish(pair).await.expect("the bus takes it");
        let partition = |at: usize| receipts[at].sequence % 1_024;
        assert_eq!(partition(0), partition(1), "repository {repository}");
        partitions.insert(partition(0));
    }
    assert!(partitions.len() > 1, "twelve repositories share one of six partitions");
}
