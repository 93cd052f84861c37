//! Requests over real sockets, through the front and onto a bus.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bus_core::{Bus, EntryBody, EntryKind, MemoryBus, ReadFilter, Retention};
use eventsource_core::{Deps, Factory, Front, Metrics, Readiness, Running, Sources};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zetes_api::EventSource;
use zetes_runtime::{Clock, Registry, Secrets, SecretsBuilder};
use zetes_vectors::{Count, Row};

use crate::webhook::Webhook;

/// One EventSource that is served.
struct Served {
    bus: Arc<MemoryBus>,
    front: Front,
    address: SocketAddr,
    running: Running,
}

fn factory(kind: &str) -> Option<Factory> {
    match kind {
        "webhook" => Some(Factory::of::<Webhook>()),
        _ => None,
    }
}

async fn serve(spec: Value, secrets: SecretsBuilder, retention: Retention) -> Served {
    let bus = Arc::new(MemoryBus::new(retention, Arc::new(|| Timestamp::UNIX_EPOCH)));
    let front = Front::new(Ipv4Addr::LOCALHOST.into());
    let deps = Deps {
        bus: bus.clone(),
        clock: Clock::system(),
        secrets: secrets.build(),
        front: front.clone(),
        metrics: Metrics::register(&Registry::new()),
    };
    let object: EventSource =
        serde_json::from_value(json!({"metadata": {"name": "hooks"}, "spec": spec})).unwrap();
    let running = Sources::start(&object, factory, &deps, &Readiness::at_once());
    let opened = async {
        loop {
            if let Some(address) = front.local_addr(0).await {
                return address;
            }
            tokio::task::yield_now().await;
        }
    };
    let address = tokio::time::timeout(Duration::from_secs(10), opened).await.unwrap_or_else(|_| {
        let states: Vec<_> = running.observer().status();
        panic!("the port was not opened: {states:?}")
    });
    Served { bus, front, address, running }
}

impl Served {
    /// Sends bytes and reads until the server closes.
    async fn send(&self, request: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
            .await
            .expect("an answer")
            .unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, body.to_owned())
    }

    /// The data of every event on the bus.
    async fn data(&self) -> Vec<String> {
        let page = self.bus.read(EntryKind::Event, 0..u64::MAX, ReadFilter::default()).await.unwrap();
        let events = page.entries.into_iter().filter_map(|entry| match entry.body {
            EntryBody::Event(event) => Some(event.data_text().unwrap().to_owned()),
            EntryBody::Record(_) => None,
        });
        events.collect()
    }
}

fn secret(name: &str, key: &str, value: &str) -> SecretsBuilder {
    let mut secrets = Secrets::builder();
    let document = json!({"metadata": {"name": name}, "stringData": {key: value}});
    secrets.secret("default".into(), &serde_json::from_value(document).unwrap()).unwrap();
    secrets
}

/// The row's configuration: how its token is given is the vectors' own way.
fn configured(row: &Row) -> (Value, SecretsBuilder, Retention) {
    let mut config = row.input["webhook"].clone();
    let members = config.as_object_mut().unwrap();
    members.insert("port".to_owned(), json!("0"));
    let token = members.shift_remove("token");
    let refused = members.shift_remove("busRefuses").is_some() | members.shift_remove("busDown").is_some();
    if token.is_some() {
        members.insert("authSecret".to_owned(), json!({"name": "token", "key": "token"}));
    }
    if members.shift_remove("authSecretUnreadable").is_some() {
        members.insert("authSecret".to_owned(), json!({"name": "absent", "key": "token"}));
    }
    let secrets = match token.as_ref().and_then(Value::as_str) {
        Some(token) => secret("token", "token", token),
        None => Secrets::builder(),
    };
    let max_events = if refused { Some(0) } else { None };
    (config, secrets, Retention { max_events, ..Retention::default() })
}

