use serde_json::{Value, json};

use super::*;

fn post(value: Value) -> Post {
    serde_json::from_value(value).unwrap()
}

fn certificate() -> Certificate {
    Certificate::read(include_bytes!("certificate.pem")).unwrap()
}

/// Made with `openssl dgst -sign`, as no library here makes signatures of version 1.
#[test]
fn both_versions_of_signatures_are_verified() {
    let signed = |message: &str| {
        post(json!({
            "Type": "Notification", "MessageId": "m-1", "Subject": "greeting", "Message": message,
            "TopicArn": "arn:aws:sns:eu-west-1:1:orders", "Timestamp": "2026-01-31T08:30:00.000Z",
        }))
    };
    let signatures = [("1", include_str!("version-1.txt")), ("2", include_str!("version-2.txt"))];
    for (version, signature) in signatures {
        let signature = STANDARD.decode(signature.trim()).unwrap();
        let verified =
            |message| certificate().verify(algorithm(version).unwrap(), &signed(message), &signature);
        assert_eq!(verified("hello"), Ok(()), "version {version}");
        assert_eq!(verified("hallo"), Err(refused("it does not fit the message")), "version {version}");
    }
    assert!(algorithm("3").is_none() && algorithm("").is_none());
}

#[test]
fn a_certificate_has_its_time() {
    let certificate = certificate();
    let at = |second: i64| certificate.is_valid(Timestamp::from_second(second).unwrap());
    assert!(at(certificate.not_before) && at(certificate.not_after));
    assert!(!at(certificate.not_before - 1) && !at(certificate.not_after + 1));
    assert!(Certificate::read(b"no certificate").is_none());
}

#[test]
fn only_amazons_hosts_have_certificates() {
    for host in ["sns.us-east-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn"] {
        assert!(is_amazons(host), "{host}");
    }
    for host in [
        "sns.us-east-1.amazonaws.com.evil.example",
        "sns.evil.example/.amazonaws.com",
        "evil.sns.us-east-1.amazonaws.com",
        "sns.a.b.amazonaws.com",
        "sns.us.amazonaws.com",
        "sns..amazonaws.com",
        "s3.us-east-1.amazonaws.com",
        "sns.us-east-1.amazonaws.com:8443",
    ] {
        assert!(!is_amazons(host), "{host}");
    }
}

#[test]
fn what_is_signed_has_the_members_that_are_there_in_order() {
    let notification = json!({
        "Type": "Notification", "MessageId": "m", "Subject": "s", "TopicArn": "t", "Timestamp": "now", "Message": "hi",
        "Token": "never",
    });
    assert_eq!(
        signed_text(&post(notification)),
        "Message\nhi\nMessageId\nm\nSubject\ns\nTimestamp\nnow\nTopicArn\nt\nType\nNotification\n"
    );
    let confirmation = json!({
        "Type": "SubscriptionConfirmation", "MessageId": "m", "TopicArn": "t", "Timestamp": "now", "Message": "hi",
        "Token": "k", "SubscribeURL": "u", "Subject": "never",
    });
    assert_eq!(
        signed_text(&post(confirmation)),
        "Message\nhi\nMessageId\nm\nSubscribeURL\nu\nTimestamp\nnow\nToken\nk\nTopicArn\nt\nType\nSubscriptionConfirmation\n"
    );
}
