//! Whole event sources over real sockets, called as their providers call them, against servers that answer as the providers' APIs are
//! documented to.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod openssl;

#[path = "real/calls.rs"]
mod calls;
#[path = "real/provider.rs"]
mod provider;

#[path = "real/cloud_events.rs"]
mod cloud_events;
#[path = "real/slack.rs"]
mod slack;
#[path = "real/storage_grid.rs"]
mod storage_grid;
#[path = "real/stripe.rs"]
mod stripe;
#[path = "real/webhook.rs"]
mod webhook;
