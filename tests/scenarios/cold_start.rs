//! Sockets open only when the subscriptions are durable.

use crate::harness::{Target, Zetes, client, eventually, free_port, pause, post_to_call, spawn};

#[tokio::test(flavor = "multi_thread")]
async fn posts_that_arrive_before_the_process_is_up_are_lost_only_if_refused() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &post_to_call(port, &target.url("/call")))]);
    let calls = spawn(async move {
        let mut accepted = Vec::new();
        for number in 0.. {
            let request = client()
                .post(format!("http://127.0.0.1:{port}/post"))
                .body(format!(r#"{{"number": {number}}}"#));
            match request.send().await {
                Ok(answer) if answer.status() == 200 => accepted.push(format!(r#"{{"number":"{number}"}}"#)),
                _ => pause().await,
            }
            if accepted.len() == 200 {
                break;
            }
        }
        accepted
    });
    zetes.spawn();
    let accepted = calls.await.unwrap();
    eventually("a call for every post that got a 200", || async {
        let there: Vec<String> = target.calls().into_iter().map(|call| call.body).collect();
        accepted.iter().all(|body| there.contains(body)).then_some(())
    })
    .await;
    assert!(zetes.is_running());
}
