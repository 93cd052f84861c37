//! Against calls and answers as Stripe documents them.

use std::sync::{Arc, Mutex};

use eventsource_core::testkit::{Kit, Upstream, eventually};
use eventsource_webhook::stripe::Stripe;
use serde_json::{Value, json};

use crate::calls::{Answer, post, seconds, served, with_members};
use crate::openssl::hmac;
use crate::provider::{Asked, Provider};

const SECRET: &str = "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH";

fn kit() -> Kit {
    Kit::new().with_secret("stripe", "signing", SECRET).with_secret("stripe", "key", "sk_test_1")
}

fn config(members: Value) -> Value {
    with_members(
        json!({"webhook": {"endpoint": "/stripe", "port": "0", "url": "https://ci.example.com/"}}),
        members,
    )
}

fn signed() -> Value {
    config(json!({"webhookSigningSecret": {"name": "stripe", "key": "signing"}}))
}

fn event(id: &str) -> Value {
    json!({
        "id": id, "object": "event", "api_version": "2020-03-02", "created": 1_700_000_000,
        "data": {"object": {"id": "ch_1", "amount": 2000}}, "livemode": false, "pending_webhooks": 1,
        "request": {"id": "req_1", "idempotency_key": null}, "type": "charge.succeeded",
    })
}

async fn sent(kit: &Kit, body: &str) -> Answer {
    let time = seconds(0);
    let mac = hmac("sha256", SECRET, format!("{time}.{body}").as_bytes());
    let header = format!("t={time},v1={},v0={}", hex::encode(mac), "0".repeat(64));
    post(kit, "/stripe", &[("stripe-signature", &header), ("content-type", "application/json")], body).await
}

struct Account<'k>(&'k Kit);

impl Upstream for Account<'_> {
    async fn send(&mut self, number: usize) {
        let body = event(&format!("evt_{number}")).to_string();
        sent(self.0, &body).await.is(200, "success");
        sent(self.0, &body).await.is(200, "success");
    }

    fn number(&self, data: &Value) -> usize {
        data["event"]["id"].as_str().unwrap().trim_start_matches("evt_").parse().unwrap()
    }
}

#[tokio::test]
async fn every_message_becomes_one_event() {
    let kit = kit();
    eventsource_core::testkit::every_message_becomes_one_event::<Stripe>(&kit, &signed(), &mut Account(&kit))
        .await;
}

