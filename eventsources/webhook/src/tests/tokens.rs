//! JSON Web Tokens, signed by the `openssl` program, and the keys of an issuer that is a server of the test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eventsource_core::Request;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use zetes_runtime::Clock;

use super::openssl::{hmac, openssl};
use super::{request, told, with_members};
use crate::verify::jwt::{Jwt, Tokens};

const NOW: i64 = 1_700_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// A key of an issuer, in a file as `openssl` wants it.
struct Rsa {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Rsa {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        std::fs::write(
            &file,
            openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], b""),
        )
        .unwrap();
        Self { file, _folder: folder }
    }

    fn path(&self) -> &str {
        self.file.to_str().unwrap()
    }

    fn public_pem(&self) -> String {
        String::from_utf8(openssl(&["pkey", "-in", self.path(), "-pubout"], b"")).unwrap()
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        openssl(&["dgst", "-sha256", "-sign", self.path()], text)
    }

    fn jwk(&self, id: &str) -> Value {
        let modulus =
            String::from_utf8(openssl(&["rsa", "-in", self.path(), "-modulus", "-noout"], b"")).unwrap();
        let modulus = hex::decode(modulus.trim().trim_start_matches("Modulus=")).unwrap();
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(modulus)})
    }
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn claims() -> Value {
    json!({"exp": NOW + 60, "iss": "https://issuer", "aud": ["others", "zetes"], "sub": "ci"})
}

fn with(members: Value) -> Value {
    with_members(claims(), members)
}

fn bearer(token: &str) -> Request {
    request(Method::POST, &[("authorization", &format!("Bearer {token}"))], "{}")
}

fn tokens(config: Value, secret: &str) -> Tokens {
    let config: Jwt = serde_json::from_value(config).unwrap();
    Tokens::with_secret(config, &secret.to_owned().into()).unwrap()
}

#[tokio::test]
async fn a_token_counts_by_algorithm_signature_issuer_audience_and_time() {
    let (key, other) = (Rsa::new(), Rsa::new());
    let config = json!({"algorithms": ["RS256"], "issuer": "https://issuer", "audience": "zetes"});
    let tokens = tokens(config, &key.public_pem());
    let rs256 = json!({"alg": "RS256", "typ": "JWT"});
    let signed = |claims: &Value| token(&rs256, claims, |text| key.sign(text));
    let wrong = "the token's signature or one of its claims (exp, iss, aud) is wrong";
    let unknown = "the token is none, or its algorithm is not known";
    let mut cut = signed(&claims());
    cut.truncate(cut.len() - 3);
    let right = signed(&claims());
    let public = key.public_pem();
    let cases = [
        (right.clone(), "ok"),
        (signed(&with(json!({"aud": "zetes"}))), "ok"),
        (signed(&with(json!({"exp": NOW - 29}))), "ok"),
        (signed(&with(json!({"exp": 1_700_000_000.5, "nbf": NOW + 29}))), "ok"),
        (signed(&with(json!({"exp": NOW - 30}))), "the token has expired"),
        (signed(&with(json!({"exp": 0}))), "the token has expired"),
        (signed(&with(json!({"nbf": NOW + 31}))), "the token is not valid yet"),
        (signed(&json!({"iss": "https://issuer", "aud": "zetes"})), wrong),
        (signed(&with(json!({"exp": "tomorrow"}))), wrong),
        (signed(&with(json!({"exp": 1e300}))), wrong),
        (signed(&with(json!({"iss": "https://other"}))), wrong),
        (signed(&with(json!({"iss": null}))), wrong),
        (signed(&with(json!({"aud": "others"}))), wrong),
        (signed(&with(json!({"aud": null}))), wrong),
        (token(&rs256, &claims(), |text| other.sign(text)), wrong),
        (token(&rs256, &claims(), |_| Vec::new()), wrong),
        (cut, wrong),
        // Algorithms are pinned: none at all, the public key as a shared one, another of the same family.
        (token(&json!({"alg": "none"}), &claims(), |_| Vec::new()), unknown),
        (
            token(&json!({"alg": "HS256"}), &claims(), |text| hmac("sha256", &public, text)),
            "the token's algorithm is not accepted",
        ),
        (
            token(&json!({"alg": "PS256"}), &claims(), |text| key.sign(text)),
            "the token's algorithm is not accepted",
        ),
        (
            token(&json!({"alg": "RS256", "crit": ["b64"], "b64": false}), &claims(), |text| key.sign(text)),
            "the token asks for extensions that are not known here",
        ),
        (String::new(), "a token is required"),
        ("a.b".to_owned(), unknown),
        ("a.b.c".to_owned(), unknown),
        (right.replace('.', ".."), unknown),
    ];
    for (shown, expected) in cases {
        assert_eq!(told(&tokens.check(&bearer(&shown), now()).await), expected, "{shown}");
    }
    for headers in [&[][..], &[("authorization", "Basic eDp5")], &[("authorization", right.as_str())]] {
        let refused = tokens.check(&request(Method::POST, headers, "{}"), now()).await;
        assert_eq!(told(&refused), "a token is required");
    }
}

