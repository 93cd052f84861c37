use std::collections::BTreeMap;
use std::io;

use aws_credential_types::provider::error::CredentialsError;
use jiff::Timestamp;
use reqwest::{Client, Url};
use zetes_api::{Metadata, Namespace, Secret, SecretKeyRef};
use zetes_runtime::{Clock, Secrets};

use super::*;
use crate::failure::{Login, Place};

fn key(key: &str) -> SecretKeyRef {
    SecretKeyRef { name: "aws".to_owned(), key: key.to_owned(), optional: None }
}

/// With the keys and the time of AWS's own examples of signatures.
fn settings(values: &[(&str, &str)]) -> Settings {
    let metadata = Metadata { name: Some("aws".into()), ..Metadata::default() };
    let string_data = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut builder = Secrets::builder();
    builder.secret(Namespace::from("ci"), &Secret { metadata, data: BTreeMap::new(), string_data }).unwrap();
    Settings {
        region: "us-east-1".to_owned(),
        endpoint: String::new(),
        role_arn: String::new(),
        access_key: Some(key("access")),
        secret_key: Some(key("secret")),
        session_token: None,
        ca_certificate: None,
        namespace: "ci".into(),
        secrets: builder.build(),
        clock: Clock::manual("2015-08-30T12:36:00Z".parse::<Timestamp>().unwrap()),
    }
}

const KEYS: [(&str, &str); 3] = [
    ("access", "AKIDEXAMPLE"),
    ("secret", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    ("token", "a session's token"),
];

async fn told(settings: Settings) -> String {
    settings.connect().await.err().map(|failure| failure.to_string()).unwrap_or_default()
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
#[tokio::test]
async fn a_request_is_signed_as_amazon_documents_it() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let aws = settings(&KEYS).connect().await.unwrap();
    let request = Client::new()
        .get("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
    let mut request = request.build().unwrap();
    aws.sign("iam", &mut request).await.unwrap();
    assert_eq!(
        request.headers()["authorization"],
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date, \
         Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    );
    assert!(request.headers()["authorization"].is_sensitive());
    assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
}

#[tokio::test]
async fn a_session_token_goes_with_every_signature() {
    let aws = Settings { session_token: Some(key("token")), ..settings(&KEYS) }.connect().await.unwrap();
    let url = Url::parse("https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect").unwrap();
    let signed = aws.presign("kafka-cluster", url, std::time::Duration::from_mins(15)).await.unwrap();
    let pairs: BTreeMap<_, _> = signed.query_pairs().into_owned().collect();
    assert_eq!(pairs["Action"], "kafka-cluster:Connect");
    assert_eq!(pairs["X-Amz-Expires"], "900");
    assert_eq!(pairs["X-Amz-Security-Token"], "a session's token");
    assert_eq!(pairs["X-Amz-SignedHeaders"], "host");
    assert_eq!(pairs["X-Amz-Signature"].len(), 64);
}

#[tokio::test]
async fn what_can_not_be_used_is_told_with_its_secret() {
    let absent = Settings { secret_key: Some(key("absent")), ..settings(&KEYS) };
    assert!(told(absent).await.starts_with("secret `ci/aws` key `absent` not found"));
    let alone = Settings { secret_key: None, ..settings(&KEYS) };
    assert_eq!(
        told(alone).await,
        "`accessKey` and `secretKey` belong together: name both secrets, or neither"
    );
    let no_ca = Settings { ca_certificate: Some(key("access")), ..settings(&KEYS) };
    assert_eq!(told(no_ca).await, "the CA in secret `ci/aws` key `access` is no PEM certificate");
}

fn place(endpoint: Option<&str>) -> Place {
    Place { endpoint: endpoint.map(str::to_owned), region: "eu-west-1".to_owned(), ca: None }
}

fn keys() -> Login {
    Login::Keys {
        access: "secret `a`".to_owned(),
        secret: "secret `s`".to_owned(),
        token: Some("secret `t`".to_owned()),
    }
}

#[test]
fn a_refusal_says_what_to_correct() {
    for (code, expected) in [
        ("InvalidClientTokenId", "AWS in eu-west-1 does not know the access key of secret `a`; correct it"),
        (
            "SignatureDoesNotMatch",
            "AWS in eu-west-1 does not accept the signature: correct the secret key of secret `s`",
        ),
        ("ExpiredToken", "the session token of secret `t` has expired; put new keys and a new token there"),
        ("AccessDenied", "AWS in eu-west-1 denies it to secret `a` (no); grant the right"),
        ("Throttling", "AWS in eu-west-1 answered Throttling (no)"),
    ] {
        assert_eq!(keys().refused(&place(None), code, "no."), expected);
    }
    let told = Login::DefaultChain.refused(&place(Some("http://minio:9000")), "InvalidAccessKeyId", "");
    assert_eq!(
        told,
        "http://minio:9000 does not know the access key of the default AWS credentials; correct it"
    );
}

#[test]
fn who_finds_no_credentials_says_where_it_looked() {
    let none = CredentialsError::not_loaded_no_source();
    let told = Login::DefaultChain.not_given(&place(None), &none);
    assert!(
        told.starts_with("no AWS credentials: looked in the environment (AWS_ACCESS_KEY_ID), "),
        "{told}"
    );
    assert!(told.ends_with("give one of them, or keys with accessKey and secretKey"), "{told}");
    let role = Login::Role("arn:aws:iam::1:role/r".to_owned());
    let told = role.not_given(&place(None), &none);
    assert!(
        told.starts_with("no AWS credentials to assume the role `arn:aws:iam::1:role/r`: looked in "),
        "{told}"
    );
    let told = role.not_given(&place(None), &CredentialsError::provider_error("not authorized"));
    assert!(told.contains("can't be assumed at the token service of eu-west-1 (not authorized)"), "{told}");
}

#[test]
fn who_is_not_reached_is_told_with_its_address() {
    let here = place(Some("http://minio:9000"));
    let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
    let told = here.unreached(&keys(), &io::Error::other(refused));
    assert_eq!(told, "nothing listens at http://minio:9000; start the server, or correct `endpoint`");
    let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let told = here.unreached(&keys(), &io::Error::other(unknown));
    assert_eq!(
        told,
        "the certificate of http://minio:9000 is signed by no CA that this system knows; name its CA with caCertificate"
    );
}

#[test]
fn an_address_is_amazons_unless_another_one_is_named() {
    assert_eq!(place(None).address("sns"), "https://sns.eu-west-1.amazonaws.com");
    assert_eq!(place(Some("http://minio:9000")).address("sns"), "http://minio:9000");
    let china = Place { region: "cn-north-1".to_owned(), ..place(None) };
    assert_eq!(china.address("sns"), "https://sns.cn-north-1.amazonaws.com.cn");
}
