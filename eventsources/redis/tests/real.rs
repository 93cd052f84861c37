//! Against Redis 7.

#![expect(clippy::unwrap_used, reason = "tests fail by panics")]

#[path = "real/redis.rs"]
mod redis;
#[path = "real/redis_stream.rs"]
mod redis_stream;

use ::redis::{Client, Cmd, Connection, FromRedisValue, cmd};
use serde_json::{Value, json};
use zetes_services::RedisServer;

/// A client of the test's own, who may do everything.
fn client(server: &RedisServer) -> Connection {
    let client = Client::open(format!("redis://{}", server.address())).unwrap();
    zetes_services::eventually("the test's own client", || client.get_connection().ok())
}

/// A command as one types it; its answer.
fn said<T: FromRedisValue>(connection: &mut Connection, command: &str) -> T {
    typed(command).query(connection).unwrap()
}

fn typed(command: &str) -> Cmd {
    let mut words = command.split(' ');
    let mut typed = cmd(words.next().unwrap());
    typed.arg(words.collect::<Vec<_>>());
    typed
}

fn secret(key: &str) -> Value {
    json!({"name": "redis", "key": key})
}

/// `config` with these members more.
fn with(config: &Value, members: &Value) -> Value {
    let mut config = config.clone();
    config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    config
}
