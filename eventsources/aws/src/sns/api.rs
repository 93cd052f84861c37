//! The few calls of SNS that are made here, without an SDK.

use connection_aws::{Connection, Failure, Settings};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;

const VERSION: &str = "2010-03-31";

/// SNS, asked about one topic. Who we are is found out anew for each call: they are rare.
pub(super) struct Api {
    settings: Settings,
    http: Client,
    topic: String,
}

/// How a subscription is.
pub(super) enum Subscription {
    Confirmed,
    Pending,
}

#[derive(Deserialize)]
struct Answer<R> {
    #[serde(alias = "SubscribeResult", alias = "ListSubscriptionsByTopicResult")]
    result: R,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Subscribed {
    subscription_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Listed {
    subscriptions: Members,
    next_token: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Members {
    member: Vec<Member>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Member {
    endpoint: String,
    subscription_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ErrorAnswer {
    error: Refused,
    /// Some put one more around it.
    errors: Errors,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Errors {
    error: Refused,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Refused {
    code: String,
    message: String,
}

impl Api {
    pub(super) fn new(settings: Settings, http: Client, topic: String) -> Self {
        Self { settings, http, topic }
    }

    /// Asks that the topic's messages be posted to `address`. Once more does nothing, but that SNS asks for the confirmation anew.
    pub(super) async fn subscribe(&self, address: &str) -> Result<Subscription, Failure> {
        let protocol = if address.starts_with("https://") { "https" } else { "http" };
        let about = [("TopicArn", self.topic.as_str()), ("Protocol", protocol), ("Endpoint", address)];
        let Subscribed { subscription_arn: arn } = self.ask("Subscribe", &about).await?;
        Ok(if is_arn(&arn) { Subscription::Confirmed } else { Subscription::Pending })
    }

    pub(super) async fn confirm(&self, token: &str) -> Result<(), Failure> {
        self.call("ConfirmSubscription", &[("TopicArn", &self.topic), ("Token", token)]).await.map(drop)
    }

    /// Removes the subscription for `address`, if there is one. One that was never confirmed ends by itself.
    pub(super) async fn unsubscribe(&self, address: &str) -> Result<(), Failure> {
        let mut page = String::new();
        loop {
            let about = [("TopicArn", self.topic.as_str()), ("NextToken", page.as_str())];
            let about = if page.is_empty() { &about[..1] } else { &about[..] };
            let listed: Listed = self.ask("ListSubscriptionsByTopic", about).await?;
            let mut ours = listed.subscriptions.member.iter().filter(|member| member.endpoint == address);
            if let Some(ours) = ours.find(|member| is_arn(&member.subscription_arn)) {
                return self
                    .call("Unsubscribe", &[("SubscriptionArn", &ours.subscription_arn)])
                    .await
                    .map(drop);
            }
            if listed.next_token.is_empty() {
                return Ok(());
            }
            page = listed.next_token;
        }
    }

    async fn ask<R: DeserializeOwned>(&self, action: &str, about: &[(&str, &str)]) -> Result<R, Failure> {
        let (aws, text) = self.call(action, about).await?;
        let answer: Result<Answer<R>, _> = quick_xml::de::from_str(&text);
        Ok(answer.map_err(|error| aws.unreached(&self.doing(action), &error))?.result)
    }

    async fn call(&self, action: &str, about: &[(&str, &str)]) -> Result<(Connection, String), Failure> {
        let aws = self.settings.connect().await?;
        let doing = self.doing(action);
        let unreached = |error: reqwest::Error| aws.unreached(&doing, &error);
        let form = [&[("Action", action), ("Version", VERSION)], about].concat();
        let mut request = self.http.post(aws.address("sns")).form(&form).build().map_err(unreached)?;
        aws.sign("sns", &mut request).await?;
        let answer = self.http.execute(request).await.map_err(unreached)?;
        let status = answer.status();
        let text = answer.text().await.map_err(unreached)?;
        if status.is_success() {
            return Ok((aws, text));
        }
        let ErrorAnswer { error, errors } = quick_xml::de::from_str(&text).unwrap_or_default();
        let refused = if error.code.is_empty() { errors.error } else { error };
        let code = if refused.code.is_empty() { status.as_str() } else { &refused.code };
        Err(aws.refused(&doing, code, &refused.message))
    }

    fn doing(&self, action: &str) -> String {
        format!("{action} of topic `{}`", self.topic)
    }
}

/// What is not confirmed has a text in its place.
fn is_arn(text: &str) -> bool {
    text.starts_with("arn:")
}
