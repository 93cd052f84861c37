//! One connection, read only while somebody waits.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use eventsource_core::{Context, Error};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Fuse, FusedFuture as _, select};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, PushInfo, PushKind, RedisError, RedisResult, cmd};
use tokio::time::timeout;

use crate::failure;
use crate::server::Server;

/// A server that has not answered by then is frozen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Commands go out and answers come in only while one of its functions is awaited.
pub(crate) struct Connection {
    pub(crate) server: Server,
    requests: MultiplexedConnection,
    /// Carries bytes for the requests. It rests while nobody waits, so that nothing is read ahead.
    driver: Fuse<BoxFuture<'static, ()>>,
    /// What came without being asked for. Not filled while something is in it.
    heard: Arc<Mutex<VecDeque<PushInfo>>>,
}

impl Connection {
    /// Connected, logged in, and answered.
    pub(crate) async fn open(server: Server, cx: &Context) -> Result<Self, Error> {
        let wire = server.dial(cx).await?;
        let heard = Arc::new(Mutex::new(VecDeque::new()));
        let config = AsyncConnectionConfig::new().set_response_timeout(None).set_push_sender({
            let heard = heard.clone();
            move |push: PushInfo| -> Result<(), ()> {
                if push.kind == PushKind::Message {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push_back(push);
                }
                Ok(())
            }
        });
        let login = server.login(cx)?;
        let opening = timeout(PATIENCE, MultiplexedConnection::new_with_config(&login, wire, config)).await;
        let (requests, driver) =
            opening.map_err(|_| server.silent())?.map_err(|error| failure::of(&server, &error))?;
        let mut connection = Self { server, requests, driver: driver.boxed().fuse(), heard };
        connection.ping().await?;
        Ok(connection)
    }

    /// Whether it is still answered.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        let answer = self.ask::<String>(&cmd("PING"), PATIENCE).await;
        answer.map(drop).map_err(|error| self.failure(&error))
    }

    /// The answer to a command. Given up halfway, the connection must not be used again.
    pub(crate) async fn ask<T: FromRedisValue>(
        &mut self,
        command: &Cmd,
        patience: Duration,
    ) -> RedisResult<T> {
        let answer = command.query_async(&mut self.requests);
        with_driver(&mut self.driver, answer, patience).await
    }

    /// Channels whose messages are then [heard](Self::poll_message).
    pub(crate) async fn subscribe(&mut self, channels: &[String]) -> Result<(), Error> {
        let subscribing = self.requests.subscribe(channels);
        let subscribed = with_driver(&mut self.driver, subscribing, PATIENCE).await;
        subscribed.map_err(|error| self.failure(&error))
    }

    /// The next message; `None` when the connection has ended. Cancel safe.
    pub(crate) fn poll_message(&mut self, task: &mut Task<'_>) -> Poll<Option<PushInfo>> {
        loop {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if heard.is_some() || self.has_ended() {
                return Poll::Ready(heard);
            }
            let driven = self.driver.poll_unpin(task);
            let is_empty = self.heard.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            if is_empty {
                ready!(driven);
            }
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.driver.is_terminated()
    }

    pub(crate) fn failure(&self, error: &RedisError) -> Error {
        failure::of(&self.server, error)
    }
}

async fn with_driver<T>(
    driver: &mut Fuse<BoxFuture<'static, ()>>,
    request: impl Future<Output = RedisResult<T>>,
    patience: Duration,
) -> RedisResult<T> {
    let answered = timeout(patience, async {
        match select(pin!(request), driver).await {
            Either::Left((answer, _)) => answer,
            // The answer may have come with the end; otherwise the end is the answer.
            Either::Right(((), request)) => request.await,
        }
    });
    answered.await.unwrap_or_else(|elapsed| Err(std::io::Error::from(elapsed).into()))
}
