//! Against Gitea 1.26, GitHub's own payloads, and answers as GitHub documents them.

use std::sync::atomic::{AtomicUsize, Ordering};

use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use eventsource_git::github::Github;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use zetes_services::{Certificates, GiteaServer, Services};

use crate::checkout::push;
use crate::github_api::{GithubApi, refusal};
use crate::provider::{Answer, Call, HOOK_URL, PUBLIC, Provider, deliver};
use crate::tls::{TlsFront, only_the_right_authority_is_trusted};

const SHIP: &str = "repos/argo/ship";
const SHOP: &str = "repos/argo/shop";

fn kit() -> Kit {
    Kit::new().with_secret("github", "token", "t0ken").with_secret("github", "hook", "s3cret")
}

fn config(api: &GithubApi, names: &[&str], more: &Value) -> Value {
    config_at(&api.provider.url(), names, more)
}

fn config_at(url: &str, names: &[&str], more: &Value) -> Value {
    let mut config = json!({
        "webhook": {"endpoint": "/push", "port": "0", "url": PUBLIC},
        "webhookSecret": {"name": "github", "key": "hook"},
        "apiToken": {"name": "github", "key": "token"},
        "repositories": [{"owner": "argo", "names": names}],
        "events": ["push"], "contentType": "json", "active": true,
        "githubBaseURL": url, "githubUploadURL": url,
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    config
}

fn hook(events: &[&str]) -> Value {
    json!({"name": "web", "active": true, "events": events, "config": {"url": HOOK_URL, "insecure_ssl": "0", "content_type": "json", "secret": "********"}})
}

fn lines(provider: &Provider) -> Vec<String> {
    provider.asked().iter().map(Call::line).collect()
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, async || is_so().then_some(())).await;
}

#[tokio::test]
async fn a_hook_is_made_as_the_manifest_says() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({})));
    until("the hook", || !api.hooks(SHIP).is_empty()).await;
    let calls = api.provider.asked();
    assert_eq!(
        lines(&api.provider),
        ["GET /repos/argo/ship/hooks?per_page=100", "POST /repos/argo/ship/hooks"]
    );
    let expected = json!({
        "name": "web", "active": true, "events": ["push"],
        "config": {"url": HOOK_URL, "content_type": "json", "insecure_ssl": "0", "secret": "s3cret"},
    });
    assert_eq!(calls[1].body, expected);
    for (name, value) in [
        ("accept", "application/vnd.github.v3+json"),
        ("x-github-api-version", "2022-11-28"),
        ("authorization", "token t0ken"),
    ] {
        assert_eq!(calls[1].header(name), value, "{name}");
    }
    assert_eq!(source.status().trouble, None);
    source.stop().await;
}

#[tokio::test]
async fn organizations_and_the_deprecated_pair_are_places_too() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP, "orgs/argo"]).await);
    let organizations = json!({"repositories": null, "organizations": ["argo"]});
    let source = kit.start::<Github>(config(&api, &[], &organizations));
    until("a hook of the organization", || !api.hooks("orgs/argo").is_empty()).await;
    source.stop().await;
    let pair = json!({"repositories": null, "owner": "argo", "repository": "ship"});
    let source = kit.start::<Github>(config(&api, &[], &pair));
    until("a hook of the repository", || !api.hooks(SHIP).is_empty()).await;
    source.stop().await;
}

#[tokio::test]
async fn a_hook_that_is_right_is_left_and_one_with_other_events_is_changed() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
    let without_secret = json!({"webhookSecret": null, "events": ["push", "pull_request"]});
    let right = api.add(SHIP, hook(&["pull_request", "push"]));
    let other = api.add(SHOP, hook(&["push"]));
    let source = kit.start::<Github>(config(&api, &["ship", "shop"], &without_secret));
    until("the hook to be changed", || api.hooks(SHOP)[0]["events"] == json!(["push", "pull_request"])).await;
    assert_eq!((&api.hooks(SHIP)[0]["id"], &api.hooks(SHOP)[0]["id"]), (&json!(right), &json!(other)));
    assert_eq!(api.provider.changes(), [format!("PATCH /{SHOP}/hooks/{other}")]);
    source.stop().await;
}

