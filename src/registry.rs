//! What this binary can receive from and act on, and what it knows and can't do yet: one line each.

mod planned;

use std::collections::BTreeMap;

use eventsource_core::{EventSource, Plan, Planned};
use planned::PlannedTrigger;
use sensor_core::Trigger;
use zetes_api::{EVENT_SOURCE_KINDS, SourceKind};

/// The kinds by their keys in manifests.
#[derive(Default)]
pub(crate) struct Registry {
    sources: BTreeMap<&'static str, eventsource_core::Factory>,
    triggers: BTreeMap<&'static str, sensor_core::Factory>,
    planned_sources: BTreeMap<&'static str, Plan>,
    planned_triggers: BTreeMap<&'static str, PlannedTrigger>,
}

impl Registry {
    pub(crate) fn of_this_build() -> Self {
        Self::default()
            .receives::<eventsource_amqp::Amqp>()
            .receives::<eventsource_aws::s3::S3>()
            .receives::<eventsource_aws::sns::Sns>()
            .receives::<eventsource_aws::sqs::Sqs>()
            .receives::<eventsource_calendar::Calendar>()
            .receives::<eventsource_file::File>()
            .receives::<eventsource_generic::Generic>()
            .receives::<eventsource_git::bitbucket::Bitbucket>()
            .receives::<eventsource_git::bitbucketserver::BitbucketServer>()
            .receives::<eventsource_git::gerrit::Gerrit>()
            .receives::<eventsource_git::gitea::Gitea>()
            .receives::<eventsource_git::github::Github>()
            .receives::<eventsource_git::gitlab::Gitlab>()
            .receives::<eventsource_kafka::Kafka>()
            .receives::<eventsource_minio::Minio>()
            .receives::<eventsource_mqtt::Mqtt>()
            .receives::<eventsource_nats::Nats>()
            .receives::<eventsource_redis::channels::Redis>()
            .receives::<eventsource_redis::stream::RedisStream>()
            .receives::<eventsource_webhook::slack::Slack>()
            .receives::<eventsource_webhook::storage_grid::StorageGrid>()
            .receives::<eventsource_webhook::stripe::Stripe>()
            .receives::<eventsource_webhook::webhook::Webhook>()
            .acts::<trigger_http::Http>()
            .acts::<trigger_log::Log>()
            .acts::<trigger_kubernetes::K8s>()
            .acts::<trigger_kubernetes::ArgoWorkflow>()
            .plans::<eventsource_planned::azure_events_hub::AzureEventsHub>()
            .plans::<eventsource_planned::azure_queue_storage::AzureQueueStorage>()
            .plans::<eventsource_planned::azure_service_bus::AzureServiceBus>()
            .plans::<eventsource_planned::emitter::Emitter>()
            .plans::<eventsource_planned::hdfs::Hdfs>()
            .plans::<eventsource_planned::mns::Mns>()
            .plans::<eventsource_planned::nsq::Nsq>()
            .plans::<eventsource_planned::pub_sub::PubSub>()
            .plans::<eventsource_planned::pulsar::Pulsar>()
            .plans::<eventsource_planned::resource::Resource>()
            .plans::<eventsource_planned::sftp::Sftp>()
            .plans_action::<planned::AwsLambda>()
            .plans_action::<planned::AzureEventHubs>()
            .plans_action::<planned::AzureServiceBus>()
            .plans_action::<planned::Custom>()
            .plans_action::<planned::Email>()
            .plans_action::<planned::Kafka>()
            .plans_action::<planned::Nats>()
            .plans_action::<planned::OpenWhisk>()
            .plans_action::<planned::Pulsar>()
            .plans_action::<planned::Slack>()
    }

    fn receives<S: EventSource>(mut self) -> Self {
        self.sources.insert(S::KIND, eventsource_core::Factory::of::<S>());
        self
    }

    fn acts<T: Trigger>(mut self) -> Self {
        self.triggers.insert(T::KIND, sensor_core::Factory::of::<T>());
        self
    }

    fn plans<P: Planned>(mut self) -> Self {
        self.planned_sources.insert(P::KIND, Plan::of::<P>());
        self
    }

    fn plans_action<A: planned::Action>(mut self) -> Self {
        self.planned_triggers.insert(A::KIND, PlannedTrigger::of::<A>());
        self
    }

