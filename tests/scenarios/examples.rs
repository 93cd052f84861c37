//! Each example does what its README says.

use serde_json::Value;

use crate::harness::{Target, Zetes, client, command, eventually, free_port};

fn example(path: &str) -> String {
    std::fs::read_to_string(format!("{}/examples/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[tokio::test]
async fn every_example_is_valid_without_a_warning() {
    let output = command(&["validate", "--strict", concat!(env!("CARGO_MANIFEST_DIR"), "/examples")])
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
async fn the_example_of_every_adapter_is_valid_without_a_warning() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/eventsources");
    let adapters = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for adapter in adapters.filter(|adapter| !adapter.ends_with("core") && !adapter.ends_with("planned")) {
        let output =
            command(&["validate", "--strict"]).arg(adapter.join("example.yaml")).output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}: {told}", adapter.display());
    }
}

struct Shop {
    zetes: Zetes,
    target: Target,
    url: String,
}

async fn shop() -> Shop {
    let target = Target::start().await;
    let port = free_port();
    let text = example("webhook/webhook.yaml").replace("12001", &port.to_string());
    let text = text.replace("http://127.0.0.1:12998/approvals", &target.url("/approvals"));
    let mut zetes = Zetes::with(&[("webhook.yaml", &text)]);
    zetes.start().await;
    Shop { zetes, target, url: format!("http://127.0.0.1:{port}/orders") }
}

fn verdicts(explanation: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decisions = explanation["decisions"].as_array().cloned().unwrap_or_default();
    decisions
        .iter()
        .map(|decision| (text(&decision["trigger"]), text(&decision["verdict"]["verdict"])))
        .collect()
}

#[tokio::test]
async fn a_large_order_is_logged_and_sent_for_approval_and_a_small_one_only_logged() {
    let shop = shop().await;
    let mut ids = Vec::new();
    for order in [r#"{"id": "a1", "total": 250}"#, r#"{"id": "a2", "total": 5}"#] {
        let request =
            client().post(&shop.url).bearer_auth("let-me-in").header("content-type", "application/json");
        let answer = request.body(order).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        ids.push(answer.headers()["x-event-id"].to_str().unwrap().to_owned());
        assert_eq!(answer.text().await.unwrap(), "success");
    }
    let ended = async |id: &str| {
        let explanations = shop.zetes.explain(id).await;
        explanations.first().map(verdicts).filter(|verdicts| verdicts.len() == 2)
    };
    let large = eventually("two ends of the large order", || ended(&ids[0])).await;
    assert!(
        large.contains(&("note".into(), "fired".into()))
            && large.contains(&("ask-for-approval".into(), "fired".into())),
        "{large:?}"
    );
    let small = eventually("two ends of the small order", || ended(&ids[1])).await;
    assert!(small.contains(&("ask-for-approval".into(), "rejected".into())), "{small:?}");
    let bodies: Vec<String> = shop.target.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies, [r#"{"order":"a1","total":250}"#]);
}

#[tokio::test]
async fn a_webhook_refuses_what_it_cannot_take_and_says_how() {
    let shop = shop().await;
    let post = |token: &str, body: String| {
        client().post(&shop.url).bearer_auth(token).header("content-type", "application/json").body(body)
    };
    assert_eq!(post("wrong", "{}".into()).send().await.unwrap().status(), 401);
    assert_eq!(client().post(&shop.url).body("{}").send().await.unwrap().status(), 401);
    assert_eq!(post("let-me-in", "{\"id\": ".into()).send().await.unwrap().status(), 400);
    assert_eq!(post("let-me-in", "x".repeat(65_537)).send().await.unwrap().status(), 413);
    let wrong_method = client().put(&shop.url).bearer_auth("let-me-in").body("{}").send().await.unwrap();
    assert_eq!(wrong_method.status(), 405);
    assert_eq!(wrong_method.headers()["allow"], "POST");
    let events = shop.zetes.command(&["events", "-o", "json"]).await;
    assert_eq!(
        serde_json::from_slice::<Value>(&events.stdout).unwrap(),
        serde_json::json!([]),
        "nothing of it became an event"
    );
}

#[tokio::test]
async fn an_interval_ticks_and_each_tick_is_an_event_that_fires() {
    let text = example("cron/cron.yaml").replace("interval: 10s", "interval: 1s");
    let mut zetes = Zetes::with(&[("cron.yaml", &text)]);
    zetes.start().await;
    let id = eventually("a tick on the bus", || async {
        let listed = zetes.command(&["events", "-o", "json"]).await;
        let events: Vec<Value> = serde_json::from_slice(&listed.stdout).ok()?;
        Some(events.first()?["id"].as_str()?.to_owned())
    })
    .await;
    let fired = eventually("the tick to fire", || async {
        zetes.explain(&id).await.first().map(verdicts).filter(|verdicts| !verdicts.is_empty())
    })
    .await;
    assert_eq!(fired, [("tick".to_owned(), "fired".to_owned())]);
}
