//! Keys of log fields: the reference's where they exist, so that dashboards keep working.

pub const NAMESPACE: &str = "namespace";
pub const SENSOR: &str = "sensor";
pub const EVENT_SOURCE_NAME: &str = "eventSourceName";
pub const EVENT_NAME: &str = "eventName";
pub const EVENT_SOURCE_TYPE: &str = "eventSourceType";
pub const TRIGGER_NAME: &str = "triggerName";
pub const TRIGGER_TYPE: &str = "triggerType";
pub const EVENT_ID: &str = "eventID";
