//! Kinds of triggers whose adapter is not in this build yet: what may be written, and what is wrong with it
//! (spec/sensors.md 1.7, 11).
//!
//! When the adapter of a kind is written, its type moves into that adapter's crate.

use std::collections::BTreeMap;

use eventsource_core::Check;
use eventsource_kafka::SchemaRegistry;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use zetes_api::{
    Backoff, FieldPath, Finding, Invalid, NatsAuth, Parameter, Sasl, SecretKeyRef, SecureHeader, Severity,
    Tls, manifest,
};

/// The configuration of a kind without an adapter.
pub(super) trait Action: DeserializeOwned + JsonSchema {
    /// The key in a trigger's template.
    const KIND: &'static str;

    /// Gathers what is wrong. No I/O.
    fn check(&self, check: &mut Check);
}

/// A planned kind with its type erased.
#[derive(Clone, Copy)]
pub(crate) struct PlannedTrigger {
    check: fn(&Value) -> Vec<Finding>,
    schema: fn() -> Value,
}

impl PlannedTrigger {
    pub(super) fn of<A: Action>() -> Self {
        Self { check: findings::<A>, schema: || schemars::schema_for!(A).to_value() }
    }

    /// Everything that is wrong with a configuration; paths are relative to it.
    pub(crate) fn check(&self, config: &Value) -> Vec<Finding> {
        (self.check)(config)
    }

    /// JSON Schema of the configuration.
    pub(crate) fn schema(&self) -> Value {
        (self.schema)()
    }
}

fn findings<A: Action>(config: &Value) -> Vec<Finding> {
    let (action, mut findings) = manifest::decode::<A>(config);
    let mut check = Check::default();
    if let Some(action) = action {
        action.check(&mut check);
    }
    if let Err(Invalid(found)) = check.end() {
        findings.extend(found);
    }
    findings
}

/// A list of parameters that must be right.
fn parameters(field: &str, list: &[Parameter], check: &mut Check) {
    let at = FieldPath::from(field);
    check.extend(sensor_core::parameters::findings(list, false).into_iter().map(|one| one.under(&at)));
}

/// A payload that must be there and be right.
fn payload(list: Option<&Vec<Parameter>>, check: &mut Check) {
    check.present("payload", list);
    parameters("payload", list.map(Vec::as_slice).unwrap_or_default(), check);
}

/// A list of parameters that the reference looks at only when it fires: warnings.
fn unchecked(field: &str, list: &[Parameter], check: &mut Check) {
    let at = FieldPath::from(field);
    let findings = sensor_core::parameters::findings(list, false).into_iter();
    check.extend(findings.map(|one| Finding { severity: Severity::Warning, ..one }.under(&at)));
}

/// Invokes a function of AWS Lambda.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AwsLambda {
    /// Name of the function.
    function_name: String,
    /// AWS region.
    region: String,
    /// What the function gets, made of values from events.
    payload: Option<Vec<Parameter>>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// Secret that holds the access key; with `secretKey`. Default: default AWS credentials.
    access_key: Option<SecretKeyRef>,
    /// Secret that holds the secret key; with `accessKey`.
    secret_key: Option<SecretKeyRef>,
    /// Role that is assumed; the two keys are unused then.
    #[serde(rename = "roleARN")]
    role_arn: String,
    /// `RequestResponse` (default), `Event` or `DryRun`.
    invocation_type: Option<String>,
}

impl Action for AwsLambda {
    const KIND: &'static str = "awsLambda";

    fn check(&self, check: &mut Check) {
        check.text("functionName", &self.function_name);
        check.text("region", &self.region);
        payload(self.payload.as_ref(), check);
        parameters("parameters", &self.parameters, check);
    }
}

/// Calls your own gRPC server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Custom {
    /// Address of the server, `host:port`.
    #[serde(rename = "serverURL")]
    server_url: String,
    /// What the server gets as its resource; it may be empty.
    spec: Option<BTreeMap<String, String>>,
    /// TLS; with `certSecret`.
    secure: bool,
    /// Secret that holds the PEM certificate which signed the server's.
    cert_secret: Option<SecretKeyRef>,
    /// Name that the server's certificate must have.
    server_name_override: String,
    /// Values copied into the resource.
    parameters: Vec<Parameter>,
    /// What the server gets as its payload, made of values from events.
    payload: Vec<Parameter>,
}

