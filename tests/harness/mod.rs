//! Starts the real executable, and stands in for the systems around it.

mod manifest;
mod target;
mod zetes;

use std::future::Future;
use std::time::Duration;

pub(crate) use manifest::{filtered_post_to_call, post_to_call};
pub(crate) use target::Target;
pub(crate) use zetes::{Zetes, command, free_port};

/// How long a test waits for what should happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `condition` gives something.
///
/// # Panics
/// After [`PATIENCE`], saying what it waited for.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    condition: impl FnMut() -> F,
) -> T {
    eventually_within(PATIENCE, what, condition).await
}

/// As [`eventually`], for what may take longer.
///
/// # Panics
/// After `patience`, saying what it waited for.
pub(crate) async fn eventually_within<T, F: Future<Output = Option<T>>>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> F,
) -> T {
    let waiting = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            pause().await;
        }
    };
    let found = tokio::time::timeout(patience, waiting).await;
    found.unwrap_or_else(|_| panic!("waited {} s for: {what}", patience.as_secs()))
}

/// A moment between two looks at a condition.
pub(crate) async fn pause() {
    zetes_runtime::Clock::system().sleep(Duration::from_millis(10)).await;
}

/// The HTTP client of all scenarios.
pub(crate) fn client() -> reqwest::Client {
    // Every test is a process of its own under nextest and shares one under cargo test: the first installation wins.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client without special settings")
}

/// A task that ends with its handle.
#[expect(clippy::disallowed_methods, reason = "the handle is kept, and ends the task when it is dropped")]
pub(crate) fn spawn<F: Future<Output: Send + 'static> + Send + 'static>(
    future: F,
) -> tokio_util::task::AbortOnDropHandle<F::Output> {
    tokio_util::task::AbortOnDropHandle::new(tokio::spawn(future))
}
