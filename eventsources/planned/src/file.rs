//! `file`: changes of files in a directory (spec/event-sources.md 2.2).

use std::collections::BTreeMap;

use eventsource_core::{Check, FILE_OPERATIONS, Planned, SourceFilter, WatchPath, one_of};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::Invalid;

/// Which changes of which files are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `CREATE`, `WRITE`, `REMOVE`, `RENAME` or `CHMOD`, or several that come as one, joined by `|`.
    pub event_type: String,
    /// Which files are meant; directories below are not watched.
    pub watch_path_config: WatchPath,
    /// Look at the directory again and again instead of being told by the system.
    pub polling: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

/// The kind `file`.
pub struct File;

impl Planned for File {
    const KIND: &'static str = "file";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("eventType", &config.event_type);
        if !config.event_type.split('|').all(|one| FILE_OPERATIONS.contains(&one))
            && !config.event_type.is_empty()
        {
            check.idle(
                "eventType",
                format_args!("expected {}, found `{}`", one_of(&FILE_OPERATIONS), config.event_type),
            );
        }
        check.watched("watchPathConfig", &config.watch_path_config);
        check.filter(config.filter.as_ref());
        check.end()
    }
}
