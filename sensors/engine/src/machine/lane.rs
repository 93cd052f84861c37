//! Order per key: how many rounds of one key may be on their way, and what becomes of the others (docs/flow-control.md).

use std::collections::VecDeque;

use jiff::Timestamp;
use zetes_api::{IdempotencyKey, Role, Verdict, WhenBusy};

use super::{Machine, record_round};
use crate::model::Effect;

const BUSY: &str = "busy";

/// The rounds of one key.
#[derive(Debug, Default)]
pub(super) struct Lane {
    in_flight: u32,
    waiting: VecDeque<IdempotencyKey>,
}

impl Machine {
    /// A round that may begin, unless its key is busy.
    pub(super) fn enter(&mut self, now: Timestamp, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.get_mut(key) else { return };
        if live.round.role != Role::Main {
            self.unlimited.push_back(key.clone());
            return;
        }
        let Some(limit) = self.rules.flow().max_in_flight else {
            self.queue.push_back(key.clone());
            return;
        };
        let lane = self.lanes.entry(live.round.flow_key.clone()).or_default();
        if lane.in_flight < limit {
            lane.in_flight += 1;
            live.is_in_lane = true;
            self.queue.push_back(key.clone());
            return;
        }
        match self.rules.flow().when_busy {
            WhenBusy::Skip => {
                let verdict = Verdict::Skipped { reason: BUSY.to_owned() };
                effects.push(record_round(&self.rules, now, &live.round, verdict));
                self.end(key, effects);
            }
            WhenBusy::Queue => self.wait_for_turn(now, key, effects),
            WhenBusy::Replace => {
                if let Some(older) = lane.waiting.pop_back() {
                    self.replace_round(now, &older, key, effects);
                }
                self.wait_for_turn(now, key, effects);
            }
        }
    }

    fn wait_for_turn(&mut self, now: Timestamp, key: &IdempotencyKey, effects: &mut Vec<Effect>) {
        let Some(live) = self.rounds.get(key) else { return };
        let verdict = Verdict::Queued { key: live.round.flow_key.to_string() };
        effects.push(record_round(&self.rules, now, &live.round, verdict));
        self.lanes.entry(live.round.flow_key.clone()).or_default().waiting.push_back(key.clone());
    }

    /// The older round ends without having been fired, because a newer one takes its place.
    pub(super) fn replace_round(
        &mut self,
        now: Timestamp,
        older: &IdempotencyKey,
        newer: &IdempotencyKey,
        effects: &mut Vec<Effect>,
    ) {
        let by = self.rounds.get(newer).and_then(|live| live.round.about().into_iter().next());
        if let (Some(live), Some((_, by))) = (self.rounds.get(older), by) {
            effects.push(record_round(&self.rules, now, &live.round, Verdict::Overwritten { by: by.id }));
        }
        self.end(older, effects);
    }

    /// A round of this key has ended: the next one may begin.
    pub(super) fn leave_lane(&mut self, flow_key: &str) {
        let Some(lane) = self.lanes.get_mut(flow_key) else { return };
        lane.in_flight = lane.in_flight.saturating_sub(1);
        if let Some(next) = lane.waiting.pop_front() {
            lane.in_flight += 1;
            if let Some(live) = self.rounds.get_mut(&next) {
                live.is_in_lane = true;
            }
            self.queue.push_back(next);
        } else if lane.in_flight == 0 {
            self.lanes.remove(flow_key);
        }
    }
}
