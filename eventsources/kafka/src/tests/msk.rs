use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use connection_aws::Settings;
use jiff::Timestamp;
use zetes_api::SecretKeyRef;
use zetes_runtime::{Clock, Secrets};

use crate::msk::token;

#[tokio::test]
async fn a_token_is_a_signed_address_that_amazon_can_check() {
    let key = |key: &str| Some(SecretKeyRef { name: "aws".to_owned(), key: key.to_owned(), optional: None });
    let mut secrets = Secrets::builder();
    secrets.environment([
        ("ZETES_SECRET_AWS_ACCESS".to_owned(), "AKIDEXAMPLE".to_owned()),
        ("ZETES_SECRET_AWS_SECRET".to_owned(), "wJalrXUtnFEMI".to_owned()),
    ]);
    let settings = Settings {
        region: "eu-west-1".to_owned(),
        endpoint: String::new(),
        role_arn: String::new(),
        access_key: key("access"),
        secret_key: key("secret"),
        session_token: None,
        ca_certificate: None,
        namespace: "default".into(),
        secrets: secrets.build(),
        clock: Clock::manual("2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap()),
    };
    let token = token(&settings.connect().await.unwrap(), "eu-west-1").await.unwrap();
    let address = String::from_utf8(URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
    let address = reqwest::Url::parse(&address).unwrap();
    let pairs: Vec<_> = address.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(address.host_str(), Some("kafka.eu-west-1.amazonaws.com"));
    for expected in [
        "Action=kafka-cluster:Connect",
        "X-Amz-Credential=AKIDEXAMPLE/20260102/eu-west-1/kafka-cluster/aws4_request",
        "X-Amz-Date=20260102T030405Z",
        "X-Amz-Expires=900",
        "X-Amz-SignedHeaders=host",
        // Computed by hand, as Amazon's documentation says.
        "X-Amz-Signature=cd9b7a60b2a266a5d7fb1ef0448a4d17ec4c819e077afed90656de268bc3570e",
        "User-Agent=zetes",
    ] {
        assert!(pairs.iter().any(|pair| pair == expected), "expected {expected}, got {pairs:?}");
    }
}
