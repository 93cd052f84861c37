//! The one HTTP front that all event sources share.

mod front;
mod headers;
mod reply;
mod route;
mod serve;
mod tls;

pub use front::{Front, FrontError};
pub use headers::canonical_headers;
pub use reply::Refusal;
pub use route::{RouteKey, RouteSpec};
pub use serve::{HttpSource, Request};
pub use tls::ServerTls;
