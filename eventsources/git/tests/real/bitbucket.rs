//! Against answers as Bitbucket Cloud documents them.

use std::sync::{Arc, Mutex};

use eventsource_core::Factory;
use eventsource_core::testkit::{self, Kit, Source, Upstream};
use eventsource_git::bitbucket::Bitbucket;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use crate::provider::{
    Answer, Call, HOOK_URL, PUBLIC, Provider, bad_bodies_become_no_event, deliver, refusals_are_told,
    remembered, well, with,
};

const REPOSITORY: &str = "/2.0/repositories/argo/ship/hooks";
/// `ada:right` and a bearer token.
const LOGINS: [&str; 2] = ["Basic YWRhOnJpZ2h0", "Bearer right"];

/// The hooks of one repository, in pages of one.
#[derive(Clone, Default)]
struct Repository(Arc<Mutex<Vec<Value>>>);

impl Repository {
    fn with(hooks: &[Value]) -> Self {
        Self(Arc::new(Mutex::new(hooks.to_vec())))
    }

    fn hooks(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    fn answer(&self, call: &Call) -> Answer {
        if !LOGINS.contains(&call.header("authorization")) {
            return Answer::text(401, "Unauthorized");
        }
        let mut hooks = self.0.lock().unwrap();
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let rest = path.strip_prefix(REPOSITORY).map(|rest| rest.trim_start_matches('/'));
        match (call.method.as_str(), rest) {
            ("GET", Some("")) => page(&hooks, query, call.header("host")),
            ("POST", Some("")) => {
                let mut hook = call.body.clone();
                let has_secret = hook.as_object_mut().unwrap().remove("secret").is_some();
                hook["uuid"] = json!(format!("{{new-{}}}", hooks.len()));
                hook["secret_set"] = json!(has_secret);
                hooks.push(hook.clone());
                Answer::json(201, &hook)
            }
            ("DELETE", Some(id)) => {
                let uuid = id.replace("%7B", "{").replace("%7D", "}");
                let before = hooks.len();
                hooks.retain(|hook| hook["uuid"] != uuid);
                Answer::text(if hooks.len() < before { 204 } else { 404 }, "")
            }
            _ => Answer::json(404, &json!({"type": "error", "error": {"message": "Repository not found"}})),
        }
    }
}

fn page(hooks: &[Value], query: &str, host: &str) -> Answer {
    let number = query.strip_prefix("page=").map_or(1, |number| number.parse().unwrap());
    let mut page = json!({"pagelen": 1, "page": number, "size": hooks.len(), "values": []});
    page["values"] = json!(hooks.get(number - 1).into_iter().collect::<Vec<_>>());
    if number < hooks.len() {
        page["next"] = json!(format!("http://{host}{REPOSITORY}/?page={}", number + 1));
    }
    Answer::json(200, &page)
}

fn secret(key: &str) -> Value {
    json!({"name": "bitbucket", "key": key})
}

fn kit() -> Kit {
    let values = [("user", "ada"), ("password", "right"), ("token", "right"), ("hook", "s3cret")];
    values.iter().fold(Kit::new(), |kit, (key, value)| kit.with_secret("bitbucket", key, value))
}

fn config(provider: &Provider) -> Value {
    json!({
        "webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC},
        "repositories": [{"owner": "argo", "repositorySlug": "ship"}], "events": ["repo:push", "pullrequest:created"],
        "auth": {"basic": {"username": secret("user"), "password": secret("password")}},
        "bitbucketBaseURL": format!("{}/2.0", provider.url()),
    })
}

async fn provider(repository: &Repository) -> Provider {
    let repository = repository.clone();
    Provider::start(move |call| repository.answer(call)).await
}

#[tokio::test]
async fn a_hook_is_created_found_again_made_anew_and_removed() {
    let repository = Repository::default();
    let (kit, provider) = (kit(), provider(&repository).await);
    let mut config = with(config(&provider), json!({"deleteHookOnFinish": true}));
    let source = kit.start::<Bitbucket>(config.clone());
    let created = provider.calls("POST", 1).await;
    let expected = json!({
        "description": "webhook managed by Argo-Events", "url": HOOK_URL, "active": true,
        "events": ["pullrequest:created", "repo:push"],
    });
    assert_eq!(created[0].body, expected);
    remembered(&kit, "repositories/argo/ship", "{new-0}").await;
    assert_eq!(source.status().trouble, None);
    source.stop().await;

    // A stop removes nothing (S34), and what is right stays: the reference makes it anew at every start.
    let source = kit.start::<Bitbucket>(config.clone());
    provider.calls("GET", 2).await;
    source.stop().await;
    assert_eq!(provider.changes(), [format!("POST {REPOSITORY}")]);

    config["events"] = json!(["repo:push"]);
    config["webhookSecret"] = secret("hook");
    let source = kit.start::<Bitbucket>(config.clone());
    assert_eq!(provider.calls("POST", 2).await[1].body["secret"], "s3cret");
    remembered(&kit, "repositories/argo/ship", "{new-1}").await;
    source.stop().await;
    // First the new one, so that no delivery is missed.
    let changes = provider.changes();
    assert_eq!(changes[1..], [format!("POST {REPOSITORY}"), format!("DELETE {REPOSITORY}/%7Bnew-0%7D")]);
    let hooks = repository.hooks();
    assert_eq!((hooks.len(), &hooks[0]["events"]), (1, &json!(["repo:push"])));

    let source = kit.start::<Bitbucket>(config);
    provider.calls("GET", 6).await;
    source.retire().await;
    assert_eq!(provider.changes()[3..], [format!("DELETE {REPOSITORY}/%7Bnew-1%7D")]);
    assert!(repository.hooks().is_empty());
}

#[tokio::test]
async fn of_several_hooks_at_our_address_on_any_page_one_is_left() {
    let hook =
        |uuid: &str, url: &str| json!({"uuid": uuid, "url": url, "active": true, "events": ["repo:push"]});
    let repository = Repository::with(&[
        hook("{a}", "https://other.example.com/"),
        hook("{b}", HOOK_URL),
        hook("{c}", HOOK_URL),
    ]);
    let (kit, provider) = (kit(), provider(&repository).await);
    let source = kit.start::<Bitbucket>(config(&provider));
    provider.calls("DELETE", 2).await;
    source.stop().await;
    let left: Vec<Value> = repository.hooks().iter().map(|hook| hook["uuid"].clone()).collect();
    assert_eq!(left, ["{a}", "{new-3}"]);
}

#[tokio::test]
async fn an_inactive_hook_is_made_anew() {
    let hook = json!({"uuid": "{a}", "url": HOOK_URL, "active": false, "events": ["repo:push", "pullrequest:created"]});
    let repository = Repository::with(&[hook]);
    let (kit, provider) = (kit(), provider(&repository).await);
    let source = kit.start::<Bitbucket>(config(&provider));
    provider.calls("DELETE", 1).await;
    assert_eq!(repository.hooks()[0]["active"], true);
    source.stop().await;
}

#[tokio::test]
async fn a_token_does_as_well_as_a_password() {
    let repository = Repository::default();
    let (kit, provider) = (kit(), provider(&repository).await);
    let auth = json!({"basic": {"username": secret("user")}, "oauthToken": secret("token")});
    let deprecated = json!({"auth": auth, "repositories": [], "owner": "argo", "repositorySlug": "ship"});
    let source = kit.start::<Bitbucket>(with(config(&provider), deprecated));
    assert_eq!(provider.calls("POST", 1).await[0].header("authorization"), "Bearer right");
    remembered(&kit, "repositories/argo/ship", "{new-0}").await;
    source.stop().await;
}

#[tokio::test]
async fn a_next_page_elsewhere_gets_no_password() {
    let answer = json!({"values": [], "next": "http://198.51.100.1/2.0/repositories/argo/ship/hooks?page=2"});
    let provider = Provider::start(move |_| Answer::json(200, &answer)).await;
    let trouble = kit().start::<Bitbucket>(config(&provider)).trouble().await;
    assert!(trouble.contains("the next page is at another host"), "{trouble}");
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let repository = Repository::default();
    let (kit, provider) =
        (kit().with_secret("bitbucket", "password", "0ld-password"), provider(&repository).await);
    let source = kit.start::<Bitbucket>(config(&provider));
    let trouble = source.trouble().await;
    for part in ["Bitbucket", "repositories/argo/ship", "the token is wrong or has expired"] {
        assert!(trouble.contains(part), "{trouble}");
    }
    assert!(!trouble.contains("0ld-password"), "no secret is told: {trouble}");
    assert_eq!(deliver(&kit, &[], "{}").await.status, 200, "deliveries go on");
    kit.set_secret("bitbucket", "password", "right");
    well(&source).await;
    assert_eq!(repository.hooks().len(), 1);
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_deliveries_go_on() {
    let repository = Repository::default();
    let (kit, provider) = (kit(), provider(&repository).await);
    let config = config(&provider);
    let page = "https://bitbucket.org/argo/ship/admin/webhooks";
    let right = "the token needs the scopes `read:webhook:bitbucket`";
    refusals_are_told(&kit, &provider, |kit| kit.start::<Bitbucket>(config.clone()), page, right).await;
    assert_eq!(repository.hooks().len(), 1);
}

/// Nothing is managed: reception alone.
fn received(kit: &Kit, fields: Value) -> Source {
    let base = json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "repositories": [{"owner": "a", "repositorySlug": "b"}],
    });
    kit.start::<Bitbucket>(with(base, fields))
}