#[tokio::test]
async fn a_token_may_stand_in_a_header_of_its_own_and_be_signed_with_a_shared_key() {
    let tokens =
        tokens(json!({"algorithms": ["HS256", "HS512"], "header": "X-Token", "leeway": "0s"}), "shared");
    let signed = |algorithm: &str, digest: &str, key: &str| {
        token(&json!({"alg": algorithm}), &json!({"exp": NOW + 1}), |text| hmac(digest, key, text))
    };
    let check = async |shown: &str| {
        told(&tokens.check(&request(Method::POST, &[("x-token", shown)], "{}"), now()).await)
    };
    assert_eq!(check(&signed("HS256", "sha256", "shared")).await, "ok");
    assert_eq!(check(&format!("bearer {}", signed("HS512", "sha512", "shared"))).await, "ok");
    assert_ne!(check(&signed("HS256", "sha256", "Shared")).await, "ok");
    assert_ne!(check(&signed("HS512", "sha256", "shared")).await, "ok");
}

#[test]
fn a_secret_that_holds_no_key_is_told() {
    let with = |algorithm: &str, secret: &str| {
        let config = serde_json::from_value(json!({"algorithms": [algorithm]})).unwrap();
        Tokens::with_secret(config, &secret.to_owned().into())
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(with("HS256", "").ends_with("the secret is empty, so that anybody could sign"));
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let told = with(algorithm, "no PEM");
        assert_eq!(
            told, "verify.jwt: the secret holds no PEM public key for these algorithms",
            "{algorithm}"
        );
    }
}