#[tokio::test]
async fn the_data_has_the_members_of_the_reference() {
    let kit = kit();
    let source = kit.start::<Stripe>(config(json!({"metadata": {"from": "stripe"}})));
    source.serving().await;
    served(&kit, "/stripe").await;
    let body = event("evt_1").to_string().replace("2000", "2000.00");
    post(&kit, "/stripe", &[], body).await.is(200, "success");
    post(&kit, "/stripe", &[], r#"{"id": "evt_2", "request": "req_old", "account": null}"#)
        .await
        .is(200, "success");
    let events = kit.events(2).await;
    assert_eq!((events[0].id.as_str(), events[0].time.unwrap().as_second()), ("evt_1", 1_700_000_000));
    assert!(
        events[0].data_text().unwrap().contains(r#"{"id":"ch_1","amount":2000.00}"#),
        "as it was written"
    );
    let first = json!({"event": {
        "account": "", "created": 1_700_000_000, "data": {"previous_attributes": null, "object": {"id": "ch_1", "amount": 2000.0}},
        "id": "evt_1", "livemode": false, "pending_webhooks": 1, "request": {"id": "req_1", "idempotency_key": ""},
        "type": "charge.succeeded",
    }, "metadata": {"from": "stripe"}});
    assert_eq!(kit.data(2).await[0], first);
    let second = json!({
        "account": "", "created": 0, "data": null, "id": "evt_2", "livemode": false, "pending_webhooks": 0,
        "request": {"id": "req_old", "idempotency_key": ""}, "type": "",
    });
    assert_eq!(kit.data(2).await[1]["event"], second);
    source.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_or_not_asked_for_is_refused() {
    let kit = kit();
    let mut config = signed();
    config["eventFilter"] = json!(["charge.refunded"]);
    let source = kit.start::<Stripe>(config);
    source.serving().await;
    served(&kit, "/stripe").await;
    let body = event("evt_1").to_string();
    sent(&kit, &body).await.is(400, "invalid event");
    let kept = body.replace("charge.succeeded", "charge.refunded");
    sent(&kit, &kept).await.is(200, "success");
    let bad = sent(&kit, kept.trim_start_matches('{')).await;
    assert!(bad.status == 400 && bad.text.starts_with("failed to parse the event"), "{bad:?}");
    sent(&kit, "[]").await.is(400, "failed to parse the event: expected a JSON object");
    let unsigned = post(&kit, "/stripe", &[], kept.clone()).await;
    unsigned.is(401, "the signature is missing: no header `Stripe-Signature`");
    let old = seconds(-400);
    let mac = hex::encode(hmac("sha256", SECRET, format!("{old}.{kept}").as_bytes()));
    assert_eq!(
        post(&kit, "/stripe", &[("stripe-signature", &format!("t={old},v1={mac}"))], kept).await.status,
        401
    );
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

/// The webhook endpoints of an account, as the API tells of them.
#[derive(Clone, Default)]
struct Endpoints(Arc<Mutex<Vec<Value>>>);

impl Endpoints {
    fn with(endpoints: Vec<Value>) -> Self {
        Self(Arc::new(Mutex::new(endpoints)))
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    async fn start(&self, key: &'static str) -> Provider {
        let endpoints = self.clone();
        Provider::start(move |asked| {
            if asked.header("authorization") != format!("Bearer {key}") {
                let message = json!({"error": {"type": "invalid_request_error", "message": "Invalid API Key provided: sk_****1"}});
                return (401, message.to_string());
            }
            endpoints.answer(asked)
        })
        .await
    }

    fn answer(&self, asked: &Asked) -> (u16, String) {
        let mut all = self.0.lock().unwrap();
        let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
        let id = path.strip_prefix("/v1/webhook_endpoints").unwrap().trim_start_matches('/');
        let form: Vec<(String, String)> =
            url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        let field = |name: &str| form.iter().find(|(one, _)| one == name).map(|(_, value)| value.clone());
        let events: Vec<_> = form
            .iter()
            .filter(|(name, _)| name.starts_with("enabled_events["))
            .map(|(_, value)| value)
            .collect();
        match (asked.method.as_str(), id) {
            ("GET", "") => {
                // Two of a page.
                let after = query.split("starting_after=").nth(1);
                let begin = after.map_or(0, |id| all.iter().position(|one| one["id"] == id).unwrap() + 1);
                let page: Vec<_> = all.iter().skip(begin).take(2).cloned().collect();
                let has_more = begin + page.len() < all.len();
                (200, json!({"object": "list", "data": page, "has_more": has_more}).to_string())
            }
            ("POST", "") if events.is_empty() => {
                let message = "Missing required param: enabled_events.";
                (400, json!({"error": {"type": "invalid_request_error", "message": message}}).to_string())
            }
            ("POST", "") => {
                let made = json!({
                    "id": format!("we_{}", all.len()), "object": "webhook_endpoint", "status": "enabled", "url": field("url"),
                    "enabled_events": events, "metadata": {"zetes": field("metadata[zetes]")}, "secret": "whsec_made",
                });
                all.push(made.clone());
                (200, made.to_string())
            }
            (method, id) => {
                let Some(at) = all.iter().position(|one| one["id"] == id) else {
                    return (
                        404,
                        json!({"error": {"message": format!("No such webhook endpoint: '{id}'")}})
                            .to_string(),
                    );
                };
                if method == "DELETE" {
                    all.remove(at);
                    return (200, json!({"id": id, "deleted": true}).to_string());
                }
                all[at]["enabled_events"] = json!(events);
                all[at]["status"] = json!("enabled");
                (200, all[at].to_string())
            }
        }
    }
}

fn managed(provider: &Provider, members: Value) -> Value {
    let api = json!({
        "createWebhook": true, "apiKey": {"name": "stripe", "key": "key"}, "stripeBaseURL": provider.url(),
    });
    with_members(config(api), members)
}

fn hook(id: &str, url: &str) -> Value {
    json!({"id": id, "url": url, "enabled_events": ["*"], "status": "enabled", "metadata": {}})
}

#[tokio::test]
async fn an_endpoint_is_created_once_and_deleted_with_the_object() {
    let others = vec![hook("we_a", "https://a"), hook("we_b", "https://b"), hook("we_c", "https://c")];
    let (kit, endpoints) = (kit(), Endpoints::with(others.clone()));
    let provider = endpoints.start("sk_test_1").await;
    let config = managed(
        &provider,
        json!({"eventFilter": ["charge.succeeded", "charge.refunded"], "deleteHookOnFinish": true}),
    );
    let source = kit.start::<Stripe>(config.clone());
    eventually("the endpoint", async || (endpoints.all().len() == 4).then_some(())).await;
    let made = &endpoints.all()[3];
    assert_eq!(made["url"], "https://ci.example.com/stripe");
    assert_eq!(made["enabled_events"], json!(["charge.succeeded", "charge.refunded"]));
    let lines = provider.lines();
    let expected = [
        "GET /v1/webhook_endpoints?limit=100",
        "GET /v1/webhook_endpoints?limit=100&starting_after=we_b",
        "POST /v1/webhook_endpoints",
    ];
    assert_eq!(lines, expected);
    let create = &provider.asked()[2];
    assert_eq!(create.header("stripe-version"), "2020-03-02");
    assert!(!create.header("idempotency-key").is_empty());
    source.stop().await;

    // A stop is no end, and a start finds what there is.
    let source = kit.start::<Stripe>(config.clone());
    eventually("the look-up", async || (provider.lines().len() == 5).then_some(())).await;
    source.stop().await;
    assert_eq!(endpoints.all().len(), 4);

    // Other events: the same endpoint.
    let fewer = managed(&provider, json!({"eventFilter": ["charge.refunded"], "deleteHookOnFinish": true}));
    let source = kit.start::<Stripe>(fewer);
    eventually("the new events", async || {
        (endpoints.all()[3]["enabled_events"] == json!(["charge.refunded"])).then_some(())
    })
    .await;
    source.retire().await;
    assert_eq!(endpoints.all(), others);
}

#[tokio::test]
async fn an_endpoint_that_was_there_before_is_used_and_never_deleted() {
    let (kit, endpoints) = (kit(), Endpoints::with(vec![hook("we_a", "https://ci.example.com/stripe")]));
    let provider = endpoints.start("sk_test_1").await;
    let source = kit.start::<Stripe>(managed(&provider, json!({"deleteHookOnFinish": true})));
    eventually("the look-up", async || (!provider.lines().is_empty()).then_some(())).await;
    source.retire().await;
    assert_eq!(endpoints.all().len(), 1);
    assert!(provider.lines().iter().all(|line| line.starts_with("GET")), "{:?}", provider.lines());
}

#[tokio::test]
async fn an_endpoint_stays_unless_it_is_said_otherwise() {
    let (kit, endpoints) = (kit(), Endpoints::default());
    let provider = endpoints.start("sk_test_1").await;
    let source = kit.start::<Stripe>(managed(&provider, json!({})));
    eventually("the endpoint", async || (endpoints.all().len() == 1).then_some(())).await;
    assert_eq!(endpoints.all()[0]["enabled_events"], json!(["*"]), "without a filter all of them");
    source.retire().await;
    assert_eq!(endpoints.all().len(), 1);
}

#[tokio::test]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let (kit, endpoints) = (kit(), Endpoints::default());
    let provider = endpoints.start("sk_test_2").await;
    let source = kit.start::<Stripe>(managed(&provider, json!({})));
    let expected = "not registered upstream: the webhook endpoints can't be listed: Stripe answers 401 Unauthorized: \
                    Invalid API Key provided: sk_****1; give `apiKey` a secret key of the account";
    assert_eq!(source.trouble().await, expected);
    // Events flow all the same.
    served(&kit, "/stripe").await;
    post(&kit, "/stripe", &[], event("evt_1").to_string()).await.is(200, "success");
    kit.set_secret("stripe", "key", "sk_test_2");
    eventually("the endpoint", async || (endpoints.all().len() == 1).then_some(())).await;
    eventually("the trouble to be over", async || source.status().trouble.is_none().then_some(())).await;
    source.stop().await;
}

#[tokio::test]
async fn an_api_that_is_down_is_told_and_asked_again() {
    let kit = kit();
    let gone = Provider::start(|_| (200, String::new())).await.url();
    let mut config = config(json!({"createWebhook": true, "apiKey": {"name": "stripe", "key": "key"}}));
    config["stripeBaseURL"] = json!(gone);
    let source = kit.start::<Stripe>(config);
    let told = source.trouble().await;
    let begin =
        format!("not registered upstream: the webhook endpoints can't be listed: {gone} does not answer: ");
    assert!(told.starts_with(&begin), "{told}");
    source.stop().await;
    let fails = Arc::new(Mutex::new(2));
    let (counter, endpoints) = (fails.clone(), Endpoints::default());
    let answers = endpoints.clone();
    let provider = Provider::start(move |asked| {
        let mut left = counter.lock().unwrap();
        if *left == 0 {
            return answers.answer(asked);
        }
        *left -= 1;
        (429, json!({"error": {"message": "Too many requests"}}).to_string())
    })
    .await;
    let source = kit.start::<Stripe>(managed(&provider, json!({})));
    eventually("the endpoint", async || (endpoints.all().len() == 1).then_some(())).await;
    source.stop().await;
}
