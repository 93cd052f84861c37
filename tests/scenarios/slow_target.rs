//! A slow target is called concurrently; a target that is down costs nothing but time.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{Target, Zetes, client, eventually, free_port, post_to_call};

/// Posts `count` events over 16 connections.
async fn post(port: u16, count: u64) {
    let mut posters = JoinSet::new();
    for poster in 0..16 {
        posters.spawn(async move {
            let client = client();
            for number in (poster..count).step_by(16) {
                let request = client
                    .post(format!("http://127.0.0.1:{port}/post"))
                    .body(format!(r#"{{"number": {number}}}"#));
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
        });
    }
    posters.join_all().await;
}

/// 256 calls in hand at 20 ms each could be 12,800 calls a second; fewer than 20 in hand at a time could not do 1,000. So the
/// number in hand is what is checked here; the rate itself is what `cargo xtask bench` measures.
#[tokio::test(flavor = "multi_thread")]
async fn calls_to_a_slow_target_are_made_concurrently() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    zetes.start().await;
    target.set_duration(Duration::from_millis(200));
    post(port, 1_000).await;
    eventually("all calls", || async { (target.effects().len() == 1_000).then_some(()) }).await;
    assert!(target.most_at_once() >= 40, "only {} calls at a time", target.most_at_once());
    assert!(
        target.most_at_once() <= 256,
        "{} calls at a time, over the documented bound",
        target.most_at_once()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_target_is_down() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    zetes.start().await;
    target.set_down(true);
    post(port, 500).await;
    eventually("attempts that failed", || async {
        (zetes.metric("zetes_attempts_total", &["failed"]).await >= 10.0).then_some(())
    })
    .await;
    target.set_down(false);
    eventually("all calls", || async { (target.effects().len() == 500).then_some(()) }).await;
}
