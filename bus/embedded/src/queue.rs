//! What waits to be written, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bus_core::{BusError, Change, Identity, Receipt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zetes_api::{Event, Namespace};

use crate::codec::Effect;

/// Requests and bytes of one group.
const GROUP_REQUESTS: usize = 4_096;
const GROUP_BYTES: usize = 8 << 20;

pub(crate) type Answer<T> = oneshot::Sender<Result<T, BusError>>;

/// An event, encoded before the writer sees it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) namespace: Namespace,
    pub(crate) identity: Identity,
    pub(crate) event: Arc<Event>,
    /// Where its entry ends in the batch's bytes.
    pub(crate) end: usize,
}

/// What the writer is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    Publish {
        events: Vec<Prepared>,
        entries: Vec<u8>,
        answer: Answer<Vec<Receipt>>,
    },
    Commit {
        changes: Vec<Change>,
        answer: Answer<()>,
    },
    /// Consumers, created and removed.
    Write {
        effect: Effect,
        answer: Answer<()>,
    },
    Close {
        answer: Answer<()>,
    },
}

/// A request that waits, with the room that it takes.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) request: Request,
    bytes: usize,
    _room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Condvar,
    room: Arc<Semaphore>,
    limit: usize,
}

#[derive(Debug)]
struct Waiting {
    asks: VecDeque<Ask>,
    /// The writer is woken when there are so many.
    wanted: usize,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(bytes: usize) -> Self {
        let limit =
            bytes.clamp(1, Semaphore::MAX_PERMITS.min(usize::try_from(u32::MAX).unwrap_or(usize::MAX)));
        let waiting = Waiting { asks: VecDeque::new(), wanted: 1, closed: false };
        Self {
            waiting: Mutex::new(waiting),
            came: Condvar::new(),
            room: Arc::new(Semaphore::new(limit)),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room and leaves the request there. Cancel safe: a request that was not left there is not carried out.
    pub(crate) async fn send(&self, request: Request, bytes: usize) -> Result<(), BusError> {
        let permits = u32::try_from(bytes.min(self.limit)).unwrap_or(u32::MAX);
        let room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| BusError::Closed)?;
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(BusError::Closed);
        }
        waiting.asks.push_back(Ask { request, bytes, _room: room });
        let is_enough = waiting.asks.len() >= waiting.wanted;
        drop(waiting);
        if is_enough {
            self.came.notify_one();
        }
        Ok(())
    }

    /// A group of requests: at once what there is, or what comes within `linger` until there are `wanted` of them. Empty when nothing came
    /// within `patience`; `None` when the queue is closed and empty.
    pub(crate) fn take(&self, wanted: usize, linger: Duration, patience: Duration) -> Option<Vec<Ask>> {
        let mut waiting = self.lock();
        waiting.wanted = 1;
        let wait = self
            .came
            .wait_timeout_while(waiting, patience, |waiting| waiting.asks.is_empty() && !waiting.closed);
        waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
        if waiting.asks.is_empty() {
            return if waiting.closed { None } else { Some(Vec::new()) };
        }
        if waiting.asks.len() < wanted && !linger.is_zero() {
            waiting.wanted = wanted;
            let wait = self.came.wait_timeout_while(waiting, linger, |waiting| {
                waiting.asks.len() < wanted && !waiting.closed
            });
            waiting = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.wanted = 1;
        let (mut group, mut bytes) = (Vec::with_capacity(waiting.asks.len().min(GROUP_REQUESTS)), 0);
        while group.len() < GROUP_REQUESTS
            && bytes < GROUP_BYTES
            && let Some(ask) = waiting.asks.pop_front()
        {
            bytes += ask.bytes;
            group.push(ask);
        }
        Some(group)
    }

    /// Takes nothing any more; what waits is left to the writer.
    pub(crate) fn close(&self) {
        self.room.close();
        self.lock().closed = true;
        self.came.notify_all();
    }

    /// Nobody will carry out what waits.
    pub(crate) fn abandon(&self) {
        self.close();
        self.lock().asks.clear();
    }
}
