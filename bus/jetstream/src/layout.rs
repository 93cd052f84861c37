//! Where things stand on the server (spec/control-plane.md 3.2 and 3.5).

use bus_core::{BusError, ConsumerName, Interest, StateKey};
use zetes_api::{Event, EventId, Namespace, ObjectName};

use crate::names;
use crate::options::Names;

/// Names of streams and subjects of one bus.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) namespace: Namespace,
    names: Names,
    /// Stream of events.
    pub(crate) events: String,
    /// Stream of records.
    pub(crate) records: String,
    /// Stream of state entries, the last message of each subject.
    pub(crate) state: String,
    events_prefix: String,
    records_prefix: String,
    state_prefix: String,
}

/// One consumer on the server, and what it is to be handed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) durable: String,
    /// Filter subjects; one on servers that know only one.
    pub(crate) filters: Vec<String>,
    pub(crate) interests: Vec<Interest>,
    /// The filters let nothing else through.
    pub(crate) is_exact: bool,
}

/// What an interest wants, as tokens; `None` is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tokens {
    source: Option<String>,
    subject: Option<String>,
}

impl Layout {
    pub(crate) fn new(namespace: &Namespace, bus: &ObjectName, names: Names) -> Self {
        let own = names::stream(namespace.as_str(), bus);
        let place = format!("{}.{}", names::token(namespace.as_str()), names::token(bus.as_str()));
        let (events, events_prefix) = match names {
            Names::Own => (own.clone(), format!("zetes.{place}")),
            Names::Argo => ("default".to_owned(), "default".to_owned()),
        };
        Self {
            namespace: namespace.clone(),
            names,
            events,
            records: format!("{own}_decisions"),
            state: format!("{own}_state"),
            events_prefix,
            records_prefix: format!("zetes_decisions.{place}"),
            state_prefix: format!("zetes_state.{place}"),
        }
    }

    pub(crate) fn is_argo(&self) -> bool {
        self.names == Names::Argo
    }

    /// All subjects of the stream of events.
    pub(crate) fn event_subjects(&self) -> String {
        format!("{}.*.*", self.events_prefix)
    }

    pub(crate) fn record_subjects(&self) -> String {
        format!("{}.*", self.records_prefix)
    }

    pub(crate) fn state_subjects(&self) -> String {
        format!("{}.*.*", self.state_prefix)
    }

    pub(crate) fn event_subject(&self, event: &Event) -> Result<String, BusError> {
        let (source, subject) = (self.token(event.source.as_str())?, self.token(event.subject.as_str())?);
        Ok(format!("{}.{source}.{subject}", self.events_prefix))
    }

    /// Where nothing is ever published.
    fn nowhere(&self) -> String {
        format!("{}.=none.=none", self.events_prefix)
    }

    /// The server drops a message whose id it has seen within the window.
    pub(crate) fn message_id(&self, event: &Event) -> String {
        let (source, subject, id) = (event.source.as_str(), event.subject.as_str(), event.id.as_str());
        match self.names {
            Names::Own => names::header(&format!("{}/{source}/{subject}/{id}", self.namespace)),
            Names::Argo => names::header(&format!("{source}/{subject}/{id}")),
        }
    }

    pub(crate) fn body(&self, event: &Event) -> Vec<u8> {
        if self.is_argo() { event.to_argo_json() } else { event.to_json() }
    }

    pub(crate) fn record_subject(&self, id: Option<&EventId>) -> String {
        format!("{}.{}", self.records_prefix, id.map_or_else(|| "none".to_owned(), names::record_bucket))
    }

    pub(crate) fn state_subject(&self, key: &StateKey) -> String {
        format!("{}.{}", self.bucket_prefix(&key.bucket), names::token(&key.key))
    }

    pub(crate) fn bucket_subjects(&self, bucket: &str) -> String {
        format!("{}.*", self.bucket_prefix(bucket))
    }

