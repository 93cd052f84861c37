//! Event sources of AWS and of what speaks like it: queues (`sqs`), topics (`sns`), and buckets that are looked through (`s3`).
//!
//! `sqs` is at least once: a message is deleted when its event is durable. `sns` answers its caller then. `s3` remembers durably what it
//! has seen of a bucket. How the changes of a bucket become events in three ways, and which one is right: docs/s3-events.md.

mod account;
pub mod s3;
pub mod sns;
pub mod sqs;

#[cfg(test)]
mod tests;
