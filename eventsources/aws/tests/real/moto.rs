//! What a test does at moto itself.

use eventsource_core::testkit::eventually;
use serde_json::{Value, json};
use zetes_services::MotoServer;

pub(crate) const ACCOUNT: &str = "123456789012";
pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

/// A queue of a test's own.
pub(crate) struct Queue<'m> {
    pub(crate) moto: &'m MotoServer,
    pub(crate) name: &'static str,
}

impl Queue<'_> {
    pub(crate) fn create(&self, attributes: &Value) {
        self.ask("CreateQueue", &json!({"QueueName": self.name, "Attributes": attributes}));
    }

    pub(crate) fn delete(&self) {
        self.ask("DeleteQueue", &json!({"QueueUrl": self.url()}));
    }

    pub(crate) fn send(&self, body: &str) {
        self.ask("SendMessage", &json!({"QueueUrl": self.url(), "MessageBody": body}));
    }

    /// In order behind what was sent before.
    pub(crate) fn send_in_order(&self, body: &str) {
        let order = json!({"MessageGroupId": "all", "MessageDeduplicationId": body});
        let message = crate::with(&json!({"QueueUrl": self.url(), "MessageBody": body}), &order);
        self.ask("SendMessage", &message);
    }

    /// Messages that wait, and those that are handed out and not deleted.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let answer =
            self.ask("GetQueueAttributes", &json!({"QueueUrl": self.url(), "AttributeNames": names}));
        let [waiting, handed] =
            names.map(|name| answer["Attributes"][name].as_str().unwrap().parse().unwrap());
        (waiting, handed)
    }

    pub(crate) async fn becomes_empty(&self) {
        eventually("the queue to be empty", async || (self.counts() == (0, 0)).then_some(())).await;
    }

    fn url(&self) -> String {
        format!("{}/{ACCOUNT}/{}", self.moto.url(), self.name)
    }

    fn ask(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonSQS.{action}");
        let headers = [("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.0")];
        let answer = asked(self.moto, "sqs", "/", &headers, &body.to_string());
        serde_json::from_str(&answer).unwrap_or_default()
    }
}

/// Its answer to a request, which must be a success. Other tasks go on: it may call one of them before it answers.
pub(crate) fn asked(
    moto: &MotoServer,
    service: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> String {
    let answer = tokio::task::block_in_place(|| moto.request(service, "POST", path, headers, body)).unwrap();
    assert_eq!(answer.status, 200, "{body}: {}", answer.body);
    answer.body
}

/// From now on moto knows who asks: the user that this makes, who may do everything but what is in `denied`. Its keys.
pub(crate) fn guard(moto: &MotoServer, denied: &str) -> (String, String) {
    let iam =
        |form: &str| asked(moto, "iam", "/", &[FORM], &format!("Version=2010-05-08&UserName=zetes&{form}"));
    iam("Action=CreateUser");
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": denied, "Resource": "*"},
    ]});
    iam(&format!("Action=PutUserPolicy&PolicyName=all&PolicyDocument={policy}"));
    let answer = iam("Action=CreateAccessKey");
    let between = |begin: &str, end: &str| {
        let (_, rest) = answer.split_once(begin).unwrap();
        rest.split_once(end).unwrap().0.to_owned()
    };
    let keys =
        (between("<AccessKeyId>", "</AccessKeyId>"), between("<SecretAccessKey>", "</SecretAccessKey>"));
    asked(moto, "iam", "/moto-api/reset-auth", &[], "0");
    keys
}
