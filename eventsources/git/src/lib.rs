//! Event sources of git hosts: `github`, `gitea`, `gitlab`, `bitbucket`, `bitbucketserver`, `gerrit`.
//!
//! At least once: the provider gets its 200 when the event is durable. Where it names its deliveries, that name is the event's id, so
//! that a repeated delivery is one event (S23). Signatures and tokens are checked over the raw body in constant time before
//! anything is parsed; a secret that can't be read means that nothing is served (S35).
//!
//! Where there are `webhook.url` and a token, the hook is registered at the provider and kept there, beside reception and never in its
//! way. A kind says what its provider can do (`registration::Hooks`); when to do what, what is remembered and what a person is told
//! is the same for all (`registration`, `trouble`).

mod api;
pub mod bitbucket;
pub mod bitbucketserver;
mod delivery;
pub mod gerrit;
pub mod gitea;
pub mod github;
pub mod gitlab;
mod hub;
mod limits;
mod registration;
mod signature;
mod trouble;

#[cfg(test)]
mod tests;
