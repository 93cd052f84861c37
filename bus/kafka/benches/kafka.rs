//! The bus on Kafka beside the bare client: the same broker, batches and commits, in the same run.
//!
//! Run by `cargo xtask bench bus kafka`. Fails where the bus does less than 70 % of the bare client.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bus_core::Bus;
use bus_core::bench::{self, BATCH, NAMESPACE, PRODUCERS, Rate, Report};
use bus_kafka::{KafkaBus, Options};
use connection_kafka::Settings;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use zetes_runtime::{Clock, Secrets, random_id};
use zetes_services::KafkaBroker;

const HOW_LONG: Duration = Duration::from_secs(4);
const PARTITIONS: i32 = 6;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let brokers = KafkaBroker::shared().plaintext;
    println!("Kafka, one broker; {} byte events, {HOW_LONG:?} each", bench::DATA_BYTES);
    let bare = Bare::new(&brokers).await?;
    let bus = bus(&brokers).await?;
    let numbers = AtomicU64::new(0);
    let (mut report, mut written) = (Report::default(), 0);
    for producers in [1, PRODUCERS] {
        let bare = bare.publish(producers, &numbers).await?;
        written += bare.count;
        let ours = bench::publish(&bus, producers, HOW_LONG, &numbers).await?;
        println!("{}", report.compare(&format!("publish, {producers} producers"), ours, bare));
    }
    let events = bus.stats().await?.events.min(written);
    let bare = bare.consume(&brokers, events).await?;
    let ours = bench::consume(&bus, "drain", events).await?;
    println!("{}", report.compare(&format!("consume, batches of {BATCH}"), ours, bare));
    bus.close().await?;
    Ok(report.end()?)
}

async fn bus(brokers: &str) -> Result<Arc<dyn Bus>, Failure> {
    let connection = Settings {
        url: brokers.to_owned(),
        tls: None,
        sasl: None,
        version: String::new(),
        namespace: NAMESPACE.into(),
        secrets: Secrets::default(),
    };
    let options = Options::new(NAMESPACE.into(), format!("bench-{}", random_id()), connection);
    let bus: Arc<dyn Bus> = Arc::new(KafkaBus::open(options));
    let clock = Clock::system();
    while bus.stats().await.is_err() {
        clock.sleep(Duration::from_millis(10)).await;
    }
    Ok(bus)
}

/// The client alone.
struct Bare {
    producer: FutureProducer,
    topic: String,
}

impl Bare {
    async fn new(brokers: &str) -> Result<Self, Failure> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers);
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        let topic = format!("bare-{}", random_id());
        let new = NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1));
        for made in admin.create_topics([&new], &AdminOptions::new()).await? {
            made.map_err(|(topic, code)| format!("{topic}: {code}"))?;
        }
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "1");
        Ok(Self { producer: config.create()?, topic })
    }

    async fn publish(&self, producers: usize, numbers: &AtomicU64) -> Result<Rate, Failure> {
        bench::produce(producers, HOW_LONG, numbers, |number| async move {
            let payload = bench::event(number).event.to_json();
            let record = FutureRecord::to(&self.topic).key("hooks.push").payload(&payload);
            let sent = self.producer.send(record, Duration::from_secs(10)).await;
            sent.map(drop).map_err(|(error, _)| Failure::from(error))
        })
        .await
    }

    async fn consume(&self, brokers: &str, count: u64) -> Result<Rate, Failure> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers)
            .set("group.id", &self.topic)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = config.create()?;
        consumer.subscribe(&[&self.topic])?;
        // Joining the group is no part of it: ours has joined when its subscription is there.
        let mut last = consumer.recv().await?;
        let (begin, mut read) = (tokio::time::Instant::now(), 1);
        while read < count {
            last = consumer.recv().await?;
            read += 1;
            if read.is_multiple_of(u64::try_from(BATCH)?) {
                consumer.commit_message(&last, CommitMode::Sync)?;
            }
        }
        consumer.commit_message(&last, CommitMode::Sync)?;
        Ok(Rate { count: read, took: begin.elapsed(), median: Duration::ZERO })
    }
}
