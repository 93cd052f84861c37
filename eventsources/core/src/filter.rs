//! The EventSource's own filter.

use schemars::JsonSchema;
use serde::Deserialize;
use zetes_api::Finding;

/// Events for which the expression is not true are rejected before they reach the bus. An empty filter passes everything.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
pub struct SourceFilter {
    /// The expression.
    #[serde(default)]
    pub expression: String,
}

impl SourceFilter {
    /// What this build can't do with it.
    pub fn findings(filter: Option<&Self>) -> Vec<Finding> {
        let written = filter.is_some_and(|filter| !filter.expression.trim().is_empty());
        let finding = || {
            Finding::error(
                "not-in-this-build",
                "filter.expression",
                "filters of event sources are not in this build yet",
            )
            .hint("filter in the Sensor's dependency instead")
        };
        written.then(finding).into_iter().collect()
    }
}
