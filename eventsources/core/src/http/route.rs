//! Routes: which port and path belong to whom.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use regex::Regex;
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
    /// Names of which a caller's certificate must have one, where the TLS asks for certificates; empty for any.
    pub allowed_clients: Vec<String>,
}

pub(crate) type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// A route that is being served.
pub(crate) struct Route {
    pub(crate) spec: RouteSpec,
    pub(crate) owner: Context,
    pub(crate) handler: Handler,
    pattern: Regex,
}

impl Route {
    /// # Errors
    /// A segment's expression can't be read.
    pub(crate) fn new(spec: RouteSpec, owner: Context, handler: Handler) -> Result<Self, regex::Error> {
        let pattern = pattern(&spec.key.path)?;
        Ok(Self { spec, owner, handler, pattern })
    }

    /// Whether both are the same place of the same event.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.spec.key == other.spec.key && self.owner.owner() == other.owner.owner()
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.pattern.is_match(path)
    }
}

/// `{name}` stands for one segment, `{name:expression}` for what the expression matches.
fn pattern(path: &str) -> Result<Regex, regex::Error> {
    let mut pattern = String::from("^");
    let mut rest = path;
    while let Some((plain, variable)) = rest.split_once('{') {
        let Some((variable, after)) = variable.split_once('}') else { break };
        pattern.push_str(&regex::escape(plain));
        let expression = variable.split_once(':').map_or("[^/]+", |(_, expression)| expression);
        pattern = pattern + "(?:" + expression + ")";
        rest = after;
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    regex::RegexBuilder::new(&pattern).size_limit(1 << 20).build()
}

/// The path without empty, `.` and `..` segments, if it has any: callers are sent there.
pub(crate) fn cleaned(path: &str) -> Option<String> {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let slash = if path.len() > 1 && path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    let clean = format!("/{}{slash}", segments.join("/"));
    (clean != path).then_some(clean)
}
