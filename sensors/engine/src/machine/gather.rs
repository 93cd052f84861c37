//! Rounds that are held back for a while: until it is quiet, or until there are enough (docs/flow-control.md).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use zetes_api::{DependencyName, Document, Event, IdempotencyKey, Role, Verdict};

use super::{Machine, key, record_round, stored};
use crate::model::{Effect, Round};
use crate::rules::Gate;

/// Data of one batch, in bytes; a batch that is larger is fired before it has its size.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// Rounds of one key that are held back; never empty.
#[derive(Debug)]
pub(super) struct Gathering {
    rounds: Vec<IdempotencyKey>,
    first_at: Timestamp,
    due: Timestamp,
    bytes: usize,
}

impl Machine {
    pub(super) fn gather(&mut self, now: Timestamp, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.get(key) else { return };
        let (flow_key, round) = (live.round.flow_key.clone(), live.round.clone());
        let empty = Gathering { rounds: Vec::new(), first_at: now, due: now, bytes: 0 };
        let gathering = self.gatherings.entry(flow_key.clone()).or_insert(empty);
        let due_before = gathering.due;
        let mut replaced = Vec::new();
        match self.rules.flow().gate {
            Gate::Open => {}
            Gate::Debounce { wait, max_wait } => {
                replaced = std::mem::take(&mut gathering.rounds);
                gathering.due = after(now, wait).min(after(gathering.first_at, max_wait));
            }
            Gate::Batch { size, wait } => {
                gathering.bytes += bytes_of(&round);
                let is_full = gathering.rounds.len() + 1 >= size || gathering.bytes >= MAX_BATCH_BYTES;
                gathering.due = if is_full { now } else { after(gathering.first_at, wait) };
            }
        }
        gathering.rounds.push(key.clone());
        let until = gathering.due;
        self.gatherings_due.remove(&(due_before, flow_key.clone()));
        self.gatherings_due.insert((until, flow_key));
        self.gathered += 1;
        for older in replaced {
            self.gathered -= 1;
            self.replace_round(now, &older, key, effects);
        }
        if until > now {
            effects.push(record_round(&self.rules, now, &round, Verdict::Gathered { until }));
        } else {
            self.close_gatherings(now, effects);
        }
    }

    /// Lets go what is due.
    pub(super) fn close_gatherings(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((_, flow_key)) = self.gatherings_due.first().filter(|(due, _)| *due <= now).cloned() {
            self.gatherings_due.pop_first();
            let Some(gathering) = self.gatherings.remove(&flow_key) else { continue };
            self.gathered -= gathering.rounds.len();
            if matches!(self.rules.flow().gate, Gate::Batch { .. }) {
                self.fire_batch(now, &flow_key, &gathering.rounds, effects);
            } else {
                for key in gathering.rounds {
                    self.let_go(now, &key, effects);
                }
            }
        }
    }

    /// The round goes on alone, and after a restart, too.
    fn let_go(&mut self, now: Timestamp, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        if let Some(live) = self.rounds.get(key).filter(|live| live.is_stored) {
            let value = stored::round(&live.round, false);
            effects.push(Effect::Store { key: stored::round_key(key), value });
        }
        self.enter(now, key, effects);
    }

    /// One round of many: it is stored whole before its parts are forgotten.
    fn fire_batch(
        &mut self,
        now: Timestamp,
        flow_key: &Arc<str>,
        members: &[IdempotencyKey],
        effects: &mut Vec<Effect>,
    ) {
        let key = key::of_batch(&self.rules, members);
        let lives: Vec<_> = members.iter().filter_map(|member| self.rounds.remove(member)).collect();
        let rounds: Vec<_> = lives.iter().map(|live| live.round.clone()).collect();
        let round = Round {
            namespace: self.rules.namespace().clone(),
            sensor: self.rules.sensor().clone(),
            trigger: self.rules.trigger().clone(),
            role: Role::Main,
            events: lists(&key, &rounds),
            batch: rounds.iter().flat_map(|round| round.about()).collect(),
            flow_key: flow_key.clone(),
            complete_at: now,
            key,
        };
        let forgotten = lives
            .iter()
            .filter(|live| live.is_stored)
            .map(|live| Effect::Forget { key: stored::round_key(&live.round.key) });
        let mut forgotten: Vec<_> = forgotten.collect();
        self.take_in_hand(now, round, Vec::new(), effects);
        effects.append(&mut forgotten);
    }

    pub(super) fn next_gathering(&self) -> Option<Timestamp> {
        self.gatherings_due.first().map(|(due, _)| *due)
    }
}

fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn bytes_of(round: &Round) -> usize {
    round.events.values().filter_map(|event| event.data.as_ref()).map(bytes::Bytes::len).sum()
}

/// One event for each dependency, whose data is the list of the data of all of them, in order.
fn lists(key: &IdempotencyKey, rounds: &[Arc<Round>]) -> BTreeMap<DependencyName, Arc<Event>> {
    let names: BTreeSet<&DependencyName> = rounds.iter().flat_map(|round| round.events.keys()).collect();
    let list = |name: &DependencyName| {
        let events: Vec<_> = rounds.iter().filter_map(|round| round.events.get(name)).collect();
        let newest = events.last()?;
        let data: Vec<String> = events.iter().map(|event| json_of(event)).collect();
        Some(Arc::new(Event {
            id: key.as_str().into(),
            datacontenttype: Some("application/json".to_owned()),
            data: Some(format!("[{}]", data.join(",")).into()),
            document: Document::default(),
            ..Event::clone(newest)
        }))
    };
    names.into_iter().filter_map(|name| Some((name.clone(), list(name)?))).collect()
}

/// JSON data as it is; other bytes as a JSON string.
fn json_of(event: &Event) -> String {
    let Some(data) = &event.data else { return "null".to_owned() };
    event.json_text().map_or_else(|| Value::from(String::from_utf8_lossy(data)).to_string(), str::to_owned)
}
