//! What a bus can do, measured alike for every bus and for the bare client beside it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use zetes_api::Event;

use crate::{Bus, BusError, Change, ConsumerName, Interest, Publication, Start, Subscription};

/// Bytes of an event's data.
pub const DATA_BYTES: usize = 1_000;
/// Deliveries of one fetch, and acknowledgements of one commit.
pub const BATCH: usize = 256;
/// Producers at the same time.
pub const PRODUCERS: usize = 64;
pub const NAMESPACE: &str = "bench";

/// How fast something was done.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub count: u64,
    pub took: Duration,
    /// Of one, where they were done one after the other.
    pub median: Duration,
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// An event of the usual size; no two have the same id.
pub fn event(number: u64) -> Publication {
    let event = Event::with_data(
        "webhook",
        "hooks",
        "push",
        format!("{number:032x}").as_str(),
        format!("{{\"filling\":\"{}\"}}", "x".repeat(DATA_BYTES - 14)),
    );
    Publication { namespace: NAMESPACE.into(), event: Arc::new(event) }
}

/// Does `one` for `how_long` from each of so many producers, each after the other has ended; numbers count up over all of them.
///
/// # Errors
/// The first one's.
pub async fn produce<E, F: Future<Output = Result<(), E>>>(
    producers: usize,
    how_long: Duration,
    numbers: &AtomicU64,
    one: impl Fn(u64) -> F,
) -> Result<Rate, E> {
    let begin = now();
    let producer = |_| async {
        let mut times = Vec::new();
        while begin.elapsed() < how_long {
            let before = now();
            one(numbers.fetch_add(1, Ordering::Relaxed)).await?;
            times.push(before.elapsed());
        }
        Ok(times)
    };
    let ended = join_all((0..producers).map(producer)).await;
    let took = begin.elapsed();
    let mut times: Vec<Duration> =
        ended.into_iter().collect::<Result<Vec<_>, E>>()?.into_iter().flatten().collect();
    times.sort_unstable();
    let count = u64::try_from(times.len()).unwrap_or(u64::MAX);
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Rate { count, took, median })
}

/// Publishes single events from so many producers.
///
/// # Errors
/// The bus did not take one.
pub async fn publish(
    bus: &Arc<dyn Bus>,
    producers: usize,
    how_long: Duration,
    numbers: &AtomicU64,
) -> Result<Rate, BusError> {
    produce(
        producers,
        how_long,
        numbers,
        |number| async move { bus.publish(vec![event(number)]).await.map(drop) },
    )
    .await
}

/// Makes a consumer that begins with the oldest event, and settles `count` events in batches.
///
/// # Errors
/// The bus can't be read.
pub async fn consume(bus: &Arc<dyn Bus>, trigger: &str, count: u64) -> Result<Rate, BusError> {
    let subscription = Subscription {
        consumer: ConsumerName { namespace: NAMESPACE.into(), sensor: "s".into(), trigger: trigger.into() },
        interests: vec![Interest {
            source: Some("hooks".into()),
            subject: Some("push".into()),
            dependency: "d".into(),
        }],
        start: Start::Earliest,
        ack_deadline: Duration::from_mins(1),
        max_in_flight: 4 * BATCH,
    };
    let mut consumer = bus.subscribe(subscription).await?;
    let begin = now();
    let mut settled = 0;
    while settled < count {
        let deliveries = consumer.fetch(BATCH).await?;
        settled += u64::try_from(deliveries.len()).unwrap_or(u64::MAX);
        bus.commit(deliveries.into_iter().map(|delivery| Change::Ack(delivery.ticket)).collect()).await?;
    }
    Ok(Rate { count: settled, took: begin.elapsed(), median: Duration::ZERO })
}

/// What of the bare client a bus has to do.
const SHARE: f64 = 0.7;

/// A bus beside the bare client of its server.
#[derive(Debug, Default)]
pub struct Report {
    slow: Vec<String>,
}

impl Report {
    /// The line that tells of one measure.
    pub fn compare(&mut self, what: &str, ours: Rate, bare: Rate) -> String {
        let (ours_rate, bare_rate) = (ours.per_second(), bare.per_second());
        if ours_rate < SHARE * bare_rate {
            self.slow.push(what.to_owned());
        }
        format!(
            "{what:<34} {ours_rate:>10.0}/s   bare {bare_rate:>10.0}/s   {:>5.0} %   p50 {:>9.3} ms, bare {:>9.3} ms",
            100.0 * ours_rate / bare_rate,
            ours.median.as_secs_f64() * 1e3,
            bare.median.as_secs_f64() * 1e3,
        )
    }

    /// Whether the bus did what it has to.
    ///
    /// # Errors
    /// What was slower than 70 % of the bare client.
    pub fn end(self) -> Result<(), String> {
        if self.slow.is_empty() {
            return Ok(());
        }
        Err(format!("less than 70 % of the bare client: {}", self.slow.join(", ")))
    }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures with the machine's clock")]
fn now() -> Instant {
    Instant::now()
}
