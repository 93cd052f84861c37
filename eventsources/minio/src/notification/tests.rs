use eventsource_core::Factory;
use serde_json::{Value, json};

use super::*;
use crate::Minio;

/// As `MinIO` sent it; with members that the reference does not know.
fn line() -> Value {
    json!({"EventName": "s3:ObjectCreated:Put", "Key": "photos/a%2Fb+c.jpg", "Records": [{
        "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2026-11-25T13:00:00.123Z",
        "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "zetes"},
        "requestParameters": {"principalId": "zetes", "region": "", "sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "17"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "Config",
            "bucket": {"name": "photos", "ownerIdentity": {"principalId": "zetes"}, "arn": "arn:aws:s3:::photos"},
            "object": {"key": "a%2Fb+c.jpg", "size": 3, "eTag": "e", "contentType": "image/jpeg",
                       "userMetadata": {"content-type": "image/jpeg"}, "sequencer": "187B"}
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "mc", "other": 1}, "glacierEventData": null,
    }]})
}

fn read(line: &Value) -> Notification {
    serde_json::from_value(line.clone()).unwrap()
}

fn data(line: &Value) -> Value {
    serde_json::to_value(Data { notification: read(line).records(), metadata: None }).unwrap()
}

#[test]
fn a_record_has_the_members_that_the_reference_knows() {
    let mut expected = line()["Records"][0].clone();
    expected["source"].as_object_mut().unwrap().remove("other");
    expected.as_object_mut().unwrap().remove("glacierEventData");
    assert_eq!(data(&line()), json!({"notification": [expected]}));
    let metadata = BTreeMap::from([("team".to_owned(), "shop".to_owned())]);
    let with = serde_json::to_value(Data { notification: &[], metadata: Some(&metadata) }).unwrap();
    assert_eq!(with, json!({"notification": [], "metadata": {"team": "shop"}}));
}

#[test]
fn what_is_absent_is_empty_or_left_out_as_go_does() {
    let expected = json!({
        "eventVersion": "", "eventSource": "", "awsRegion": "", "eventTime": "", "eventName": "",
        "userIdentity": {"principalId": ""}, "requestParameters": null, "responseElements": null,
        "s3": {
            "s3SchemaVersion": "", "configurationId": "",
            "bucket": {"name": "", "ownerIdentity": {"principalId": ""}, "arn": ""},
            "object": {"key": "k", "sequencer": ""}
        },
        "source": {"host": "", "port": "", "userAgent": ""},
    });
    for object in [
        json!({"key": "k"}),
        json!({"key": "k", "size": 0, "eTag": "", "userMetadata": null, "versionId": null}),
    ] {
        let line = json!({"Records": [{"s3": {"object": object}, "source": null}]});
        assert_eq!(data(&line), json!({"notification": [expected]}), "{line}");
    }
}

#[test]
fn the_id_is_of_the_change() {
    let id = |line: &Value| read(line).id().map(|id| id.to_string());
    assert_eq!(id(&line()), Some("photos/a%2Fb+c.jpg/s3:ObjectCreated:Put/187B".to_owned()));
    let mut without = line();
    without["Records"][0]["s3"]["object"]["sequencer"] = json!("");
    assert_eq!(id(&without), None);
}

#[test]
fn a_line_without_records_says_only_that_the_server_is_there() {
    for line in [json!({"Records": null}), json!({"Records": []}), json!({})] {
        assert!(read(&line).is_empty(), "{line}");
    }
}

#[test]
fn what_is_missing_or_receives_nothing_is_told() {
    let told = |change: Value| -> Vec<String> {
        let secret = json!({"name": "n", "key": "k"});
        let mut config = json!({
            "endpoint": "localhost:9000", "bucket": {"name": "b"}, "accessKey": secret, "secretKey": secret,
            "events": ["s3:ObjectCreated:*"],
        });
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let findings = Factory::of::<Minio>().check(&config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    assert_eq!(told(json!({})), [""; 0]);
    assert_eq!(told(json!({"events": [""]})), ["Error bad-value events[0]"]);
    assert_eq!(told(json!({"bucket": {}})), ["Error missing-field bucket.name"]);
    assert_eq!(
        told(json!({"bucket": null, "accessKey": null})),
        ["Error missing-field accessKey", "Error missing-field bucket"]
    );
    assert_eq!(told(json!({"events": []})), ["Warning receives-nothing events"]);
    for endpoint in [
        "http://localhost:9000",
        "s3.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn:443",
        "storage.googleapis.com",
    ] {
        assert_eq!(told(json!({"endpoint": endpoint})), ["Warning receives-nothing endpoint"], "{endpoint}");
    }
    assert_eq!(told(json!({"endpoint": "notamazonaws.com"})), [""; 0]);
}
