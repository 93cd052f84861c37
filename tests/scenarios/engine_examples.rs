//! The examples of what a Sensor can say, each through the real executable.

use serde_json::{Value, json};

use crate::harness::{Target, Zetes, client, eventually, free_port};

/// An example that runs, with a target for everything it calls.
struct Example {
    zetes: Zetes,
    target: Target,
    port: u16,
}

impl Example {
    /// The example's manifest with a port of the kernel's choice and shorter times.
    async fn start(name: &str, port: &str, shorter: &[(&str, &str)]) -> Self {
        let path = format!("{}/examples/{name}/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let (target, own) = (Target::start().await, free_port());
        let text = text.replace(port, &own.to_string()).replace("http://127.0.0.1:12998", &target.url(""));
        let text = text.replace("http://127.0.0.1:12997", &target.url(""));
        let text = shorter.iter().fold(text, |text, (long, short)| {
            assert!(text.contains(long), "the example does not say `{long}` any more");
            text.replace(long, short)
        });
        let mut zetes = Zetes::with(&[("manifest.yaml", &text)]);
        zetes.start().await;
        Self { zetes, target, port: own }
    }

    /// Posts and gives the event's id.
    async fn post(&self, path: &str, body: &Value) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let request = client().post(url).header("X-Forge-Event", "push").body(body.to_string());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.headers()["x-event-id"].to_str().unwrap().to_owned()
    }

    /// The calls to a path, once there are so many.
    async fn calls(&self, path: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} calls to {path}"), || async {
            let calls: Vec<Value> = self
                .target
                .calls()
                .into_iter()
                .filter(|call| call.path == path)
                .map(|call| serde_json::from_str(&call.body).unwrap_or(Value::Null))
                .collect();
            (calls.len() >= count).then_some(calls)
        })
        .await
    }

    /// Waits until the story of an event tells something.
    async fn told(&self, id: &str, what: &str) -> String {
        eventually(&format!("`{what}` in the story of {id}"), || async {
            let story = String::from_utf8(self.zetes.command(&["explain", id]).await.stdout).ok()?;
            story.contains(what).then_some(story)
        })
        .await
    }
}

#[tokio::test]
async fn events_are_joined_by_commit_and_a_missing_build_is_noticed() {
    let example = Example::start("join-by-commit", "12010", &[("window: 15m", "window: 3s")]).await;
    let first = example.post("/push", &json!({"after": "c1"})).await;
    example.post("/push", &json!({"after": "c2"})).await;
    example.post("/build", &json!({"commit": "c2", "result": "success", "image": "shop:c2"})).await;
    assert_eq!(example.calls("/release", 1).await, [json!({"commit": "c2", "image": "shop:c2"})]);
    example.told(&first, "waits for `build`").await;
    assert_eq!(example.calls("/not-built", 1).await, [json!({"commit": "c1"})]);
    example.told(&first, "onExpire: fired").await;
    assert_eq!(example.calls("/release", 1).await.len(), 1);
}

