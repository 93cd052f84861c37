//! Against answers as Bitbucket Data Center documents them.

use std::sync::{Arc, Mutex};

use eventsource_core::Factory;
use eventsource_core::testkit::{self, Kit, Source, Upstream, eventually};
use eventsource_git::bitbucketserver::BitbucketServer;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use zetes_services::Certificates;

use crate::provider::{
    Answer, Call, HOOK_URL, PUBLIC, Provider, bad_bodies_become_no_event, deliver, refusals_are_told,
    remembered, well, with,
};
use crate::tls::{TlsFront, only_the_right_authority_is_trusted};

const API: &str = "/rest/api/1.0/projects/ARGO/repos";
const HOOKS: &str = "/rest/api/1.0/projects/ARGO/repos/ship/webhooks";

/// A project with its repositories; one of them has hooks. All lists come in pages of one.
#[derive(Clone, Default)]
struct Project {
    repositories: Arc<Mutex<Vec<&'static str>>>,
    hooks: Arc<Mutex<Vec<Value>>>,
}

impl Project {
    fn hooks(&self) -> Vec<Value> {
        self.hooks.lock().unwrap().clone()
    }

    fn answer(&self, call: &Call) -> Answer {
        let is_browser = call.header("x-atlassian-token") != "no-check";
        if is_browser || call.header("authorization") != "Bearer right" {
            return refused(401, "Authentication failed");
        }
        let mut hooks = self.hooks.lock().unwrap();
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let id = path.strip_prefix(HOOKS).and_then(|rest| rest.strip_prefix('/')?.parse::<u64>().ok());
        let place = id.and_then(|id| hooks.iter().position(|hook| hook["id"] == id));
        match (call.method.as_str(), id, place) {
            ("GET", None, _) if path == HOOKS => page(&hooks, query),
            ("GET", None, _) if path == API => {
                let names = self.repositories.lock().unwrap();
                page(&names.iter().map(|name| json!({"slug": name, "id": 1})).collect::<Vec<_>>(), query)
            }
            ("GET", None, _) if path.ends_with("/webhooks") => page(&[], query),
            ("POST", None, _) if path.ends_with("/webhooks") => {
                if call.body["configuration"]["secret"] == "" {
                    return refused(500, "empty secret");
                }
                let mut hook = call.body.clone();
                hook["id"] = json!(hooks.len() + 10);
                hooks.push(hook.clone());
                Answer::json(201, &hook)
            }
            ("PUT", Some(id), Some(place)) => {
                hooks[place] = call.body.clone();
                hooks[place]["id"] = json!(id);
                Answer::json(200, &hooks[place])
            }
            ("DELETE", Some(_), Some(place)) => {
                hooks.remove(place);
                Answer::text(204, "")
            }
            _ => refused(404, "Repository does not exist"),
        }
    }
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::json(status, &json!({"errors": [{"context": null, "message": message, "exceptionName": "x"}]}))
}

fn page(items: &[Value], query: &str) -> Answer {
    let start = query.split('&').find_map(|pair| pair.strip_prefix("start=")).unwrap();
    let start: usize = start.parse().unwrap();
    let is_last = start + 1 >= items.len();
    let values: Vec<&Value> = items.get(start).into_iter().collect();
    let next = if is_last { Value::Null } else { json!(start + 1) };
    Answer::json(
        200,
        &json!({
            "size": values.len(), "limit": 1, "start": start, "isLastPage": is_last, "values": values, "nextPageStart": next,
        }),
    )
}

fn secret(key: &str) -> Value {
    json!({"name": "server", "key": key})
}

fn kit() -> Kit {
    Kit::new().with_secret("server", "token", "right").with_secret("server", "hook", "s3cret")
}

