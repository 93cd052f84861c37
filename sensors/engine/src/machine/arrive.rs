//! An event arrives: rejected, waiting, or the last one that a round needed (spec/sensors.md 6 and 7, docs/joins.md).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{DependencyName, Event, EventRef, ExpiryAction, Keep, Role, Verdict};

use super::partial::{Held, MAX_KEPT};
use super::{Machine, key, record, record_round, stored};
use crate::model::{Accepted, Effect, Match, Round, TicketId};

/// Why a waiting event was given up, or left out.
const RESET: &str = "conditions-reset";
const OLDER_IS_KEPT: &str = "older-is-kept";
const TOO_MANY: &str = "too-many-waiting";

impl Machine {
    pub(super) fn arrived(
        &mut self,
        now: Timestamp,
        ticket: TicketId,
        matches: Vec<Match>,
        effects: &mut Vec<Effect>,
    ) {
        if self.rules.conditions().is_immediate() {
            self.fire_each(now, ticket, matches, effects);
        } else {
            self.hold(now, matches, effects);
            effects.push(Effect::Settle { ticket });
        }
    }

    /// Every dependency that accepts the event gets its own round. The delivery waits for the rounds to end, unless
    /// they are stored or need not survive.
    fn fire_each(
        &mut self,
        now: Timestamp,
        ticket: TicketId,
        matches: Vec<Match>,
        effects: &mut Vec<Effect>,
    ) {
        let waits = self.rules.survives_a_crash() && !self.rules.flow().gathers();
        let (mut begun, mut holding) = (Vec::new(), 0);
        for one in matches {
            let known = (one.dependency.clone(), one.event.clone());
            if self.taken.contains(&known) {
                continue;
            }
            let accepted = match one.outcome {
                Ok(accepted) => accepted,
                Err(rejection) => {
                    effects.push(record(
                        &self.rules,
                        now,
                        &one.dependency,
                        one.event,
                        rejection.into_verdict(),
                    ));
                    continue;
                }
            };
            let round = self.round(BTreeMap::from([(one.dependency, accepted.event)]), Role::Main, now);
            match self.rounds.get_mut(&round.key) {
                Some(live) if waits && !live.is_stored => {
                    live.tickets.push(ticket);
                    holding += 1;
                }
                Some(_) => {}
                None => begun.push(round),
            }
        }
        if waits {
            holding += begun.len();
        }
        if holding > 0 {
            self.deliveries.insert(ticket, holding);
        }
        for round in begun {
            let tickets = if waits { vec![ticket] } else { Vec::new() };
            self.take_in_hand(now, round, tickets, effects);
        }
        if holding == 0 {
            effects.push(Effect::Settle { ticket });
        }
    }

    /// The event takes its place for every dependency that accepts it; what completes a round leaves with it.
    fn hold(&mut self, now: Timestamp, matches: Vec<Match>, effects: &mut Vec<Effect>) {
        let mut touched = BTreeMap::<Arc<str>, BTreeSet<DependencyName>>::new();
        for one in matches {
            let accepted = match one.outcome {
                Ok(accepted) => accepted,
                Err(rejection) => {
                    effects.push(record(
                        &self.rules,
                        now,
                        &one.dependency,
                        one.event,
                        rejection.into_verdict(),
                    ));
                    continue;
                }
            };
            if self.knows(&one.dependency, &one.event, &accepted.correlation) {
                continue;
            }
            if self.put(now, &one.dependency, &accepted, effects) {
                touched.entry(accepted.correlation).or_default().insert(one.dependency);
            }
        }
        for (correlation, fresh) in touched {
            self.complete(now, &correlation, effects);
            self.store_waiting(now, &correlation, &fresh, effects);
        }
    }

    /// Whether the event already stands for the dependency: the delivery is a repetition.
    fn knows(&self, dependency: &DependencyName, event: &EventRef, correlation: &str) -> bool {
        self.partials.set(correlation).is_some_and(|set| set.knows(dependency, event))
            || self.taken.contains(&(dependency.clone(), event.clone()))
    }

