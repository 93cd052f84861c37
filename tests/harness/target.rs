//! The system that triggers call.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

/// One HTTP call that was received.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: String,
}

/// A server that notes every call. Clones share it; it ends with the last one.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    state: Arc<Noted>,
    _serving: Arc<AbortOnDropHandle<()>>,
}

#[derive(Default)]
struct Noted {
    calls: Mutex<Vec<Call>>,
    down: AtomicBool,
    takes_milliseconds: AtomicU64,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port of the kernel's choice");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = Arc::new(Noted::default());
        let router = axum::Router::new().fallback(note).with_state(state.clone());
        let serving = super::spawn(async move {
            axum::serve(listener, router).await.expect("the target serves until it is dropped");
        });
        Self { address, state, _serving: Arc::new(serving) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().expect("no test panics while it holds the calls").clone()
    }

    /// Bodies by idempotency key: what was done, however often it was tried.
    pub(crate) fn effects(&self) -> BTreeMap<String, String> {
        self.calls().into_iter().map(|call| (call.key, call.body)).collect()
    }

    /// Answers 503 from now on, or no longer.
    pub(crate) fn set_down(&self, down: bool) {
        self.state.down.store(down, Ordering::SeqCst);
    }

    /// The most calls that were in hand at the same time.
    pub(crate) fn most_at_once(&self) -> u64 {
        self.state.most_at_once.load(Ordering::SeqCst)
    }

    pub(crate) fn set_duration(&self, takes: Duration) {
        let milliseconds = u64::try_from(takes.as_millis()).expect("a short time");
        self.state.takes_milliseconds.store(milliseconds, Ordering::SeqCst);
    }
}

async fn note(State(noted): State<Arc<Noted>>, uri: Uri, headers: HeaderMap, body: String) -> StatusCode {
    let at_once = noted.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    noted.most_at_once.fetch_max(at_once, Ordering::SeqCst);
    let status = answer(&noted, uri.path(), &headers, body).await;
    noted.at_once.fetch_sub(1, Ordering::SeqCst);
    status
}

async fn answer(noted: &Noted, path: &str, headers: &HeaderMap, body: String) -> StatusCode {
    let takes = Duration::from_millis(noted.takes_milliseconds.load(Ordering::SeqCst));
    if !takes.is_zero() {
        zetes_runtime::Clock::system().sleep(takes).await;
    }
    if noted.down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    noted.calls.lock().expect("no test panics while it holds the calls").push(Call {
        path: path.to_owned(),
        key,
        body,
    });
    StatusCode::OK
}
