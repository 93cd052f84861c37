//! What became of an event, and why: read back from the bus, told in the order in which it happened.

use std::collections::BTreeMap;

use bus_core::{Bus, BusError, Entry, EntryBody, EntryKind, ReadFilter};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zetes_api::{Decider, Decision, Event, EventId, EventRef, Namespace, Role, Verdict};

/// One event with everything that was decided about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Explanation {
    #[serde(flatten)]
    pub(crate) event: EventLine,
    /// In order of time.
    pub(crate) decisions: Vec<Decision>,
    /// Triggers that may still have to look at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undecided: Vec<String>,
}

/// One event as a line of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventLine {
    pub(crate) id: String,
    pub(crate) namespace: Namespace,
    pub(crate) event_source: String,
    pub(crate) event: String,
    #[serde(rename = "type")]
    pub(crate) event_type: String,
    pub(crate) received_at: Timestamp,
    pub(crate) sequence: u64,
    /// Absent for an event that its EventSource rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data_bytes: Option<usize>,
}

impl EventLine {
    fn of(entry: &Entry, event: &Event) -> Self {
        Self {
            id: event.id.to_string(),
            namespace: entry.namespace.clone(),
            event_source: event.source.to_string(),
            event: event.subject.to_string(),
            event_type: event.event_type.clone(),
            received_at: entry.at,
            sequence: entry.sequence,
            data_bytes: Some(event.data.as_ref().map_or(0, bytes_len)),
        }
    }

    fn rejected(entry: &Entry, event: &EventRef) -> Self {
        Self {
            id: event.id.to_string(),
            namespace: entry.namespace.clone(),
            event_source: event.source.to_string(),
            event: event.event.to_string(),
            event_type: String::new(),
            received_at: entry.at,
            sequence: entry.sequence,
            data_bytes: None,
        }
    }
}

fn bytes_len(data: &impl AsRef<[u8]>) -> usize {
    data.as_ref().len()
}

/// Every event of this id (one per namespace, event source and event), oldest first. Empty: the bus does not have it.
///
/// # Errors
/// The bus can't be read.
pub(crate) async fn explain(bus: &dyn Bus, id: &EventId) -> Result<Vec<Explanation>, BusError> {
    let filter = ReadFilter { namespace: None, about: Some(id.clone()) };
    let mut found = BTreeMap::new();
    let mut decisions = Vec::new();
    let events = all(bus, EntryKind::Event, &filter).await?;
    for entry in events.into_iter().chain(all(bus, EntryKind::Record, &filter).await?) {
        match &entry.body {
            EntryBody::Event(event) => {
                let line = EventLine::of(&entry, event);
                let key = (line.namespace.clone(), line.event_source.clone(), line.event.clone());
                found.insert(key, Explanation { event: line, decisions: Vec::new(), undecided: Vec::new() });
            }
            EntryBody::Record(record) => {
                let Ok(decision) = serde_json::from_slice::<Decision>(record) else { continue };
                // What an EventSource rejects is told from the record: there is no event.
                if let (Decider::EventSource { .. }, [event]) =
                    (&decision.decider, decision.events.as_slice())
                {
                    let line = EventLine::rejected(&entry, event);
                    let key = (line.namespace.clone(), line.event_source.clone(), line.event.clone());
                    found.entry(key).or_insert(Explanation {
                        event: line,
                        decisions: Vec::new(),
                        undecided: Vec::new(),
                    });
                }
                decisions.push(decision);
            }
        }
    }
    for decision in decisions {
        for event in decision.events.iter().filter(|event| event.id == *id) {
            let key = (decision.namespace.clone(), event.source.to_string(), event.event.to_string());
            if let Some(explanation) = found.get_mut(&key) {
                explanation.decisions.push(decision.clone());
            }
        }
    }
    let mut explanations: Vec<_> = found.into_values().collect();
    explanations.sort_by_key(|explanation| explanation.event.sequence);
    add_undecided(bus, &mut explanations).await?;
    Ok(explanations)
}

