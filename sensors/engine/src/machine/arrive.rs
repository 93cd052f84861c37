//! An event arrives: rejected, waiting, or the last one that a round needed (spec/sensors.md 6 and 7).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{DependencyName, Event, Verdict};

use super::{Live, Machine, key, record, stored};
use crate::filter::Check;
use crate::model::{Effect, HeldEvent, Round, TicketId};
use crate::rules::Guarantee;

impl Machine {
    pub(super) fn arrived(
        &mut self,
        now: Timestamp,
        ticket: TicketId,
        event: &Arc<Event>,
        effects: &mut Vec<Effect>,
    ) {
        if self.rules.conditions().is_immediate() {
            self.fire_each(now, ticket, event, effects);
        } else {
            self.hold(now, event, effects);
            effects.push(Effect::Settle { ticket });
        }
    }

    /// Every dependency that accepts the event gets its own round. The delivery waits for the rounds to end, unless
    /// they are stored or need not survive.
    fn fire_each(&mut self, now: Timestamp, ticket: TicketId, event: &Arc<Event>, effects: &mut Vec<Effect>) {
        let waits = self.rules.guarantee() == Guarantee::AtLeastOnce;
        let mut holding = 0;
        for dependency in self.rules.matching(event) {
            let events = BTreeMap::from([(dependency.clone(), event.clone())]);
            let key = key::of(&self.rules, &events);
            if !self.rounds.contains_key(&key) {
                if !self.accepts(now, &dependency, event, effects) {
                    continue;
                }
                self.begin(self.round(events, now), false);
            }
            let live = self.rounds.get_mut(&key).filter(|live| waits && !live.is_stored);
            if let Some(live) = live {
                live.tickets.push(ticket);
                holding += 1;
            }
        }
        if holding == 0 {
            effects.push(Effect::Settle { ticket });
        } else {
            self.deliveries.insert(ticket, holding);
        }
    }

    /// The event takes its place for every dependency that accepts it; what completes a round leaves with it.
    fn hold(&mut self, now: Timestamp, event: &Arc<Event>, effects: &mut Vec<Effect>) {
        let mut fresh = BTreeSet::new();
        let mut unstored = BTreeSet::new();
        for dependency in self.rules.matching(event) {
            if self.knows(&dependency, event) || !self.accepts(now, &dependency, event, effects) {
                continue;
            }
            if !self.replace(now, &dependency, event, effects) {
                unstored.insert(dependency.clone());
            }
            fresh.insert(dependency);
        }
        if fresh.is_empty() {
            return;
        }
        self.complete(now, &unstored, effects);
        self.store_waiting(now, &fresh, effects);
    }

    /// Puts the event in its dependency's place; `true` if an older one stood there.
    fn replace(
        &mut self,
        now: Timestamp,
        dependency: &DependencyName,
        event: &Arc<Event>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if self.next_reset.is_none() {
            self.next_reset = self.rules.next_reset(now);
        }
        let held = HeldEvent { event: event.clone(), accepted_at: now };
        let Some(older) = self.waiting.insert(dependency.clone(), held) else { return false };
        let verdict = Verdict::Overwritten { by: event.id.clone() };
        effects.push(record(&self.rules, now, Some(dependency), &older.event, verdict));
        true
    }

    fn store_waiting(&self, now: Timestamp, fresh: &BTreeSet<DependencyName>, effects: &mut Vec<Effect>) {
        let present = self.present();
        let missing: Vec<_> = self.rules.conditions().missing(&present).into_iter().collect();
        for dependency in fresh {
            let Some(held) = self.waiting.get(dependency) else { continue };
            effects
                .push(Effect::Store { key: stored::waiting_key(dependency), value: stored::waiting(held) });
            let verdict = Verdict::Waiting { missing: missing.clone() };
            effects.push(record(&self.rules, now, Some(dependency), &held.event, verdict));
        }
    }

    /// Makes rounds of what waits, if the conditions hold. `unstored` names what has no stored piece to forget.
    pub(super) fn complete(
        &mut self,
        now: Timestamp,
        unstored: &BTreeSet<DependencyName>,
        effects: &mut Vec<Effect>,
    ) {
        for names in self.complete_sets() {
            let events: BTreeMap<_, _> = names
                .iter()
                .filter_map(|name| Some((name.clone(), self.waiting.remove(name)?.event)))
                .collect();
            let round = self.round(events, now);
            let is_stored = self.rules.guarantee() == Guarantee::AtLeastOnce;
            if is_stored {
                effects
                    .push(Effect::Store { key: stored::round_key(&round.key), value: stored::round(&round) });
            }
            for name in names.difference(unstored) {
                effects.push(Effect::Forget { key: stored::waiting_key(name) });
            }
            self.begin(round, is_stored);
        }
    }

    /// Which waiting events leave together: those of the branches that hold (S17), or all of them under `clear-all`.
    fn complete_sets(&self) -> Vec<BTreeSet<DependencyName>> {
        let present = self.present();
        match self.rules.conditions().used(&present) {
            None => Vec::new(),
            Some(used) if self.rules.conditions().is_immediate() => {
                used.into_iter().map(|name| BTreeSet::from([name])).collect()
            }
            Some(_) if self.rules.clears_all() => vec![present],
            Some(used) => vec![used],
        }
    }

    /// Asks the filters; a rejection is recorded.
    fn accepts(
        &self,
        now: Timestamp,
        dependency: &DependencyName,
        event: &Event,
        effects: &mut Vec<Effect>,
    ) -> bool {
        match self.rules.check(dependency, event) {
            Check::Passed => true,
            Check::Rejected(rejection) => {
                effects.push(record(&self.rules, now, Some(dependency), event, rejection.into_verdict()));
                false
            }
        }
    }

    /// Whether the event already stands for the dependency: the delivery is a repetition.
    fn knows(&self, dependency: &DependencyName, event: &Event) -> bool {
        let is_it = |other: &Arc<Event>| other.to_ref() == event.to_ref();
        self.waiting.get(dependency).is_some_and(|held| is_it(&held.event))
            || self.is_in_round(dependency, event)
    }

    pub(super) fn is_in_round(&self, dependency: &DependencyName, event: &Event) -> bool {
        let wanted = event.to_ref();
        self.rounds
            .values()
            .filter_map(|live| live.round.events.get(dependency))
            .any(|event| event.to_ref() == wanted)
    }

    fn present(&self) -> BTreeSet<DependencyName> {
        self.waiting.keys().cloned().collect()
    }

    fn round(&self, events: BTreeMap<DependencyName, Arc<Event>>, now: Timestamp) -> Round {
        Round {
            key: key::of(&self.rules, &events),
            namespace: self.rules.namespace().clone(),
            sensor: self.rules.sensor().clone(),
            trigger: self.rules.trigger().clone(),
            events,
            complete_at: now,
        }
    }

    /// Takes a complete round in hand, unless it is in hand already.
    pub(super) fn begin(&mut self, round: Round, is_stored: bool) {
        let key = round.key.clone();
        if self.rounds.contains_key(&key) {
            return;
        }
        let live = Live {
            round: Arc::new(round),
            attempts: 0,
            is_firing: false,
            tickets: Vec::new(),
            is_stored,
            is_delay_recorded: false,
        };
        self.rounds.insert(key.clone(), live);
        self.queue.push_back(key);
    }
}
