//! Event sources of Redis: `redis` receives messages of channels, `redisStream` entries of streams.
//!
//! Both keep one connection each, which is read only while somebody waits for what it brings: what the bus can't take yet stays in
//! Redis, or on the wire. A server that is frozen is noticed within seconds.

mod connection;
mod entries;
mod failure;
mod group;
mod server;

pub mod channels;
pub mod stream;
