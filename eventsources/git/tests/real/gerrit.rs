//! Against answers as the webhooks plugin of Gerrit documents them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use eventsource_core::Factory;
use eventsource_core::testkit::{self, Kit, Source, Upstream};
use eventsource_git::gerrit::Gerrit;
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::provider::{
    Answer, Call, HOOK_URL, PUBLIC, Provider, bad_bodies_become_no_event, deliver, refusals_are_told,
    remembered, well, with,
};
use crate::tls::{TlsFront, only_the_right_authority_is_trusted};

const REMOTES: &str = "/a/config/server/webhooks~projects/argo%2Fship+it/remotes/";
/// `ada:right`.
const LOGIN: &str = "Basic YWRhOnJpZ2h0";

/// The remotes of one project.
#[derive(Clone, Default)]
struct Project(Arc<Mutex<BTreeMap<String, Value>>>);

impl Project {
    fn with(name: &str, remote: Value) -> Self {
        Self(Arc::new(Mutex::new(BTreeMap::from([(name.to_owned(), remote)]))))
    }

    fn remotes(&self) -> Value {
        json!(*self.0.lock().unwrap())
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.header("authorization") != LOGIN {
            return Answer::text(401, "Unauthorized");
        }
        let mut remotes = self.0.lock().unwrap();
        let name = call.path.strip_prefix(REMOTES).map(|rest| rest.trim_end_matches('/').to_owned());
        match (call.method.as_str(), name) {
            ("GET", Some(name)) if name.is_empty() => guarded(200, &json!(*remotes)),
            ("PUT", Some(name)) if !name.is_empty() => {
                let status = if remotes.insert(name, call.body.clone()).is_some() { 200 } else { 201 };
                guarded(status, &call.body)
            }
            ("DELETE", Some(name)) => {
                Answer::text(if remotes.remove(&name).is_some() { 204 } else { 404 }, "Not found")
            }
            _ => Answer::text(404, "Not found"),
        }
    }
}

fn guarded(status: u16, body: &Value) -> Answer {
    Answer::text(status, format!(")]}}'\n{body}")).with("content-type", "application/json; charset=UTF-8")
}

fn secret(key: &str) -> Value {
    json!({"name": "gerrit", "key": key})
}

fn kit() -> Kit {
    Kit::new().with_secret("gerrit", "user", "ada").with_secret("gerrit", "password", "right")
}

fn config(url: &str) -> Value {
    json!({
        "webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC}, "projects": ["argo/ship it"],
        "hookName": "ci", "events": ["patchset-created", "change-merged"], "gerritBaseURL": url,
        "auth": {"username": secret("user"), "password": secret("password")},
    })
}

async fn provider(project: &Project) -> Provider {
    let project = project.clone();
    Provider::start(move |call| project.answer(call)).await
}

#[tokio::test]
async fn a_hook_is_created_found_again_updated_and_removed() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let mut config = with(config(&format!("{}/", provider.url())), json!({"deleteHookOnFinish": true}));
    let source = kit.start::<Gerrit>(config.clone());
    provider.calls("PUT", 1).await;
    let created = json!({"url": HOOK_URL, "events": ["change-merged", "patchset-created"]});
    assert_eq!(project.remotes(), json!({"ci": created}));
    remembered(&kit, "argo/ship it", "ci").await;
    assert_eq!(source.status().trouble, None);
    source.stop().await;

    // A stop removes nothing (S34), and the hook is found again.
    let source = kit.start::<Gerrit>(config.clone());
    provider.calls("GET", 2).await;
    source.stop().await;
    assert_eq!(provider.changes(), [format!("PUT {REMOTES}ci/")]);

    config["maxTries"] = json!(3);
    config["sslVerify"] = json!(true);
    let source = kit.start::<Gerrit>(config.clone());
    provider.calls("PUT", 2).await;
    source.stop().await;
    assert_eq!(
        (&project.remotes()["ci"]["maxTries"], &project.remotes()["ci"]["sslVerify"]),
        (&json!(3), &json!(true))
    );

    // Another name: the one that was made goes.
    config["hookName"] = json!("build");
    let source = kit.start::<Gerrit>(config);
    remembered(&kit, "argo/ship it", "build").await;
    source.retire().await;
    assert_eq!(
        provider.changes()[2..],
        [format!("PUT {REMOTES}build/"), format!("DELETE {REMOTES}ci/"), format!("DELETE {REMOTES}build/"),]
    );
    assert_eq!(project.remotes(), json!({}));
}

#[tokio::test]
async fn a_remote_of_the_same_name_is_taken_over_and_others_are_left_alone() {
    let project = Project::with("ci", json!({"url": "https://old.example.com/push"}));
    project.0.lock().unwrap().insert("theirs".to_owned(), json!({"url": "https://other.example.com"}));
    let (kit, provider) = (kit(), provider(&project).await);
    let _source = kit.start::<Gerrit>(config(&provider.url()));
    provider.calls("PUT", 1).await;
    assert_eq!(project.remotes()["ci"]["url"], HOOK_URL);
    assert_eq!(project.remotes()["theirs"]["url"], "https://other.example.com");
}

