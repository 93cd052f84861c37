//! `transform`: a program that reshapes an event before the filters see it (spec/sensors.md 5).

use std::sync::Arc;

use zetes_api::{DependencyTransform, Document, Event, FieldPath, Finding};

use crate::filter::{Rejection, bad_script, cut};

/// A compiled program; `jq` wins where both are written.
#[derive(Clone, Debug)]
pub(crate) enum Transform {
    Jq(Arc<zetes_jq::Program>),
    Lua(Arc<zetes_lua::Script>),
}

impl Transform {
    pub(crate) fn compile(
        written: &DependencyTransform,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let compiled = if let Some(text) = filled(&written.jq) {
            zetes_jq::Program::compile(&text).map(|program| Self::Jq(Arc::new(program))).map_err(|error| {
                Finding::error("bad-jq", at.key("jq"), error.message().to_owned()).span(error.span())
            })
        } else {
            let text = filled(&written.script)?;
            zetes_lua::Script::compile(&text)
                .map(|script| Self::Lua(Arc::new(script)))
                .map_err(|error| bad_script(&error, at.key("script")))
        };
        compiled.map_err(|finding| findings.push(finding)).ok()
    }

    /// The event with new data; its attributes stay, but for the type of its data.
    pub(crate) fn apply(&self, event: &Arc<Event>) -> Result<Arc<Event>, Rejection> {
        if event.data.is_none() {
            return Ok(event.clone());
        }
        let field = match self {
            Self::Jq(_) => "transform.jq",
            Self::Lua(_) => "transform.script",
        };
        let refuse = |seen: &str, wanted: &str, reason: &'static str| Rejection {
            filter: field.to_owned(),
            looked_at: "data".to_owned(),
            seen: Some(cut(seen)),
            wanted: wanted.to_owned(),
            reason,
        };
        let no_object =
            || refuse(event.json_text().unwrap_or_default(), "data that is a JSON object", "not-an-object");
        let made = match self {
            Self::Jq(program) => {
                let run = zetes_jq::Run { now: seconds(event), ..zetes_jq::Run::default() };
                let text = event.json_text().filter(|text| text.trim_start().starts_with('{'));
                program.transform(text.ok_or_else(no_object)?, &run).map_err(|error| error.to_string())
            }
            Self::Lua(script) => {
                // To Lua, null is an object without members.
                let data = event.json().filter(|data| data.is_object() || data.is_null());
                let limits = zetes_lua::Limits::default();
                script.transform(data.ok_or_else(no_object)?, &limits).map_err(|error| error.to_string())
            }
        };
        let made =
            made.map_err(|error| refuse(&error, "a program that gives an object", "transform-failed"))?;
        Ok(Arc::new(Event {
            data: Some(made.into()),
            datacontenttype: Some("application/json".to_owned()),
            document: Document::default(),
            ..Event::clone(event)
        }))
    }
}

/// What the program's `now` gives: the event's time, so that equal events are transformed alike.
fn seconds(event: &Event) -> f64 {
    event.time.map(jiff::Timestamp::as_duration).unwrap_or_default().as_secs_f64()
}