/// What ours answers where it is not what the reference answers, and the decision.
fn decided(row: &Row) -> Option<(u16, &'static str)> {
    let webhook = &row.input["webhook"];
    let is_form = row.input["request"].as_str().unwrap().contains("urlencoded");
    if webhook.get("authSecretUnreadable").is_some() {
        return Some((404, "S35: what names a secret that can't be read is not served"));
    }
    let is_form_taken = webhook.get("maxPayloadSize").is_some() && is_form && row.expect["status"] == 200;
    is_form_taken.then_some((413, "S26: the limit holds for forms, too"))
}

/// What was answered and published, if it is not what was expected. Texts of refusals are free.
async fn difference(row: &Row) -> Option<String> {
    let (config, secrets, retention) = configured(row);
    let other = json!({"endpoint": "/served-in-any-case", "port": "0", "method": "POST"});
    let served = serve(json!({"webhook": {"event": config, "other": other}}), secrets, retention).await;
    let (status, text) = served.send(row.input["request"].as_str().unwrap()).await;
    let decided = decided(row).map(|(status, _)| status);
    // A form that can't be read is the caller's mistake.
    let expected = match decided {
        Some(status) => json!(status),
        None if row.expect["status"] == 500 => json!(400),
        None => row.expect["status"].clone(),
    };
    let data: Vec<Value> =
        served.data().await.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let wanted = row.expect["data"].as_str().filter(|_| decided.is_none());
    let wanted: Vec<Value> = wanted.map(|data| serde_json::from_str(data).unwrap()).into_iter().collect();
    if json!(status) == expected && data == wanted && (status != 200 || row.expect["text"] == json!(text)) {
        return None;
    }
    Some(format!("expected {expected} {wanted:?}, got {status} `{text}` {data:?}"))
}

#[tokio::test]
async fn vectors_of_requests_answers_and_data() {
    let mut count = Count::of("webhook-http");
    for row in zetes_vectors::rows("webhook-http") {
        match (difference(&row).await, decided(&row)) {
            (Some(difference), _) => count.differs(&row, &difference),
            (None, Some((_, decision))) => count.decided(decision),
            (None, None) => count.equal(),
        }
    }
    count.end();
}

#[tokio::test]
async fn a_bus_that_takes_nothing_is_answered_with_503_and_when_to_come_again() {
    let full = Retention { max_events: Some(0), ..Retention::default() };
    let served = serve(
        json!({"webhook": {"e": {"endpoint": "/e", "port": "0", "method": "POST"}}}),
        Secrets::builder(),
        full,
    )
    .await;
    let answer =
        reqwest_client().post(format!("http://{}/e", served.address)).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
}

fn reqwest_client() -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).build().unwrap()
}

#[tokio::test]
async fn a_port_with_a_certificate_speaks_tls() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut secrets = Secrets::builder();
    let document = json!({"metadata": {"name": "tls"}, "stringData": {"crt": certified.cert.pem(), "key": certified.signing_key.serialize_pem()}});
    secrets.secret("default".into(), &serde_json::from_value(document).unwrap()).unwrap();
    let spec = json!({"webhook": {"e": {
        "endpoint": "/e", "port": "0", "method": "POST",
        "serverCertSecret": {"name": "tls", "key": "crt"}, "serverKeySecret": {"name": "tls", "key": "key"},
    }}});
    let served = serve(spec, secrets, Retention::default()).await;
    let post = reqwest_client().post(format!("https://{}/e", served.address)).body("{}").send();
    assert_eq!(post.await.unwrap().status(), 200);
}

