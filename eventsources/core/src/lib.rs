//! What every event source shares, so that an adapter is its configuration and three functions.
//!
//! An adapter implements [`EventSource`]. It has no retry loop, no metric, no stop flag and no envelope of its own: the
//! supervisor restarts it, the [`Context`] publishes what it emits, and the [`Front`] serves its HTTP routes.
//!
//! The order that every adapter keeps: receive, emit, acknowledge. [`Context::emit`] returns when the event is durable.

mod body;
mod check;
mod context;
mod dead_messages;
mod draft;
mod endpoint;
mod error;
mod factory;
mod filter;
mod http;
mod metrics;
mod pace;
mod peer;
mod planned;
mod sources;
mod supervisor;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use zetes_api::Invalid;

pub use body::{Body, NotJson};
pub use check::{Check, FILE_OPERATIONS, WatchPath, one_of};
pub use context::{Context, Deps};
pub use dead_messages::{DeadMessage, DeadMessages};
pub use draft::Draft;
pub use endpoint::Endpoint;
pub use error::Error;
pub use factory::Factory;
pub use filter::SourceFilter;
pub use http::{
    ClientCa, Front, FrontError, HmacDigest, HttpSource, Mtls, Reading, Refusal, Request, RouteKey,
    RouteSpec, ServerTls, canonical_headers, is_token,
};
pub use metrics::Metrics;
pub use pace::Pace;
pub use peer::Peer;
pub use planned::{Plan, Planned};
pub use sources::{Observer, Readiness, Running, Sources};
pub use supervisor::{PartState, PartStatus};

/// A kind of event source.
pub trait EventSource: Sized + Send + 'static {
    /// The key under `spec`.
    const KIND: &'static str;
    /// May run in every replica at once. Only for kinds that spec/event-sources.md 1.1 does not know: it says so of the others.
    const ACTIVE_ACTIVE: bool = false;
    /// What stands under an event's name.
    type Config: DeserializeOwned + JsonSchema + Send + 'static;

    /// What is wrong with a configuration that has been read, warnings included; paths are relative to it. No I/O.
    ///
    /// # Errors
    /// Everything that is wrong.
    fn validate(config: &Self::Config) -> Result<(), Invalid>;

    /// Ports and paths it will serve, so that conflicts are found at load (S27).
    fn routes(_config: &Self::Config) -> Vec<RouteKey> {
        Vec::new()
    }

    /// Secrets and upstream.
    ///
    /// # Errors
    /// Transient: tried again. Permanent: told, and tried again only when the object changes.
    fn connect(config: Self::Config, cx: &Context) -> impl Future<Output = Result<Self, Error>> + Send;

    /// Receives, emits and acknowledges until the context says stop or something fails.
    ///
    /// # Errors
    /// As for `connect`.
    fn run(self, cx: &Context) -> impl Future<Output = Result<(), Error>> + Send;

    /// Undoes what was made upstream, hooks for example: the event is gone from the manifests, not only stopped (S34).
    ///
    /// # Errors
    /// What is still there, for a person to remove.
    fn retire(_config: Self::Config, _cx: &Context) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
