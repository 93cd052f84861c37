//! Credentials, region and endpoint of AWS and of what speaks like it: for the event sources `sqs`, `sns`, `s3`, `minio`, and for
//! brokers that log in with IAM.
//!
//! [`Settings::connect`] reads secrets anew and asks for credentials at once, so that a wrong login is told before anything is served.
//! Nothing here retries more than once: the supervisor has the long breath. A failure is one sentence that says what to do, and
//! never holds a secret's value.
//!
//! ```ignore
//! let aws = Settings { region: "eu-west-1".into(), ..settings }.connect().await?;
//! let sqs = aws_sdk_sqs::Client::new(aws.sdk_config());
//! aws.sign("sns", &mut request).await?; // or for what has no SDK
//! ```

mod connection;
mod failure;
mod settings;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use failure::Failure;
pub use settings::Settings;