#[tokio::test]
async fn a_hook_on_a_later_page_is_found() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    api.page_of(2);
    for number in 0..4 {
        api.add(SHIP, json!({"active": true, "events": ["push"], "config": {"url": format!("https://other.example.com/{number}")}}));
    }
    api.add(SHIP, hook(&["push"]));
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({"webhookSecret": null})));
    until("three pages to be read", || lines(&api.provider).len() == 3).await;
    source.stop().await;
    assert!(lines(&api.provider).iter().all(|line| line.starts_with("GET")), "{:?}", lines(&api.provider));
}

#[tokio::test]
async fn a_hook_without_active_is_made_inactive_and_that_is_told() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({"active": null})));
    let trouble = source.trouble().await;
    assert!(trouble.contains("inactive") && trouble.contains("/argo/ship/settings/hooks"), "{trouble}");
    assert_eq!(api.hooks(SHIP)[0]["active"], json!(false));
    source.stop().await;
}

#[tokio::test]
async fn what_fails_at_one_place_is_told_with_what_to_do_and_the_others_go_on() {
    let rows = [
        (refusal(404, "Not Found"), "it does not exist, or the token may not see it"),
        (refusal(401, "Bad credentials"), "the token is wrong or has expired"),
        (
            refusal(403, "Resource not accessible by personal access token"),
            "the token needs the scope `admin:repo_hook`",
        ),
        (refusal(500, "Server Error"), "Server Error"),
    ];
    for (answer, expected) in rows {
        let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
        api.refuse(SHIP, answer);
        let source = kit.start::<Github>(config(&api, &["ship", "shop"], &json!({})));
        let trouble = source.trouble().await;
        let page = format!("{}/argo/ship/settings/hooks", api.provider.url());
        for part in [expected, &page, HOOK_URL, "events push", "`hook` in secret `github`"] {
            assert!(trouble.contains(part), "{part} in: {trouble}");
        }
        assert!(!trouble.contains("t0ken") && !trouble.contains("s3cret"), "{trouble}");
        assert_eq!(api.hooks(SHOP).len(), 1);
        source.serving().await;
        source.stop().await;
    }
}

#[tokio::test]
async fn nobody_asks_on_when_the_limit_is_used_up() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
    let limit = refusal(403, "API rate limit exceeded for user ID 1.");
    api.refuse(SHIP, limit.with("x-ratelimit-remaining", "0").with("x-ratelimit-reset", "9999999999"));
    let source = kit.start::<Github>(config(&api, &["ship", "shop"], &json!({})));
    let trouble = source.trouble().await;
    assert!(trouble.contains("limit is used up") && trouble.contains("limit allows it: 1"), "{trouble}");
    assert_eq!(lines(&api.provider).len(), 1, "{:?}", lines(&api.provider));
    source.stop().await;
}

#[tokio::test]
async fn a_hook_that_somebody_else_makes_first_is_taken_over() {
    let lists = AtomicUsize::new(0);
    // Between our list and our hook another replica was quicker.
    let provider = Provider::start(move |call| match call.method.as_str() {
        "GET" if lists.fetch_add(1, Ordering::SeqCst) == 0 => Answer::json(200, &json!([])),
        "GET" => {
            let mut there = hook(&["push"]);
            there["id"] = json!(9);
            Answer::json(200, &json!([there]))
        }
        "POST" => refusal(422, "Validation Failed"),
        _ => Answer::json(200, &json!({"id": 9})),
    })
    .await;
    let kit = kit();
    let source = kit.start::<Github>(config_at(&provider.url(), &["ship"], &json!({})));
    until("the hook to be written", || lines(&provider).last().is_some_and(|line| line.starts_with("PATCH")))
        .await;
    assert_eq!(lines(&provider).len(), 4, "{:?}", lines(&provider));
    source.serving().await;
    assert_eq!(source.status().trouble, None);
    source.stop().await;
}

