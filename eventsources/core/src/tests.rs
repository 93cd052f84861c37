//! What the frame does for every adapter, shown by one whose upstream is a list in this process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bus_core::Bus as _;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use zetes_api::{EventId, Invalid, SecretKeyRef};

use crate::testkit::{Kit, eventually};
use crate::{Body, Context, Draft, Error, EventSource, PartState};

/// What happened upstream, by the name of the list.
#[derive(Default)]
struct Upstream {
    waiting: VecDeque<Vec<u8>>,
    acknowledged: Vec<Vec<u8>>,
    connected_with: Vec<String>,
    retired: usize,
}

/// All lists; a test uses one with a name of its own.
static LISTS: Mutex<Vec<(String, Arc<Mutex<Upstream>>)>> = Mutex::new(Vec::new());

fn list(name: &str) -> Arc<Mutex<Upstream>> {
    let mut lists = LISTS.lock().unwrap();
    if let Some((_, list)) = lists.iter().find(|(one, _)| one == name) {
        return list.clone();
    }
    let list: Arc<Mutex<Upstream>> = Arc::default();
    lists.push((name.to_owned(), list.clone()));
    list
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
struct Config {
    list: String,
    #[serde(default)]
    password: Option<SecretKeyRef>,
    #[serde(default)]
    panics: bool,
}

/// Hands out one message at a time until it is acknowledged.
struct ListSource {
    list: Arc<Mutex<Upstream>>,
    panics: bool,
}

impl EventSource for ListSource {
    const KIND: &'static str = "list";
    type Config = Config;

    fn validate(_config: &Config) -> Result<(), Invalid> {
        Ok(())
    }

    async fn connect(config: Config, cx: &Context) -> Result<Self, Error> {
        use secrecy::ExposeSecret as _;
        let password = cx.secret(config.password.as_ref())?;
        let list = list(&config.list);
        let shown = password.map(|password| password.expose_secret().to_owned()).unwrap_or_default();
        list.lock().unwrap().connected_with.push(shown);
        Ok(Self { list, panics: config.panics })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        assert!(!self.panics, "the test said so");
        let list = self.list.clone();
        let clock = cx.clock().clone();
        let mut messages = Box::pin(stream::unfold((), move |()| {
            let (list, clock) = (list.clone(), clock.clone());
            async move {
                loop {
                    let first = list.lock().unwrap().waiting.front().cloned();
                    if let Some(message) = first {
                        return Some((message, ()));
                    }
                    clock.sleep(std::time::Duration::from_millis(1)).await;
                }
            }
        }));
        while let Some(message) = cx.next(&mut messages).await {
            cx.emit(draft(&message)?).await?;
            let mut list = self.list.lock().unwrap();
            list.waiting.pop_front();
            list.acknowledged.push(message);
        }
        Ok(())
    }

    async fn retire(config: Config, _cx: &Context) -> Result<(), Error> {
        list(&config.list).lock().unwrap().retired += 1;
        Ok(())
    }
}

fn draft(message: &[u8]) -> Result<Draft, Error> {
    let id = EventId::from(hex::encode(message.get(..16).unwrap_or(message)));
    match Body::of(message, true) {
        Ok(body) => Draft::json(Some(id), &json!({"body": body})),
        Err(error) => Ok(Draft::unreadable(Some(id), message.to_vec(), error)),
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_the_bus_has_it() {
    let (kit, upstream) = (Kit::new(), list("refused"));
    kit.refuse();
    upstream.lock().unwrap().waiting.push_back(b"1".to_vec());
    let source = kit.start::<ListSource>(json!({"list": "refused"}));
    assert_eq!(source.failure().await, "the bus did not take the event: the bus is full: the test said so");
    assert!(upstream.lock().unwrap().acknowledged.is_empty());
    kit.take();
    kit.events(1).await;
    source.stop().await;
    assert_eq!(upstream.lock().unwrap().acknowledged, [b"1"]);
}

#[tokio::test]
async fn a_message_that_can_not_be_read_is_kept_whole_and_then_acknowledged() {
    let (kit, upstream) = (Kit::new(), list("poison"));
    // Longer than one entry of the bus's state.
    let poison = vec![b'{'; 700_000];
    upstream.lock().unwrap().waiting.extend([poison.clone(), b"2".to_vec()]);
    let source = kit.start::<ListSource>(json!({"list": "poison"}));
    assert_eq!(kit.data(1).await, [json!({"body": 2})]);
    let dead = kit.dead(1).await;
    let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &dead[0].raw).unwrap();
    assert!(raw == poison, "{} bytes of {}", raw.len(), poison.len());
    assert_eq!((dead[0].reason.as_str(), dead[0].event_source.as_str()), ("unreadable", "source"));
    assert!(dead[0].error.starts_with("`jsonBody` is set and the payload is no JSON"), "{}", dead[0].error);
    source.stop().await;
    assert_eq!(upstream.lock().unwrap().acknowledged.len(), 2);
    let letters = crate::DeadMessages(kit.bus());
    assert!(letters.discard(&dead[0].id).await.unwrap());
    assert!(letters.list().await.unwrap().is_empty());
    assert!(kit.bus().list("dead-messages-parts".to_owned(), String::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_secret_that_changes_connects_anew_at_once() {
    let kit = Kit::new().with_secret("queue", "password", "old");
    let password = json!({"name": "queue", "key": "password"});
    let source = kit.start::<ListSource>(json!({"list": "rotated", "password": password}));
    source.serving().await;
    kit.set_secret("queue", "password", "new");
    let shown = eventually("the new password to be shown", async || {
        let shown = list("rotated").lock().unwrap().connected_with.clone();
        (shown.len() > 1).then_some(shown)
    })
    .await;
    assert_eq!(shown, ["old", "new"]);
    source.stop().await;
}

#[tokio::test]
async fn a_secret_that_appears_ends_the_wait_for_it() {
    let kit = Kit::new();
    let password = json!({"name": "queue", "key": "password"});
    let source = kit.start::<ListSource>(json!({"list": "late", "password": password}));
    let failure = source.failure().await;
    assert!(failure.contains("secret `default/queue` key `password` not found"), "{failure}");
    kit.set_secret("queue", "password", "there");
    source.serving().await;
    source.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_failure_of_this_event_source_only() {
    let kit = Kit::new();
    let source = kit.start::<ListSource>(json!({"list": "panics", "panics": true}));
    assert_eq!(source.failure().await, "the adapter panicked; this is a defect of Zetes");
    assert!(matches!(source.status().state, PartState::Failed { next: Some(_), .. }));
    source.stop().await;
}

#[tokio::test]
async fn what_was_made_upstream_is_undone_when_the_object_is_gone_and_not_when_it_stops() {
    let kit = Kit::new();
    let retired = || list("retired").lock().unwrap().retired;
    let source = kit.start::<ListSource>(json!({"list": "retired"}));
    source.serving().await;
    source.stop().await;
    assert_eq!(retired(), 0);
    kit.start::<ListSource>(json!({"list": "retired"})).retire().await;
    assert_eq!(retired(), 1);
}
