//! A server of `proto/eventing.proto`, as users write them, whose streams a test fills.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use eventsource_core::testkit::eventually;
use eventsource_generic::{Event, Wanted};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::{Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use zetes_services::{Tls, free_port};

#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'s> {
    pub(crate) tls: Tls<'s>,
    /// Callers must show it.
    pub(crate) token: Option<&'static str>,
    /// It has no such method.
    pub(crate) knows_nothing: bool,
}

/// It has threads of its own, so that a test may end it as by SIGKILL.
pub(crate) struct Server {
    runtime: Option<Runtime>,
    address: SocketAddr,
    tls: Option<ServerTlsConfig>,
    eventing: Eventing,
}

type Item = Result<Event, Status>;

/// What it knows of its callers.
#[derive(Clone)]
struct Eventing {
    name: &'static str,
    token: Option<&'static str>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
    /// To the newest caller.
    stream: Arc<Mutex<Option<mpsc::Sender<Item>>>>,
}

impl Server {
    pub(crate) fn start(settings: &Settings<'_>) -> Self {
        let name = if settings.knows_nothing { "/other" } else { eventsource_generic::METHOD };
        let eventing =
            Eventing { name, token: settings.token, asked: Arc::default(), stream: Arc::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut server = Self { runtime: None, address, tls: tls(settings.tls), eventing };
        server.restart();
        server
    }

    pub(crate) fn restart(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut builder = tonic::transport::Server::builder();
        if let Some(tls) = self.tls.clone() {
            builder = builder.tls_config(tls).unwrap();
        }
        let serving = builder.add_service(self.eventing.clone()).serve(self.address);
        runtime.spawn(async { serving.await.unwrap() });
        self.runtime = Some(runtime);
        zetes_services::eventually("the server to listen", || TcpStream::connect(self.address).ok());
    }

    /// Every connection ends.
    pub(crate) fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        *self.eventing.stream.lock().unwrap() = None;
        zetes_services::eventually("the server to end", || TcpStream::connect(self.address).err());
    }

    /// `127.0.0.1:<port>`
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// `localhost:<port>`, for TLS.
    pub(crate) fn tls_address(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    /// Name and configuration of each call that was let in.
    pub(crate) fn asked(&self) -> Vec<(String, String)> {
        self.eventing.asked.lock().unwrap().clone()
    }

    /// To the newest caller, as soon as there is one.
    pub(crate) async fn send(&self, payload: impl Into<String>) {
        let payload = payload.into().into_bytes().into();
        self.give(Ok(Event { name: "not looked at".to_owned(), payload })).await;
    }

    /// Ends the stream of the newest caller, as soon as there is one.
    pub(crate) async fn end(&self, status: Option<Status>) {
        if let Some(status) = status {
            self.give(Err(status)).await;
        }
        *self.eventing.stream.lock().unwrap() = None;
    }

    async fn give(&self, item: Item) {
        eventually("a caller", async || {
            let stream = self.eventing.stream.lock().unwrap().clone()?;
            stream.send(item.clone()).await.ok()
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn tls(tls: Tls<'_>) -> Option<ServerTlsConfig> {
    let (certificates, is_mutual) = match tls {
        Tls::Off => return None,
        Tls::Server(certificates) => (certificates, false),
        Tls::Mutual(certificates) => (certificates, true),
    };
    let identity = Identity::from_pem(&certificates.server.certificate, &certificates.server.key);
    let config = ServerTlsConfig::new().identity(identity);
    let ca = Certificate::from_pem(&certificates.ca.certificate);
    Some(if is_mutual { config.client_ca_root(ca) } else { config })
}

impl NamedService for Eventing {
    const NAME: &'static str = "generic.Eventing";
}

impl Service<http::Request<Body>> for Eventing {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let eventing = self.clone();
        Box::pin(async move {
            if request.uri().path() != eventing.name {
                return Ok(Status::unimplemented("").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).server_streaming(eventing, request).await)
        })
    }
}

impl ServerStreamingService<Wanted> for Eventing {
    type Response = Event;
    type ResponseStream = BoxStream<'static, Item>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Wanted>) -> Self::Future {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if self.token.is_some() && shown != self.token.map(|token| format!("Bearer {token}")).as_deref() {
            return std::future::ready(Err(Status::unauthenticated("who are you")));
        }
        let Wanted { name, config } = request.into_inner();
        self.asked.lock().unwrap().push((name, String::from_utf8_lossy(&config).into_owned()));
        let (sender, mut receiver) = mpsc::channel(16);
        *self.stream.lock().unwrap() = Some(sender);
        let items = stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed();
        std::future::ready(Ok(Response::new(items)))
    }
}