/// A trigger whose consumer has not passed an event has not decided on it, or not to the end.
async fn add_undecided(bus: &dyn Bus, explanations: &mut [Explanation]) -> Result<(), BusError> {
    let stats = bus.stats().await?;
    for explanation in explanations {
        for consumer in stats.consumers.iter().filter(|consumer| consumer.lag > 0) {
            let name = &consumer.name;
            let behind = consumer.oldest_unread.is_some_and(|oldest| oldest <= explanation.event.received_at);
            let decided = explanation.decisions.iter().any(|decision| {
                let decider = Decider::Trigger { sensor: name.sensor.clone(), trigger: name.trigger.clone() };
                decision.decider == decider && decision.role == Role::Main && decision.verdict.is_end()
            });
            if name.namespace == explanation.event.namespace && behind && !decided {
                explanation.undecided.push(name.to_string());
            }
        }
    }
    Ok(())
}

async fn all(bus: &dyn Bus, kind: EntryKind, filter: &ReadFilter) -> Result<Vec<Entry>, BusError> {
    let (mut from, mut entries) = (0, Vec::new());
    loop {
        let page = bus.read(kind, from..u64::MAX, filter.clone()).await?;
        for damage in &page.damaged {
            tracing::warn!(%damage, "a part of the bus can't be read");
        }
        entries.extend(page.entries);
        match page.next {
            Some(next) if next > from => from = next,
            _ => return Ok(entries),
        }
    }
}

/// The newest events, oldest of them first.
///
/// # Errors
/// The bus can't be read.
pub(crate) async fn newest(bus: &dyn Bus, limit: usize) -> Result<Vec<EventLine>, BusError> {
    let stats = bus.stats().await?;
    let mut window = u64::try_from(limit).unwrap_or(u64::MAX).saturating_mul(4).max(64);
    loop {
        let from = stats.next_sequence.saturating_sub(window).max(stats.first_sequence);
        let lines = lines(bus, from, stats.next_sequence).await?;
        if lines.len() >= limit || from == stats.first_sequence {
            let skip = lines.len().saturating_sub(limit);
            return Ok(lines.into_iter().skip(skip).collect());
        }
        window = window.saturating_mul(4);
    }
}

async fn lines(bus: &dyn Bus, mut from: u64, end: u64) -> Result<Vec<EventLine>, BusError> {
    let mut lines = Vec::new();
    while from < end {
        let page = bus.read(EntryKind::Event, from..end, ReadFilter::default()).await?;
        lines.extend(page.entries.iter().filter_map(|entry| match &entry.body {
            EntryBody::Event(event) => Some(EventLine::of(entry, event)),
            EntryBody::Record(_) => None,
        }));
        match page.next {
            Some(next) if next > from => from = next,
            _ => break,
        }
    }
    Ok(lines)
}

impl Explanation {
    /// Whether it was given up before it reached the bus.
    fn is_dead(&self) -> bool {
        self.decisions.iter().any(|decision| matches!(decision.verdict, Verdict::DeadLettered { .. }))
    }

    /// The story for people.
    pub(crate) fn story(&self) -> String {
        let event = &self.event;
        let place = match event.data_bytes {
            Some(bytes) => {
                format!("(kind {}, {bytes} bytes), number {} on the bus", event.event_type, event.sequence)
            }
            None if self.is_dead() => "and kept among the dead letters, not on the bus".to_owned(),
            None => "and kept from the bus by its filter".to_owned(),
        };
        let mut text = format!(
            "event {}\n  received   {} from eventsource/{}/{} event `{}` {place}\n",
            event.id, event.received_at, event.namespace, event.event_source, event.event,
        );
        for (decider, decisions) in self.by_decider() {
            text = text + "  " + &decider_name(&event.namespace, decider) + "\n";
            for decision in decisions {
                text = text + "    " + &sentence(decision) + "\n";
            }
        }
        for consumer in &self.undecided {
            text = text + "  " + consumer + ": has not finished with this event yet\n";
        }
        if self.decisions.is_empty() && self.undecided.is_empty() {
            text.push_str("  no trigger of any Sensor listens to this event\n");
        }
        text
    }