/// An RSA key of the tests.
fn app_key() -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    (key.serialize_pem(), key.public_key_pem().into_bytes())
}

#[tokio::test]
async fn an_app_signs_for_a_token_once_and_uses_it_everywhere() {
    let (private, public) = app_key();
    let (kit, api) = (kit().with_secret("github", "pem", &private), GithubApi::start(&[SHIP, SHOP]).await);
    let app = json!({"privateKey": {"name": "github", "key": "pem"}, "appID": 7, "installationID": 42});
    let source =
        kit.start::<Github>(config(&api, &["ship", "shop"], &json!({"apiToken": null, "githubApp": app})));
    until("both hooks", || api.hooks(SHIP).len() + api.hooks(SHOP).len() == 2).await;
    let calls = api.provider.asked();
    let asked: Vec<_> = calls.iter().filter(|call| call.line().starts_with("POST /app/")).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].line(), "POST /app/installations/42/access_tokens");
    let signed = asked[0].header("authorization").strip_prefix("Bearer ").unwrap();
    let key = DecodingKey::from_rsa_pem(&public).unwrap();
    let claims =
        jsonwebtoken::decode::<Value>(signed, &key, &Validation::new(Algorithm::RS256)).unwrap().claims;
    assert_eq!(claims["iss"], "7");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 120);
    let others = calls.iter().filter(|call| !call.line().starts_with("POST /app/"));
    assert!(others.into_iter().all(|call| call.header("authorization") == "token of-the-installation"));
    source.stop().await;
}

#[tokio::test]
async fn a_key_that_is_none_is_told_and_stops_no_reception() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let app = json!({"privateKey": {"name": "github", "key": "hook"}, "appID": 7, "installationID": 42});
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({"apiToken": null, "githubApp": app})));
    let trouble = source.trouble().await;
    assert!(trouble.contains("private key") && trouble.contains("PEM"), "{trouble}");
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_changed_secret_is_written_and_an_unchanged_one_is_not() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let config = config(&api, &["ship"], &json!({}));
    let source = kit.start::<Github>(config.clone());
    until("the hook", || !api.hooks(SHIP).is_empty()).await;
    source.stop().await;
    let source = kit.start::<Github>(config);
    api.provider.calls("GET", 2).await;
    source.serving().await;
    kit.set_secret("github", "hook", "rotated");
    until("the new secret", || api.hooks(SHIP)[0]["config"]["secret"] == "rotated").await;
    assert_eq!(api.provider.changes(), [format!("POST /{SHIP}/hooks"), format!("PATCH /{SHIP}/hooks/1")]);
    source.stop().await;
}

#[tokio::test]
async fn a_repository_that_is_no_longer_named_loses_its_hook_if_the_manifest_says_so() {
    for (remove, left) in [(true, 0), (false, 1)] {
        let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
        let more = json!({"deleteHookOnFinish": remove});
        let source = kit.start::<Github>(config(&api, &["ship", "shop"], &more));
        until("both hooks", || api.hooks(SHIP).len() + api.hooks(SHOP).len() == 2).await;
        source.stop().await;
        let source = kit.start::<Github>(config(&api, &["shop"], &more));
        api.provider.calls("GET", 3).await;
        until("what is left", || api.hooks(SHIP).len() == left).await;
        assert_eq!(api.hooks(SHOP).len(), 1);
        source.stop().await;
    }
}

