//! What every event source shares, so that an adapter is its configuration and three functions.
//!
//! An adapter implements [`EventSource`]. It has no retry loop, no metric, no stop flag and no envelope of its own: the
//! supervisor restarts it, the [`Context`] publishes what it emits, and the [`Front`] serves its HTTP routes.
//!
//! The order that every adapter keeps: receive, emit, acknowledge. [`Context::emit`] returns when the event is durable.

mod check;
mod context;
mod draft;
mod endpoint;
mod error;
mod factory;
mod filter;
mod http;
mod metrics;
mod planned;
mod sources;
mod supervisor;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use zetes_api::Invalid;

pub use check::{Check, FILE_OPERATIONS, WatchPath, one_of};
pub use context::{Context, Deps};
pub use draft::Draft;
pub use endpoint::Endpoint;
pub use error::Error;
pub use factory::Factory;
pub use filter::SourceFilter;
pub use http::{
    Front, FrontError, HttpSource, Refusal, Request, RouteKey, RouteSpec, ServerTls, canonical_headers,
};
pub use metrics::Metrics;
pub use planned::{Plan, Planned};
pub use sources::{Observer, Readiness, Running, Sources};
pub use supervisor::{PartState, PartStatus};

/// A kind of event source.
pub trait EventSource: Sized + Send + 'static {
    /// The key under `spec`.
    const KIND: &'static str;
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
}
