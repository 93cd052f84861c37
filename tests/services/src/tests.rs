use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

mod gitea;
mod minio;
mod mosquitto;
mod moto;
mod rabbit;
mod redis;

use super::*;
use crate::http::get;
use crate::process::connect;

/// The first bytes that a NATS server sends.
fn greeting(port: u16) -> Option<String> {
    let mut bytes = [0; 5];
    connect(port)?.read_exact(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn version_of(server: &NatsServer) -> String {
    let varz: serde_json::Value = serde_json::from_str(&server.monitoring("/varz").unwrap()).unwrap();
    varz["version"].as_str().unwrap().to_owned()
}

#[test]
fn a_nats_server_of_each_version_greets_and_keeps_its_port_through_kill_and_restart() {
    for (version, number) in [(NatsVersion::Old, "2.9.10"), (NatsVersion::Current, "2.12.2")] {
        let mut server = NatsServer::start(version, "");
        let port = server.port();
        assert_eq!(version_of(&server), number);
        assert!(server.store().join("jetstream").is_dir());
        server.kill();
        assert_eq!(greeting(port), None);
        server.restart();
        assert_eq!(greeting(port).unwrap(), "INFO ");
        server.stop();
        assert_eq!(greeting(port), None);
    }
}

#[test]
fn a_nats_server_ends_with_its_value() {
    let server = NatsServer::start(NatsVersion::Current, "");
    let (port, store) = (server.port(), server.store().to_owned());
    drop(server);
    assert_eq!(greeting(port), None);
    assert!(!store.exists());
}

#[test]
fn limits_and_a_store_of_its_own_are_in_effect() {
    let store = tempfile::tempdir().unwrap();
    for version in [NatsVersion::Old, NatsVersion::Current] {
        let server = NatsServer::start_in(version, store.path(), "jetstream { max_file_store: 1048576 }");
        let jsz: serde_json::Value = serde_json::from_str(&server.monitoring("/jsz").unwrap()).unwrap();
        assert_eq!(jsz["config"]["max_storage"], 1_048_576, "{version:?}: {jsz}");
        assert!(store.path().join("jetstream").is_dir());
    }
}

#[test]
fn a_running_server_takes_another_configuration() {
    for version in [NatsVersion::Old, NatsVersion::Current] {
        let server = NatsServer::start(version, "max_payload: 1024");
        server.reload("max_payload: 2048");
        let varz: serde_json::Value = serde_json::from_str(&server.monitoring("/varz").unwrap()).unwrap();
        assert_eq!(varz["max_payload"], 2048, "{version:?}");
    }
}

#[test]
#[should_panic(expected = "nats-server ended")]
fn a_configuration_that_the_server_refuses_fails_with_its_log() {
    NatsServer::start(NatsVersion::Current, "no_such_setting: 1");
}

#[test]
fn the_shared_broker_answers() {
    let kafka = KafkaBroker::shared();
    assert!(kafka::answers(kafka.plaintext.parse().unwrap()));
    assert_eq!(kafka.users["zetes"], "zetes-secret");
    for file in [&kafka.ca, &kafka.client_certificate, &kafka.client_key] {
        assert!(std::fs::read_to_string(file).unwrap().contains("-----BEGIN "), "{}", file.display());
    }
}

#[test]
fn a_broker_behind_a_proxy_sends_its_clients_there() {
    let (broker, mut proxy) = KafkaBroker::start_behind_proxy();
    assert!(kafka::answers(proxy.address()));
    proxy.cut();
    assert!(!kafka::answers(proxy.address()));
    assert!(kafka::answers(broker.address().parse().unwrap()));
}

/// A server that sends back what it gets, to one client after another.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            drop(std::io::copy(&mut &stream, &mut &stream));
        }
    });
    port
}