impl Action for Custom {
    const KIND: &'static str = "custom";

    fn check(&self, check: &mut Check) {
        check.text("serverURL", &self.server_url);
        check.present("spec", self.spec.as_ref());
        if self.secure && self.cert_secret.is_none() {
            check.missing("certSecret", "`certSecret` beside `secure`");
        }
        parameters("parameters", &self.parameters, check);
        unchecked("payload", &self.payload, check);
    }
}

/// Writes a record to a Kafka topic.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Kafka {
    /// Brokers, `host:port`, joined by commas.
    url: String,
    /// Name of the topic.
    topic: String,
    /// The record's value, made of values from events.
    payload: Option<Vec<Parameter>>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// Accepted and unused, as in the reference.
    partition: i32,
    /// The record's key.
    partitioning_key: Option<String>,
    /// The record's headers.
    headers: BTreeMap<String, String>,
    /// Headers whose values come from Secrets or `ConfigMaps`.
    secure_headers: Vec<SecureHeader>,
    /// Which brokers must have the record: -1 all, 1 the leader.
    required_acks: i32,
    /// Milliseconds between two batches.
    flush_frequency: i32,
    /// Compress with snappy.
    compress: bool,
    /// Version of the brokers, `2.5.0` for example. Default `1.0.0`.
    version: String,
    /// TLS to the brokers.
    tls: Option<Tls>,
    /// User name and password.
    sasl: Option<Sasl>,
    /// Where the schema is, by which the value is written in Avro.
    schema_registry: Option<SchemaRegistry>,
}

impl Action for Kafka {
    const KIND: &'static str = "kafka";

    fn check(&self, check: &mut Check) {
        check.text("url", &self.url);
        check.text("topic", &self.topic);
        payload(self.payload.as_ref(), check);
        unchecked("parameters", &self.parameters, check);
        check.tls_later("tls", self.tls.as_ref());
    }
}

/// Publishes a message to a subject of NATS.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Nats {
    /// Addresses of the servers, joined by commas.
    url: String,
    /// Subject of the message.
    subject: String,
    /// The message, made of values from events.
    payload: Option<Vec<Parameter>>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// TLS to the server.
    tls: Option<Tls>,
    /// How it says who it is.
    auth: Option<NatsAuth>,
}

impl Action for Nats {
    const KIND: &'static str = "nats";

    fn check(&self, check: &mut Check) {
        check.text("url", &self.url);
        check.text("subject", &self.subject);
        payload(self.payload.as_ref(), check);
        unchecked("parameters", &self.parameters, check);
        check.tls_later("tls", self.tls.as_ref());
    }
}

/// Sends a message to a channel of Slack.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Slack {
    /// Secret that holds the token.
    #[serde(rename = "slackToken")]
    token: Option<SecretKeyRef>,
    /// Name of the channel.
    channel: String,
    /// Text of the message.
    message: String,
    /// JSON list of attachments, as text.
    attachments: String,
    /// JSON list of blocks, as text.
    blocks: String,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// Which thread the message belongs to.
    thread: SlackThread,
    /// How the sender is shown.
    sender: SlackSender,
}

/// Which thread a message belongs to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
struct SlackThread {
    /// Messages with the same key are one thread.
    message_aggregation_key: String,
    /// The message is shown in the channel, too.
    broadcast_message_to_channel: bool,
}

/// How the sender is shown.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct SlackSender {
    /// Name of the sender.
    username: String,
    /// `:emoji:`, or the address of a picture.
    icon: String,
}

impl Action for Slack {
    const KIND: &'static str = "slack";

    fn check(&self, check: &mut Check) {
        check.present("slackToken", self.token.as_ref());
        parameters("parameters", &self.parameters, check);
    }
}

/// Invokes an action of `OpenWhisk`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct OpenWhisk {
    /// Address of the service.
    host: String,
    /// Name of the action.
    action_name: String,
    /// What the action gets, made of values from events.
    payload: Option<Vec<Parameter>>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// Namespace of the action. Default `_`.
    namespace: String,
    /// Version of the API. Default `v1`.
    version: String,
    /// Secret that holds the token, `uuid:key`.
    auth_token: Option<SecretKeyRef>,
}

