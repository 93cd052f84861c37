//! Keeps one event of one EventSource running, and knows how it is.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use tracing::{info, warn};
use zetes_runtime::random_id;

use crate::sources::Readiness;
use crate::{Context, Error, Factory};

/// First pause before a restart; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The same failure is told again only after this time.
const TOLD_AGAIN_AFTER: Duration = Duration::from_mins(10);
/// Who has run so long is healthy, and the pauses begin anew.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// How one part of an object is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum PartState {
    /// For its bus, and for the Sensors on it to be ready.
    Waiting,
    /// It connects.
    Starting,
    Serving,
    Failed {
        since: Timestamp,
        error: String,
        next: Option<Timestamp>,
    },
    Stopped,
}

/// One part of an object and how it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartStatus {
    pub name: String,
    #[serde(flatten)]
    pub state: PartState,
    /// What a person should see to although events are received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// When the last event became durable, since the process began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_event: Option<Timestamp>,
}

/// How one part is, written by its supervisor and its context. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Part(Arc<Mutex<PartRecord>>);

#[derive(Debug)]
struct PartRecord {
    status: PartStatus,
    /// The failure that was told last, when, and how often it has come again since.
    told: Option<(String, Timestamp, u32)>,
}

impl Part {
    pub(crate) fn new(name: String) -> Self {
        let status = PartStatus { name, state: PartState::Waiting, trouble: None, last_event: None };
        Self(Arc::new(Mutex::new(PartRecord { status, told: None })))
    }

    pub(crate) fn status(&self) -> PartStatus {
        self.lock().status.clone()
    }

    pub(crate) fn has_received(&self, now: Timestamp) {
        self.lock().status.last_event = Some(now);
    }