fn config(url: &str) -> Value {
    json!({
        "webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC},
        "bitbucketserverBaseURL": format!("{url}/rest"), "accessToken": secret("token"),
        "repositories": [{"projectKey": "ARGO", "repositorySlug": "ship"}], "events": ["repo:refs_changed", "pr:opened"],
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
        with(config(&provider.url()), json!({"webhookSecret": secret("hook"), "deleteHookOnFinish": true}));
    let source = kit.start::<BitbucketServer>(config.clone());
    let created = provider.calls("POST", 1).await;
    let expected = json!({
        "id": 0, "name": "Argo Events", "events": ["pr:opened", "repo:refs_changed"], "url": HOOK_URL, "active": true,
        "configuration": {"secret": "s3cret"},
    });
    assert_eq!(created[0].body, expected);
    assert_eq!(created[0].header("x-requested-with"), "XMLHttpRequest");
    remembered(&kit, "projects/ARGO/repos/ship", "10").await;
    assert_eq!(source.status().trouble, None);
    source.stop().await;

    // A stop removes nothing (S34), and the hook is found again.
    let source = kit.start::<BitbucketServer>(config.clone());
    provider.calls("GET", 2).await;
    source.stop().await;
    assert_eq!(provider.changes(), [format!("POST {HOOKS}")]);

    config["events"] = json!(["pr:opened"]);
    let source = kit.start::<BitbucketServer>(config.clone());
    provider.calls("PUT", 1).await;
    source.stop().await;
    assert_eq!(project.hooks()[0]["events"], json!(["pr:opened"]));

    kit.set_secret("server", "hook", "new");
    let source = kit.start::<BitbucketServer>(config);
    provider.calls("PUT", 2).await;
    assert_eq!(project.hooks()[0]["configuration"]["secret"], "new");
    source.retire().await;
    assert_eq!(provider.changes().last().unwrap(), &format!("DELETE {HOOKS}/10"));
    assert!(project.hooks().is_empty());
}

#[tokio::test]
async fn a_hook_without_a_secret_has_no_configuration() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let deprecated = json!({"repositories": [], "projectKey": "ARGO", "repositorySlug": "ship"});
    let source = kit.start::<BitbucketServer>(with(config(&provider.url()), deprecated));
    remembered(&kit, "projects/ARGO/repos/ship", "10").await;
    assert!(provider.calls("POST", 1).await[0].body.get("configuration").is_none());
    source.stop().await;
}

#[tokio::test]
async fn the_repositories_of_a_project_get_hooks_also_those_that_come_later() {
    let project = Project::default();
    project.repositories.lock().unwrap().extend(["ship", "ship2"]);
    let (kit, provider) = (kit(), provider(&project).await);
    let fields = json!({"projects": ["ARGO"], "checkInterval": "0.01s", "deleteHookOnFinish": true});
    let source = kit.start::<BitbucketServer>(with(config(&provider.url()), fields));
    provider.calls("POST", 2).await;
    project.repositories.lock().unwrap().push("later");
    let later = format!("POST {API}/later/webhooks");
    eventually("a hook for the later one", async || provider.changes().contains(&later).then_some(())).await;
    let created: Vec<String> = provider.calls("POST", 3).await.iter().map(Call::line).collect();
    assert_eq!(created[..2], [format!("POST {HOOKS}"), format!("POST {API}/ship2/webhooks")]);
    source.retire().await;
}

#[tokio::test]
async fn a_project_that_can_not_be_expanded_is_told_and_the_repositories_have_their_hooks() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let source = kit.start::<BitbucketServer>(with(config(&provider.url()), json!({"projects": ["OTHER"]})));
    let trouble = source.trouble().await;
    for part in ["projects/OTHER", "Repository does not exist", "the permission `Project read`"] {
        assert!(trouble.contains(part), "{trouble}");
    }
    assert_eq!(project.hooks().len(), 1);
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let project = Project::default();
    let (kit, provider) = (kit().with_secret("server", "token", "0ld-token"), provider(&project).await);
    let source = kit.start::<BitbucketServer>(config(&provider.url()));
    let trouble = source.trouble().await;
    for part in ["Bitbucket Data Center", "projects/ARGO/repos/ship", "the token is wrong or has expired"] {
        assert!(trouble.contains(part), "{trouble}");
    }
    assert!(!trouble.contains("0ld-token"), "no secret is told: {trouble}");
    assert_eq!(deliver(&kit, &[], "{}").await.status, 200, "deliveries go on");
    kit.set_secret("server", "token", "right");
    well(&source).await;
    assert_eq!(project.hooks().len(), 1);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_deliveries_go_on() {
    let project = Project::default();
    let (kit, provider) = (kit(), provider(&project).await);
    let config = config(&provider.url());
    let page = format!("{}/plugins/servlet/webhooks/projects/ARGO/repos/ship", provider.url());
    let right = "the token needs the permission `Repository admin`";
    refusals_are_told(&kit, &provider, |kit| kit.start::<BitbucketServer>(config.clone()), &page, right)
        .await;
    assert_eq!(project.hooks().len(), 1);
}

#[tokio::test]
async fn tls_is_verified() {
    let (project, certificates) = (Project::default(), Certificates::new());
    let (kit, provider) = (kit(), provider(&project).await);
    let front = TlsFront::before(provider.address, &certificates).await;
    let config = with(config(&front.url()), json!({"tls": {"caCertSecret": {"name": "tls", "key": "ca"}}}));
    let start = |kit: &Kit| kit.start::<BitbucketServer>(config.clone());
    only_the_right_authority_is_trusted(&kit, &certificates, start).await;
    assert_eq!(project.hooks().len(), 1);
}

/// No hook is managed: reception, and what it asks for.
fn received(kit: &Kit, fields: Value) -> Source {
    let base = json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "bitbucketserverBaseURL": "https://git.example.com/rest",
    });
    kit.start::<BitbucketServer>(with(base, fields))
}

