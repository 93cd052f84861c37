//! A machine after a restart, also under edited rules (S18, S21, spec/control-plane.md 10.4).

use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{DependencyName, IdempotencyKey, Role, Verdict};

use super::partial::Held;
use super::stored::{self, PieceName, StoredRound};
use super::{Machine, decision};
use crate::model::{Effect, Round, StoredKey};
use crate::rules::Rules;

/// Why a stored piece or a waiting event was given up.
const UNDECODABLE: &str = "undecodable";
const DEPENDENCY_REMOVED: &str = "dependency-removed";
const DEFINITION_CHANGED: &str = "definition-changed";
const NO_LONGER_CORRELATED: &str = "no-correlation-value";
const ACTION_REMOVED: &str = "action-removed";

impl Machine {
    /// The machine that stored these pieces, and what to do first: rounds that had not ended are fired again with their
    /// old keys, what no longer fits the rules or was to be reset meanwhile is given up with a record.
    pub fn restore(
        rules: Arc<Rules>,
        stored: impl IntoIterator<Item = (StoredKey, Vec<u8>)>,
        now: Timestamp,
    ) -> (Self, Vec<Effect>) {
        let mut machine = Self::new(rules);
        let mut effects = Vec::new();
        let (mut rounds, mut waiting) = (Vec::new(), Vec::new());
        for (key, value) in stored {
            match stored::piece_name(&key) {
                PieceName::Waiting => match stored::read_waiting(&value) {
                    Ok(stored) => waiting.push(stored),
                    Err(_) => machine.forget_piece(now, key, None, &mut effects),
                },
                PieceName::Round(round) => match stored::read_round(&value) {
                    Ok(stored) if !stored.events.is_empty() => rounds.push((round, stored)),
                    _ => machine.forget_piece(now, key, Some(&round), &mut effects),
                },
                PieceName::Unknown => machine.forget_piece(now, key, None, &mut effects),
            }
        }
        rounds.sort_by(|(a, one), (b, other)| (one.complete_at, a).cmp(&(other.complete_at, b)));
        for (key, stored) in rounds {
            machine.restore_round(now, key, stored, &mut effects);
        }
        waiting.sort_by_key(|(held, _)| held.accepted_at);
        for (held, definition) in waiting {
            machine.restore_waiting(now, held, &definition, &mut effects);
        }
        machine.give_up_before(machine.rules.last_reset(now), now, &mut effects);
        machine.next_reset = if machine.partials.is_empty() { None } else { machine.rules.next_reset(now) };
        machine.expire_windows(now, &mut effects);
        for correlation in machine.partials.correlations() {
            machine.complete(now, &correlation, &mut effects);
        }
        machine.go_on(now, &mut effects);
        (machine, effects)
    }

    fn restore_round(
        &mut self,
        now: Timestamp,
        key: IdempotencyKey,
        stored: StoredRound,
        effects: &mut Vec<Effect>,
    ) {
        let is_gathered = stored.is_gathered && self.rules.flow().gathers();
        let round = Round {
            key,
            namespace: self.rules.namespace().clone(),
            sensor: self.rules.sensor().clone(),
            trigger: self.rules.trigger().clone(),
            role: stored.role,
            events: stored.events,
            batch: stored.batch,
            flow_key: stored.flow_key,
            complete_at: stored.complete_at,
        };
        if !self.rules.has_action(round.role) {
            effects.push(Effect::Forget { key: stored::round_key(&round.key) });
            let verdict = Verdict::Abandoned { attempts: 0, error: ACTION_REMOVED.to_owned() };
            effects.push(super::record_round(&self.rules, now, &round, verdict));
            return;
        }
        let gathered_at = round.complete_at;
        let key = self.insert(round, Vec::new(), true);
        if is_gathered {
            self.gather(gathered_at, &key, effects);
        } else {
            self.enter(now, &key, effects);
        }
    }

    /// A waiting event is kept as long as its dependency and the conditions are defined as when it was accepted
    /// (spec/sensors.md 7).
    fn restore_waiting(&mut self, now: Timestamp, held: Held, definition: &str, effects: &mut Vec<Effect>) {
        let known = (held.dependency.clone(), held.event.to_ref());
        let correlation = self.rules.correlation_of(&held.dependency, &held.event);
        // A crash may fall between storing a round and forgetting what it took: the round counts.
        let is_taken = self.taken.contains(&known);
        let misfit = match self.rules.definition(&held.dependency) {
            None => Some(DEPENDENCY_REMOVED),
            Some(today) if today != definition => Some(DEFINITION_CHANGED),
            Some(_) if correlation.is_none() => Some(NO_LONGER_CORRELATED),
            Some(_) => None,
        };
        match (misfit, correlation) {
            _ if is_taken => effects.push(Effect::Forget { key: stored::waiting_key(&held) }),
            (None, Some(correlation)) => self.partials.put(&correlation, held),
            (misfit, _) => {
                let reason = misfit.unwrap_or(NO_LONGER_CORRELATED).to_owned();
                self.give_up_held(now, &held, Verdict::Expired { reason }, effects);
            }
        }
    }

    /// Gives up a piece that can't be read.
    fn forget_piece(
        &self,
        now: Timestamp,
        key: StoredKey,
        round: Option<&IdempotencyKey>,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Forget { key });
        let verdict = Verdict::Expired { reason: UNDECODABLE.to_owned() };
        let mut effect = decision(&self.rules, now, Vec::new(), None::<DependencyName>, None, verdict);
        if let Effect::Record(decision) = &mut effect {
            decision.round = round.cloned();
            decision.role = Role::Main;
        }
        effects.push(effect);
    }
}
