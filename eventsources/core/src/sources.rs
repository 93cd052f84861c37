//! All events of one EventSource object.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use zetes_api::{EventName, EventSource as Object};

use crate::filter::Filter;
use crate::supervisor::{Part, supervise};
use crate::{Context, Deps, Factory, PartStatus};

/// Starts EventSource objects.
pub struct Sources;

/// What an event source waits for before it opens anything: the consumers of its events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Readiness(Shared<BoxFuture<'static, ()>>);

impl Readiness {
    /// Nothing to wait for.
    pub fn at_once() -> Self {
        Self::when(std::future::ready(()))
    }

    pub fn when(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(future.boxed().shared())
    }

    pub(crate) async fn wait(self) {
        self.0.await;
    }
}

/// A running EventSource object.
#[derive(Debug)]
pub struct Running {
    tasks: JoinSet<()>,
    stop: CancellationToken,
    events: Vec<Started>,
    parts: Arc<Vec<Part>>,
}

/// One event that was started, and what it takes to undo what it did upstream.
struct Started {
    factory: Factory,
    config: Value,
    cx: Context,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.cx.owner())
    }
}

/// Tells how a running object is; outlives it.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Vec<Part>>);

impl Observer {
    pub fn status(&self) -> Vec<PartStatus> {
        self.0.iter().map(Part::status).collect()
    }
}

impl Sources {
    /// Starts every event whose kind is known to `factory`; the others have been told at load. One that fails never stops
    /// the others. Nothing is received before `ready`.
    pub fn start(
        object: &Object,
        factory: impl Fn(&str) -> Option<Factory>,
        deps: &Deps,
        ready: &Readiness,
    ) -> Running {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let (mut events, mut parts) = (Vec::new(), Vec::new());
        let object_ref = object.object_ref();
        for (kind, event, config) in object.spec.events() {
            let Some(factory) = factory(kind) else { continue };
            let part = Part::new(format!("{object_ref} event `{event}`"));
            let names = (object_ref.namespace.clone(), object_ref.name.clone(), event);
            let typed = (factory.kind().event_type, Filter::of(config));
            let cx = Context::new(deps.clone(), names, typed, part.clone(), stop.clone());
            tasks.spawn(supervise(factory, config.clone(), cx.clone(), ready.clone()));
            events.push(Started { factory, config: config.clone(), cx });
            parts.push(part);
        }
        Running { tasks, stop, events, parts: Arc::new(parts) }
    }
}

impl Running {
    pub fn observer(&self) -> Observer {
        Observer(self.parts.clone())
    }

    /// Refuses new messages, finishes those in hand, and ends; what is left after `grace` is cut off.
    pub async fn stop(mut self, grace: Duration) {
        self.end(grace).await;
    }

    /// As [`Running::stop`], for an object that was changed or deleted: events that `remains` does not know any more are gone for good,
    /// so what they did upstream is undone, hooks that were registered for example (S34). What can't be undone is told.
    pub async fn retire(mut self, grace: Duration, remains: impl Fn(&str, &EventName) -> bool) {
        self.end(grace).await;
        for Started { factory, config, cx } in self.events {
            if remains(factory.kind().key, cx.event()) {
                continue;
            }
            if let Err(error) = factory.retire(&config, &cx.detached()).await {
                warn!(
                    namespace = %cx.namespace(), eventSourceName = %cx.source(), eventName = %cx.event(), %error,
                    "the event source is gone, and what it had made upstream could not be removed; remove it there"
                );
            }
        }
    }

    async fn end(&mut self, grace: Duration) {
        self.stop.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}
