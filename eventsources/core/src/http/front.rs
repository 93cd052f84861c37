//! Ports: each is opened once, and serves the routes of many event sources.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::route::{Route, RouteKey};
use super::serve;
use super::tls::{PortTls, ServerTls};
use crate::Error;

/// All ports of the process. Clones share them.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    listen: IpAddr,
    ports: tokio::sync::Mutex<BTreeMap<u16, Arc<Port>>>,
    serving: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// One listening port.
pub(crate) struct Port {
    address: SocketAddr,
    /// The oldest first, but a new one of an event stands before the one that it takes over from.
    pub(crate) routes: ArcSwap<Vec<Arc<Route>>>,
    pub(crate) tls: ArcSwapOption<PortTls>,
}

/// Why a route can't be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrontError {
    #[error("port {port} can't be opened on {listen}: {why}")]
    Port { port: u16, listen: IpAddr, why: String },
    #[error("port {} path `{}` is served by {owner}", key.port, key.path)]
    Taken { key: RouteKey, owner: String },
    #[error(
        "port {port} accepts client certificates of another CA, that of {owner}; TLS is per port: name the same `clientCASecret` or take another port"
    )]
    ClientCa { port: u16, owner: String },
    #[error("port {port}: {why}")]
    Tls { port: u16, why: String },
}

/// Keeps a route served; dropping it takes the route away.
pub(crate) struct RouteGuard {
    port: Arc<Port>,
    route: Arc<Route>,
}

impl Front {
    /// Opens no port yet.
    pub fn new(listen: IpAddr) -> Self {
        let stop = CancellationToken::new();
        Self(Arc::new(Inner {
            listen,
            ports: tokio::sync::Mutex::default(),
            serving: Mutex::default(),
            stop,
        }))
    }

    /// Where a port listens; `None` while nothing asked for it. For port 0 the one that the system chose.
    pub async fn local_addr(&self, port: u16) -> Option<SocketAddr> {
        self.0.ports.lock().await.get(&port).map(|port| port.address)
    }

    /// Serves a route until its guard is dropped. The same owner may add a route that it has already: the new one takes over.
    pub(crate) async fn add(&self, route: Route) -> Result<RouteGuard, FrontError> {
        // Until the route is there, nobody else adds one.
        let mut ports = self.0.ports.lock().await;
        let port = self.port(&mut ports, route.spec.key.port).await?;
        let route = Arc::new(route);
        agrees(&port.routes.load(), &route)?;
        port.routes.rcu(|routes| {
            let mut routes = Vec::clone(routes);
            let before = routes.iter().position(|one| one.is_same(&route)).unwrap_or(routes.len());
            routes.insert(before, route.clone());
            routes
        });
        let routes = port.routes.load();
        let all = routes.iter().filter(|one| Arc::ptr_eq(one, &route) || !one.is_same(&route));
        let tls = ServerTls::of_port(all.filter_map(|route| route.spec.tls.as_ref()));
        let number = route.spec.key.port;
        let guard = RouteGuard { port: port.clone(), route };
        let tls = tls.map_err(|error: Error| FrontError::Tls { port: number, why: error.to_string() })?;
        port.tls.store(tls.map(Arc::new));
        Ok(guard)
    }

    async fn port(&self, ports: &mut BTreeMap<u16, Arc<Port>>, number: u16) -> Result<Arc<Port>, FrontError> {
        if let Some(port) = ports.get(&number) {
            return Ok(port.clone());
        }
        let failed = |error: std::io::Error| FrontError::Port {
            port: number,
            listen: self.0.listen,
            why: error.to_string(),
        };
        let listener = TcpListener::bind((self.0.listen, number)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let port = Arc::new(Port { address, routes: ArcSwap::default(), tls: ArcSwapOption::empty() });
        ports.insert(number, port.clone());
        let mut serving = self.0.serving.lock().unwrap_or_else(PoisonError::into_inner);
        serving.spawn(serve::port(listener, port.clone(), self.0.stop.clone()));
        tracing::info!(%address, "listening");
        Ok(port)
    }

    /// Accepts nothing more and lets requests in hand finish; what is left after `grace` is cut off.
    pub async fn stop(&self, grace: Duration) {
        self.0.stop.cancel();
        let mut serving = std::mem::take(&mut *self.0.serving.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = async { while serving.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            serving.shutdown().await;
        }
    }
}

/// Whether a route can stand beside those of other events on its port.
fn agrees(routes: &[Arc<Route>], new: &Route) -> Result<(), FrontError> {
    let (key, owner) = (&new.spec.key, new.owner.owner());
    for other in routes.iter().filter(|other| other.owner.owner() != owner) {
        let theirs = other.owner.owner();
        if other.spec.key == *key {
            return Err(FrontError::Taken { key: key.clone(), owner: theirs });
        }
        let (Some(ours), Some(tls)) = (&new.spec.tls, &other.spec.tls) else { continue };
        if !ours.agrees_on_clients(tls) {
            return Err(FrontError::ClientCa { port: key.port, owner: theirs });
        }
        if !ours.shows_as(tls) {
            tracing::warn!(
                port = key.port, %owner, other = %theirs,
                "two certificates for one port: it shows that of the event that came first"
            );
        }
    }
    Ok(())
}

impl Drop for RouteGuard {
    fn drop(&mut self) {
        self.port.routes.rcu(|routes| {
            routes.iter().filter(|route| !Arc::ptr_eq(route, &self.route)).cloned().collect::<Vec<_>>()
        });
    }
}
