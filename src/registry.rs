//! What this binary can receive from and act on: one line each.

use std::collections::BTreeMap;

use eventsource_core::EventSource;
use sensor_core::Trigger;

/// The kinds by their keys in manifests.
#[derive(Default)]
pub(crate) struct Registry {
    sources: BTreeMap<&'static str, eventsource_core::Factory>,
    triggers: BTreeMap<&'static str, sensor_core::Factory>,
}

impl Registry {
    pub(crate) fn of_this_build() -> Self {
        Self::default()
            .receives::<eventsource_webhook::webhook::Webhook>()
            .receives::<eventsource_webhook::github::Github>()
            .receives::<eventsource_webhook::gitlab::Gitlab>()
            .receives::<eventsource_webhook::bitbucket::Bitbucket>()
            .receives::<eventsource_calendar::Calendar>()
            .acts::<trigger_http::Http>()
            .acts::<trigger_log::Log>()
            .acts::<trigger_kubernetes::K8s>()
            .acts::<trigger_kubernetes::ArgoWorkflow>()
    }

    fn receives<S: EventSource>(mut self) -> Self {
        self.sources.insert(S::KIND, eventsource_core::Factory::of::<S>());
        self
    }

    fn acts<T: Trigger>(mut self) -> Self {
        self.triggers.insert(T::KIND, sensor_core::Factory::of::<T>());
        self
    }

    pub(crate) fn source(&self, kind: &str) -> Option<&eventsource_core::Factory> {
        self.sources.get(kind)
    }

    pub(crate) fn trigger(&self, kind: &str) -> Option<&sensor_core::Factory> {
        self.triggers.get(kind)
    }

    /// Every kind of this build, for messages.
    pub(crate) fn kinds(&self) -> String {
        self.sources.keys().chain(self.triggers.keys()).copied().collect::<Vec<_>>().join(", ")
    }
}
