//! Address, TLS and login of NATS servers, for whoever talks to one: the JetStream bus, the event source, the trigger.
//!
//! [`Settings::attempt`] makes everything fresh for one connection: secrets that were rotated are taken by the next attempt, and the
//! login also by async-nats' own reconnects. Nothing here retries. A failure is one sentence that says what to do, and never holds
//! a secret's value. A secret that can't be read is a failure, never a connection without it (S35).

mod explain;
mod login;
mod settings;

pub use login::Login;
pub use settings::{Attempt, ConnectFailure, Connected, Settings};
