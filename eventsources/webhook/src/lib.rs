//! Event sources that are called over HTTP: `webhook`, `github`, `gitlab`, `bitbucket`.
//!
//! At least once: the caller gets its 200 when the event is durable. Where the provider names its deliveries, that name is
//! the event's id, so that a repeated delivery is one event. Signatures and tokens are checked over the raw body in
//! constant time before anything is parsed; a secret that can't be read means that nothing is served.
//!
//! Each kind is its configuration, its check and the shape of its data; `delivery` has what the git hosts share.

pub mod bitbucket;
mod delivery;
pub mod github;
pub mod gitlab;
mod signature;
pub mod webhook;

#[cfg(test)]
mod tests;
