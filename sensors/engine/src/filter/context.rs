//! `filters.context`: attributes of the event itself (spec/sensors.md 4.5).

use zetes_api::{ContextFilter, Event};

use super::{Ask, Check, Rejection, cut};

/// The attributes that must be equal, in the order in which they are looked at.
#[derive(Clone, Debug)]
pub(super) struct Context(Vec<(&'static str, String)>);

impl Context {
    /// Empty members ask for nothing; `id`, `specversion` and `time` are not looked at.
    pub(super) fn compile(filter: &ContextFilter) -> Self {
        let members = [
            ("type", &filter.event_type),
            ("subject", &filter.subject),
            ("source", &filter.source),
            ("datacontenttype", &filter.datacontenttype),
        ];
        Self(
            members
                .into_iter()
                .filter_map(|(name, wanted)| Some((name, wanted.clone()?)))
                .filter(|(_, wanted)| !wanted.is_empty())
                .collect(),
        )
    }
}

impl Ask for Context {
    fn ask(&self, event: &Event) -> Check {
        let differs = self.0.iter().find(|(name, wanted)| attribute(event, name) != Some(wanted.as_str()));
        match differs {
            None => Check::Passed,
            Some((name, wanted)) => Check::Rejected(Rejection {
                filter: format!("filters.context.{name}"),
                looked_at: (*name).to_owned(),
                seen: attribute(event, name).map(cut),
                wanted: format!("= {:?}", cut(wanted)),
                reason: "not-equal",
            }),
        }
    }
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    match name {
        "type" => Some(&event.event_type),
        "subject" => Some(event.subject.as_str()),
        "source" => Some(event.source.as_str()),
        _ => event.datacontenttype.as_deref(),
    }
}
