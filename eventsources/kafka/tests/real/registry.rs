//! A small schema registry.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Default)]
struct Told {
    schemas: BTreeMap<u32, String>,
    /// What callers must show, base64.
    login: Option<String>,
    asked: Vec<String>,
    is_down: bool,
}

/// Ends with the value.
pub(crate) struct Registry {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
    _served: JoinSet<()>,
}

impl Registry {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::<Mutex<Told>>::default();
        let mut served = JoinSet::new();
        let known = told.clone();
        served.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, &known).await;
            }
        });
        Self { address, told, _served: served }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn register(&self, number: u32, schema: &str) {
        self.register_as(number, "AVRO", schema);
    }

    pub(crate) fn register_as(&self, number: u32, kind: &str, schema: &str) {
        let answer = serde_json::json!({"schema": schema, "schemaType": kind}).to_string();
        self.told.lock().unwrap().schemas.insert(number, answer);
    }

    pub(crate) fn want_login(&self, base64: &str) {
        self.told.lock().unwrap().login = Some(base64.to_owned());
    }

    pub(crate) fn is_down(&self, is_down: bool) {
        self.told.lock().unwrap().is_down = is_down;
    }

    /// Paths that were asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.told.lock().unwrap().asked.clone()
    }
}

async fn serve(mut stream: TcpStream, told: &Mutex<Told>) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read(&mut byte).await, Ok(1)) {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = {
        let mut told = told.lock().unwrap();
        told.asked.push(path.to_owned());
        if told.is_down {
            return;
        }
        let schema = path.strip_prefix("/schemas/ids/").and_then(|number| number.parse().ok());
        let (status, body) = match schema.and_then(|number: u32| told.schemas.get(&number)) {
            _ if login_is_missing(&told, &head) => ("401 Unauthorized", "{}".to_owned()),
            Some(schema) => ("200 OK", schema.clone()),
            None => ("404 Not Found", r#"{"error_code": 40403}"#.to_owned()),
        };
        let length = body.len();
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    };
    drop(stream.write_all(answer.as_bytes()).await);
}

fn login_is_missing(told: &Told, head: &str) -> bool {
    told.login.as_ref().is_some_and(|login| !head.contains(&format!("Basic {login}")))
}