    /// Whether it is another trouble than before, or the end of it.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut record = self.lock();
        let is_other = record.status.trouble != trouble;
        record.status.trouble = trouble;
        is_other
    }

    /// It connects. Who has failed goes on being failed, since then, until it is connected.
    fn starts(&self) {
        let mut record = self.lock();
        if !matches!(record.status.state, PartState::Failed { .. }) {
            record.status.state = PartState::Starting;
        }
    }

    /// It is connected.
    pub(crate) fn serves(&self) {
        self.set(PartState::Serving);
    }

    fn set(&self, state: PartState) {
        self.lock().status.state = state;
    }

    /// How often this failure came before, if it is to be told: it is new, or has not been told for a while.
    fn failed(&self, now: Timestamp, error: &str, next: Option<Timestamp>) -> Option<u32> {
        let mut record = self.lock();
        let since = if let PartState::Failed { since, .. } = record.status.state { since } else { now };
        record.status.state = PartState::Failed { since, error: error.to_owned(), next };
        match &mut record.told {
            Some((told, at, times))
                if told == error && now.duration_since(*at).unsigned_abs() < TOLD_AGAIN_AFTER =>
            {
                *times = times.saturating_add(1);
                None
            }
            told => {
                let times = told.take().filter(|(told, ..)| told == error).map_or(0, |(.., times)| times);
                *told = Some((error.to_owned(), now, 0));
                Some(times)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, PartRecord> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the context says stop; restarts after failures and panics, with growing pauses, and at once where a secret that was
/// read has changed. A permanent failure waits for the stop, or for such a change: nothing else can help.
pub(crate) async fn supervise(factory: Factory, config: Value, cx: Context, ready: Readiness) {
    let is_ready = tokio::select! {
        biased;
        () = cx.stopped() => false,
        () = ready.wait() => true,
    };
    cx.metrics().running.inc();
    if is_ready {
        keep_running(factory, &config, &cx).await;
    }
    cx.metrics().running.dec();
    cx.keep_route(None);
    cx.part().set(PartState::Stopped);
    info!(namespace = %cx.namespace(), eventSourceName = %cx.source(), eventName = %cx.event(), "event source stopped");
}

async fn keep_running(factory: Factory, config: &Value, cx: &Context) {
    let mut pause = FIRST_PAUSE;
    while !cx.is_stopped() {
        cx.part().starts();
        let begin = tokio::time::Instant::now();
        let attempt = cx.attempt();
        let error = match ended(factory, config, &attempt).await {
            Ok(()) if cx.is_stopped() => return,
            // Otherwise its secrets have changed: it begins anew with them.
            Ok(()) => continue,
            Err(error) => error,
        };
        cx.keep_route(None);
        if begin.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        if !wait(&attempt, &error, pause).await {
            return;
        }
        cx.metrics().restarts.inc();
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One attempt, which ends early where a secret that it read has changed.
async fn ended(factory: Factory, config: &Value, attempt: &Context) -> Result<(), Error> {
    let run = AssertUnwindSafe(factory.run(config, attempt)).catch_unwind();
    tokio::pin!(run);
    let ended = tokio::select! {
        biased;
        ended = run.as_mut() => ended,
        () = attempt.secret_change() => {
            info!(
                namespace = %attempt.namespace(), eventSourceName = %attempt.source(), eventName = %attempt.event(),
                "a secret has changed, connecting anew"
            );
            attempt.end_attempt();
            run.await
        }
    };
    ended.unwrap_or_else(|_| {
        Err(Error::Transient("the adapter panicked; this is a defect of Zetes".to_owned()))
    })
}

/// `false` when it is time to stop.
async fn wait(attempt: &Context, error: &Error, pause: Duration) -> bool {
    let now = attempt.clock().now();
    let pause = error.is_transient().then(|| pause + jitter(pause));
    let next = pause.and_then(|pause| now.checked_add(jiff::SignedDuration::try_from(pause).ok()?).ok());
    if let Some(times) = attempt.part().failed(now, &error.to_string(), next) {
        warn!(
            namespace = %attempt.namespace(), eventSourceName = %attempt.source(), eventName = %attempt.event(),
            %error, ?pause, times, "event source failed"
        );
    }
    let pause = async {
        match pause {
            Some(pause) => attempt.clock().sleep(pause).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = attempt.stopped() => false,
        () = attempt.secret_change() => true,
        () = pause => true,
    }
}

/// Up to half of the pause, so that many sources of one upstream don't come back in step.
fn jitter(pause: Duration) -> Duration {
    let part = random_id().bytes().take(2).fold(0_u32, |sum, byte| sum * 16 + u32::from(byte % 16));
    pause * part / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn since(part: &Part) -> Option<Timestamp> {
        match part.status().state {
            PartState::Failed { since, .. } => Some(since),
            _ => None,
        }
    }

    #[test]
    fn who_fails_again_has_failed_since_the_first_time_until_it_is_connected() {
        let part = Part::new("e".to_owned());
        part.failed(at(1), "refused", None);
        part.starts();
        part.failed(at(5), "refused", None);
        assert_eq!(since(&part), Some(at(1)));
        part.serves();
        assert_eq!(since(&part), None);
        part.failed(at(9), "refused", None);
        assert_eq!(since(&part), Some(at(9)));
    }

    #[test]
    fn the_same_failure_is_told_once_and_after_a_while_with_its_count() {
        let part = Part::new("e".to_owned());
        assert_eq!(part.failed(at(0), "refused", None), Some(0));
        assert_eq!(part.failed(at(1), "refused", None), None);
        assert_eq!(part.failed(at(60), "refused", None), None);
        assert_eq!(part.failed(at(61), "unknown host", None), Some(0), "another one is told");
        assert_eq!(part.failed(at(62), "unknown host", None), None);
        assert_eq!(
            part.failed(at(700), "unknown host", None),
            Some(1),
            "once more, and how often it came between"
        );
    }

    #[test]
    fn trouble_is_told_when_it_changes() {
        let part = Part::new("e".to_owned());
        let trouble = || Some("no hook".to_owned());
        assert!(part.set_trouble(trouble()) && !part.set_trouble(trouble()));
        assert_eq!(part.status().trouble, trouble());
        assert!(part.set_trouble(None) && !part.set_trouble(None));
    }
}
