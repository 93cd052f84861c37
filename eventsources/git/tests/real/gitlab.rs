//! Against answers as GitLab documents them.

use std::sync::{Arc, Mutex};

use eventsource_core::testkit::{self, Kit, Source, Upstream};
use eventsource_core::{EventSource, Factory};
use eventsource_git::gitlab::Gitlab;
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::provider::{
    Answer, Call, HOOK_URL, PUBLIC, Provider, bad_bodies_become_no_event, deliver, refusals_are_told,
    remembered, well, with,
};
use crate::tls::{TlsFront, only_the_right_authority_is_trusted};

const PROJECT: &str = "/api/v4/projects/argo%2Fship%2Eapp/hooks";

/// The hooks of one project, in pages of one.
#[derive(Clone, Default)]
struct Project(Arc<Mutex<Vec<Value>>>);

impl Project {
    fn with(hooks: &[Value]) -> Self {
        Self(Arc::new(Mutex::new(hooks.to_vec())))
    }

    fn hooks(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    fn answer(&self, call: &Call) -> Answer {
        if call.header("private-token") != "right" {
            return Answer::json(401, &json!({"message": "401 Unauthorized"}));
        }
        let mut hooks = self.0.lock().unwrap();
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let id = path.strip_prefix(PROJECT).and_then(|rest| rest.strip_prefix('/'));
        let id: Option<u64> = id.map(|id| id.parse().unwrap());
        let place = id.and_then(|id| hooks.iter().position(|hook| hook["id"] == id));
        match (call.method.as_str(), id, place) {
            ("GET", None, _) if path == PROJECT => page(&hooks, query, call.header("host")),
            ("POST", None, _) if path == PROJECT => {
                let mut hook = call.body.clone();
                hook["id"] = json!(hooks.len() + 40);
                hook["alert_status"] = json!("executable");
                // The token is never shown.
                hook.as_object_mut().unwrap().remove("token");
                hooks.push(hook.clone());
                Answer::json(201, &hook)
            }
            ("PUT", Some(_), Some(place)) => {
                let members = call.body.as_object().unwrap().clone();
                let hook = hooks[place].as_object_mut().unwrap();
                hook.extend(members.into_iter().filter(|(name, _)| name != "token"));
                Answer::json(200, &hooks[place])
            }
            ("DELETE", Some(_), Some(place)) => {
                hooks.remove(place);
                Answer::text(204, "")
            }
            _ => Answer::json(404, &json!({"message": "404 Not found"})),
        }
    }
}

fn page(hooks: &[Value], query: &str, host: &str) -> Answer {
    let number =
        query.split('&').find_map(|pair| pair.strip_prefix("page=")).map_or(1, |n| n.parse().unwrap());
    let answer = Answer::json(200, &json!(hooks.get(number - 1).into_iter().collect::<Vec<_>>()));
    if number < hooks.len() {
        let next = format!("<http://{host}{PROJECT}?page={}&per_page=1>; rel=\"next\"", number + 1);
        answer.with("link", next)
    } else {
        answer
    }
}

fn secret(key: &str) -> Value {
    json!({"name": "gitlab", "key": key})
}

fn kit() -> Kit {
    Kit::new().with_secret("gitlab", "token", "right").with_secret("gitlab", "hook", "s3cret")
}

fn config(url: &str) -> Value {
    json!({
        "webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC},
        "projects": ["argo/ship.app"], "gitlabBaseURL": url, "accessToken": secret("token"),
        "events": ["PushEvents", "DeploymentEvents"],
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
    let mut config =
        with(config(&provider.url()), json!({"secretToken": secret("hook"), "deleteHookOnFinish": true}));
    let source = kit.start::<Gitlab>(config.clone());
    let created = provider.calls("POST", 1).await;
    let expected = json!({
        "url": HOOK_URL, "enable_ssl_verification": false, "token": "s3cret",
        "push_events": true, "deployment_events": true, "issues_events": false,
        "confidential_issues_events": false, "merge_requests_events": false, "tag_push_events": false,
        "note_events": false, "confidential_note_events": false, "job_events": false, "pipeline_events": false,
        "wiki_page_events": false, "emoji_events": false, "releases_events": false,
        "resource_access_token_events": false, "vulnerability_events": false,
    });
    assert_eq!(created[0].body, expected);
    remembered(&kit, "projects/argo/ship.app", "40").await;
    assert_eq!(source.status().trouble, None);
    source.stop().await;

    // A stop removes nothing (S34), and the hook is found again.
    let source = kit.start::<Gitlab>(config.clone());
    provider.calls("GET", 2).await;
    source.stop().await;
    assert_eq!(provider.changes(), [format!("POST {PROJECT}")]);

    // Better than the reference, which leaves the events of a hook that is there.
    config["events"] = json!(["TagPushEvents"]);
    let source = kit.start::<Gitlab>(config.clone());
    provider.calls("PUT", 1).await;
    source.stop().await;
    let hook = &project.hooks()[0];
    assert_eq!([&hook["push_events"], &hook["tag_push_events"]], [&json!(false), &json!(true)]);

    // A new token is written, although nobody can read the old one.
    kit.set_secret("gitlab", "hook", "new");
    let source = kit.start::<Gitlab>(config);
    assert_eq!(provider.calls("PUT", 2).await[1].body["token"], "new");
    source.retire().await;
    assert_eq!(provider.changes().last().unwrap(), &format!("DELETE {PROJECT}/40"));
    assert!(project.hooks().is_empty());
}

#[tokio::test]
async fn a_hook_on_a_later_page_is_found_and_those_of_others_are_left_alone() {
    let others = json!({"id": 1, "url": "https://other.example.com/", "push_events": true});
    // As an older provider lists it: without what it does not know.
    let ours = json!({"id": 2, "url": HOOK_URL, "enable_ssl_verification": false, "push_events": true});
    let project = Project::with(&[others.clone(), ours]);
    let (kit, provider) = (kit(), provider(&project).await);
    let source = kit.start::<Gitlab>(with(config(&provider.url()), json!({"deleteHookOnFinish": true})));
    remembered(&kit, "projects/argo/ship.app", "2").await;
    source.retire().await;
    assert_eq!(provider.changes(), [format!("DELETE {PROJECT}/2")]);
    assert_eq!(project.hooks(), [others]);
}

#[tokio::test]
async fn a_group_gets_what_groups_can_send() {
    let provider = Provider::start(|call| match call.method.as_str() {
        "GET" => Answer::json(200, &json!([])),
        _ => Answer::json(201, &json!({"id": 7})),
    })
    .await;
    let kit = kit();
    let config =
        with(config(&format!("{}/api/v4/", provider.url())), json!({"projects": [], "groups": ["argo/sub"]}));
    let _source = kit.start::<Gitlab>(config);
    let created = provider.calls("POST", 1).await;
    assert_eq!(created[0].path, "/api/v4/groups/argo%2Fsub/hooks");
    assert_eq!(created[0].body["push_events"], true);
    assert!(created[0].body.get("deployment_events").is_none());
    assert!(created[0].body.get("token").is_none());
}

#[tokio::test]
async fn a_hook_that_the_provider_has_disabled_is_told() {
    let project = Project::with(&[json!({"id": 2, "url": HOOK_URL, "alert_status": "disabled"})]);
    let (kit, provider) = (kit(), provider(&project).await);
    let source = kit.start::<Gitlab>(config(&provider.url()));
    let trouble = source.trouble().await;
    assert!(trouble.contains("press Test there"), "{trouble}");
    assert_eq!(provider.changes(), [""; 0]);
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let project = Project::default();
    let (kit, provider) = (kit().with_secret("gitlab", "token", "glpat-0ld"), provider(&project).await);
    let source = kit.start::<Gitlab>(config(&provider.url()));
    let trouble = source.trouble().await;
    for part in ["GitLab", "projects/argo/ship.app", "the token is wrong or has expired"] {
        assert!(trouble.contains(part), "{trouble}");
    }
    assert!(!trouble.contains("glpat-0ld"), "no secret is told: {trouble}");
    assert_eq!(deliver(&kit, &[], "{}").await.status, 200, "deliveries go on");
    kit.set_secret("gitlab", "token", "right");
    well(&source).await;
    assert_eq!(project.hooks().len(), 1);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_deliveries_go_on() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let config = config(&provider.url());
    let page = format!("{}/argo/ship.app/-/hooks", provider.url());
    let right = "the token needs the scope `api` and at least the role Maintainer";
    refusals_are_told(&kit, &provider, |kit| kit.start::<Gitlab>(config.clone()), &page, right).await;
    assert_eq!(project.hooks().len(), 1);
}

#[tokio::test]
async fn the_token_goes_to_no_other_host() {
    let other = Provider::start(|_| Answer::json(200, &json!([]))).await;
    let elsewhere = format!("{}{PROJECT}", other.url()).replace("127.0.0.1", "localhost");
    let provider = Provider::start(move |_| Answer::text(302, "").with("location", elsewhere.clone())).await;
    let trouble = kit().start::<Gitlab>(config(&provider.url())).trouble().await;
    assert!(trouble.contains("302 Found"), "{trouble}");
    assert_eq!(other.asked().len(), 0);
}

#[tokio::test]
async fn tls_is_verified() {
    let (project, certificates) = (Project::default(), Certificates::new());
    let (kit, provider) = (kit(), provider(&project).await);
    let front = TlsFront::before(provider.address, &certificates).await;
    let config = with(config(&front.url()), json!({"tls": {"caCertSecret": {"name": "tls", "key": "ca"}}}));
    only_the_right_authority_is_trusted(&kit, &certificates, |kit| kit.start::<Gitlab>(config.clone())).await;
    assert_eq!(project.hooks().len(), 1);
}

/// Nothing is managed: reception alone.
fn received(kit: &Kit, fields: Value) -> Source {
    let base = json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "projects": ["a/b"], "events": ["PushEvents"],
        "gitlabBaseURL": "https://gitlab.example.com", "accessToken": secret("token"),
    });
    kit.start::<Gitlab>(with(base, fields))
}

struct Pushes<'k>(&'k Kit);