    /// Puts the event among those that wait, as `keep` says; `false` if it is left out.
    fn put(
        &mut self,
        now: Timestamp,
        dependency: &DependencyName,
        accepted: &Accepted,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if self.next_reset.is_none() {
            self.next_reset = self.rules.next_reset(now);
        }
        let correlation = &accepted.correlation;
        let there = self.partials.set(correlation).map_or(0, |set| set.count(dependency));
        match self.rules.join().keep {
            Keep::Oldest if there > 0 => {
                let verdict = Verdict::Skipped { reason: OLDER_IS_KEPT.to_owned() };
                effects.push(record(&self.rules, now, dependency, accepted.event.to_ref(), verdict));
                return false;
            }
            Keep::Newest if there > 0 => {
                let verdict = Verdict::Overwritten { by: accepted.event.id.clone() };
                self.give_up_oldest(now, dependency, correlation, &verdict, effects);
            }
            Keep::All if there >= MAX_KEPT => {
                let verdict = Verdict::Expired { reason: TOO_MANY.to_owned() };
                self.give_up_oldest(now, dependency, correlation, &verdict, effects);
            }
            Keep::Newest | Keep::Oldest | Keep::All => {}
        }
        let held = Held {
            dependency: dependency.clone(),
            event: accepted.event.clone(),
            accepted_at: now,
            is_stored: false,
        };
        self.partials.put(correlation, held);
        true
    }

    fn give_up_oldest(
        &mut self,
        now: Timestamp,
        dependency: &DependencyName,
        correlation: &str,
        verdict: &Verdict,
        effects: &mut Vec<Effect>,
    ) {
        let mut is_found = false;
        let taken = self.partials.take(correlation, |held| {
            let wanted = !is_found && held.dependency == *dependency;
            is_found |= wanted;
            wanted
        });
        for held in taken {
            self.give_up_held(now, &held, verdict.clone(), effects);
        }
    }

    /// Records the end of a waiting event that has been taken out.
    pub(super) fn give_up_held(
        &self,
        now: Timestamp,
        held: &Held,
        verdict: Verdict,
        effects: &mut Vec<Effect>,
    ) {
        forget(held, effects);
        effects.push(record(&self.rules, now, &held.dependency, held.event.to_ref(), verdict));
    }

    fn store_waiting(
        &mut self,
        now: Timestamp,
        correlation: &str,
        fresh: &BTreeSet<DependencyName>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(set) = self.partials.set(correlation) else { return };
        let missing: Vec<_> = self.rules.conditions().missing(&set.present()).into_iter().collect();
        for dependency in fresh {
            for held in self.partials.mark_stored(correlation, dependency) {
                let value = stored::waiting(&held, self.rules.definition(dependency).unwrap_or_default());
                effects.push(Effect::Store { key: stored::waiting_key(&held), value });
                let verdict = Verdict::Waiting { missing: missing.clone() };
                effects.push(record(&self.rules, now, dependency, held.event.to_ref(), verdict));
            }
        }
    }

    /// Makes rounds of what waits in one set, as long as the conditions hold.
    pub(super) fn complete(&mut self, now: Timestamp, correlation: &str, effects: &mut Vec<Effect>) {
        while let Some(present) = self.partials.set(correlation).map(super::partial::Partial::present) {
            let Some(used) = self.rules.conditions().used(&present) else { return };
            let sets = if self.rules.conditions().is_immediate() {
                // Only after an edit: what waited under `&&` now needs nothing else.
                used.into_iter().map(|name| BTreeSet::from([name])).collect()
            } else if self.rules.clears_all() {
                vec![present]
            } else {
                vec![used]
            };
            for names in sets {
                let taken = self.take_first(correlation, &names);
                for held in &taken {
                    forget(held, effects);
                }
                let round = self.round(events_of(taken), Role::Main, now);
                self.take_in_hand(now, round, Vec::new(), effects);
            }
        }
    }

    /// Takes the oldest event of each dependency out of a set.
    fn take_first(&mut self, correlation: &str, names: &BTreeSet<DependencyName>) -> Vec<Held> {
        let mut open = names.clone();
        self.partials.take(correlation, |held| open.remove(&held.dependency))
    }

