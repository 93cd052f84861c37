//! What a trigger says beyond the reference, compiled: joins by key, and how rounds follow each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use zetes_api::{
    BackoffDuration, Batch, Debounce, DependencyName, Event, ExpiryAction, FieldPath, Finding, Keep,
    KeySource, TriggerExtension, WhenBusy,
};

use crate::conditions::Conditions;
use crate::selector::Selector;

/// A longer value of `correlate` or `key` is no key.
const MAX_KEY_BYTES: usize = 1024;
const MAX_BATCH: u32 = 10_000;

/// Which events wait for each other, for how long, and what becomes of them then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Join {
    correlate: Vec<Key>,
    pub(crate) window: Option<SignedDuration>,
    pub(crate) on_expire: ExpiryAction,
    pub(crate) keep: Keep,
}

/// How complete rounds follow each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flow {
    key: Option<Key>,
    pub(crate) max_in_flight: Option<u32>,
    pub(crate) when_busy: WhenBusy,
    pub(crate) gate: Gate,
}

/// What holds a complete round back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gate {
    #[default]
    Open,
    Debounce {
        wait: SignedDuration,
        max_wait: SignedDuration,
    },
    Batch {
        size: usize,
        wait: SignedDuration,
    },
}

#[derive(Clone, Debug)]
struct Key {
    dependency: DependencyName,
    selector: Selector,
}

impl Join {
    pub(super) fn compile(
        written: &TriggerExtension,
        conditions: &Conditions,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let list = at.key("correlate");
        let entries = written.correlate.iter().enumerate();
        let correlate: Vec<_> = entries
            .map(|(index, entry)| Key::compile(entry, conditions, &list.index(index), findings))
            .collect();
        if !correlate.is_empty() {
            for name in conditions.names() {
                if !correlate.iter().any(|key| key.dependency == *name) {
                    let message = format!("expected an entry for `{name}`, which the conditions mention");
                    findings.push(Finding::error("missing-key", list.clone(), message));
                }
            }
        }
        let join = Self {
            correlate,
            window: duration(written.window, &at.key("window"), findings),
            on_expire: written.on_expire.as_ref().map(|expiry| expiry.action).unwrap_or_default(),
            keep: written.keep.unwrap_or_default(),
        };
        join.remarks(written, conditions, at, findings);
        join
    }

    fn remarks(
        &self,
        written: &TriggerExtension,
        conditions: &Conditions,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) {
        if written.on_expire.is_some() && self.window.is_none() {
            let finding = Finding::error("missing-field", at.key("window"), "`onExpire` needs a `window`");
            findings.push(finding.hint("write how long a set of events may wait: `window: 15m`"));
        }
        let fields = [
            ("correlate", !written.correlate.is_empty()),
            ("window", written.window.is_some()),
            ("keep", written.keep.is_some()),
        ];
        for (field, _) in fields.iter().filter(|(_, is_written)| *is_written && conditions.is_immediate()) {
            let message = "every event fires alone under these conditions: nothing waits";
            findings.push(Finding::warning("unused-field", at.key(*field), message));
        }
    }

    /// The value by which an event is joined with others; `None` where it has none.
    pub(crate) fn correlation_of(&self, dependency: &DependencyName, event: &Event) -> Option<Arc<str>> {
        match self.correlate.iter().find(|key| key.dependency == *dependency) {
            None => Some(Arc::from("")),
            Some(key) => key.of(event),
        }
    }

    /// What `correlate` looks at in the events of a dependency.
    pub(crate) fn looks_at(&self, dependency: &DependencyName) -> String {
        let key = self.correlate.iter().find(|key| key.dependency == *dependency);
        key.map(|key| key.selector.to_string()).unwrap_or_default()
    }
}