#[tokio::test]
async fn hooks_go_with_the_object_if_the_manifest_says_so() {
    for (remove, left) in [(true, 0), (false, 1)] {
        let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
        let source =
            kit.start::<Github>(config(&api, &["ship", "shop"], &json!({"deleteHookOnFinish": remove})));
        until("both hooks", || api.hooks(SHIP).len() + api.hooks(SHOP).len() == 2).await;
        // One that fails does not stop the other.
        api.refuse(SHIP, refusal(500, "Server Error"));
        source.retire().await;
        api.take(SHIP);
        assert_eq!((api.hooks(SHIP).len(), api.hooks(SHOP).len()), (1, left));
    }
}

#[tokio::test]
async fn a_hook_that_somebody_has_removed_is_made_again_and_its_absence_ends_no_removal() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP, SHOP]).await);
    let config = config(&api, &["ship", "shop"], &json!({"deleteHookOnFinish": true}));
    let source = kit.start::<Github>(config.clone());
    until("both hooks", || api.hooks(SHIP).len() + api.hooks(SHOP).len() == 2).await;
    source.stop().await;
    api.lose(SHIP);
    let source = kit.start::<Github>(config);
    until("the hook again", || api.hooks(SHIP).len() == 1).await;
    api.provider.calls("GET", 4).await;
    api.lose(SHIP);
    source.retire().await;
    assert_eq!(api.hooks(SHOP).len(), 0);
}

#[tokio::test]
async fn tls_is_verified() {
    let (api, certificates) = (GithubApi::start(&[SHIP]).await, Certificates::new());
    let front = TlsFront::before(api.provider.address, &certificates).await;
    let more = json!({"tls": {"caCertSecret": {"name": "tls", "key": "ca"}}});
    let start = |kit: &Kit| kit.start::<Github>(config_at(&front.url(), &["ship"], &more));
    only_the_right_authority_is_trusted(&kit(), &certificates, start).await;
    assert_eq!(api.hooks(SHIP).len(), 1);
}

#[tokio::test]
async fn a_stop_leaves_the_hook_alone() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({"deleteHookOnFinish": true})));
    until("the hook", || !api.hooks(SHIP).is_empty()).await;
    source.stop().await;
    assert_eq!(api.hooks(SHIP).len(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_stops_no_reception() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    let config = config(&api, &["ship"], &json!({}));
    drop(api);
    let source = kit.start::<Github>(config);
    let trouble = source.trouble().await;
    assert!(trouble.contains("not reached at"), "{trouble}");
    assert_eq!(delivered(&kit, "d-1", "{}").await, 200);
    source.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_no_list_of_hooks_is_told() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    api.refuse(SHIP, Answer::json(200, &json!({"hello": "world"})));
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({})));
    let trouble = source.trouble().await;
    assert!(trouble.contains("is this the address of its API?"), "{trouble}");
    source.stop().await;
}

fn signature(key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The headers of a signed delivery.
fn headers<'h>(event: &'h str, id: &'h str, signature: &'h str) -> [(&'static str, &'h str); 4] {
    [
        ("content-type", "application/json"),
        ("x-github-event", event),
        ("x-github-delivery", id),
        ("x-hub-signature-256", signature),
    ]
}

/// A signed delivery, sent; its status.
async fn delivered(kit: &Kit, id: &str, body: &str) -> u16 {
    deliver(kit, &headers("push", id, &signature("s3cret", body.as_bytes())), body).await.status
}

/// Nothing is managed: reception alone.
fn reception() -> Value {
    json!({
        "webhook": {"endpoint": "/push", "port": "0"}, "webhookSecret": {"name": "github", "key": "hook"},
        "repositories": [{"owner": "argo", "names": ["ship"]}],
    })
}

struct Pushes<'k>(&'k Kit);

