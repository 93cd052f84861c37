//! Address, TLS and login of Kafka brokers, and what their failures mean.
//!
//! [`Settings::client_config`] reads the secrets each time it is called, so that a client made after a rotation has the new
//! ones. [`Context`] is given to every client: it keeps librdkafka's log out of the way and remembers what the client told
//! of its connection, because librdkafka's calls fail with "timed out" and say the reason beside it.
//! [`Context::explain`] makes one sentence of both, which says what to do.
//!
//! It never retries and never waits.

mod context;
mod end;
mod failure;
mod settings;

pub use context::{Context, RenewedToken};
pub use end::end;
pub use failure::{About, Failure, FailureKind};
pub use settings::{Sasl, Settings};

#[cfg(test)]
mod tests;