fn say(stream: &mut TcpStream, word: &str) -> std::io::Result<String> {
    stream.write_all(word.as_bytes())?;
    let mut answer = vec![0; word.len()];
    stream.read_exact(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[test]
fn a_proxy_cuts_and_heals() {
    let mut proxy = Proxy::to_port(echo());
    let address = proxy.address();
    let mut stream = connect(address.port()).unwrap();
    assert_eq!(say(&mut stream, "before").unwrap(), "before");
    proxy.cut();
    assert!(say(&mut stream, "cut").is_err());
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.heal();
    assert_eq!(proxy.address(), address);
    assert_eq!(say(&mut connect(address.port()).unwrap(), "after").unwrap(), "after");
    assert_eq!(proxy.accepted(), 2);
}

#[test]
fn a_stalled_proxy_holds_everything_back_and_loses_nothing() {
    let proxy = Proxy::to_port(echo());
    let mut stream = connect(proxy.address().port()).unwrap();
    assert_eq!(say(&mut stream, "flows").unwrap(), "flows");
    proxy.stall();
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert!(say(&mut stream, "held").is_err());
    proxy.resume();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut held = [0; 4];
    stream.read_exact(&mut held).unwrap();
    assert_eq!(&held, b"held");
}

#[test]
fn the_server_certificate_is_verified_by_its_authority_only() {
    let certificates = Certificates::new();
    let verifies = |ca: &Pem, one: &Pem| {
        let mut openssl = Command::new("openssl");
        openssl.arg("verify").arg("-CAfile").arg(&ca.certificate_file).arg(&one.certificate_file);
        openssl.output().unwrap().status.success()
    };
    assert!(verifies(&certificates.ca, &certificates.server));
    assert!(verifies(&certificates.ca, &certificates.client));
    assert!(!verifies(&certificates.wrong_ca, &certificates.server));
}

#[test]
fn a_nats_server_takes_the_certificates() {
    let certificates = Certificates::new();
    let server = NatsServer::start(NatsVersion::Current, &certificates.nats_tls(true));
    let varz = server.monitoring("/varz").unwrap();
    assert!(varz.contains("\"tls_required\": true") && varz.contains("\"tls_verify\": true"), "{varz}");
}

#[test]
fn an_answer_that_is_no_success_is_no_answer() {
    let server = NatsServer::start(NatsVersion::Current, "");
    assert!(server.monitoring("/no-such-page").is_none());
    assert!(get(server.port(), "/").is_none());
}

fn check_cluster(version: NatsVersion) {
    let mut cluster = NatsCluster::start(version, 3);
    assert_eq!(cluster.urls().len(), 3);
    let first = cluster.leader();
    cluster.kill(first);
    assert_ne!(cluster.leader(), first);
    cluster.restart(first);
    assert!(cluster.node(first).monitoring("/healthz").is_some());
}

/// Asks JetStream over a bare connection.
fn ask(port: u16, subject: &str, request: &str) -> serde_json::Value {
    let mut stream = connect(port).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = request.len();
    let text = format!(
        "CONNECT {{\"verbose\":false}}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{request}\r\n"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut lines = std::io::BufReader::new(stream).lines().map(|line| line.unwrap());
    lines.find(|line| line.starts_with("MSG answer ")).unwrap();
    serde_json::from_str(&lines.next().unwrap()).unwrap()
}

#[test]
fn a_new_cluster_takes_a_replicated_stream_at_once() {
    for version in [NatsVersion::Old, NatsVersion::Current] {
        let cluster = NatsCluster::start(version, 3);
        let request = r#"{"name": "orders", "subjects": ["orders"], "num_replicas": 3}"#;
        let answer = ask(cluster.node(0).port(), "$JS.API.STREAM.CREATE.orders", request);
        assert_eq!(answer["config"]["num_replicas"], 3, "{version:?}: {answer}");
    }
}

/// Over 5 s: a NATS cluster takes 4 s and more to notice that its leader is gone, and Kafka takes its time to end.
mod slow {
    use super::*;

    #[test]
    fn a_cluster_has_a_leader_after_its_leader_was_killed_and_takes_it_back() {
        check_cluster(NatsVersion::Current);
    }

    #[test]
    fn a_cluster_of_old_servers_has_a_leader_after_its_leader_was_killed_and_takes_it_back() {
        check_cluster(NatsVersion::Old);
    }

    #[test]
    fn a_broker_of_ones_own_is_killed_and_comes_back() {
        let mut broker = KafkaBroker::start();
        let address = broker.address().parse().unwrap();
        assert!(kafka::answers(address));
        broker.kill();
        assert!(!kafka::answers(address));
        broker.restart();
        assert!(kafka::answers(address));
    }

    #[test]
    #[should_panic(expected = "Address already in use")]
    fn a_broker_that_does_not_start_fails_with_its_log() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let mut broker = KafkaBroker::prepared([port, free_port(), free_port()], port, "");
        assert!(broker.launch(), "Kafka ended:\n{}", broker.log());
    }
}