    pub(super) fn round(
        &self,
        events: BTreeMap<DependencyName, Arc<Event>>,
        role: Role,
        now: Timestamp,
    ) -> Round {
        let flow_key = self.rules.flow().key_of(&events);
        Round {
            key: key::of(&self.rules, role, &events),
            namespace: self.rules.namespace().clone(),
            sensor: self.rules.sensor().clone(),
            trigger: self.rules.trigger().clone(),
            role,
            events,
            batch: Vec::new(),
            flow_key,
            complete_at: now,
        }
    }

    /// Gives up what was accepted before the latest reset (S18).
    pub(super) fn reset(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.next_reset.is_none_or(|reset| now < reset) {
            return;
        }
        self.give_up_before(self.rules.last_reset(now), now, effects);
        self.next_reset = self.rules.next_reset(now);
    }

    pub(super) fn give_up_before(
        &mut self,
        reset: Option<Timestamp>,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(reset) = reset else { return };
        self.expire(now, effects, |held| (held.accepted_at < reset).then_some(RESET));
    }

    /// Gives up the waiting events for which there is a reason.
    pub(super) fn expire(
        &mut self,
        now: Timestamp,
        effects: &mut Vec<Effect>,
        reason: impl Fn(&Held) -> Option<&'static str>,
    ) {
        for correlation in self.partials.correlations() {
            for held in self.partials.take(&correlation, |held| reason(held).is_some()) {
                let verdict = Verdict::Expired { reason: reason(&held).unwrap_or(RESET).to_owned() };
                self.give_up_held(now, &held, verdict, effects);
            }
        }
    }

    /// Gives up the sets whose window has passed, as `onExpire` says.
    pub(super) fn expire_windows(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((correlation, reason)) = self.partials.overdue(now, self.rules.join().window) {
            let taken = self.partials.take(&correlation, |_| true);
            if taken.is_empty() {
                return;
            }
            self.expire_set(now, taken, reason, effects);
        }
    }

    fn expire_set(
        &mut self,
        now: Timestamp,
        taken: Vec<Held>,
        reason: &'static str,
        effects: &mut Vec<Effect>,
    ) {
        let action = self.rules.join().on_expire;
        for held in &taken {
            forget(held, effects);
            if action != ExpiryAction::DeadLetter {
                let verdict = Verdict::Expired { reason: reason.to_owned() };
                effects.push(record(&self.rules, now, &held.dependency, held.event.to_ref(), verdict));
            }
        }
        match action {
            ExpiryAction::Drop => {}
            ExpiryAction::Fire => {
                let round = self.round(events_of(taken), Role::OnExpire, now);
                self.take_in_hand(now, round, Vec::new(), effects);
            }
            ExpiryAction::DeadLetter => {
                for events in one_of_each(taken) {
                    let round = Arc::new(self.round(events, Role::Main, now));
                    let error = "the other events of its round did not come in time".to_owned();
                    let verdict = Verdict::DeadLettered {
                        attempts: 0,
                        reason: reason.to_owned(),
                        error: error.clone(),
                    };
                    effects.push(Effect::DeadLetter { round: round.clone(), attempts: 0, reason, error });
                    effects.push(record_round(&self.rules, now, &round, verdict));
                }
            }
        }
    }

    pub(super) fn next_window(&self) -> Option<Timestamp> {
        self.partials.oldest()?.checked_add(self.rules.join().window?).ok()
    }
}

fn forget(held: &Held, effects: &mut Vec<Effect>) {
    if held.is_stored {
        effects.push(Effect::Forget { key: stored::waiting_key(held) });
    }
}

/// By dependency; of several the oldest.
fn events_of(taken: Vec<Held>) -> BTreeMap<DependencyName, Arc<Event>> {
    let mut events = BTreeMap::new();
    for held in taken {
        events.entry(held.dependency).or_insert(held.event);
    }
    events
}

/// Sets with at most one event of each dependency, that together have all of them.
fn one_of_each(taken: Vec<Held>) -> Vec<BTreeMap<DependencyName, Arc<Event>>> {
    let mut sets: Vec<BTreeMap<_, _>> = Vec::new();
    for held in taken {
        match sets.iter_mut().find(|set| !set.contains_key(&held.dependency)) {
            Some(set) => drop(set.insert(held.dependency, held.event)),
            None => sets.push(BTreeMap::from([(held.dependency, held.event)])),
        }
    }
    sets
}
