//! What is sent without waiting for an answer: naks, progress, acknowledgements of what was not asked for. A task of the bus sends
//! them in order. When its queue is full they are not sent, and the ack deadline does it.

use std::time::Duration;

use async_nats::Subject;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};

use crate::link::Status;

const QUEUE: usize = 16_384;

pub(crate) const ACK: &[u8] = b"+ACK";
const NAK: &[u8] = b"-NAK";
const PROGRESS: &[u8] = b"+WPI";

enum Signal {
    Send(Subject, Bytes),
    /// Answered when everything before it is sent.
    Flush(oneshot::Sender<()>),
}

/// The way to the task.
#[derive(Clone, Debug)]
pub(crate) struct Signals(mpsc::Sender<Signal>);

/// What the task takes from.
pub(crate) struct Queue(mpsc::Receiver<Signal>);

impl Signals {
    pub(crate) fn new() -> (Self, Queue) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), Queue(receiver))
    }

    pub(crate) fn ack(&self, reply: Subject) {
        self.send(reply, Bytes::from_static(ACK));
    }

    pub(crate) fn nak(&self, reply: Subject, delay: Duration) {
        let payload = if delay.is_zero() {
            Bytes::from_static(NAK)
        } else {
            format!("-NAK {{\"delay\":{}}}", delay.as_nanos()).into()
        };
        self.send(reply, payload);
    }

    pub(crate) fn progress(&self, reply: Subject) {
        self.send(reply, Bytes::from_static(PROGRESS));
    }

    fn send(&self, reply: Subject, payload: Bytes) {
        // A full queue leaves it to the ack deadline.
        let _is_queued = self.0.try_send(Signal::Send(reply, payload)).is_ok();
    }

    /// Returns when everything before is sent, or the task has ended.
    pub(crate) async fn flush(&self) {
        let (sender, done) = oneshot::channel();
        if self.0.send(Signal::Flush(sender)).await.is_ok() {
            let _is_done = done.await.is_ok();
        }
    }
}

/// Sends until the bus is gone. What comes while there is no connection waits for one.
pub(crate) async fn send(mut queue: Queue, mut status: watch::Receiver<Status>) {
    while let Some(signal) = queue.0.recv().await {
        match signal {
            Signal::Send(reply, payload) => {
                let Some(live) = live(&mut status).await else { continue };
                // A connection that is lost meanwhile leaves it to the ack deadline.
                let _is_sent = live.client.publish(reply, payload).await.is_ok();
            }
            Signal::Flush(done) => {
                let _is_awaited = done.send(()).is_ok();
            }
        }
    }
}

/// The connection, once there is one; `None` when the bus is closed.
pub(crate) async fn live(status: &mut watch::Receiver<Status>) -> Option<std::sync::Arc<crate::link::Live>> {
    let found = status.wait_for(|status| !matches!(status, Status::Away(_))).await.ok()?;
    found.live().ok()
}
