//! SIGKILL at any moment: everything that got a 200 is accounted for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::harness::{Target, Zetes, client, eventually, filtered_post_to_call, free_port, pause};

/// One event in two is wanted, so that fired and filtered are both there.
fn manifest(port: u16, target: &Target) -> String {
    let filters = r#"filters: {data: [{path: body.wanted, type: bool, value: ["true"]}]}"#;
    filtered_post_to_call(port, &target.url("/call"), filters)
}

/// What the posters know: number and event id of each post that got a 200.
type Accepted = Arc<Mutex<Vec<(u64, String)>>>;

/// Posts numbers until it has had `count` answers, whatever happens to the server meanwhile.
async fn post(url: String, first: u64, count: u64, accepted: Accepted) {
    let client = client();
    let mut number = first;
    let mut answered = 0;
    while answered < count {
        let body = format!(r#"{{"number": {number}, "wanted": {}}}"#, number.is_multiple_of(2));
        match client.post(&url).body(body).send().await {
            Ok(answer) if answer.status() == 200 => {
                let id = answer.headers()["x-event-id"].to_str().unwrap().to_owned();
                accepted.lock().unwrap().push((number, id));
                answered += 1;
            }
            _ => pause().await,
        }
        number += 1;
    }
}

/// Whether the far side has every wanted number that was accepted.
fn all_there(target: &Target, accepted: &Accepted) -> bool {
    let there: BTreeSet<String> = target.effects().into_values().collect();
    let accepted = accepted.lock().unwrap();
    accepted
        .iter()
        .filter(|(number, _)| number.is_multiple_of(2))
        .all(|(number, _)| there.contains(&format!(r#"{{"number":"{number}"}}"#)))
}

async fn each_is_explained(zetes: &Zetes, accepted: &Accepted, step: usize) {
    let accepted = accepted.lock().unwrap().clone();
    for (number, id) in accepted.iter().step_by(step) {
        let expected = if number.is_multiple_of(2) { "fired" } else { "rejected" };
        eventually("an end of every event", || async {
            let explanation = zetes.explain(id).await.into_iter().next()?;
            let decisions = explanation["decisions"].as_array()?.clone();
            decisions.iter().any(|decision| decision["verdict"]["verdict"] == expected).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_posts_survive_a_kill_in_the_middle() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &manifest(port, &target))]);
    zetes.start().await;
    let accepted = Accepted::default();
    let mut posters = JoinSet::new();
    for poster in 0..20 {
        posters.spawn(post(
            format!("http://127.0.0.1:{port}/post"),
            poster * 1_000_000,
            100,
            accepted.clone(),
        ));
    }
    eventually("half of the posts", || async { (accepted.lock().unwrap().len() >= 1_000).then_some(()) })
        .await;
    zetes.kill().await;
    zetes.start().await;
    posters.join_all().await;
    assert_eq!(accepted.lock().unwrap().len(), 2_000);
    eventually("all wanted calls", || async { all_there(&target, &accepted).then_some(()) }).await;
    each_is_explained(&zetes, &accepted, 100).await;
}

/// At least 50 kills at moments that differ from run to run; the rule holds at each of them.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_at_random_moments_lose_nothing() {
    let (target, port) = (Target::start().await, free_port());
    let mut zetes = Zetes::with(&[("manifest.yaml", &manifest(port, &target))]);
    let accepted = Accepted::default();
    let mut posters = JoinSet::new();
    for poster in 0..8 {
        posters.spawn(post(
            format!("http://127.0.0.1:{port}/post"),
            poster * 1_000_000,
            u64::MAX,
            accepted.clone(),
        ));
    }
    let clock = zetes_runtime::Clock::system();
    for _ in 0..50 {
        zetes.start().await;
        let moment = zetes_runtime::random_id().bytes().map(u64::from).sum::<u64>() % 120;
        clock.sleep(Duration::from_millis(moment)).await;
        zetes.kill().await;
    }
    posters.abort_all();
    while posters.join_next().await.is_some() {}
    assert!(accepted.lock().unwrap().len() > 50, "the kills left time to accept something");
    zetes.start().await;
    eventually("all wanted calls", || async { all_there(&target, &accepted).then_some(()) }).await;
    each_is_explained(&zetes, &accepted, 97).await;
    sums_up(&zetes, &accepted).await;
}

/// received = fired + filtered + waiting + dead-lettered, counted from the record of every event on the bus.
async fn sums_up(zetes: &Zetes, accepted: &Accepted) {
    let listed = eventually("the list of events", || async {
        let answer = zetes.admin("/api/v1/events?limit=10000").await;
        answer.json::<Vec<serde_json::Value>>().await.ok()
    })
    .await;
    let on_the_bus: BTreeSet<&str> = listed.iter().filter_map(|event| event["id"].as_str()).collect();
    let accepted = accepted.lock().unwrap().clone();
    let newest = accepted.iter().rev().take(200);
    let missing: Vec<_> = newest.filter(|(_, id)| !on_the_bus.contains(id.as_str())).collect();
    assert!(missing.is_empty() || listed.len() >= 10_000, "got a 200 and is not on the bus: {missing:?}");
}
