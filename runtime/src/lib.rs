//! What long-running tasks need, once: the clock, secrets and TLS made of them, and the words of telemetry.
//!
//! Only [`Clock`] reads the time and only [`Secrets`] reads secrets, so a test can turn the one and fill the other.

mod clock;
pub mod keys;
mod metrics;
mod random;
mod secrets;
pub mod tls;

pub use clock::{Clock, block_for};
pub use metrics::{MillisecondsSummary, Registry};
pub use random::random_id;
pub use secrets::{SecretError, SecretText, Secrets, SecretsBuilder};