    fn by_decider(&self) -> BTreeMap<&Decider, Vec<&Decision>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for decision in &self.decisions {
            groups.entry(&decision.decider).or_default().push(decision);
        }
        groups
    }
}

fn decider_name(namespace: &Namespace, decider: &Decider) -> String {
    match decider {
        Decider::Trigger { sensor, trigger } => format!("sensor/{namespace}/{sensor} trigger `{trigger}`"),
        Decider::EventSource { event_source, event_name } => {
            format!("eventsource/{namespace}/{event_source} event `{event_name}`")
        }
    }
}

/// One decision in words.
pub(crate) fn sentence(decision: &Decision) -> String {
    let dependency = decision.dependency.as_ref().map_or_else(String::new, |name| format!(" as `{name}`"));
    let role = match decision.role {
        Role::Main => "",
        Role::DlqTrigger => "dlqTrigger: ",
        Role::OnExpire => "onExpire: ",
    };
    format!("{role}{}", verdict(&decision.verdict, &dependency))
}

fn verdict(verdict: &Verdict, dependency: &str) -> String {
    match verdict {
        // What was seen is why it failed.
        Verdict::Rejected { filter, seen: Some(seen), reason, .. } if reason.ends_with("-failed") => {
            format!("rejected{dependency} by {filter}: {seen} ({reason})")
        }
        Verdict::Rejected { filter, looked_at, seen, wanted, reason } => {
            let seen = seen.as_ref().map_or_else(|| "nothing".to_owned(), |seen| format!("`{seen}`"));
            format!("rejected{dependency} by {filter}: {looked_at} is {seen}, wanted {wanted} ({reason})")
        }
        Verdict::Waiting { missing } => {
            let names: Vec<_> = missing.iter().map(|name| format!("`{name}`")).collect();
            format!("accepted{dependency}, waits for {}", names.join(" and "))
        }
        Verdict::Overwritten { by } => {
            format!("replaced{dependency} by the newer event {by} while it waited")
        }
        Verdict::Expired { reason } => format!("given up{dependency} while it waited: {reason}"),
        Verdict::RateLimited { until } => format!("accepted, its turn comes at {until} (rate limit)"),
        Verdict::Gathered { until } => {
            format!("accepted, held back until {until} for others to come (debounce or batch)")
        }
        Verdict::Queued { key } if key.is_empty() => "accepted, waits for its turn (maxInFlight)".to_owned(),
        Verdict::Queued { key } => {
            format!("accepted, waits for its turn behind others of `{key}` (maxInFlight)")
        }
        Verdict::Skipped { reason } => format!("left out{dependency}: {reason}"),
        Verdict::Redriven => "taken back from the dead letters".to_owned(),
        Verdict::Abandoned { attempts, error } => {
            format!("given up{}: {error}", nth_attempt(*attempts))
        }
        Verdict::Attempted { attempt, error, next } => {
            format!("attempt {attempt} failed: {error}; next attempt at {next}")
        }
        Verdict::Fired { attempts, outcome, fallbacks } => {
            let mut told = format!("fired{}: {outcome}", nth_attempt(*attempts));
            for fallback in fallbacks {
                told.push_str("\n      ");
                told.push_str(fallback);
            }
            told
        }
        // A message that never became an event.
        Verdict::DeadLettered { attempts: 0, reason, error } => format!("dead-lettered ({reason}): {error}"),
        Verdict::DeadLettered { attempts, reason, error } => {
            format!("dead-lettered after {attempts} attempts ({reason}): {error}")
        }
    }
}

fn nth_attempt(attempts: u32) -> String {
    if attempts <= 1 { String::new() } else { format!(" at attempt {attempts}") }
}