/// Events `a` and `b` on one port, both over TLS, with the client CAs of these secrets; `served` are those that are reached.
async fn with_client_cas(cas: [&str; 2]) -> Vec<String> {
    let (ours, others) = (zetes_services::Certificates::new(), zetes_services::Certificates::new());
    let mut secrets = Secrets::builder();
    let document = json!({"metadata": {"name": "tls"}, "stringData": {
        "crt": ours.server.certificate, "key": ours.server.key,
        "ca": ours.ca.certificate, "copy": ours.ca.certificate, "other": others.ca.certificate,
    }});
    secrets.secret("default".into(), &serde_json::from_value(document).unwrap()).unwrap();
    let secret = |key: &str| json!({"name": "tls", "key": key});
    let event = |path: &str, ca: &str| {
        let mut event = json!({
            "endpoint": path, "port": "0", "method": "POST",
            "serverCertSecret": secret("crt"), "serverKeySecret": secret("key"),
        });
        if !ca.is_empty() {
            event["verify"] = json!({"mtls": {"clientCASecret": secret(ca)}});
        }
        event
    };
    let spec = json!({"webhook": {"a": event("/a", cas[0]), "b": event("/b", cas[1])}});
    let served = serve(spec, secrets, Retention::default()).await;
    eventsource_core::testkit::eventually("both to serve or to fail", async || {
        let states = served.running.observer().status();
        let told = states.iter().map(|part| match &part.state {
            eventsource_core::PartState::Serving => Some("serves".to_owned()),
            eventsource_core::PartState::Failed { error, .. } => Some(error.clone()),
            _ => None,
        });
        let told: Option<Vec<_>> = told.collect();
        // A part serves from when it is connected; one that can't have its route fails at once afterwards.
        told.filter(|told| cas != ["ca", "other"] || told.iter().any(|one| one != "serves"))
    })
    .await
}

#[tokio::test]
async fn two_client_cas_on_one_port_are_told_and_one_of_them_is_served() {
    let mut told = with_client_cas(["ca", "other"]).await;
    told.sort();
    assert_eq!(told[1], "serves");
    let begin = "port 0 accepts client certificates of another CA, that of eventsource/default/hooks event `";
    assert!(told[0].starts_with(begin), "{}", told[0]);
    assert!(
        told[0].ends_with("TLS is per port: name the same `clientCASecret` or take another port"),
        "{}",
        told[0]
    );
}

#[tokio::test]
async fn one_client_ca_or_none_beside_it_fits_on_one_port() {
    for cas in [["ca", "ca"], ["ca", "copy"], ["ca", ""], ["", ""]] {
        assert_eq!(with_client_cas(cas).await, ["serves", "serves"], "{cas:?}");
    }
}

#[tokio::test]
async fn of_two_certificates_on_one_port_one_is_shown_and_both_events_are_reached() {
    let (ours, others) = (zetes_services::Certificates::new(), zetes_services::Certificates::new());
    let mut secrets = Secrets::builder();
    for (name, certificates) in [("ours", &ours), ("others", &others)] {
        let pair = json!({"crt": certificates.server.certificate, "key": certificates.server.key});
        let document = json!({"metadata": {"name": name}, "stringData": pair});
        secrets.secret("default".into(), &serde_json::from_value(document).unwrap()).unwrap();
    }
    let event = |path: &str, name: &str| {
        json!({
            "endpoint": path, "port": "0", "method": "POST",
            "serverCertSecret": {"name": name, "key": "crt"}, "serverKeySecret": {"name": name, "key": "key"},
        })
    };
    let spec = json!({"webhook": {"a": event("/a", "ours"), "b": event("/b", "others")}});
    let served = serve(spec, secrets, Retention::default()).await;
    for path in ["/a", "/b"] {
        let url = format!("https://{}{path}", served.address);
        eventsource_core::testkit::eventually("both events", async || {
            let answer = reqwest_client().post(&url).body("{}").send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn two_events_share_a_port_and_health_answers_beside_them() {
    let spec = json!({"webhook": {
        "a": {"endpoint": "/a", "port": "0", "method": "POST"},
        "b": {"endpoint": "/b", "port": "0", "method": "POST"},
    }});
    let served = serve(spec, Secrets::builder(), Retention::default()).await;
    for path in ["/a", "/b"] {
        // The second route may be a moment behind the first, which opened the port.
        loop {
            let answer = reqwest_client()
                .post(format!("http://{}{path}", served.address))
                .body("{}")
                .send()
                .await
                .unwrap();
            if answer.status() == 200 {
                break;
            }
        }
    }
    assert_eq!(
        reqwest_client()
            .get(format!("http://{}/health", served.address))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "OK"
    );
    assert_eq!(
        reqwest_client().get(format!("http://{}/c", served.address)).send().await.unwrap().status(),
        404
    );
    served.front.stop(Duration::from_secs(5)).await;
    assert!(TcpStream::connect(served.address).await.is_err(), "a stopped front accepts nothing");
}
