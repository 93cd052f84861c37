//! Keeps one event of one EventSource running, and knows how it is.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
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
/// Who has run so long is healthy, and the pauses begin anew.
const HEALTHY_AFTER: Duration = Duration::from_mins(1);

/// How one part of an object is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum PartState {
    Starting,
    Serving,
    Failed { since: Timestamp, error: String, next: Option<Timestamp> },
    Stopped,
}

/// One part of an object and how it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartStatus {
    pub name: String,
    #[serde(flatten)]
    pub state: PartState,
}

/// The state of one part, written by its supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    name: String,
    state: Arc<Mutex<PartState>>,
}

impl Part {
    pub(crate) fn new(name: String) -> Self {
        Self { name, state: Arc::new(Mutex::new(PartState::Starting)) }
    }

    pub(crate) fn status(&self) -> PartStatus {
        PartStatus {
            name: self.name.clone(),
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn set(&self, state: PartState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn failed(&self, now: Timestamp, error: &str, next: Option<Timestamp>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = if let PartState::Failed { since, .. } = &*state { *since } else { now };
        *state = PartState::Failed { since, error: error.to_owned(), next };
    }
}

/// Runs until the context says stop; restarts after failures and panics, with growing pauses. A permanent failure waits for the
/// stop: only a changed object can help.
pub(crate) async fn supervise(factory: Factory, config: Value, cx: Context, part: Part, ready: Readiness) {
    let is_ready = tokio::select! {
        biased;
        () = cx.stopped() => false,
        () = ready.wait() => true,
    };
    cx.metrics().running.inc();
    if is_ready {
        keep_running(factory, &config, &cx, &part).await;
    }
    cx.metrics().running.dec();
    part.set(PartState::Stopped);
    info!(namespace = %cx.namespace(), eventSourceName = %cx.source(), eventName = %cx.event(), "event source stopped");
}

async fn keep_running(factory: Factory, config: &Value, cx: &Context, part: &Part) {
    let mut pause = FIRST_PAUSE;
    loop {
        part.set(PartState::Serving);
        let begin = tokio::time::Instant::now();
        let ended = AssertUnwindSafe(factory.run(config, cx)).catch_unwind().await;
        let error = match ended {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => Error::Transient("the adapter panicked; this is a defect of Zetes".to_owned()),
        };
        if begin.elapsed() > HEALTHY_AFTER {
            pause = FIRST_PAUSE;
        }
        if !wait(cx, part, &error, pause).await {
            return;
        }
        cx.metrics().restarts.inc();
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// `false` when it is time to stop.
async fn wait(cx: &Context, part: &Part, error: &Error, pause: Duration) -> bool {
    let now = cx.clock().now();
    let pause = error.is_transient().then(|| pause + jitter(pause));
    let next = pause.and_then(|pause| now.checked_add(jiff::SignedDuration::try_from(pause).ok()?).ok());
    part.failed(now, &error.to_string(), next);
    warn!(
        namespace = %cx.namespace(), eventSourceName = %cx.source(), eventName = %cx.event(), %error, ?pause,
        "event source failed"
    );
    let Some(pause) = pause else {
        cx.stopped().await;
        return false;
    };
    tokio::select! {
        () = cx.stopped() => false,
        () = cx.clock().sleep(pause) => true,
    }
}

/// Up to half of the pause, so that many sources of one upstream don't come back in step.
fn jitter(pause: Duration) -> Duration {
    let part = random_id().bytes().take(2).fold(0_u32, |sum, byte| sum * 16 + u32::from(byte % 16));
    pause * part / 512
}
