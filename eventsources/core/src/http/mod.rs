//! The one HTTP front that all event sources share.

mod client;
mod front;
mod headers;
mod reply;
mod route;
mod serve;
mod signature;
mod tls;

pub use client::Mtls;
pub(crate) use front::RouteGuard;
pub use front::{Front, FrontError};
pub use headers::canonical_headers;
pub use reply::Refusal;
pub use route::{RouteKey, RouteSpec};
pub use serve::{HttpSource, Reading, Request};
pub use signature::{HmacDigest, is_token};
pub use tls::{ClientCa, ServerTls};
