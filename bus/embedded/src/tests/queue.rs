//! What waits to be written is bounded, and a group is what there is.

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::*;
use crate::queue::{Queue, Request};

fn request() -> Request {
    Request::Commit { changes: Vec::new(), answer: oneshot::channel().0 }
}

#[tokio::test]
async fn who_sends_more_than_there_is_room_for_waits_until_something_is_done() {
    let queue = Queue::new(1_000);
    queue.send(request(), 600).await.unwrap();
    let mut second = Box::pin(queue.send(request(), 600));
    assert!(second.as_mut().now_or_never().is_none(), "1,200 bytes found room in 1,000");
    // Taken is not done: the bytes are in memory until then.
    let group = queue.take(1, Duration::ZERO, Duration::ZERO).unwrap();
    assert_eq!(group.len(), 1);
    assert!(second.as_mut().now_or_never().is_none(), "what is being written still takes room");
    drop(group);
    second.await.unwrap();
    // What is larger than all the room there is has it to itself.
    let mut large = Box::pin(queue.send(request(), 5_000));
    assert!(large.as_mut().now_or_never().is_none());
    drop(queue.take(1, Duration::ZERO, Duration::ZERO));
    large.await.unwrap();
}

#[tokio::test]
async fn one_request_is_a_group_and_a_closed_queue_takes_none() {
    let queue = Queue::new(1_000);
    assert!(queue.take(1, Duration::ZERO, Duration::ZERO).unwrap().is_empty());
    queue.send(request(), 10).await.unwrap();
    queue.send(request(), 10).await.unwrap();
    assert_eq!(queue.take(1, Duration::ZERO, Duration::ZERO).unwrap().len(), 2, "all there is");
    queue.close();
    assert!(queue.take(1, Duration::ZERO, Duration::ZERO).is_none());
    assert!(matches!(queue.send(request(), 10).await, Err(BusError::Closed)));
}