impl Upstream for Pushes<'_> {
    async fn send(&mut self, number: usize) {
        let body = json!({"n": number}).to_string();
        assert_eq!(delivered(self.0, &format!("d-{number}"), &body).await, 200);
    }

    fn number(&self, data: &Value) -> usize {
        usize::try_from(data["body"]["n"].as_u64().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    testkit::every_message_becomes_one_event::<Github>(&kit, &reception(), &mut Pushes(&kit)).await;
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let (kit, api) = (kit(), GithubApi::start(&[SHIP]).await);
    kit.set_secret("github", "token", "wrong");
    let source = kit.start::<Github>(config(&api, &["ship"], &json!({})));
    let trouble = source.trouble().await;
    assert!(
        trouble.contains("the token is wrong or has expired") && trouble.contains("Bad credentials"),
        "{trouble}"
    );
    kit.set_secret("github", "token", "t0ken");
    until("the trouble to be over", || source.status().trouble.is_none()).await;
    assert_eq!(api.hooks(SHIP).len(), 1);
    source.stop().await;
}

/// By event, the payloads of all releases.
fn payloads() -> Vec<(String, Value)> {
    let folder = Services::get().github_payloads.expect("run `cargo xtask services up`");
    let releases = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("index.json"));
    let mut payloads = Vec::new();
    for text in releases.filter_map(|release| std::fs::read(release).ok()) {
        for event in serde_json::from_slice::<Vec<Value>>(&text).unwrap() {
            let name = event["name"].as_str().unwrap();
            payloads.extend(
                event["examples"].as_array().unwrap().iter().map(|one| (name.to_owned(), one.clone())),
            );
        }
    }
    payloads
}

#[tokio::test]
async fn all_that_github_sends_becomes_an_event_with_its_body_and_headers() {
    let kit = kit();
    let source = kit.start::<Github>(reception());
    let url = format!("http://{}/push", kit.address().await);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let payloads = payloads();
    assert!(payloads.len() > 700, "{} payloads", payloads.len());
    for (number, (event, payload)) in payloads.iter().enumerate() {
        let (id, body) = (format!("d-{number}"), payload.to_string());
        let mut request = client.post(&url);
        for (name, value) in headers(event, &id, &signature("s3cret", body.as_bytes())) {
            request = request.header(name, value);
        }
        assert_eq!(request.body(body).send().await.unwrap().headers()["x-event-id"], id.as_str(), "{event}");
    }
    let data = kit.data(payloads.len()).await;
    assert_eq!(data.len(), payloads.len());
    for (number, (data, (event, mut payload))) in data.into_iter().zip(payloads).enumerate() {
        let id = format!("d-{number}");
        payload["X-GitHub-Event"] = json!(event);
        payload["X-GitHub-Delivery"] = json!(id);
        assert_eq!(data["body"], payload, "{event}");
        for (name, value) in [("X-Github-Event", &event), ("X-Github-Delivery", &id)] {
            assert_eq!(data["headers"][name], json!([value]));
        }
        assert_eq!(data["headers"]["Content-Type"], json!(["application/json"]));
        assert!(data["headers"]["X-Hub-Signature-256"][0].as_str().unwrap().starts_with("sha256="));
    }
    source.stop().await;
}

/// Gitea names GitHub's headers beside its own, and signs alike.
#[tokio::test]
async fn a_push_to_a_gitea_that_calls_like_github_is_an_event() {
    let (kit, gitea) = (kit(), GiteaServer::start());
    gitea.create_repository("ship");
    let source = kit.start::<Github>(reception());
    let url = format!("http://{}/push", kit.address().await);
    gitea.create_hook("ship", &url, "s3cret");
    let pushed = push(&gitea.clone_url("ship"), "first");
    let data = &kit.data(1).await[0];
    assert_eq!(data["body"]["after"], json!(pushed));
    assert_eq!(
        (&data["body"]["X-GitHub-Event"], &data["body"]["ref"]),
        (&json!("push"), &json!("refs/heads/main"))
    );
    let id = data["body"]["X-GitHub-Delivery"].as_str().unwrap();
    assert_eq!(kit.events(1).await[0].id.as_str(), id);
    source.stop().await;
}
