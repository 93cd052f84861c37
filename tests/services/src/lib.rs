//! Real servers for tests: NATS, alone or as a cluster, Kafka, Redis, `RabbitMQ`, Mosquitto, `MinIO`, moto (S3, SQS, SNS)
//! and Gitea; certificates, and a proxy that cuts connections.
//!
//! ```ignore
//! let certificates = Certificates::new();
//! let users = [("zetes", "secret")];
//! let settings = Settings { users: &users, tls: Tls::Mutual(&certificates), ..Settings::default() };
//! let mut redis = RedisServer::start_with(&settings);
//! let client = redis::Client::open(format!("rediss://zetes:secret@{}", redis.tls_address())).unwrap();
//! redis.kill();
//! redis.restart(); // same ports, same data
//! ```
//!
//! `cargo xtask services up` installs the programs and starts the shared Kafka broker. Servers that a test starts are
//! its own: they have ports of the kernel's choice and a directory, and end with the value. Calls block until the
//! server is ready, for at most [`PATIENCE`]; they may be made from async tests, as they take well under a second
//! (Kafka and `RabbitMQ` take some, Gitea takes one). Nothing here knows Zetes.

#![expect(clippy::panic, reason = "tests fail by panics")]

mod certificates;
mod gitea;
mod http;
mod kafka;
mod minio;
mod mosquitto;
mod moto;
mod nats;
mod process;
mod proxy;
mod rabbit;
mod redis;
mod server;
mod services;
mod signature;
#[cfg(test)]
mod tests;
mod tls;

use std::time::Duration;

pub use certificates::{Certificates, Pem};
pub use gitea::{Gitea, GiteaServer};
pub use http::Answer;
pub use kafka::KafkaBroker;
pub use minio::{Minio, MinioServer};
pub use mosquitto::{Mosquitto, MosquittoServer};
pub use moto::{Moto, MotoServer};
pub use nats::{NatsCluster, NatsServer, NatsVersion};
pub use process::{eventually, free_port};
pub use proxy::Proxy;
pub use rabbit::{Rabbit, RabbitServer};
pub use redis::{Redis, RedisServer};
pub use server::{Kind, Server, Settings, Tls};
pub use services::{Services, SharedKafka};

/// How long a server may take to do what it should do at once.
pub const PATIENCE: Duration = Duration::from_mins(1);