#[test]
fn public_keys_of_every_family_are_read() {
    for (algorithm, made) in [
        ("RS256", &["genpkey", "-algorithm", "RSA"][..]),
        ("ES256", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ES384", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("EdDSA", &["genpkey", "-algorithm", "ed25519"]),
    ] {
        let public = String::from_utf8(openssl(&["pkey", "-pubout"], &openssl(made, b""))).unwrap();
        tokens(json!({"algorithms": [algorithm]}), &public);
    }
}

/// RFC 7515, appendix A.3.
#[tokio::test]
async fn the_example_of_the_rfc_is_valid_until_it_expires() {
    const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    let issuer = Issuer::start().await;
    issuer.answers(
        200,
        &[json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        })],
    );
    let config =
        json!({"algorithms": ["RS256", "ES256"], "jwksURL": issuer.url, "issuer": "joe", "leeway": "0s"});
    let tokens = Tokens::with_issuer(
        serde_json::from_value(config).unwrap(),
        (client(), Clock::manual(now())),
        |_: Option<String>| {},
    );
    let tokens = tokens.await.unwrap();
    let at = async |second: i64| {
        told(&tokens.check(&bearer(TOKEN), Timestamp::from_second(second).unwrap()).await)
    };
    assert_eq!(at(1_300_819_379).await, "ok");
    assert_eq!(at(1_300_819_380).await, "the token has expired");
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// An issuer: what it answers can be changed, and it counts how often it is asked.
struct Issuer {
    url: String,
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Issuer {
    async fn start() -> Self {
        let (answer, asked) = (Arc::new(Mutex::new((503, String::new()))), Arc::new(AtomicUsize::new(0)));
        let (shared, counter) = (answer.clone(), asked.clone());
        let app = axum::Router::new().fallback(move || {
            counter.fetch_add(1, Ordering::SeqCst);
            let (status, text) = shared.lock().unwrap().clone();
            async move { (http::StatusCode::from_u16(status).unwrap(), text) }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, answer, asked, _serving: serving }
    }

    fn answers(&self, status: u16, keys: &[Value]) {
        *self.answer.lock().unwrap() = (status, json!({"keys": keys}).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn keys_of_an_issuer_are_fetched_kept_and_asked_for_at_most_every_thirty_seconds() {
    let (first, second, issuer, clock) =
        (Rsa::new(), Rsa::new(), Issuer::start().await, Clock::manual(now()));
    let troubles = Arc::new(Mutex::new(Vec::new()));
    let heard = troubles.clone();
    let config = json!({"algorithms": ["RS256"], "jwksURL": issuer.url});
    let tokens = Tokens::with_issuer(
        serde_json::from_value(config).unwrap(),
        (client(), clock.clone()),
        move |trouble: Option<String>| heard.lock().unwrap().push(trouble),
    )
    .await
    .unwrap();
    let shown = |key: &Rsa, id: Option<&str>| {
        let header = id.map_or_else(|| json!({"alg": "RS256"}), |id| json!({"alg": "RS256", "kid": id}));
        bearer(&token(&header, &json!({"exp": NOW + 1_000_000}), |text| key.sign(text)))
    };
    let (old, new, nameless) = (shown(&first, Some("1")), shown(&second, Some("2")), shown(&first, None));
    let check = async |request: &Request| told(&tokens.check(request, clock.now()).await);
    let later = "the issuer's keys can't be fetched";
    let unknown = "the token is signed with a key that the issuer does not have";

    // The issuer is down: callers are sent away for a while, and it is not asked for each of them.
    for _ in 0..5 {
        assert_eq!(check(&old).await, later);
    }
    assert_eq!(issuer.asked(), 1);
    assert!(
        troubles
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .as_ref()
            .unwrap()
            .ends_with("it answers 503 Service Unavailable")
    );
    issuer.answers(
        200,
        &[first.jwk("1"), json!({"kty": "oct", "k": "AAAA", "kid": "2"}), json!({"kty": "new"}), json!(7)],
    );
    assert_eq!(check(&old).await, later);
    clock.advance(Duration::from_secs(30));
    assert_eq!(check(&old).await, "ok");
    assert_eq!(check(&nameless).await, "ok");
    assert_eq!((issuer.asked(), troubles.lock().unwrap().last().cloned()), (2, Some(None)));

    // A key that is not known is asked for once in thirty seconds, whatever is shown.
    for _ in 0..20 {
        assert_eq!(check(&new).await, unknown);
    }
    assert_eq!(issuer.asked(), 2);
    clock.advance(Duration::from_secs(30));
    let all = futures_util::future::join_all((0..20).map(|_| check(&new))).await;
    assert!(all.iter().all(|one| one == unknown));
    assert_eq!(issuer.asked(), 3, "all of them wait for one answer");
    // The issuer has changed its key.
    issuer.answers(200, &[second.jwk("2")]);
    clock.advance(Duration::from_secs(30));
    assert_eq!(check(&new).await, "ok");
    assert_eq!(check(&old).await, unknown, "a key that the issuer has given up");
    assert_eq!(issuer.asked(), 4);

    // While it does not answer, its keys count for an hour.
    issuer.answers(500, &[]);
    clock.advance(Duration::from_mins(59));
    assert_eq!(check(&new).await, "ok");
    clock.advance(Duration::from_mins(1));
    assert_eq!(check(&new).await, later);
    issuer.answers(200, &[]);
    clock.advance(Duration::from_secs(30));
    assert_eq!(check(&new).await, later, "an answer without keys is none");
}
