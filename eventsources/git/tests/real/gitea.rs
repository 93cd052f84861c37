//! Against Gitea 1.26 and pushes of the git program.

use eventsource_core::testkit::{self, Kit, Source, Upstream, eventually};
use eventsource_git::gitea::Gitea;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use zetes_services::{Certificates, GiteaServer, Proxy, Settings, Tls, free_port};

use crate::checkout::push;
use crate::provider::well;
use crate::tls::only_the_right_authority_is_trusted;

fn kit(gitea: &GiteaServer) -> Kit {
    Kit::new().with_secret("gitea", "token", gitea.token()).with_secret("gitea", "hook", "s3cret")
}

/// Where the hook sends to has to be known before the port is open.
fn config(gitea: &GiteaServer, port: u16, more: &Value) -> Value {
    let mut config = json!({
        "webhook": {"endpoint": "/push", "port": port.to_string(), "url": format!("http://127.0.0.1:{port}")},
        "webhookSecret": {"name": "gitea", "key": "hook"},
        "giteaBaseURL": gitea.url(), "accessToken": {"name": "gitea", "key": "token"},
        "repositories": [{"owner": gitea.user(), "names": ["ship"]}], "events": ["push"],
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn server() -> GiteaServer {
    let gitea = GiteaServer::start();
    gitea.create_repository("ship");
    gitea
}

fn hooks(gitea: &GiteaServer) -> Vec<Value> {
    hooks_of(gitea, &format!("repos/{}/ship", gitea.user()))
}

fn hooks_of(gitea: &GiteaServer, place: &str) -> Vec<Value> {
    let answer = gitea.api("GET", &format!("/{place}/hooks"), &Value::Null).unwrap();
    serde_json::from_str(&answer.body).unwrap()
}

async fn hook(gitea: &GiteaServer) -> Value {
    eventually("the hook", async || hooks(gitea).into_iter().next()).await
}

#[tokio::test]
async fn a_push_arrives_by_a_hook_that_was_registered() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let source = kit.start::<Gitea>(config(&gitea, port, &json!({"branchFilter": "ma*"})));
    let hook = hook(&gitea).await;
    assert_eq!(
        (&hook["active"], &hook["events"], &hook["branch_filter"]),
        (&json!(true), &json!(["push"]), &json!("ma*"))
    );
    let pushed = push(&gitea.clone_url("ship"), "first");
    let data = &kit.data(1).await[0];
    assert_eq!((&data["body"]["after"], &data["body"]["X-Gitea-Event"]), (&json!(pushed), &json!("push")));
    assert_eq!(data["body"]["X-Gitea-Delivery"], json!(kit.events(1).await[0].id.as_str()));
    assert_eq!(source.status().trouble, None);
    source.stop().await;
}

/// Gitea sends once: the port has to be open by then.
async fn open(port: u16) {
    eventually("the port to be open", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
}

struct Issues<'g>(&'g GiteaServer, u16);

impl Upstream for Issues<'_> {
    async fn send(&mut self, number: usize) {
        open(self.1).await;
        let title = json!({"title": number.to_string()});
        let answer = self.0.api("POST", &format!("/repos/{}/ship/issues", self.0.user()), &title);
        assert_eq!(answer.unwrap().status, 201);
    }

    fn number(&self, data: &Value) -> usize {
        data["body"]["issue"]["title"].as_str().unwrap().parse().unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let config = config(&gitea, port, &json!({"events": ["issues_only"]}));
    // Gitea calls nobody before the hook is there.
    let source = kit.start::<Gitea>(config.clone());
    hook(&gitea).await;
    source.stop().await;
    testkit::every_message_becomes_one_event::<Gitea>(&kit, &config, &mut Issues(&gitea, port)).await;
}

#[tokio::test]
async fn a_push_that_is_signed_with_another_secret_is_no_event() {
    let gitea = server();
    let kit = kit(&gitea);
    let source = kit.start::<Gitea>(json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "webhookSecret": {"name": "gitea", "key": "hook"},
    }));
    let proxy = Proxy::to(kit.address().await);
    let url = format!("http://{}/push", proxy.address());
    let wrong = gitea.create_hook("ship", &url, "another");
    push(&gitea.clone_url("ship"), "forged");
    eventually("the forged one", async || (proxy.accepted() > 0).then_some(())).await;
    let deleted = gitea.api("DELETE", &format!("/repos/{}/ship/hooks/{wrong}", gitea.user()), &Value::Null);
    assert_eq!(deleted.unwrap().status, 204);
    gitea.create_hook("ship", &url, "s3cret");
    let pushed = push(&gitea.clone_url("ship"), "signed");
    let data = kit.data(1).await;
    assert_eq!((data.len(), &data[0]["body"]["after"]), (1, &json!(pushed)));
    source.stop().await;
}

