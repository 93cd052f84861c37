//! What an author writes under `file`.

use std::collections::BTreeMap;

use eventsource_core::{Check, FILE_OPERATIONS, SourceFilter, WatchPath, one_of};
use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::Invalid;

/// Which changes of which files are events.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// `CREATE`, `WRITE`, `REMOVE`, `RENAME` or `CHMOD`; several are joined by `|`, and each of them counts.
    pub event_type: String,
    /// Which files are meant; directories below are not watched. The directory must exist.
    pub watch_path_config: WatchPath,
    /// Look at the directory ten times a second instead of being told by the system: for file systems of other machines, which tell
    /// nothing.
    pub polling: bool,
    /// Values that are added to each event's data.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Which events are kept.
    pub filter: Option<SourceFilter>,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        let mut check = Check::default();
        check.text("eventType", &self.event_type);
        if !self.event_type.split('|').all(|one| FILE_OPERATIONS.contains(&one))
            && !self.event_type.is_empty()
        {
            check.idle(
                "eventType",
                format_args!("expected {}, found `{}`", one_of(&FILE_OPERATIONS), self.event_type),
            );
        }
        check.watched("watchPathConfig", &self.watch_path_config);
        let path = &self.watch_path_config.path;
        if !path.starts_with('/') && path.contains('/') {
            let message = format_args!(
                "expected the name of a file, found `{path}`, and directories below are not watched"
            );
            check.idle("watchPathConfig.path", message);
        }
        check.filter(self.filter.as_ref());
        check.end()
    }
}
