//! Against moto (queues, topics, rights) and `MinIO` (buckets), each of a test's own.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

mod moto;
mod s3;
mod sns;
mod sqs;

use eventsource_core::testkit::Kit;
use serde_json::{Value, json};

/// Members that name the keys of [`kit`].
fn keys() -> Value {
    json!({"accessKey": secret("access"), "secretKey": secret("secret")})
}

fn secret(key: &str) -> Value {
    json!({"name": "aws", "key": key})
}

fn kit(access: &str, secret: &str) -> Kit {
    Kit::new().with_secret("aws", "access", access).with_secret("aws", "secret", secret)
}

/// `config` with these members more.
fn with(config: &Value, members: &Value) -> Value {
    let mut config = config.clone();
    config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    config
}