#[tokio::test]
async fn a_hook_is_found_again_kept_at_a_stop_and_removed_with_the_object() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let config = config(&gitea, port, &json!({"deleteHookOnFinish": true}));
    let source = kit.start::<Gitea>(config.clone());
    let first = hook(&gitea).await["id"].clone();
    source.stop().await;
    let source = kit.start::<Gitea>(config);
    open(port).await;
    let pushed = push(&gitea.clone_url("ship"), "first");
    assert_eq!(kit.data(1).await[0]["body"]["after"], json!(pushed));
    assert_eq!(hook(&gitea).await["id"], first);
    source.retire().await;
    assert!(hooks(&gitea).is_empty());
}

#[tokio::test]
async fn a_hook_with_other_events_or_another_secret_is_replaced() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let by_hand = gitea.create_hook("ship", &format!("http://127.0.0.1:{port}/push"), "old");
    let source = kit.start::<Gitea>(config(&gitea, port, &json!({"events": ["push", "create"]})));
    let replaced = async |before: &Value| {
        eventually("one hook, another one", async || {
            let hooks = hooks(&gitea);
            (hooks.len() == 1 && hooks[0]["id"] != *before).then(|| hooks[0].clone())
        })
        .await
    };
    let second = replaced(&json!(by_hand)).await;
    let mut events: Vec<&str> =
        second["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    events.sort_unstable();
    assert_eq!(events, ["create", "push"]);
    source.serving().await;
    kit.set_secret("gitea", "hook", "rotated");
    replaced(&second["id"]).await;
    push(&gitea.clone_url("ship"), "first");
    let events = kit.data(2).await;
    let mut names: Vec<_> =
        events.iter().map(|data| data["body"]["X-Gitea-Event"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["create", "push"], "both by one hook");
    source.stop().await;
}

#[tokio::test]
async fn all_events_of_an_organization_come_by_its_hook() {
    let (gitea, port) = (server(), free_port());
    assert_eq!(gitea.api("POST", "/orgs", &json!({"username": "argo"})).unwrap().status, 201);
    let kit = kit(&gitea);
    let more =
        json!({"repositories": [], "organizations": ["argo"], "events": ["*"], "deleteHookOnFinish": true});
    let source = kit.start::<Gitea>(config(&gitea, port, &more));
    let hook = eventually("the hook", async || hooks_of(&gitea, "orgs/argo").into_iter().next()).await;
    let events: Vec<&str> = hook["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for event in ["push", "issues", "pull_request", "release", "repository", "wiki"] {
        assert!(events.contains(&event), "{event} in {events:?}");
    }
    let made = gitea.api("POST", "/orgs/argo/repos", &json!({"name": "shop"})).unwrap();
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(kit.data(1).await[0]["body"]["X-Gitea-Event"], json!("repository"));
    source.retire().await;
    assert!(hooks_of(&gitea, "orgs/argo").is_empty());
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let (mut gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let config = config(&gitea, port, &json!({}));
    gitea.kill();
    let source = kit.start::<Gitea>(config.clone());
    let trouble = source.trouble().await;
    assert!(trouble.contains("not reached at") && trouble.contains("/ship/settings/hooks"), "{trouble}");
    source.serving().await;
    gitea.restart();
    // A secret that changes looks after the hooks at once; otherwise it is within a minute.
    kit.set_secret("gitea", "hook", "rotated");
    hook(&gitea).await;
    well(&source).await;
    push(&gitea.clone_url("ship"), "first");
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    kit.set_secret("gitea", "token", "wr0ng-token");
    let source = kit.start::<Gitea>(config(&gitea, port, &json!({})));
    let trouble = source.trouble().await;
    assert!(trouble.contains("the token is wrong or has expired"), "{trouble}");
    assert!(!trouble.contains("wr0ng-token") && !trouble.contains("s3cret"), "no secret is told: {trouble}");
    kit.set_secret("gitea", "token", gitea.token());
    well(&source).await;
    hook(&gitea).await;
    source.stop().await;
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_told_and_the_others_go_on() {
    let (gitea, port) = (server(), free_port());
    let kit = kit(&gitea);
    let more = json!({"repositories": [{"owner": gitea.user(), "names": ["absent", "ship"]}]});
    let source = kit.start::<Gitea>(config(&gitea, port, &more));
    let trouble = source.trouble().await;
    let page = format!("{}/{}/absent/settings/hooks", gitea.url(), gitea.user());
    assert!(trouble.contains("it does not exist") && trouble.contains(&page), "{trouble}");
    hook(&gitea).await;
    source.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let gitea = GiteaServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    gitea.create_repository("ship");
    let (kit, port) = (kit(&gitea), free_port());
    let more = json!({"tls": {"caCertSecret": {"name": "tls", "key": "ca"}}});
    let start = |kit: &Kit| -> Source { kit.start::<Gitea>(config(&gitea, port, &more)) };
    only_the_right_authority_is_trusted(&kit, &certificates, start).await;
    assert_eq!(hooks(&gitea).len(), 1);
}
