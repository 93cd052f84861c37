use crate::{Certificates, MotoServer, Settings, Tls};

/// Makes a queue and sends itself a message; what comes back.
fn received(moto: &MotoServer) -> String {
    let url = moto.url();
    let ask = |method: &str, body: &str| {
        let target = format!("AmazonSQS.{method}");
        let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.0")];
        moto.request("sqs", "POST", "/", &headers, body).filter(|answer| answer.status == 200).unwrap().body
    };
    assert!(ask("CreateQueue", r#"{"QueueName": "orders"}"#).contains("/orders"));
    let queue = format!(r#""QueueUrl": "{url}/123456789012/orders""#);
    ask("SendMessage", &format!(r#"{{{queue}, "MessageBody": "a1"}}"#));
    ask("ReceiveMessage", &format!("{{{queue}}}"))
}

#[test]
fn it_keeps_queues_and_buckets_until_its_end() {
    let mut moto = MotoServer::start();
    assert!(received(&moto).contains("\"a1\""));
    let status = |moto: &MotoServer, method: &str, path: &str, body: &str| {
        moto.request("s3", method, path, &[], body).map(|answer| answer.status)
    };
    assert_eq!(status(&moto, "PUT", "/orders", ""), Some(200));
    assert_eq!(status(&moto, "PUT", "/orders/a1", "sku"), Some(200));
    assert_eq!(status(&moto, "GET", "/orders/a1", ""), Some(200));
    moto.kill();
    assert_eq!(status(&moto, "GET", "/orders/a1", ""), None);
    moto.restart();
    assert_eq!(status(&moto, "GET", "/orders/a1", ""), Some(404));
}

#[test]
fn it_speaks_tls_where_asked() {
    let certificates = Certificates::new();
    let settings = Settings { tls: Tls::Server(&certificates), ..Settings::default() };
    let moto = MotoServer::start_with(&settings);
    assert!(moto.url().starts_with("https://localhost:"));
    assert!(received(&moto).contains("\"a1\""));
}