    pub(crate) fn source(&self, kind: &str) -> Option<&eventsource_core::Factory> {
        self.sources.get(kind)
    }

    pub(crate) fn trigger(&self, kind: &str) -> Option<&sensor_core::Factory> {
        self.triggers.get(kind)
    }

    /// A kind of event source that is checked and can't run yet.
    pub(crate) fn planned_source(&self, kind: &str) -> Option<&Plan> {
        self.planned_sources.get(kind)
    }

    /// A kind of trigger that is checked and can't run yet.
    pub(crate) fn planned_trigger(&self, kind: &str) -> Option<&PlannedTrigger> {
        self.planned_triggers.get(kind)
    }

    /// What may stand under a kind of event source, whether it runs or is planned.
    pub(crate) fn source_schema(&self, kind: &str) -> Option<serde_json::Value> {
        let planned = || self.planned_source(kind).map(Plan::schema);
        self.source(kind).map(eventsource_core::Factory::schema).or_else(planned)
    }

    /// What may stand under a kind of trigger, whether it runs or is planned.
    pub(crate) fn trigger_schema(&self, kind: &str) -> Option<serde_json::Value> {
        let planned = || self.planned_trigger(kind).map(PlannedTrigger::schema);
        self.trigger(kind).map(sensor_core::Factory::schema).or_else(planned)
    }

    /// Every kind of event source that manifests may name: those of the specification, and ours.
    pub(crate) fn source_kinds(&self) -> Vec<SourceKind> {
        let known = EVENT_SOURCE_KINDS.iter().copied();
        let ours = self.sources.values().map(eventsource_core::Factory::kind);
        known.chain(ours.filter(|kind| !EVENT_SOURCE_KINDS.contains(kind))).collect()
    }

    /// Every kind of this build, for messages.
    pub(crate) fn kinds(&self) -> String {
        self.sources.keys().chain(self.triggers.keys()).copied().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use zetes_api::TRIGGER_KINDS;

    use super::*;

    #[test]
    fn each_kind_of_the_specification_either_runs_or_is_planned() {
        let registry = Registry::of_this_build();
        for kind in EVENT_SOURCE_KINDS {
            let (runs, planned) = (registry.source(kind.key), registry.planned_source(kind.key));
            assert!(runs.is_some() != planned.is_some(), "`{}` runs or is planned", kind.key);
        }
        let all: Vec<_> = registry.triggers.keys().chain(registry.planned_triggers.keys()).copied().collect();
        let known: BTreeSet<_> = TRIGGER_KINDS.iter().copied().collect();
        assert_eq!((all.len(), all.into_iter().collect()), (known.len(), known));
    }

    /// Members of a schema that have no description, by their path.
    fn undescribed(schema: &Value, at: &str) -> Vec<String> {
        let members = schema.as_object().into_iter().flatten();
        let found = members.flat_map(|(key, value)| {
            let path = format!("{at}.{key}");
            let is_bare = at.ends_with(".properties") && value.get("description").is_none();
            undescribed(value, &path).into_iter().chain(is_bare.then_some(path))
        });
        found.collect()
    }

    #[test]
    fn every_field_of_every_kind_of_event_source_has_its_sentence() {
        let registry = Registry::of_this_build();
        for kind in registry.source_kinds() {
            let schema = registry.source_schema(kind.key).unwrap();
            assert_eq!(undescribed(&schema, kind.key), [""; 0]);
        }
    }

    #[test]
    fn a_planned_action_says_what_is_wrong_with_it() {
        let registry = Registry::of_this_build();
        let told = |kind: &str, config: Value| -> Vec<String> {
            let findings = registry.planned_trigger(kind).unwrap().check(&config);
            findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
        };
        let kafka = json!({"url": "u", "topic": "t", "payload": [], "parameters": [{"dest": "a"}]});
        assert_eq!(told("kafka", kafka), ["Warning missing-field parameters[0].src"]);
        let email = json!({"port": 65536});
        assert_eq!(told("email", email), ["Error missing-field host", "Error bad-value port"]);
        assert_eq!(told("custom", json!({"serverURL": "u", "spec": {}})), [""; 0]);
    }
}
