//! Attempts at a round: when they begin, and what follows from how they end (spec/sensors.md 8.2 to 8.4, S2, S3, S28).

use jiff::{SignedDuration, Timestamp};
use zetes_api::{IdempotencyKey, Role, Verdict};

use super::{Machine, key, record_round, stored};
use crate::model::{Effect, Failure, Round};

/// Reasons of dead letters.
const EXHAUSTED: &str = "attempts-exhausted";
const PERMANENT: &str = "permanent-failure";

impl Machine {
    pub(super) fn fired(
        &mut self,
        now: Timestamp,
        key: &IdempotencyKey,
        outcome: String,
        fallbacks: Vec<String>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(live) = self.rounds.get(key).filter(|live| live.is_firing) else { return };
        let verdict = Verdict::Fired { attempts: live.attempts, outcome, fallbacks };
        effects.push(record_round(&self.rules, now, &live.round, verdict));
        self.end(key, effects);
    }

    pub(super) fn failed(
        &mut self,
        now: Timestamp,
        key: &IdempotencyKey,
        failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        let Some(live) = self.rounds.get_mut(key).filter(|live| live.is_firing) else { return };
        live.is_firing = false;
        if failure.transient && live.attempts < self.rules.attempts(live.round.role) {
            let pause = self.rules.pause(live.round.role, live.attempts, key::chance(key, live.attempts));
            let next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
            let verdict = Verdict::Attempted { attempt: live.attempts, error: failure.message, next };
            effects.push(record_round(&self.rules, now, &live.round, verdict));
            self.pauses.insert((next, key.clone()));
        } else {
            self.give_up(now, key, failure, effects);
        }
    }

    /// The round is kept whole among the dead letters before anything about it is forgotten or settled; then `dlqTrigger` has
    /// its turn (S3). What `dlqTrigger` or `onExpire` could not do is recorded: what it was about has been kept before.
    fn give_up(&mut self, now: Timestamp, key: &IdempotencyKey, failure: Failure, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.get(key) else { return };
        let (round, attempts, error) = (live.round.clone(), live.attempts, failure.message);
        if round.role != Role::Main {
            effects.push(record_round(&self.rules, now, &round, Verdict::Abandoned { attempts, error }));
            self.end(key, effects);
            return;
        }
        let reason = if failure.transient { EXHAUSTED } else { PERMANENT };
        let verdict = Verdict::DeadLettered { attempts, reason: reason.to_owned(), error: error.clone() };
        effects.push(Effect::DeadLetter { round: round.clone(), attempts, reason, error });
        effects.push(record_round(&self.rules, now, &round, verdict));
        if self.rules.has_dlq_trigger() {
            let mut second = Round::clone(&round);
            second.role = Role::DlqTrigger;
            second.key = key::of_role(key, Role::DlqTrigger);
            second.complete_at = now;
            self.take_in_hand(now, second, Vec::new(), effects);
        }
        self.end(key, effects);
    }

    /// Lets the round go, the deliveries that waited for it, and the next one of its key.
    pub(super) fn end(&mut self, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.remove(key) else { return };
        if live.is_stored {
            effects.push(Effect::Forget { key: stored::round_key(key) });
        }
        if live.round.role == Role::Main && self.rules.remembers_events() {
            for about in live.round.about() {
                self.taken.remove(&about);
            }
        }
        for ticket in live.tickets {
            let Some(rounds) = self.deliveries.get_mut(&ticket) else { continue };
            *rounds -= 1;
            if *rounds == 0 {
                self.deliveries.remove(&ticket);
                effects.push(Effect::Settle { ticket });
            }
        }
        if live.is_in_lane {
            self.leave_lane(&live.round.flow_key);
        }
    }

    /// Begins every attempt whose time has come. Each one of the trigger's own action takes a slot of the rate limit, first
    /// attempt or later one.
    pub(super) fn begin_attempts(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        while let Some((_, key)) = self.pauses.first().filter(|(due, _)| *due <= now).cloned() {
            self.pauses.pop_first();
            let is_main = self.rounds.get(&key).is_some_and(|live| live.round.role == Role::Main);
            if is_main { self.queue.push_back(key) } else { self.unlimited.push_back(key) }
        }
        while let Some(key) = self.unlimited.pop_front() {
            self.begin_attempt(&key, effects);
        }
        while self.next_queued().is_some_and(|slot| slot <= now) {
            let Some(key) = self.queue.pop_front() else { break };
            self.next_slot = self.rules.spacing().and_then(|spacing| now.checked_add(spacing).ok());
            self.begin_attempt(&key, effects);
        }
        self.record_delays(now, effects);
    }

    fn begin_attempt(&mut self, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.get_mut(key) else { return };
        live.attempts += 1;
        live.is_firing = true;
        effects.push(Effect::Fire { round: live.round.clone(), attempt: live.attempts });
    }

    /// Says once of each round that its turn comes later.
    fn record_delays(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let (Some(mut until), Some(spacing)) = (self.next_slot, self.rules.spacing()) else { return };
        for key in &self.queue {
            if let Some(live) = self.rounds.get_mut(key).filter(|live| !live.is_delay_recorded) {
                live.is_delay_recorded = true;
                effects.push(record_round(&self.rules, now, &live.round, Verdict::RateLimited { until }));
            }
            until = until.checked_add(spacing).unwrap_or(until);
        }
    }

    pub(super) fn next_pause(&self) -> Option<Timestamp> {
        self.pauses.first().map(|(due, _)| *due)
    }

    /// When the first round in the queue may begin its attempt; `None` for an empty queue.
    pub(super) fn next_queued(&self) -> Option<Timestamp> {
        let slot = self.next_slot.filter(|_| self.rules.spacing() > Some(SignedDuration::ZERO));
        self.queue.front().map(|_| slot.unwrap_or(Timestamp::MIN))
    }
}