struct Pushes<'k>(&'k Kit);

impl Upstream for Pushes<'_> {
    async fn send(&mut self, number: usize) {
        let id = format!("request-{number}");
        let headers = [("x-event-key", "repo:push"), ("x-request-uuid", id.as_str())];
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
        "webhook": {"endpoint": "/push", "port": "0"}, "repositories": [{"owner": "a", "repositorySlug": "b"}],
    });
    testkit::every_message_becomes_one_event::<Bitbucket>(&kit, &config, &mut Pushes(&kit)).await;
}

#[tokio::test]
async fn the_data_are_headers_body_and_metadata_and_an_attempt_is_no_event() {
    let kit = kit();
    let _source = received(&kit, json!({"metadata": {"team": "ship"}}));
    for attempt in ["1", "2"] {
        let headers = [("x-event-key", "repo:push"), ("x-request-uuid", "r1"), ("x-attempt-number", attempt)];
        assert_eq!(deliver(&kit, &headers, r#"{"big": 12345678901234567890}"#).await.id, "r1");
    }
    assert_eq!(kit.events_now().await.len(), 1);
    assert!(
        kit.events_now().await[0].data_text().unwrap().contains("12345678901234567890"),
        "digits are kept"
    );
    let data = &kit.data(1).await[0];
    assert_eq!(data["headers"]["X-Event-Key"], json!(["repo:push"]));
    assert_eq!(data["metadata"], json!({"team": "ship"}));
}

fn signature(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

#[tokio::test]
async fn a_delivery_needs_the_signature_if_there_is_a_secret() {
    let kit = kit();
    let _source = received(&kit, json!({"webhookSecret": secret("hook")}));
    let body = b"{}";
    let rows = [
        (signature("s3cret", body), 200),
        (signature("guessed", body), 401),
        (signature("s3cret", b"{ }"), 401),
        (String::new(), 401),
        ("sha256=".to_owned(), 401),
        ("sha256=zz".to_owned(), 401),
        ("md5=00".to_owned(), 401),
        ("s".to_owned(), 401),
    ];
    for (signature, expected) in rows {
        let delivered = deliver(&kit, &[("x-hub-signature", signature.as_str())], body.to_vec()).await;
        assert_eq!(delivered.status, expected, "{signature}");
    }
    assert_eq!(deliver(&kit, &[], "{}").await.status, 401);
    assert_eq!(kit.events_now().await.len(), 1);
}

#[tokio::test]
async fn a_body_that_is_no_event_is_refused() {
    let kit = kit();
    let _source = received(&kit, json!({"webhookSecret": secret("hook")}));
    bad_bodies_become_no_event(&kit, |body| vec![("x-hub-signature", signature("s3cret", body))]).await;
}

#[tokio::test]
async fn a_secret_that_can_not_be_read_means_that_nothing_is_served() {
    let absent = json!({"name": "bitbucket", "key": "absent"});
    let auth = json!({"endpoint": "/push", "port": "0", "authSecret": absent});
    for fields in [json!({"webhookSecret": absent}), json!({"webhook": auth})] {
        let failure = received(&kit(), fields.clone()).failure().await;
        assert!(failure.contains("key `absent` not found"), "{fields}: {failure}");
    }
}

#[test]
fn what_is_wrong_with_a_manifest_is_told() {
    let told = |config: &Value| -> Vec<String> {
        let findings = Factory::of::<Bitbucket>().check(config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let base = json!({"webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC}, "events": ["repo:push"]});
    let auth = json!({"oauthToken": secret("token")});
    let rows: Vec<(Value, &[&str])> = vec![
        (with(base.clone(), json!({"owner": "a", "repositorySlug": "b", "auth": auth})), &[]),
        (with(base.clone(), json!({"owner": "a"})), &["Error missing-field repositories"]),
        (
            with(base.clone(), json!({"events": [], "auth": auth})),
            &["Error missing-field repositories", "Error missing-field events"],
        ),
        // What is not managed needs no events.
        (with(base, json!({"owner": "a", "repositorySlug": "b", "events": [], "auth": {}})), &[]),
    ];
    for (config, expected) in rows {
        assert_eq!(told(&config), expected, "{config}");
    }
}
