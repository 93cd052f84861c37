//! The words of Zetes: events, names, objects, and how manifests are read.
//!
//! Everything the other crates say to each other is named here once. Nothing in here does I/O, reads a clock or knows a
//! client library, so all of it can be tested as plain data.
//!
//! Which kinds of event sources and triggers exist is *not* known here: `spec` keeps them as JSON under their key, and
//! the crate that implements a kind owns the type of its configuration.

mod decision;
mod diagnostic;
mod document;
mod event;
mod event_bus;
mod extension;
mod kinds;
pub mod manifest;
mod name;
mod object;
mod resource;
mod settings;
mod validation;

pub use decision::{Decider, Decision, EventRef, Role, Verdict};
pub use diagnostic::{Diagnostic, FieldPath, Finding, Invalid, Place, Severity, Step};
pub use document::Document;
pub use event::{Event, EventError, ORIGIN_SOURCE, ORIGIN_SUBJECT};
pub use event_bus::{Carrier, JetStream, JetStreamExotic, Kafka, NatsExotic, NatsNative, StreamConfig};
pub use extension::{Batch, Debounce, Expiry, ExpiryAction, Keep, KeySource, TriggerExtension, WhenBusy};
pub use kinds::{EVENT_SOURCE_KINDS, SourceKind, TRIGGER_KINDS};
pub use name::{DependencyName, EventId, EventName, IdempotencyKey, Namespace, ObjectName, TriggerName};
pub use object::{Metadata, ObjectKind, ObjectRef};
pub use resource::{
    ConditionsReset, ConfigMap, ContextFilter, DataFilter, Dependency, DependencyTransform, EventBus,
    EventBusSpec, EventSource, EventSourceSpec, ExprField, ExprFilter, Filters, K8sPolicy, Parameter,
    ParameterSource, RateLimit, ResetByTime, Secret, Sensor, SensorSpec, StatusPolicy, TimeFilter, Trigger,
    TriggerPolicy, TriggerTemplate,
};
pub use settings::{
    Backoff, BackoffDuration, BasicAuth, ConfigMapKeyRef, ConsumerGroup, NatsAuth, Sasl, SecretKeyRef,
    SecureHeader, Tls, ValueFrom,
};
pub use validation::parameter_findings;

#[cfg(test)]
mod tests;