struct Pushes<'k>(&'k Kit);

impl Upstream for Pushes<'_> {
    async fn send(&mut self, number: usize) {
        let id = format!("request-{number}");
        let headers = [("x-event-key", "pr:opened"), ("x-request-id", id.as_str())];
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
        "webhook": {"endpoint": "/push", "port": "0"}, "bitbucketserverBaseURL": "https://git.example.com/rest",
    });
    testkit::every_message_becomes_one_event::<BitbucketServer>(&kit, &config, &mut Pushes(&kit)).await;
}

fn signature(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_delivery_needs_the_signature_if_there_is_a_secret() {
    let kit = kit();
    // No hook is managed: the reference would not look.
    let _source = received(&kit, json!({"webhookSecret": secret("hook")}));
    let body = b"{}";
    let rows = [
        (signature("s3cret", body), 200),
        (signature("guessed", body), 401),
        (signature("s3cret", b"{ }"), 401),
        (String::new(), 401),
        ("sha256=".to_owned(), 401),
        ("sha256".to_owned(), 401),
        ("é".to_owned(), 401),
        ("sha25".to_owned(), 401),
    ];
    for (signature, expected) in rows {
        let delivered = deliver(&kit, &[("x-hub-signature", signature.as_str())], body.to_vec()).await;
        assert_eq!(delivered.status, expected, "{signature}");
    }
    assert_eq!(deliver(&kit, &[], "{}").await.status, 401);
    assert_eq!(kit.events_now().await.len(), 1);
}

fn change(branch: &str, hash: &str, done: &str) -> Value {
    let id = format!("refs/heads/{branch}");
    json!({
        "ref": {"id": id, "displayId": branch, "type": "BRANCH"}, "refId": id,
        "fromHash": "0", "toHash": hash, "type": done,
    })
}

fn push(changes: &[Value]) -> String {
    let repository = json!({"slug": "ship", "id": 84, "project": {"key": "ARGO"}});
    json!({
        "eventKey": "repo:refs_changed", "date": "2026-11-25T12:00:00+0000", "actor": {"name": "ada"},
        "repository": repository, "changes": changes, "commits": [{"id": "c1"}], "toCommit": {"id": "c1"},
    })
    .to_string()
}

const PUSH: [(&str, &str); 2] = [("x-event-key", "repo:refs_changed"), ("x-request-id", "r1")];

/// Pull requests of commits: `open` has one on its second page, `closed` has a merged one.
async fn pull_requests() -> Provider {
    Provider::start(|call| {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let commit = path.strip_prefix(&format!("{API}/ship/commits/"));
        match commit.and_then(|rest| rest.strip_suffix("/pull-requests")) {
            Some("open") => page(&[json!({"state": "DECLINED"}), json!({"state": "OPEN"})], query),
            Some("closed") => page(&[json!({"state": "MERGED"})], query),
            Some(_) => page(&[], query),
            None => refused(404, "no such path"),
        }
    })
    .await
}

fn asking(provider: &Provider, fields: Value) -> Value {
    let base = json!({
        "bitbucketserverBaseURL": format!("{}/rest/", provider.url()), "accessToken": secret("token"),
        "skipBranchRefsChangedOnOpenPR": true,
    });
    with(base, fields)
}

#[tokio::test]
async fn each_change_of_a_push_is_an_event_with_all_other_keys() {
    let kit = kit();
    let _source = received(&kit, json!({"oneEventPerChange": true, "metadata": {"team": "ship"}}));
    let changes = [change("main", "a", "UPDATE"), change("old", "0", "DELETE")];
    kit.refuse();
    assert_eq!(deliver(&kit, &PUSH, push(&changes)).await.status, 503);
    kit.take();
    for _ in 0..2 {
        let delivered = deliver(&kit, &PUSH, push(&changes)).await;
        assert_eq!((delivered.status, delivered.id.as_str()), (200, "r1-0"));
    }
    let ids: Vec<String> = kit.events_now().await.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(ids, ["r1-0", "r1-1"], "a push that comes again is the same events");
    for (data, change) in kit.data(2).await.iter().zip(&changes) {
        assert_eq!(data["body"]["changes"], json!([change]));
        assert_eq!(data["body"]["commits"], json!([{"id": "c1"}]), "the reference loses it");
        assert_eq!(data["body"]["actor"]["name"], "ada");
        assert_eq!(data["headers"]["X-Event-Key"], json!(["repo:refs_changed"]));
        assert_eq!(data["metadata"], json!({"team": "ship"}));
    }
}

#[tokio::test]
async fn an_event_that_is_no_push_stays_as_it_is() {
    let kit = kit();
    let _source = received(&kit, json!({"oneEventPerChange": true}));
    let body = r#"{"eventKey": "pr:opened", "big": 12345678901234567890}"#;
    let headers = [("x-event-key", "pr:opened"), ("x-request-id", "r2")];
    assert_eq!(deliver(&kit, &headers, body).await.id, "r2");
    assert!(kit.events(1).await[0].data_text().unwrap().contains("12345678901234567890"), "digits are kept");
}

#[tokio::test]
async fn changes_of_branches_with_an_open_pull_request_are_left_out() {
    let (kit, provider) = (kit(), pull_requests().await);
    let _source = received(&kit, asking(&provider, json!({"oneEventPerChange": true})));
    let tag = json!({"ref": {"id": "refs/tags/v1", "type": "TAG"}, "toHash": "open", "type": "ADD"});
    let changes =
        [change("a", "open", "UPDATE"), change("b", "closed", "ADD"), change("c", "open", "DELETE"), tag];
    assert_eq!(deliver(&kit, &PUSH, push(&changes)).await.id, "r1-1");
    let ids: Vec<String> = kit.events(3).await.iter().map(|event| event.id.to_string()).collect();
    assert_eq!(ids, ["r1-1", "r1-2", "r1-3"], "a tag and a deleted branch always count");
    assert_eq!(provider.asked()[0].header("authorization"), "Bearer right");
}

#[tokio::test]
async fn a_push_of_which_nothing_counts_becomes_no_event_and_another_one_stays_whole() {
    let (kit, provider) = (kit(), pull_requests().await);
    let _source = received(&kit, asking(&provider, json!({})));
    let nothing = deliver(&kit, &PUSH, push(&[change("a", "open", "UPDATE")])).await;
    assert_eq!((nothing.status, nothing.id.as_str()), (200, ""));
    let mixed = [change("a", "open", "UPDATE"), change("b", "closed", "UPDATE")];
    assert_eq!(deliver(&kit, &PUSH, push(&mixed)).await.id, "r1");
    assert_eq!(kit.data(1).await[0]["body"]["changes"], json!(mixed));
}

#[tokio::test]
async fn a_push_waits_at_the_provider_while_its_api_can_not_be_asked() {
    let (kit, provider) = (kit(), pull_requests().await);
    let _source = received(&kit, asking(&provider, json!({})));
    let body = push(&[change("b", "closed", "UPDATE")]);
    for refusal in [refused(500, "down"), refused(401, "Authentication failed"), Answer::text(200, "<html>")]
    {
        provider.refuse(Some(refusal));
        assert_eq!(deliver(&kit, &PUSH, body.clone()).await.status, 503);
    }
    assert!(kit.events_now().await.is_empty());
    provider.refuse(None);
    assert_eq!(deliver(&kit, &PUSH, body).await.id, "r1");
}

#[tokio::test]
async fn a_body_that_is_no_event_is_refused() {
    let (kit, provider) = (kit(), pull_requests().await);
    for fields in [json!({}), json!({"oneEventPerChange": true}), asking(&provider, json!({}))] {
        let source = received(&kit, with(fields, json!({"webhookSecret": secret("hook")})));
        let headers = |body: &[u8]| {
            vec![
                ("x-event-key", "repo:refs_changed".to_owned()),
                ("x-hub-signature", signature("s3cret", body)),
            ]
        };
        bad_bodies_become_no_event(&kit, headers).await;
        source.stop().await;
    }
    let _source = received(&kit, asking(&provider, json!({})));
    for body in ["{}", "[]", r#"{"changes": 1, "repository": {}}"#, &push(&[json!({"type": 1})])] {
        assert_eq!(deliver(&kit, &PUSH, body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_means_that_nothing_is_served() {
    let absent = json!({"name": "server", "key": "absent"});
    let auth = json!({"endpoint": "/push", "port": "0", "authSecret": absent});
    let rows = [json!({"webhookSecret": absent}), json!({"webhook": auth}), json!({"accessToken": absent})];
    for fields in rows {
        let failure = received(&kit(), fields.clone()).failure().await;
        assert!(failure.contains("key `absent` not found"), "{fields}: {failure}");
    }
}

#[test]
fn what_is_wrong_with_a_manifest_is_told() {
    let told = |config: &Value| -> Vec<String> {
        let findings = Factory::of::<BitbucketServer>().check(config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let base = with(config("u"), json!({"repositories": [], "events": []}));
    let rows: Vec<(Value, &[&str])> = vec![
        (base.clone(), &[]),
        (with(base.clone(), json!({"projects": ["p"]})), &["Error missing-field events"]),
        (
            with(base.clone(), json!({"projectKey": "p", "repositorySlug": "r"})),
            &["Error missing-field events"],
        ),
        (with(base.clone(), json!({"projects": ["p"], "events": ["repo:refs_changed"]})), &[]),
        (
            with(
                base,
                json!({
                    "webhook": null, "bitbucketserverBaseURL": "", "checkInterval": "1", "tls": {},
                    "accessToken": null, "skipBranchRefsChangedOnOpenPR": true,
                }),
            ),
            &[
                "Error missing-field bitbucketserverBaseURL",
                "Error missing-field accessToken",
                "Error bad-value checkInterval",
                "Warning missing-field tls",
                "Error missing-field webhook",
            ],
        ),
    ];
    for (config, expected) in rows {
        assert_eq!(told(&config), expected, "{config}");
    }
}
