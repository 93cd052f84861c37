//! `filters.script`: a Lua script that says whether the event passes (spec/sensors.md 4.6, S12).

use std::sync::Arc;

use zetes_api::{Event, FieldPath, Filters, Finding};
use zetes_lua::{Limits, Script};

use super::{Ask, Check, Rejection, cut};

const FIELD: &str = "filters.script";

/// `None` where it could not be compiled: such a Sensor does not run, and such a filter rejects whatever comes.
#[derive(Clone, Debug)]
pub(super) struct ScriptFilter(Option<Arc<Script>>);

impl ScriptFilter {
    /// `None` where there is no script.
    pub(super) fn compile(filters: &Filters, findings: &mut Vec<Finding>) -> Option<Self> {
        let text = filters.script.as_deref().filter(|text| !text.is_empty())?;
        let script = Script::compile(text).map_err(|error| {
            findings.push(bad_script(&error, FieldPath::from(FIELD)));
        });
        Some(Self(script.ok().map(Arc::new)))
    }
}

/// What is wrong with a script, at its place.
pub(crate) fn bad_script(error: &zetes_lua::Error, path: FieldPath) -> Finding {
    let finding = Finding::error("bad-script", path, error.message().to_owned()).span(error.span());
    if error.is_goto() {
        finding
            .hint("there is no `goto`: scripts are Lua 5.1; `continue` goes on with the next round of a loop")
    } else {
        finding
    }
}

impl Ask for ScriptFilter {
    fn ask(&self, event: &Event) -> Check {
        if event.data.is_none() {
            return Check::Passed;
        }
        let reject = |seen: &str, reason: &'static str| {
            Check::Rejected(Rejection {
                filter: FIELD.to_owned(),
                looked_at: "data".to_owned(),
                seen: Some(cut(seen)),
                wanted: "a script that returns true".to_owned(),
                reason,
            })
        };
        let Some(data) = event.json().filter(|data| data.is_object() || data.is_null()) else {
            return reject(event.json_text().unwrap_or("data that is not JSON"), "not-an-object");
        };
        let Some(script) = &self.0 else { return reject("a script that can't be compiled", "bad-script") };
        match script.filter(data, &Limits::default()) {
            Ok(true) => Check::Passed,
            Ok(false) => reject("a script that did not return true", "not-true"),
            Err(error) => reject(&error.to_string(), "script-failed"),
        }
    }
}
