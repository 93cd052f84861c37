//! Routes: which port and path belong to whom.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use zetes_api::SecretKeyRef;

use super::reply::Reply;
use super::serve::Request;
use super::tls::ServerTls;
use crate::Context;

/// A place on the front: two events can't have the same (S27).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteKey {
    /// 0 is a port of the system's choice.
    pub port: u16,
    /// Begins with `/`; `{name}` stands for one segment.
    pub path: String,
}

/// What the front needs to know of a route.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    pub key: RouteKey,
    /// Callers must show this as a bearer token.
    pub auth: Option<SecretKeyRef>,
    /// Bytes of the body.
    pub max_body: usize,
    pub tls: Option<ServerTls>,
}

pub(crate) type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A route that is being served.
pub(crate) struct Route {
    pub(crate) spec: RouteSpec,
    pub(crate) owner: Context,
    pub(crate) handler: Handler,
}

impl Route {
    pub(crate) fn matches(&self, path: &str) -> bool {
        let (mut pattern, mut segments) = (self.spec.key.path.split('/'), path.split('/'));
        loop {
            match (pattern.next(), segments.next()) {
                (None, None) => return true,
                (Some(wanted), Some(found)) if wanted == found => {}
                (Some(wanted), Some(found))
                    if wanted.starts_with('{') && wanted.ends_with('}') && !found.is_empty() => {}
                _ => return false,
            }
        }
    }
}
