//! The bus on JetStream beside the bare client: the same server, batches and acknowledgements, in the same run.
//!
//! Run by `cargo xtask bench bus jetstream`. Fails where the bus does less than 70 % of the bare client.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind, Context, stream};
use bus_core::bench::{self, BATCH, NAMESPACE, PRODUCERS, Rate, Report};
use bus_core::{Bus, Retention};
use bus_jetstream::{JetStreamBus, Names, Options, Stream};
use connection_nats::{Login, Settings};
use futures_util::StreamExt as _;
use zetes_runtime::{Clock, Secrets};
use zetes_services::{NatsServer, NatsVersion};

const HOW_LONG: Duration = Duration::from_secs(4);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let server = NatsServer::start(NatsVersion::Current, "");
    println!("JetStream, one server, file storage; {} byte events, {HOW_LONG:?} each", bench::DATA_BYTES);
    let bare = Bare::new(&server.url()).await?;
    let bus = bus(&server).await?;
    let numbers = AtomicU64::new(0);
    let mut report = Report::default();
    for producers in [1, PRODUCERS] {
        let bare = bare.publish(producers, &numbers).await?;
        let ours = bench::publish(&bus, producers, HOW_LONG, &numbers).await?;
        println!("{}", report.compare(&format!("publish, {producers} producers"), ours, bare));
    }
    let events = bus.stats().await?.events.min(bare.stored().await?);
    let bare = bare.consume(events).await?;
    let ours = bench::consume(&bus, "drain", events).await?;
    println!("{}", report.compare(&format!("consume, batches of {BATCH}"), ours, bare));
    Ok(report.end()?)
}

async fn bus(server: &NatsServer) -> Result<Arc<dyn Bus>, Failure> {
    let connection = Settings {
        url: server.url(),
        login: Login::AccessSecret(None),
        tls: None,
        namespace: NAMESPACE.into(),
        secrets: Secrets::default(),
    };
    // Without a limit of bytes, which a server reserves.
    let retention = Retention { max_bytes: None, ..Retention::default() };
    let clock = Clock::system();
    let bus: Arc<dyn Bus> = Arc::new(JetStreamBus::open(Options {
        namespace: NAMESPACE.into(),
        name: "bench".into(),
        connection,
        stream: Stream { retention, ..Stream::default() },
        names: Names::Own,
        clock: clock.clone(),
    }));
    while bus.stats().await.is_err() {
        clock.sleep(Duration::from_millis(10)).await;
    }
    Ok(bus)
}

/// The client alone.
struct Bare {
    context: Context,
    stream: stream::Stream,
}

impl Bare {
    async fn new(url: &str) -> Result<Self, Failure> {
        let context = jetstream::new(async_nats::connect(url).await?);
        let config = stream::Config {
            name: "bare".to_owned(),
            subjects: vec!["bare.*.*".to_owned()],
            duplicate_window: Retention::default().duplicate_window,
            ..stream::Config::default()
        };
        let stream = context.create_stream(config).await?;
        Ok(Self { context, stream })
    }

    async fn publish(&self, producers: usize, numbers: &AtomicU64) -> Result<Rate, Failure> {
        bench::produce(producers, HOW_LONG, numbers, |number| async move {
            let event = bench::event(number).event;
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", event.id.as_str());
            let sent = self.context.publish_with_headers("bare.hooks.push", headers, event.to_json().into());
            sent.await?.await?;
            Ok(())
        })
        .await
    }

    async fn stored(&self) -> Result<u64, Failure> {
        Ok(self.stream.get_info().await?.state.messages)
    }

    async fn consume(&self, count: u64) -> Result<Rate, Failure> {
        let config = pull::Config {
            durable_name: Some("bare".to_owned()),
            ack_policy: AckPolicy::Explicit,
            max_ack_pending: 4 * i64::try_from(BATCH)?,
            ..pull::Config::default()
        };
        let consumer: PullConsumer = self.stream.create_consumer(config).await?;
        let (begin, mut settled) = (tokio::time::Instant::now(), 0);
        while settled < count {
            let mut messages = consumer.fetch().max_messages(BATCH).messages().await?;
            let mut batch = Vec::new();
            while let Some(message) = messages.next().await {
                batch.push(message?);
            }
            let (last, others) = batch.split_last().ok_or("nothing came")?;
            for message in others {
                message.ack_with(AckKind::Ack).await?;
            }
            last.double_ack().await?;
            settled += u64::try_from(batch.len())?;
        }
        Ok(Rate { count: settled, took: begin.elapsed(), median: Duration::ZERO })
    }
}
