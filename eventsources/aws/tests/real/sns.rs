//! Against moto, and notifications signed by a certificate of our own.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eventsource_aws::sns::Sns;
use eventsource_core::testkit::{self, Kit, Upstream, eventually};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use zetes_services::{Certificates, MotoServer, Settings, Tls, free_port};

use crate::moto::{ACCOUNT, FORM, asked, guard};
use crate::{keys, kit, secret, with};

const REGION: &str = "us-east-1";

fn topic() -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:orders")
}

/// A topic at moto, and the port that it posts to.
struct Topic<'m> {
    moto: &'m MotoServer,
    port: u16,
}

impl<'m> Topic<'m> {
    fn create(moto: &'m MotoServer) -> Self {
        let topic = Self { moto, port: free_port() };
        topic.ask("Action=CreateTopic&Name=orders");
        topic
    }

    fn config(&self) -> Value {
        let webhook = json!({"endpoint": "/sns", "port": self.port.to_string(), "url": format!("http://127.0.0.1:{}/", self.port)});
        let base =
            json!({"topicArn": topic(), "region": REGION, "endpoint": self.moto.url(), "webhook": webhook});
        with(&base, &keys())
    }

    fn ask(&self, form: &str) -> String {
        let form = format!("Version=2010-03-31&TopicArn={}&{form}", topic());
        asked(self.moto, "sns", "/", &[FORM], &form)
    }

    fn has_subscription(&self) -> bool {
        self.ask("Action=ListSubscriptionsByTopic")
            .contains(&format!("<Endpoint>http://127.0.0.1:{}/sns</Endpoint>", self.port))
    }

    async fn subscribed(&self) {
        eventually("the subscription", async || self.has_subscription().then_some(())).await;
    }

