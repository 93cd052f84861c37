use std::io::{Read, Write};
use std::time::Duration;

use crate::certificates::Pem;
use crate::process::connect;
use crate::tls::connect_tls;
use crate::{Certificates, PATIENCE, RedisServer, Settings, Tls};

/// What it says to these commands, and to a last `QUIT`.
fn said(mut stream: impl Read + Write, commands: &str) -> Option<String> {
    stream.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    // TLS without a farewell is an error after all was read.
    drop(stream.read_to_string(&mut answer));
    Some(answer.replace("\r\n", " ")).filter(|answer| !answer.is_empty())
}

fn ask(redis: &RedisServer, commands: &str) -> String {
    said(connect(redis.port()).unwrap(), commands).unwrap()
}

#[test]
fn data_outlives_a_kill() {
    let mut redis = RedisServer::start();
    assert_eq!(ask(&redis, "XADD orders 1-1 sku a1\r\nSET open 3"), "$3 1-1 +OK +OK ");
    redis.kill();
    assert!(connect(redis.port()).is_none());
    redis.restart();
    assert_eq!(ask(&redis, "GET open\r\nXLEN orders"), "$1 3 :1 +OK ");
    redis.stop();
    redis.restart();
    assert_eq!(ask(&redis, "GET open"), "$1 3 +OK ");
}

#[test]
fn it_ends_with_its_value() {
    let redis = RedisServer::start();
    let (port, folder) = (redis.port(), redis.folder().to_owned());
    drop(redis);
    assert!(connect(port).is_none());
    assert!(!folder.exists());
}

#[test]
fn while_it_is_paused_it_says_nothing() {
    let redis = RedisServer::start();
    redis.pause();
    let mut stream = connect(redis.port()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    assert!(stream.read(&mut [0; 7]).is_err());
    redis.resume();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

#[test]
fn who_has_no_password_stays_outside() {
    let users = [("zetes", "secret"), ("other", "different")];
    let conf = "user limited on >limited ~none +ping";
    let redis = RedisServer::start_with(&Settings { users: &users, conf, ..Settings::default() });
    assert!(ask(&redis, "PING").starts_with("-NOAUTH"));
    assert!(ask(&redis, "AUTH zetes different").starts_with("-WRONGPASS"));
    assert_eq!(ask(&redis, "AUTH zetes secret\r\nSET open 3"), "+OK +OK +OK ");
    assert!(ask(&redis, "AUTH limited limited\r\nGET open").starts_with("+OK -NOPERM"));
}

#[test]
fn the_user_without_a_name_has_a_password() {
    let users = [("default", "secret")];
    let redis = RedisServer::start_with(&Settings { users: &users, ..Settings::default() });
    assert!(ask(&redis, "AUTH wrong").starts_with("-WRONGPASS"));
    assert_eq!(ask(&redis, "AUTH secret\r\nPING"), "+OK +PONG +OK ");
}

#[test]
fn it_speaks_tls_and_demands_a_certificate_where_asked() {
    let certificates = Certificates::new();
    let ping = |redis: &RedisServer, ca: &Pem, shown: Option<&Pem>| {
        said(connect_tls(redis.tls_port(), ca, shown)?, "PING").filter(|answer| answer == "+PONG +OK ")
    };
    let (ca, client) = (&certificates.ca, Some(&certificates.client));
    let redis = RedisServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    assert!(ping(&redis, ca, None).is_some());
    assert!(ping(&redis, &certificates.wrong_ca, None).is_none());
    let redis = RedisServer::start_with(&Settings { tls: Tls::Mutual(&certificates), ..Settings::default() });
    assert!(ping(&redis, ca, client).is_some());
    assert!(ping(&redis, ca, None).is_none());
}

#[test]
#[should_panic(expected = "redis-server ended")]
fn a_configuration_that_it_refuses_fails_with_its_log() {
    RedisServer::start_with(&Settings { conf: "no-such-setting 1", ..Settings::default() });
}