impl Action for OpenWhisk {
    const KIND: &'static str = "openWhisk";

    fn check(&self, check: &mut Check) {
        check.text("host", &self.host);
        check.text("actionName", &self.action_name);
        if let Some(token) = &self.auth_token {
            check.text("authToken.name", &token.name);
            check.text("authToken.key", &token.key);
        }
        payload(self.payload.as_ref(), check);
        parameters("parameters", &self.parameters, check);
    }
}

/// Sends an event to Azure Event Hubs.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AzureEventHubs {
    /// Host name of the namespace, `name.servicebus.windows.net`.
    fqdn: String,
    /// Name of the hub.
    hub_name: String,
    /// Secret that holds the name of the access key.
    shared_access_key_name: Option<SecretKeyRef>,
    /// Secret that holds the access key.
    shared_access_key: Option<SecretKeyRef>,
    /// The event's body, made of values from events.
    payload: Vec<Parameter>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
}

impl Action for AzureEventHubs {
    const KIND: &'static str = "azureEventHubs";

    fn check(&self, check: &mut Check) {
        unchecked("payload", &self.payload, check);
        unchecked("parameters", &self.parameters, check);
    }
}

/// Sends a message to Azure Service Bus.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AzureServiceBus {
    /// Secret that holds the connection string.
    connection_string: Option<SecretKeyRef>,
    /// Name of the queue; it wins over `topicName`.
    queue_name: String,
    /// Name of the topic.
    topic_name: String,
    /// Accepted and unused, as in the reference.
    subscription_name: String,
    /// TLS to the service.
    tls: Option<Tls>,
    /// The message's body, made of values from events.
    payload: Vec<Parameter>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
}

impl Action for AzureServiceBus {
    const KIND: &'static str = "azureServiceBus";

    fn check(&self, check: &mut Check) {
        unchecked("payload", &self.payload, check);
        unchecked("parameters", &self.parameters, check);
        check.tls_later("tls", self.tls.as_ref());
    }
}

/// Sends a message to a topic of Apache Pulsar.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Pulsar {
    /// Address of the service, `pulsar://` or `pulsar+ssl://`.
    url: String,
    /// Name of the topic.
    topic: String,
    /// The message, made of values from events.
    payload: Vec<Parameter>,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
    /// Secret that holds the PEM certificate which signed the server's.
    tls_trust_certs_secret: Option<SecretKeyRef>,
    /// Accept any certificate.
    tls_allow_insecure_connection: bool,
    /// Whether the certificate's host name must be the server's.
    tls_validate_hostname: bool,
    /// Certificate and key that we show; its other members are unused.
    tls: Option<Tls>,
    /// Secret that holds a token.
    auth_token_secret: Option<SecretKeyRef>,
    /// Parameters of Athenz.
    auth_athenz_params: BTreeMap<String, String>,
    /// Secret that holds the private key for Athenz.
    auth_athenz_secret: Option<SecretKeyRef>,
    /// Attempts and pauses when it connects.
    connection_backoff: Option<Backoff>,
}

impl Action for Pulsar {
    const KIND: &'static str = "pulsar";

    fn check(&self, check: &mut Check) {
        unchecked("payload", &self.payload, check);
        unchecked("parameters", &self.parameters, check);
        check.tls_later("tls", self.tls.as_ref());
    }
}

/// Sends a mail to each recipient.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Email {
    /// Host name of the mail server.
    host: String,
    /// Port of the mail server, 0 to 65535.
    port: i32,
    /// User name.
    username: String,
    /// Secret that holds the password.
    smtp_password: Option<SecretKeyRef>,
    /// Address of the sender.
    from: String,
    /// Addresses of the recipients.
    to: Vec<String>,
    /// Subject line.
    subject: String,
    /// Text of the mail.
    body: String,
    /// Values copied into this configuration before it is used.
    parameters: Vec<Parameter>,
}

impl Action for Email {
    const KIND: &'static str = "email";

    fn check(&self, check: &mut Check) {
        check.text("host", &self.host);
        if u16::try_from(self.port).is_err() {
            check.bad("port", format!("expected a port from 0 to 65535, found {}", self.port));
        }
        parameters("parameters", &self.parameters, check);
    }
}