#[tokio::test]
async fn the_newest_save_is_rendered_once_and_the_index_gets_a_batch() {
    let shorter = [("wait: 5s", "wait: 2s"), ("wait: 10s", "wait: 2s")];
    let example = Example::start("debounce", "12011", &shorter).await;
    let mut ids = Vec::new();
    for version in 1..=3 {
        ids.push(example.post("/saved", &json!({"name": "a.md", "version": version})).await);
    }
    let rendered = example.calls("/render", 1).await;
    assert_eq!(rendered, [json!({"document": r#"{"name":"a.md","version":3}"#})]);
    assert_eq!(example.calls("/index", 1).await, [json!({"names": ["a.md", "a.md", "a.md"]})]);
    example.told(&ids[0], "replaced by the newer event").await;
    example.told(&ids[2], "held back until").await;
}

#[tokio::test]
async fn a_lua_script_decides_and_another_one_reshapes() {
    let example = Example::start("lua", "12012", &[]).await;
    let severe = json!({"service": "shop", "alerts": [{"severity": 2}, {"severity": 4}]});
    let mild = example.post("/alert", &json!({"service": "shop", "alerts": [{"severity": 1}]})).await;
    let broken = example.post("/alert", &json!({"service": "shop"})).await;
    example.post("/alert", &severe).await;
    let expected = json!({"alert": {"count": 2, "service": "shop", "worst": 4}});
    assert_eq!(example.calls("/page", 1).await, [expected]);
    example.told(&mild, "rejected as `alert` by filters.script").await;
    example.told(&broken, "transform-failed").await;
}

#[tokio::test]
async fn a_jq_program_reshapes_before_the_filters_look() {
    let example = Example::start("jq", "12013", &[]).await;
    let push = |branch: &str, file: &str| json!({"ref": format!("refs/heads/{branch}"), "commits": [{"added": [file], "modified": ["main.go"]}]});
    let other = example.post("/push", &push("main", "b.go")).await;
    example.post("/push", &push("main", "docs/a.md")).await;
    assert_eq!(example.calls("/publish", 1).await, [json!({"files": ["docs/a.md", "main.go"]})]);
    example.told(&other, "rejected as `push` by filters.exprs[0]").await;
}

#[tokio::test]
async fn templates_filter_and_fill_in() {
    let example = Example::start("templates", "12014", &[]).await;
    let commits = json!([{"id": "0123456789"}, {"id": "abcdef0123"}]);
    example.post("/push", &json!({"ref": "refs/heads/feature/New-Cart", "commits": commits})).await;
    let expected = json!({"host": "feature-new-cart", "commits": "0123456, abcdef0", "from": "git/PUSH"});
    assert_eq!(example.calls("/preview", 1).await, [expected]);
    let bare = example.post("/push", &json!({"ref": "refs/heads/feature/x"})).await;
    assert_eq!(example.calls("/preview", 2).await[1]["commits"], "none");
    example.told(&bare, "took the `value` instead").await;
}

#[tokio::test]
async fn an_event_source_keeps_events_from_the_bus_and_says_why() {
    let example = Example::start("source-filter", "12016", &[]).await;
    let commits = json!([{"message": "docs [skip ci]"}, {"message": "fix"}]);
    let push =
        |reference: &str, commits: &Value| json!({"ref": reference, "after": "c1", "commits": commits});
    let skipped = example.post("/hook", &push("refs/heads/main", &json!([{"message": "[skip ci]"}]))).await;
    let broken = example.post("/hook", &json!({"ref": "refs/heads/main"})).await;
    example.post("/hook", &push("refs/heads/main", &commits)).await;
    assert_eq!(example.calls("/build", 1).await, [json!({"commit": "c1"})]);
    example.told(&skipped, "(filter-false)").await;
    let story = example.told(&broken, "(filter-error)").await;
    assert!(story.contains("kept from the bus by its filter"), "{story}");
    let rejected = example.zetes.metric("zetes_events_rejected_total", &["filter-error"]).await;
    assert!((rejected - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn what_failed_is_kept_reported_and_fired_again() {
    let shorter = [("duration: 1s", "duration: 10ms")];
    let example = Example::start("dead-letters", "12015", &shorter).await;
    example.target.set_down(true);
    let id = example.post("/payment", &json!({"id": "p1", "amount": 40})).await;
    example.told(&id, "dead-lettered after 2 attempts").await;
    example.told(&id, "dlqTrigger: given up").await;

    let letters = example.letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["reason"], "attempts-exhausted");
    assert!((example.zetes.metric("zetes_dead_letters", &[]).await - 1.0).abs() < f64::EPSILON);
    let dry = example.zetes.command(&["dlq", "redrive", "--all", "--dry-run"]).await;
    assert!(dry.status.success() && String::from_utf8_lossy(&dry.stderr).contains("1 dead letters would be"));
    assert!(example.target.calls().is_empty(), "a dry run does nothing");

    example.target.set_down(false);
    let redriven = example.zetes.command(&["dlq", "redrive", "--sensor", "payments"]).await;
    assert!(redriven.status.success(), "{}", String::from_utf8_lossy(&redriven.stderr));
    assert_eq!(example.calls("/book", 1).await, [json!({"payment": {"id": "p1", "amount": 40}})]);
    assert_eq!(
        example.target.calls()[0].key,
        letters[0]["key"].as_str().unwrap(),
        "the same idempotency key"
    );
    assert!(example.letters().await.is_empty());
    example.told(&id, "taken back from the dead letters").await;
}

#[tokio::test]
async fn a_dead_letter_is_discarded_only_when_somebody_means_it() {
    let mut example = Example::start("dead-letters", "12015", &[("duration: 1s", "duration: 10ms")]).await;
    example.target.set_down(true);
    let id = example.post("/payment", &json!({"id": "p2"})).await;
    example.told(&id, "dlqTrigger: given up").await;
    example.zetes.stop().await;

    let all = example.zetes.command(&["dlq", "discard", "--all"]).await;
    assert_eq!(all.status.code(), Some(2), "{}", String::from_utf8_lossy(&all.stderr));
    let nothing_runs = example.zetes.command(&["dlq", "redrive", "--all"]).await;
    assert_eq!(nothing_runs.status.code(), Some(2));
    let letters = example.letters().await;
    let named = example.zetes.command(&["dlq", "discard", letters[0]["id"].as_str().unwrap()]).await;
    assert!(named.status.success(), "{}", String::from_utf8_lossy(&named.stderr));
    assert!(example.letters().await.is_empty());
}

impl Example {
    async fn letters(&self) -> Vec<Value> {
        let output = self.zetes.command(&["dlq", "list", "-o", "json"]).await;
        serde_json::from_slice(&output.stdout).expect("the list is JSON")
    }
}