    fn bucket_prefix(&self, bucket: &str) -> String {
        format!("{}.{}", self.state_prefix, names::token(bucket))
    }

    /// The token of the bucket in a subject of state.
    pub(crate) fn bucket_token<'s>(&self, subject: &'s str) -> Option<&'s str> {
        subject.strip_prefix(&self.state_prefix)?.strip_prefix('.')?.split('.').next()
    }

    /// The consumers of a trigger: one, and one for each dependency in Argo's layout. Where a filter can't be changed, ours has none.
    pub(crate) fn parts(
        &self,
        name: &ConsumerName,
        interests: &[Interest],
        knows_filters: bool,
    ) -> Result<Vec<Part>, BusError> {
        if !self.is_argo() {
            let (filters, is_exact) = if knows_filters {
                self.filters(interests, true)?
            } else {
                (vec![self.event_subjects()], false)
            };
            let durable = names::consumer(name);
            return Ok(vec![Part { durable, filters, interests: interests.to_vec(), is_exact }]);
        }
        let mut parts: Vec<Part> = Vec::new();
        for interest in interests {
            let durable = names::argo_consumer(name, &interest.dependency);
            match parts.iter_mut().find(|part| part.durable == durable) {
                Some(part) => part.interests.push(interest.clone()),
                None => parts.push(Part {
                    durable,
                    filters: Vec::new(),
                    interests: vec![interest.clone()],
                    is_exact: true,
                }),
            }
        }
        for part in &mut parts {
            (part.filters, part.is_exact) = self.filters(&part.interests, false)?;
        }
        Ok(parts)
    }

    /// Filter subjects for these interests, and whether they let nothing else through.
    fn filters(&self, interests: &[Interest], many: bool) -> Result<(Vec<String>, bool), BusError> {
        let mut wanted: Vec<Tokens> = Vec::new();
        for interest in interests {
            let one = Tokens {
                source: interest.source.as_ref().map(|name| self.token(name.as_str())).transpose()?,
                subject: interest.subject.as_ref().map(|name| self.token(name.as_str())).transpose()?,
            };
            if !wanted.iter().any(|wider| wider.covers(&one)) {
                wanted.retain(|narrower| !one.covers(narrower));
                wanted.push(one);
            }
        }
        let overlap = wanted
            .iter()
            .enumerate()
            .any(|(index, one)| wanted.iter().take(index).any(|other| one.meets(other)));
        let is_exact = wanted.len() <= 1 || (many && !overlap);
        if !is_exact {
            wanted = vec![Tokens::common(&wanted)];
        }
        let mut filters: Vec<String> =
            wanted.iter().map(|tokens| tokens.filter(&self.events_prefix)).collect();
        if filters.is_empty() {
            filters.push(self.nowhere());
        }
        filters.sort();
        Ok((filters, is_exact))
    }

    fn token(&self, text: &str) -> Result<String, BusError> {
        if !self.is_argo() {
            return Ok(names::token(text));
        }
        let is_plain = !text.is_empty()
            && !text.chars().any(|c| c.is_whitespace() || c.is_control() || ".*>".contains(c));
        is_plain.then(|| text.to_owned()).ok_or_else(|| {
            BusError::Refused(format!(
                "the name `{text}` can't stand in Argo's layout, which has no place for `.`, `*`, `>` and blanks; rename it, or take the annotation argo-names off the EventBus"
            ))
        })
    }
}

impl Tokens {
    fn covers(&self, narrower: &Self) -> bool {
        let covers = |wider: &Option<String>, narrower: &Option<String>| wider.is_none() || wider == narrower;
        covers(&self.source, &narrower.source) && covers(&self.subject, &narrower.subject)
    }

    /// Whether an event can match both: a server takes no such filters.
    fn meets(&self, other: &Self) -> bool {
        let meets =
            |one: &Option<String>, other: &Option<String>| one.is_none() || other.is_none() || one == other;
        meets(&self.source, &other.source) && meets(&self.subject, &other.subject)
    }