    /// What SNS would post; the answer.
    async fn post(&self, body: &Value) -> (StatusCode, String) {
        let url = format!("http://127.0.0.1:{}/sns", self.port);
        let request = Client::new().post(url).header("x-amz-sns-message-type", "Notification");
        let answer = request.body(body.to_string()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

impl Upstream for Topic<'_> {
    async fn send(&mut self, number: usize) {
        self.subscribed().await;
        self.ask(&format!("Action=Publish&Message={number}"));
    }

    fn number(&self, data: &Value) -> usize {
        data["body"]["Message"].as_str().unwrap().parse().unwrap()
    }
}

fn notification(id: &str) -> Value {
    json!({
        "Type": "Notification", "MessageId": id, "TopicArn": topic(), "Message": "hello",
        "Timestamp": "2026-01-31T08:30:00.000Z",
    })
}

fn any() -> Kit {
    kit("any", "any")
}

/// A key and its certificate, as Amazon has them.
struct Signer {
    key: RsaKeyPair,
    certificate: String,
}

impl Signer {
    fn new() -> Self {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&pair).unwrap().pem();
        Self { key: RsaKeyPair::from_pkcs8(&pair.serialize_der()).unwrap(), certificate }
    }

    /// `post`, signed; its certificate is at `url`.
    fn signed(&self, post: &Value, url: &str) -> Value {
        let names =
            ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"];
        let lines = names.iter().filter_map(|name| Some(format!("{name}\n{}\n", post[*name].as_str()?)));
        let text: String = lines.collect();
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        let signature =
            json!({"SignatureVersion": "2", "Signature": STANDARD.encode(signature), "SigningCertURL": url});
        with(post, &signature)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_becomes_one_event() {
    let moto = MotoServer::start();
    let mut topic = Topic::create(&moto);
    let config = topic.config();
    testkit::every_message_becomes_one_event::<Sns>(&any(), &config, &mut topic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_is_the_post_as_it_came() {
    let moto = MotoServer::start();
    let topic = Topic::create(&moto);
    let kit = any();
    let source = kit.start::<Sns>(with(&topic.config(), &json!({"metadata": {"team": "ci"}})));
    source.serving().await;
    topic.subscribed().await;
    let (status, _) = topic.post(&notification("m-1")).await;
    assert_eq!(status, StatusCode::OK);
    let event = kit.events(1).await.remove(0);
    assert_eq!(
        (event.id.as_str(), event.time.unwrap().to_string().as_str()),
        ("m-1", "2026-01-31T08:30:00Z")
    );
    let data = kit.data(1).await.remove(0);
    assert_eq!((&data["body"], &data["metadata"]), (&notification("m-1"), &json!({"team": "ci"})));
    assert_eq!(data["header"]["X-Amz-Sns-Message-Type"], json!(["Notification"]));
    // SNS posts again what was not answered in time.
    topic.post(&notification("m-1")).await;
    topic.post(&notification("m-2")).await;
    assert_eq!(kit.events(2).await.len(), 2);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_of_the_topic_is_refused() {
    let moto = MotoServer::start();
    let topic = Topic::create(&moto);
    let kit = any();
    let source = kit.start::<Sns>(topic.config());
    source.serving().await;
    topic.subscribed().await;
    for body in [
        Value::Null,
        json!([1]),
        with(&notification("m"), &json!({"TopicArn": "arn:aws:sns:us-east-1:1:other"})),
        with(&notification("m"), &json!({"Timestamp": "yesterday"})),
    ] {
        assert_eq!(topic.post(&body).await.0, StatusCode::BAD_REQUEST, "{body}");
    }
    let other = with(&notification("m"), &json!({"Type": "UnsubscribeConfirmation"}));
    assert_eq!(topic.post(&other).await, (StatusCode::OK, String::new()));
    assert!(kit.events_now().await.is_empty());
    kit.refuse();
    assert_eq!(topic.post(&notification("m")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    kit.take();
    assert_eq!(topic.post(&notification("m")).await.0, StatusCode::OK);
    kit.events(1).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_is_answered_by_a_call_and_its_address_is_not_fetched() {
    let moto = MotoServer::start();
    let topic = Topic::create(&moto);
    let kit = any();
    let source = kit.start::<Sns>(topic.config());
    source.serving().await;
    topic.subscribed().await;
    // Whoever fetches it finds out that somebody listens there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let trap = format!("http://{}/", listener.local_addr().unwrap());
    let members = json!({"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": trap});
    let confirmation = with(&notification("m"), &members);
    let fetched = async { listener.accept().await.unwrap() };
    tokio::select! {
        _ = fetched => panic!("the address in the post was fetched"),
        answer = topic.post(&confirmation) => assert_eq!(answer, (StatusCode::OK, String::new())),
    }
    assert!(kit.events_now().await.is_empty());
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subscription_is_removed_with_the_object_and_not_with_the_process() {
    let moto = MotoServer::start();
    let topic = Topic::create(&moto);
    let kit = any();
    let source = kit.start::<Sns>(topic.config());
    topic.subscribed().await;
    source.stop().await;
    assert!(topic.has_subscription());
    let source = kit.start::<Sns>(topic.config());
    source.retire().await;
    assert!(!topic.has_subscription());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signed_posts_become_events_where_signatures_are_validated() {
    let certificates = Certificates::new();
    let moto = MotoServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    let topic = Topic::create(&moto);
    let (ours, other) = (Signer::new(), Signer::new());
    for (path, body) in
        [("/certs", ""), ("/certs/sns.pem", ours.certificate.as_str()), ("/certs/no.pem", "no certificate")]
    {
        assert_eq!(
            moto.request("s3", "PUT", path, &[("X-Amz-Acl", "public-read")], body).unwrap().status,
            200
        );
    }
    let host = moto.url().strip_prefix("https://").unwrap().to_owned();
    let url = format!("https://{host}/certs/sns.pem");
    let kit = any().with_secret("aws", "ca", &certificates.ca.certificate);
    let members = json!({"validateSignature": true, "signingCertHost": host, "caCertificate": secret("ca")});
    let source = kit.start::<Sns>(with(&topic.config(), &members));
    source.serving().await;
    topic.subscribed().await;
    let post = notification("m-1");
    let signed = ours.signed(&post, &url);
    assert_eq!(topic.post(&signed).await.0, StatusCode::OK);
    assert_eq!(kit.events(1).await.len(), 1);
    for (why, body) in [
        ("unsigned", post.clone()),
        ("changed", with(&signed, &json!({"Message": "hallo"}))),
        ("version", with(&signed, &json!({"SignatureVersion": "3"}))),
        ("another key", other.signed(&post, &url)),
        ("no certificate", ours.signed(&post, &format!("https://{host}/certs/no.pem"))),
        ("not https", ours.signed(&post, &url.replace("https", "http"))),
        ("another host", ours.signed(&post, "https://sns.evil.example/sns.pem")),
        ("unsigned confirmation", with(&post, &json!({"Type": "SubscriptionConfirmation", "Token": "t"}))),
    ] {
        let (status, text) = topic.post(&body).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{why}: {text}");
    }
    // It may be there later: SNS shall post again.
    let later = ours.signed(&post, &format!("https://{host}/certs/absent.pem"));
    assert_eq!(topic.post(&later).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(kit.events_now().await.len(), 1);
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_is_verified() {
    let certificates = Certificates::new();
    let moto = MotoServer::start_with(&Settings { tls: Tls::Server(&certificates), ..Settings::default() });
    let topic = Topic::create(&moto);
    let kit = any().with_secret("aws", "ca", &certificates.ca.certificate);
    let source = kit.start::<Sns>(topic.config());
    let told = source.trouble().await;
    assert!(
        told.contains("is signed by no CA that this system knows; name its CA with caCertificate"),
        "{told}"
    );
    assert!(!topic.has_subscription());
    // Reception does not wait for the subscription.
    assert_eq!(topic.post(&notification("m")).await.0, StatusCode::OK);
    source.stop().await;
    let source = kit.start::<Sns>(with(&topic.config(), &json!({"caCertificate": secret("ca")})));
    topic.subscribed().await;
    eventually("the trouble to be over", async || source.status().trouble.is_none().then_some(())).await;
    source.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_login_is_told_and_a_right_one_serves() {
    let moto = MotoServer::start();
    let topic = Topic::create(&moto);
    let (access, password) = guard(&moto, "sns:Publish");
    let kit = kit(&access, "wrong");
    let source = kit.start::<Sns>(topic.config());
    let told = source.trouble().await;
    assert!(
        told.starts_with(
            "not subscribed, only posts of a subscription that exists are received: Subscribe of"
        ),
        "{told}"
    );
    assert!(told.contains("correct the secret key of secret `default/aws` key `secret`"), "{told}");
    assert_eq!(topic.post(&notification("m")).await.0, StatusCode::OK);
    kit.set_secret("aws", "secret", &password);
    eventually("the trouble to be over", async || source.status().trouble.is_none().then_some(())).await;
    source.retire().await;
}

mod slow {
    use super::*;

    /// It is asked again for the subscription after half a minute.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_restarted_server_is_found_again() {
        let mut moto = MotoServer::start();
        let (port, config) = {
            let topic = Topic::create(&moto);
            (topic.port, topic.config())
        };
        moto.kill();
        let kit = any();
        let source = kit.start::<Sns>(config);
        let told = source.trouble().await;
        assert!(told.contains("nothing listens at http://127.0.0.1:"), "{told}");
        moto.restart();
        let topic = Topic { moto: &moto, port };
        topic.ask("Action=CreateTopic&Name=orders");
        topic.subscribed().await;
        topic.ask("Action=Publish&Message=1");
        kit.events(1).await;
        source.stop().await;
    }
}