#[tokio::test]
async fn a_hook_without_a_name_is_named_after_the_event() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let _source = kit.start::<Gerrit>(with(config(&provider.url()), json!({"hookName": ""})));
    provider.calls("PUT", 1).await;
    assert_eq!(project.remotes()["default-source-event"]["url"], HOOK_URL);
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let project = Project::default();
    let (kit, provider) = (kit().with_secret("gerrit", "password", "0ld-password"), provider(&project).await);
    let source = kit.start::<Gerrit>(config(&provider.url()));
    let trouble = source.trouble().await;
    for part in ["Gerrit", "argo/ship it", "401 Unauthorized"] {
        assert!(trouble.contains(part), "{trouble}");
    }
    assert!(!trouble.contains("0ld-password"), "no secret is told: {trouble}");
    assert_eq!(deliver(&kit, &[], "{}").await.status, 200, "deliveries go on");
    kit.set_secret("gerrit", "password", "right");
    well(&source).await;
    assert_eq!(project.remotes()["ci"]["url"], HOOK_URL);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_deliveries_go_on() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let config = config(&provider.url());
    let page = format!("{}/admin/repos/argo/ship it", provider.url());
    let right = "the right to push to refs/meta/config of the project";
    refusals_are_told(&kit, &provider, |kit| kit.start::<Gerrit>(config.clone()), &page, right).await;
    assert_eq!(project.remotes()["ci"]["url"], HOOK_URL);
}

#[tokio::test]
async fn tls_is_verified() {
    let (project, certificates) = (Project::default(), Certificates::new());
    let (kit, provider) = (kit(), provider(&project).await);
    let front = TlsFront::before(provider.address, &certificates).await;
    let config = with(config(&front.url()), json!({"tls": {"caCertSecret": {"name": "tls", "key": "ca"}}}));
    let start = |kit: &Kit| kit.start::<Gerrit>(config.clone());
    only_the_right_authority_is_trusted(&kit, &certificates, start).await;
    assert_eq!(project.remotes()["ci"]["url"], HOOK_URL);
}

/// Nothing is managed: reception alone.
fn received(kit: &Kit, fields: Value) -> Source {
    let unmanaged = json!({"webhook": {"endpoint": "/push", "port": "0"}});
    kit.start::<Gerrit>(with(with(config("https://git.example.com"), unmanaged), fields))
}

struct Changes<'k>(&'k Kit);

impl Upstream for Changes<'_> {
    async fn send(&mut self, number: usize) {
        let body = json!({"type": "patchset-created", "n": number}).to_string();
        assert_eq!(deliver(self.0, &[], body).await.status, 200);
    }

    fn number(&self, data: &Value) -> usize {
        usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    let config =
        with(config("https://git.example.com"), json!({"webhook": {"endpoint": "/push", "port": "0"}}));
    testkit::every_message_becomes_one_event::<Gerrit>(&kit, &config, &mut Changes(&kit)).await;
}

#[tokio::test]
async fn the_data_are_headers_body_and_metadata() {
    let kit = kit();
    let _source = received(&kit, json!({"metadata": {"team": "ship"}}));
    let body = r#"{"type": "patchset-created", "big": 12345678901234567890}"#;
    let ids = [deliver(&kit, &[], body).await.id, deliver(&kit, &[], body).await.id];
    assert_ne!(ids[0], ids[1], "the plugin names no delivery, and twice the same may be two events");
    let events = kit.events(2).await;
    assert!(events[0].data_text().unwrap().contains("12345678901234567890"), "digits are kept");
    let data = &kit.data(2).await[0];
    assert!(data["headers"]["Content-Length"].is_array());
    assert_eq!(
        (&data["body"]["type"], &data["metadata"]),
        (&json!("patchset-created"), &json!({"team": "ship"}))
    );
}

#[tokio::test]
async fn a_delivery_needs_the_bearer_token_if_there_is_one() {
    let kit = kit().with_secret("gerrit", "bearer", "b3arer");
    let webhook = json!({"endpoint": "/push", "port": "0", "authSecret": secret("bearer")});
    let _source = received(&kit, json!({"webhook": webhook}));
    for (login, expected) in [("Bearer b3arer", 200), ("Bearer other", 401), ("b3arer", 401), ("", 401)] {
        assert_eq!(deliver(&kit, &[("authorization", login)], "{}").await.status, expected, "{login}");
    }
    assert_eq!(deliver(&kit, &[], "{}").await.status, 401);
    assert_eq!(kit.events_now().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_event_is_refused() {
    let kit = kit();
    let _source = received(&kit, json!({}));
    bad_bodies_become_no_event(&kit, |_| Vec::new()).await;
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_means_that_nothing_is_served() {
    let absent = json!({"name": "gerrit", "key": "absent"});
    let webhook = json!({"endpoint": "/push", "port": "0", "authSecret": absent});
    let failure = received(&kit(), json!({"webhook": webhook})).failure().await;
    assert!(failure.contains("key `absent` not found"), "{failure}");
    let auth = json!({"auth": {"username": secret("user"), "password": absent}});
    let failure = kit().start::<Gerrit>(with(config("https://git.example.com"), auth)).failure().await;
    assert!(failure.contains("key `absent` not found"), "{failure}");
}

#[test]
fn what_is_wrong_with_a_manifest_is_told() {
    let told = |config: &Value| -> Vec<String> {
        let findings = Factory::of::<Gerrit>().check(config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let rows: Vec<(Value, &[&str])> = vec![
        (config("u"), &[]),
        (with(config("u"), json!({"auth": {}})), &["Warning missing-field auth.username"]),
        (
            with(config("u"), json!({"auth": {"username": secret("user")}, "hookName": ""})),
            &["Warning missing-field auth.password"],
        ),
        (
            json!({}),
            &[
                "Error missing-field projects",
                "Error missing-field events",
                "Error missing-field gerritBaseURL",
                "Error missing-field auth",
                "Error missing-field webhook",
            ],
        ),
    ];
    for (config, expected) in rows {
        assert_eq!(told(&config), expected, "{config}");
    }
}
