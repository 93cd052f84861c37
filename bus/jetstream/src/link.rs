//! The connection: made by a task of the bus, for ever and again after each loss, with everything as it is then.
//!
//! async-nats' own reconnects are not used: a new connection takes rotated secrets and certificates, finds out why it fails, and
//! looks at the streams again. So a loss has one way back, whatever it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::{Client, ConnectOptions, Event, ServerError};
use bus_core::{BusError, Health, HealthFailure};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{ApiError, PATIENCE, code};
use crate::layout::Layout;
use crate::options::Options;
use crate::streams;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A connection over which nothing comes for two of these is given up.
const PING: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Publishes of all callers that wait for their acknowledgement.
pub(crate) const WINDOW: usize = 4_096;
/// Commands of all callers that wait for the connection's task.
const COMMANDS: usize = 16_384;

/// Connections of this process so far.
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// A connection that works, with streams as they should be.
pub(crate) struct Live {
    pub(crate) client: Client,
    pub(crate) context: Context,
    /// Tells one connection of this process from another.
    pub(crate) number: u64,
    version: (u64, u64),
    /// Cancelled when it is lost.
    pub(crate) gone: CancellationToken,
    /// Cancelled by who found the server not to be as it was.
    doubted: CancellationToken,
    denied: watch::Receiver<Option<String>>,
    warnings: Vec<String>,
}

/// Where the connection is.
#[derive(Clone)]
pub(crate) enum Status {
    Away(HealthFailure),
    Live(Arc<Live>),
    Closed,
}

impl Live {
    /// One connection, nothing looked at yet.
    pub(crate) async fn connect(options: &Options) -> Result<(Self, mpsc::Receiver<Event>), String> {
        let (sender, events) = mpsc::channel(64);
        let (denials, denied) = watch::channel(None);
        let denials = Arc::new(denials);
        let adjust = |options_: ConnectOptions| {
            let callback = move |event: Event| {
                let (sender, denials) = (sender.clone(), denials.clone());
                async move {
                    if let Some(subject) = denial(&event) {
                        denials.send_replace(Some(subject));
                    }
                    // Nobody listens any more once the connection was given up.
                    let _is_heard = sender.send(event).await.is_ok();
                }
            };
            options_
                .name(format!("zetes {}/{}", options.namespace, options.name))
                .event_callback(callback)
                .connection_timeout(PATIENCE)
                .ping_interval(PING)
                .client_capacity(COMMANDS)
                .max_reconnects(options.connection.url.split(',').count())
        };
        let connected = options.connection.connect(adjust).await.map_err(|failure| failure.to_string())?;
        let context = ContextBuilder::new()
            .timeout(PATIENCE)
            .max_ack_inflight(WINDOW * 4)
            .backpressure_on_inflight(true)
            .build(connected.client.clone());
        let version = version(&connected.client.server_info().version);
        let live = Self {
            client: connected.client,
            context,
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            version,
            gone: CancellationToken::new(),
            doubted: CancellationToken::new(),
            denied,
            warnings: connected.warnings,
        };
        Ok((live, events))
    }

    /// Several filters on one consumer, which can be changed. Before 2.10 a changed filter is taken and does not work.
    pub(crate) fn knows_filters(&self) -> bool {
        self.version >= (2, 10)
    }

    /// Whether a cluster of these servers lets one of several writers with the same expectation win.
    pub(crate) fn fences_writers(&self) -> bool {
        self.version >= (2, 10)
    }

    pub(crate) fn warn(&mut self, warnings: Vec<String>) {
        self.warnings.extend(warnings);
    }

    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Something is not as it was when the streams were looked at: the connection is made anew, and they are looked at again.
    pub(crate) fn doubt(&self) {
        self.doubted.cancel();
    }

    /// The error as the bus's callers see it. What a missing stream or a server that hangs would explain is looked at again.
    pub(crate) fn failed(&self, error: ApiError) -> BusError {
        let is_silent = matches!(error, ApiError::NobodyThere(_) | ApiError::Unanswered(_));
        if is_silent || error.is(code::STREAM_NOT_FOUND) {
            self.doubt();
        }
        error.into()
    }

    /// What `exchange` gives, unless the connection is lost before, or the server says that the user may not use a subject of it.
    pub(crate) async fn until_gone<T>(
        &self,
        is_sent_to: impl Fn(&str) -> bool,
        exchange: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let mut denied = self.denied.clone();
        denied.mark_unchanged();
        let denial = async {
            loop {
                if denied.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                let told = denied.borrow().clone().unwrap_or_default();
                // A denied inbox concerns every request.
                if told.starts_with("_INBOX") || is_sent_to(&told) {
                    return told;
                }
            }
        };
        tokio::select! {
            biased;
            done = exchange => Ok(done),
            subject = denial => Err(ApiError::Denied(subject)),
            () = self.gone.cancelled() => {
                Err(ApiError::Unanswered("the connection to the NATS server was lost".to_owned()))
            }
        }
    }
}