impl Upstream for Pushes<'_> {
    async fn send(&mut self, number: usize) {
        let key = format!("key-{number}");
        let headers = [("x-gitlab-event", "Push Hook"), ("idempotency-key", key.as_str())];
        assert_eq!(deliver(self.0, &headers, json!({"n": number}).to_string()).await.status, 200);
    }

    fn number(&self, data: &Value) -> usize {
        usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    let config = json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "events": ["PushEvents"],
        "gitlabBaseURL": "https://gitlab.example.com", "accessToken": secret("token"),
    });
    testkit::every_message_becomes_one_event::<Gitlab>(&kit, &config, &mut Pushes(&kit)).await;
}

#[tokio::test]
async fn the_data_are_headers_body_and_metadata() {
    let kit = kit();
    let _source = received(&kit, json!({"metadata": {"team": "ship"}}));
    let headers = [("x-gitlab-event", "Push Hook"), ("idempotency-key", "k1"), ("authorization", "Basic x")];
    let body = r#"{"ref": "refs/heads/main", "big": 12345678901234567890}"#;
    assert_eq!(deliver(&kit, &headers, body).await.id, "k1");
    let events = kit.events(1).await;
    assert!(events[0].data_text().unwrap().contains("12345678901234567890"), "digits are kept");
    let data = &kit.data(1).await[0];
    assert_eq!(data["headers"]["X-Gitlab-Event"], json!(["Push Hook"]));
    assert_eq!(data["headers"]["Authorization"], json!(["*** Masked Auth Secret ***"]));
    assert_eq!(
        (&data["body"]["ref"], &data["metadata"]),
        (&json!("refs/heads/main"), &json!({"team": "ship"}))
    );
}

