//! A provider's API: it records what it is asked, and answers as the test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use http::{Method, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// `POST /v1/webhook_endpoints`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

type Answers = dyn FnMut(&Asked) -> (u16, String) + Send;

/// The API's server. It ends with the value.
pub(crate) struct Provider {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    _serving: JoinSet<()>,
}

struct Shared {
    asked: Arc<Mutex<Vec<Asked>>>,
    answers: Mutex<Box<Answers>>,
}

impl Provider {
    pub(crate) async fn start(answers: impl FnMut(&Asked) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let shared = Arc::new(Shared { asked: asked.clone(), answers: Mutex::new(Box::new(answers)) });
        let app = axum::Router::new().fallback(answer).with_state(shared);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, asked, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    head: http::request::Parts,
    body: String,
) -> (StatusCode, String) {
    let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let asked = Asked { method: head.method, path, headers: head.headers, body };
    let (status, text) = (shared.answers.lock().unwrap())(&asked);
    shared.asked.lock().unwrap().push(asked);
    (StatusCode::from_u16(status).unwrap(), text)
}