impl Flow {
    pub(super) fn compile(
        written: &TriggerExtension,
        conditions: &Conditions,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Self {
        if written.max_in_flight == Some(0) {
            findings.push(Finding::error(
                "bad-value",
                at.key("maxInFlight"),
                "expected a number from 1, found 0",
            ));
        }
        let gate = match (&written.debounce, &written.batch) {
            (None, None) => Gate::Open,
            (Some(debounce), None) => compile_debounce(debounce, &at.key("debounce"), findings),
            (None, Some(batch)) => compile_batch(batch, &at.key("batch"), findings),
            (Some(_), Some(_)) => {
                let message = "expected one of `debounce` and `batch`, found both";
                findings.push(Finding::error("bad-value", at.key("batch"), message));
                Gate::Open
            }
        };
        Self {
            key: written.key.as_ref().map(|key| Key::compile(key, conditions, &at.key("key"), findings)),
            max_in_flight: written.max_in_flight.or(written.when_busy.map(|_| 1)),
            when_busy: written.when_busy.unwrap_or_default(),
            gate,
        }
    }

    /// Whether rounds are held back before they are fired.
    pub(crate) fn gathers(&self) -> bool {
        self.gate != Gate::Open
    }

    /// Whether rounds of a key wait for each other.
    pub(crate) fn has_lanes(&self) -> bool {
        self.key.is_some() || self.max_in_flight.is_some()
    }

    /// The value of `key` in a round; empty without one, or where the round has no such value.
    pub(crate) fn key_of(&self, events: &BTreeMap<DependencyName, Arc<Event>>) -> Arc<str> {
        let found = self.key.as_ref().and_then(|key| key.of(events.get(&key.dependency)?));
        found.unwrap_or_else(|| Arc::from(""))
    }
}

impl Key {
    fn compile(
        written: &KeySource,
        conditions: &Conditions,
        at: &FieldPath,
        findings: &mut Vec<Finding>,
    ) -> Self {
        let name = &written.dependency_name;
        if !conditions.names().contains(name) {
            let message = format!("the conditions mention no dependency `{name}`");
            findings.push(Finding::error("unknown-dependency", at.key("dependencyName"), message));
        }
        match (&written.path, &written.json_path) {
            (None, None) => findings.push(Finding::error(
                "missing-field",
                at.key("path"),
                "expected `path` or `jsonPath`",
            )),
            (Some(_), Some(_)) => {
                let message = "expected one of `path` and `jsonPath`, found both";
                findings.push(Finding::error("bad-value", at.key("jsonPath"), message));
            }
            (Some(path), None) => findings.extend(Selector::remarks(path, &at.key("path"))),
            (None, Some(_)) => {}
        }
        let selector = Selector::written(written.path.as_deref(), written.json_path.as_deref(), at, findings);
        Self { dependency: name.clone(), selector }
    }

    fn of(&self, event: &Event) -> Option<Arc<str>> {
        let key = self.selector.key_in(event).filter(|key| key.len() <= MAX_KEY_BYTES)?;
        Some(Arc::from(key))
    }
}

fn compile_debounce(written: &Debounce, at: &FieldPath, findings: &mut Vec<Finding>) -> Gate {
    let wait = duration(Some(written.wait), &at.key("wait"), findings).unwrap_or_default();
    let max_wait = duration(written.max_wait, &at.key("maxWait"), findings);
    Gate::Debounce { wait, max_wait: max_wait.unwrap_or(wait * 10) }
}

fn compile_batch(written: &Batch, at: &FieldPath, findings: &mut Vec<Finding>) -> Gate {
    if !(1..=MAX_BATCH).contains(&written.size) {
        let message = format!("expected a number from 1 to {MAX_BATCH}, found {}", written.size);
        findings.push(Finding::error("bad-value", at.key("size"), message));
    }
    let wait = duration(Some(written.wait), &at.key("wait"), findings).unwrap_or_default();
    Gate::Batch { size: usize::try_from(written.size).unwrap_or(usize::MAX), wait }
}

/// More than nothing, at most a year.
fn duration(
    written: Option<BackoffDuration>,
    at: &FieldPath,
    findings: &mut Vec<Finding>,
) -> Option<SignedDuration> {
    const YEAR: SignedDuration = SignedDuration::from_hours(366 * 24);
    let duration = SignedDuration::from_nanos(written?.0);
    if duration <= SignedDuration::ZERO || duration > YEAR {
        let message = format!("expected a duration over 0 and up to a year, found {duration:#}");
        findings.push(Finding::error("bad-value", at.clone(), message));
        return None;
    }
    Some(duration)
}
