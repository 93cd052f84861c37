//! A machine after a restart, and under edited rules (S18, S21, spec/control-plane.md 10.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use zetes_api::{DependencyName, IdempotencyKey, Verdict};

use super::stored::{self, PieceName};
use super::{Machine, RESET, decision};
use crate::model::{Effect, HeldEvent, Round, StoredKey};
use crate::rules::Rules;

/// Why a stored piece or a waiting event was given up.
const UNDECODABLE: &str = "undecodable";
const DEPENDENCY_REMOVED: &str = "dependency-removed";
const NO_LONGER_MEANT: &str = "dependency-changed";

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
        let mut rounds = Vec::new();
        for (key, value) in stored {
            match stored::piece_name(&key) {
                PieceName::Waiting(dependency) => {
                    machine.read_waiting(now, key, &value, dependency, &mut effects);
                }
                PieceName::Round(round) => {
                    rounds.extend(machine.read_round(now, key, &value, &round, &mut effects));
                }
                PieceName::Unknown => machine.forget_piece(now, key, None, None, &mut effects),
            }
        }
        rounds.sort_by_key(|round| (round.complete_at, round.key.clone()));
        for round in rounds {
            machine.begin(round, true);
        }
        machine.forget_consumed(&mut effects);
        let latest = machine.rules.last_reset(now).filter(|_| !machine.waiting.is_empty());
        machine.expire(now, &mut effects, |_, held| {
            latest.is_some_and(|latest| held.accepted_at < latest).then_some(RESET)
        });
        machine.fit(now, &mut effects);
        (machine, effects)
    }

    /// Goes on under edited rules. Rounds in hand end as they are, with the new retries; a waiting event whose
    /// dependency is still named and still means it is kept, and the conditions are asked at once.
    pub fn replace_rules(&mut self, rules: Arc<Rules>, now: Timestamp) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.reset(now, &mut effects);
        self.rules = rules;
        self.fit(now, &mut effects);
        effects
    }

    /// Makes what waits agree with the rules.
    fn fit(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let rules = self.rules.clone();
        self.expire(now, effects, |dependency, held| misfit(&rules, dependency, held));
        self.next_reset = if self.waiting.is_empty() { None } else { self.rules.next_reset(now) };
        self.complete(now, &BTreeSet::new(), effects);
        self.go_on(now, effects);
    }

    fn read_waiting(
        &mut self,
        now: Timestamp,
        key: StoredKey,
        value: &[u8],
        dependency: DependencyName,
        effects: &mut Vec<Effect>,
    ) {
        match stored::read_waiting(value) {
            Ok(held) => {
                self.waiting.insert(dependency, held);
            }
            Err(_) => self.forget_piece(now, key, Some(dependency), None, effects),
        }
    }

    fn read_round(
        &self,
        now: Timestamp,
        key: StoredKey,
        value: &[u8],
        round: &IdempotencyKey,
        effects: &mut Vec<Effect>,
    ) -> Option<Round> {
        match stored::read_round(value) {
            Ok((events, complete_at)) if !events.is_empty() => Some(Round {
                key: round.clone(),
                namespace: self.rules.namespace().clone(),
                sensor: self.rules.sensor().clone(),
                trigger: self.rules.trigger().clone(),
                events,
                complete_at,
            }),
            _ => {
                self.forget_piece(now, key, None, Some(round.clone()), effects);
                None
            }
        }
    }

    /// Gives up a piece that can't be read.
    fn forget_piece(
        &self,
        now: Timestamp,
        key: StoredKey,
        dependency: Option<DependencyName>,
        round: Option<IdempotencyKey>,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::Forget { key });
        let verdict = Verdict::Expired { reason: UNDECODABLE.to_owned() };
        effects.push(decision(&self.rules, now, Vec::new(), dependency, round, verdict));
    }

    /// A crash may fall between storing a round and forgetting what it took: the round counts.
    fn forget_consumed(&mut self, effects: &mut Vec<Effect>) {
        let consumed: Vec<_> = self
            .waiting
            .iter()
            .filter(|(dependency, held)| self.is_in_round(dependency, &held.event))
            .map(|(dependency, _)| dependency.clone())
            .collect();
        for dependency in consumed {
            self.waiting.remove(&dependency);
            effects.push(Effect::Forget { key: stored::waiting_key(&dependency) });
        }
    }
}

fn misfit(rules: &Rules, dependency: &DependencyName, held: &HeldEvent) -> Option<&'static str> {
    if !rules.conditions().names().contains(dependency) {
        Some(DEPENDENCY_REMOVED)
    } else if !rules.means(dependency, &held.event) {
        Some(NO_LONGER_MEANT)
    } else {
        None
    }
}
