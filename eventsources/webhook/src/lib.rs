//! Event sources that are called over HTTP: `webhook` by anybody, `slack`, `stripe` and `storageGrid` by those.
//!
//! At least once: the caller gets its 200 when the event is durable. Who calls is checked over the raw body before anything is
//! parsed; a secret that can't be read means that nothing is served (S35).

mod absent;
mod cloud_event;
mod registration;
pub mod slack;
pub mod storage_grid;
pub mod stripe;
mod verify;
pub mod webhook;

#[cfg(test)]
mod tests;
