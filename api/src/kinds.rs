//! The kinds that manifests may name, whether or not this build can serve them: so that a known kind which is not in
//! the build yet is told from a misspelt one.

/// A kind of event source: its key under `spec`, and the CloudEvents `type` of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceKind {
    pub key: &'static str,
    pub event_type: &'static str,
    /// May run in every replica at once; the others run in one at a time. Both in one object is an error.
    pub active_active: bool,
}

const fn kind(key: &'static str, event_type: &'static str, active_active: bool) -> SourceKind {
    SourceKind { key, event_type, active_active }
}

/// Every kind of spec/event-sources.md 1.1, in its order.
pub const EVENT_SOURCE_KINDS: &[SourceKind] = &[
    kind("mns", "mns", true),
    kind("minio", "minio", false),
    kind("calendar", "calendar", false),
    kind("file", "file", false),
    kind("sftp", "sftp", false),
    kind("resource", "resource", false),
    kind("webhook", "webhook", true),
    kind("amqp", "amqp", false),
    kind("kafka", "kafka", false),
    kind("mqtt", "mqtt", false),
    kind("nats", "nats", false),
    kind("sns", "sns", true),
    kind("sqs", "sqs", true),
    kind("pubSub", "pubsub", false),
    kind("gerrit", "gerrit", true),
    kind("github", "github", true),
    kind("gitlab", "gitlab", true),
    kind("hdfs", "hdfs", false),
    kind("slack", "slack", true),
    kind("storageGrid", "storagegrid", true),
    kind("azureEventsHub", "azureEventsHub", false),
    kind("azureQueueStorage", "azureQueueStorage", true),
    kind("azureServiceBus", "azureServiceBus", false),
    kind("stripe", "stripe", true),
    kind("emitter", "emitter", false),
    kind("redis", "redis", false),
    kind("redisStream", "redisStream", false),
    kind("nsq", "nsq", false),
    kind("pulsar", "pulsar", false),
    kind("generic", "generic", false),
    kind("bitbucketserver", "bitbucketserver", true),
    kind("bitbucket", "bitbucket", true),
];

/// Every trigger kind of spec/sensors.md 1.5, in the order in which the first one present is the one that runs.
pub const TRIGGER_KINDS: &[&str] = &[
    "k8s",
    "argoWorkflow",
    "http",
    "awsLambda",
    "azureEventHubs",
    "azureServiceBus",
    "kafka",
    "pulsar",
    "nats",
    "slack",
    "openWhisk",
    "custom",
    "log",
    "email",
];