    /// The narrowest that covers all.
    fn common(all: &[Self]) -> Self {
        let mut common = all.first().cloned().unwrap_or_default();
        for one in all {
            common.source = common.source.filter(|source| one.source.as_ref() == Some(source));
            common.subject = common.subject.filter(|subject| one.subject.as_ref() == Some(subject));
        }
        common
    }

    fn filter(&self, prefix: &str) -> String {
        let (source, subject) =
            (self.source.as_deref().unwrap_or("*"), self.subject.as_deref().unwrap_or("*"));
        format!("{prefix}.{source}.{subject}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(names: Names) -> Layout {
        Layout::new(&"ci".into(), &"my.bus".into(), names)
    }

    fn interest(source: &str, subject: &str, dependency: &str) -> Interest {
        let some = |text: &str| (text != "*").then(|| text.to_owned());
        Interest {
            source: some(source).map(Into::into),
            subject: some(subject).map(Into::into),
            dependency: dependency.into(),
        }
    }

    fn filters(interests: &[(&str, &str)], many: bool) -> (Vec<String>, bool) {
        let interests: Vec<_> =
            interests.iter().map(|(source, subject)| interest(source, subject, "d")).collect();
        layout(Names::Own).filters(&interests, many).unwrap()
    }

    #[test]
    fn streams_and_subjects_carry_namespace_and_bus() {
        let layout = layout(Names::Own);
        assert_eq!(layout.events, "zetes_ci_my__bus");
        assert_eq!(layout.event_subjects(), "zetes.ci.my=2Ebus.*.*");
        assert_eq!(layout.state_subject(&StateKey::new("ci/b", "")), "zetes_state.ci.my=2Ebus.ci=2Fb.=");
        assert_eq!(layout.bucket_token("zetes_state.ci.my=2Ebus.ci=2Fb.="), Some("ci=2Fb"));
    }

    #[test]
    fn filters_are_as_narrow_as_the_server_can() {
        let place = "zetes.ci.my=2Ebus";
        for (interests, many, expected, is_exact) in [
            (&[("a", "x")][..], false, &["a.x"][..], true),
            (&[("a", "x"), ("a", "y")], true, &["a.x", "a.y"], true),
            (&[("a", "x"), ("a", "y")], false, &["a.*"], false),
            (&[("a", "x"), ("b", "x")], false, &["*.x"], false),
            (&[("a", "x"), ("b", "y")], false, &["*.*"], false),
            (&[("a", "*"), ("a", "y")], true, &["a.*"], true),
            (&[("a", "*"), ("*", "y")], true, &["*.*"], false),
            (&[], true, &["=none.=none"], true),
        ] {
            let expected: Vec<_> = expected.iter().map(|end| format!("{place}.{end}")).collect();
            assert_eq!(filters(interests, many), (expected, is_exact), "{interests:?} {many}");
        }
    }

    #[test]
    fn argo_has_a_consumer_for_each_dependency() {
        let name = ConsumerName { namespace: "ci".into(), sensor: "http".into(), trigger: "http".into() };
        let interests = [interest("webhook", "example", "dep"), interest("*", "example", "other")];
        let parts = layout(Names::Argo).parts(&name, &interests, true).unwrap();
        let told: Vec<_> = parts.iter().map(|part| (part.durable.as_str(), part.filters.join(" "))).collect();
        assert_eq!(told[0], ("group-4174172596", "default.webhook.example".to_owned()));
        assert_eq!(told[1].1, "default.*.example");
    }

    #[test]
    fn a_name_that_argo_has_no_place_for_is_refused() {
        let error = layout(Names::Argo).filters(&[interest("a.b", "x", "d")], true).unwrap_err();
        assert!(error.to_string().contains("`a.b` can't stand in Argo's layout"), "{error}");
    }
}