/// The subject that the user may not use.
fn denial(event: &Event) -> Option<String> {
    let Event::ServerError(ServerError::Other(text)) = event else { return None };
    let (_, rest) = text.split_once("ermissions Violation for ")?;
    let (_, quoted) = rest.split_once('"')?;
    let (subject, _) = quoted.split_once('"')?;
    Some(subject.to_owned())
}

fn version(text: &str) -> (u64, u64) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl Status {
    /// Not connected yet.
    pub(crate) fn beginning(options: &Options) -> Self {
        let error = format!("not connected to {} yet", options.connection.places());
        Self::Away(HealthFailure { error, since: options.clock.now() })
    }

    pub(crate) fn live(&self) -> Result<Arc<Live>, BusError> {
        match self {
            Self::Live(live) => Ok(live.clone()),
            Self::Away(failure) => Err(BusError::Unavailable(failure.error.clone())),
            Self::Closed => Err(BusError::Closed),
        }
    }

    pub(crate) fn health(&self) -> Health {
        match self {
            Self::Live(live) => Health { failure: None, warnings: live.warnings.clone() },
            Self::Away(failure) => Health { failure: Some(failure.clone()), warnings: Vec::new() },
            Self::Closed => Health::default(),
        }
    }
}

/// Keeps the connection until the bus is closed; the task's owner ends it.
pub(crate) async fn keep(options: Options, layout: Layout, status: watch::Sender<Status>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let why = match establish(&options, &layout).await {
            Ok((live, events)) => {
                pause = FIRST_PAUSE;
                let live = Arc::new(live);
                if !become_(&status, Status::Live(live.clone())) {
                    return;
                }
                let why = lost(&live, events).await;
                live.gone.cancel();
                format!("{}: {why}", options.connection.places())
            }
            Err(why) => why,
        };
        let since = failing_since(&status.borrow(), options.clock.now());
        if !become_(&status, Status::Away(HealthFailure { error: why, since })) {
            return;
        }
        options.clock.sleep(pause).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// A connection with its streams brought in line.
pub(crate) async fn establish(
    options: &Options,
    layout: &Layout,
) -> Result<(Live, mpsc::Receiver<Event>), String> {
    let (mut live, events) = Live::connect(options).await?;
    let warnings = streams::reconcile(&live, layout, options).await.map_err(|error| error.to_string())?;
    live.warn(warnings);
    Ok((live, events))
}

/// Waits until the connection is lost, and says why.
async fn lost(live: &Live, mut events: mpsc::Receiver<Event>) -> String {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = live.doubted.cancelled() => return "JetStream is not what it was; looking again".to_owned(),
        };
        match event {
            None | Some(Event::Disconnected | Event::Closed) => return "the connection was lost".to_owned(),
            Some(Event::ServerError(error)) => warn!(%error, "the NATS server reports an error"),
            Some(_) => {}
        }
    }
}

fn failing_since(status: &Status, now: Timestamp) -> Timestamp {
    match status {
        Status::Away(failure) => failure.since,
        Status::Live(_) | Status::Closed => now,
    }
}

/// Takes the status over unless the bus was closed; the same failure again is not said twice.
fn become_(status: &watch::Sender<Status>, new: Status) -> bool {
    let is_new = match (&*status.borrow(), &new) {
        (Status::Closed, _) => return false,
        (Status::Away(before), Status::Away(now)) => before.error != now.error,
        _ => true,
    };
    match &new {
        Status::Away(failure) if is_new => warn!(error = %failure.error, "the bus can't be used"),
        Status::Live(live) => {
            info!("the bus is connected");
            live.warnings.iter().for_each(|warning| warn!("{warning}"));
        }
        _ => {}
    }
    status.send_if_modified(|status| {
        let is_open = !matches!(status, Status::Closed);
        if is_open {
            *status = new;
        }
        is_open
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_subject_is_read_from_the_servers_error() {
        let event = |text: &str| Event::ServerError(ServerError::Other(text.to_owned()));
        let told = denial(&event("Permissions Violation for Publish to \"$JS.API.STREAM.INFO.x\""));
        assert_eq!(told.as_deref(), Some("$JS.API.STREAM.INFO.x"));
        let told = denial(&event("Permissions Violation for Subscription to \"_INBOX.a.*\""));
        assert_eq!(told.as_deref(), Some("_INBOX.a.*"));
        assert_eq!(denial(&event("Stale Connection")), None);
    }

    #[test]
    fn versions_compare() {
        assert!(
            version("2.9.10") < (2, 10) && version("2.12.2") >= (2, 10) && version("2.10.29-RC.1") >= (2, 10)
        );
    }
}
