//! What is registered upstream while events are received.

use std::convert::Infallible;
use std::time::Duration;

use eventsource_core::{Context, Error};

/// First pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// Serves, and meanwhile registers until that has succeeded once. A failure is told as trouble and stops no event: others may have
/// registered before, and a person can.
///
/// # Errors
/// As for serving.
pub(crate) async fn beside<F: Future<Output = Result<(), String>>>(
    cx: &Context,
    serving: impl Future<Output = Result<(), Error>>,
    register: impl Fn() -> F,
) -> Result<(), Error> {
    let registering = async {
        let mut pause = FIRST_PAUSE;
        while let Err(trouble) = register().await {
            cx.trouble(Some(format!("not registered upstream: {trouble}")));
            cx.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        cx.trouble(None);
        std::future::pending::<Infallible>().await
    };
    // An exchange that a stop cuts off does no harm: it is done again.
    tokio::select! {
        biased;
        served = serving => served,
        never = registering => match never {},
    }
}

/// Why an exchange failed: the innermost reason, without the address.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut inner: &dyn std::error::Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