#[tokio::test]
async fn a_delivery_that_comes_again_is_one_event() {
    let kit = kit();
    let _source = received(&kit, json!({}));
    let old = |body: &'static str| deliver(&kit, &[("x-gitlab-event-uuid", "u1")], body);
    for _ in 0..2 {
        assert_eq!(
            deliver(&kit, &[("idempotency-key", "k1"), ("x-gitlab-event-uuid", "u1")], "{}").await.id,
            "k1"
        );
        assert_ne!(old(r#"{"n": 1}"#).await.id, old(r#"{"n": 2}"#).await.id, "one UUID, two events");
    }
    assert_eq!(kit.events_now().await.len(), 3);
    // Without any name each is an event of its own.
    assert_ne!(deliver(&kit, &[], "{}").await.id, deliver(&kit, &[("idempotency-key", "")], "{}").await.id);
}

#[tokio::test]
async fn what_the_bus_does_not_take_is_for_the_provider_to_send_again() {
    let kit = kit();
    let _source = received(&kit, json!({}));
    let send = || deliver(&kit, &[("idempotency-key", "k1")], "{}");
    kit.refuse();
    assert_eq!(send().await.status, 503);
    kit.take();
    assert_eq!(send().await.status, 200);
    assert_eq!(kit.events_now().await.len(), 1);
}

#[tokio::test]
async fn a_delivery_needs_the_token_and_the_login() {
    let kit = kit().with_secret("gitlab", "bearer", "b3arer");
    let _source = received(
        &kit,
        json!({
            "secretToken": secret("hook"),
            "webhook": {"endpoint": "/push", "port": "0", "authSecret": secret("bearer")},
        }),
    );
    let post = async |token: &str, login: &str| {
        deliver(&kit, &[("x-gitlab-token", token), ("authorization", login)], "{}").await.status
    };
    let rows = [
        ("s3cret", "Bearer b3arer", 200),
        ("", "Bearer b3arer", 401),
        ("s3cre", "Bearer b3arer", 401),
        ("s3cret2", "Bearer b3arer", 401),
        ("s3cret", "Bearer other", 401),
        ("s3cret", "b3arer", 401),
    ];
    for (token, login, expected) in rows {
        assert_eq!(post(token, login).await, expected, "{token} {login}");
    }
    assert_eq!(kit.events_now().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_event_is_refused() {
    let kit = kit();
    let _source = received(&kit, json!({}));
    bad_bodies_become_no_event(&kit, |_| vec![("idempotency-key", "k".to_owned())]).await;
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_means_that_nothing_is_served() {
    let absent = json!({"name": "gitlab", "key": "absent"});
    let auth = json!({"endpoint": "/push", "port": "0", "authSecret": absent});
    for fields in [json!({"secretToken": absent}), json!({"webhook": auth})] {
        let failure = received(&kit(), fields.clone()).failure().await;
        assert!(failure.contains("key `absent` not found"), "{fields}: {failure}");
    }
}

fn told(config: &Value) -> Vec<String> {
    let findings = Factory::of::<Gitlab>().check(config);
    findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
}

#[test]
fn what_is_wrong_with_a_manifest_is_told() {
    let managed = config("https://gitlab.example.com");
    assert_eq!(Gitlab::KIND, "gitlab");
    let unmanaged = with(managed.clone(), json!({"webhook": {"endpoint": "/push", "port": "0"}}));
    let rows: Vec<(Value, &[&str])> = vec![
        (managed.clone(), &[]),
        (with(managed.clone(), json!({"events": ["PushEvents", "push"]})), &["Error bad-value events[1]"]),
        (with(unmanaged, json!({"events": ["push"]})), &["Warning bad-value events[0]"]),
        (with(managed.clone(), json!({"groups": ["g"]})), &["Warning receives-nothing events[1]"]),
        (
            with(
                managed.clone(),
                json!({"events": null, "gitlabBaseURL": "", "accessToken": null, "tls": {}}),
            ),
            &[
                "Error missing-field events",
                "Error missing-field gitlabBaseURL",
                "Error missing-field accessToken",
                "Error missing-field tls",
            ],
        ),
    ];
    for (config, expected) in rows {
        assert_eq!(told(&config), expected, "{config}");
    }
}
