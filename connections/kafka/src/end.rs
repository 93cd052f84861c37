//! The end of a consumer, which librdkafka does not always find.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use tokio::time::Instant;

/// Longer than a session, after which librdkafka gives most waits up.
const PATIENCE: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(50);

/// Commits what is stored where it commits by itself, leaves the group, and ends the client. Blocks, for 12 seconds at most.
pub fn end<C: ConsumerContext>(client: Arc<BaseConsumer<C>>) {
    if let Err(error) = client.close_queue() {
        tracing::debug!(%error, "a Kafka client was not ended in order");
    }
    let begun = Instant::now();
    while !client.closed() && begun.elapsed() < PATIENCE {
        drop(client.poll(POLL));
    }
    if client.closed() {
        return;
    }
    // librdkafka may lose a commit when the connection goes, and then waits for its answer for ever, in the destructor, too. The
    // brokers take a member for gone when its session ends.
    tracing::warn!("a Kafka client could not be ended; its threads stay until the process ends");
    std::mem::forget(client);
}
