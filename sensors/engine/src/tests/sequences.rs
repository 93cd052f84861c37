//! Whole runs of one trigger against the reference's: which step fires, with which event for each dependency.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use zetes_api::{Event, Sensor};

use super::machine::fired;
use crate::{Effect, Input, Machine, Round, Rules};

/// A bus that knows duplicates, and a target that always succeeds.
struct Run {
    rules: Arc<Rules>,
    machine: Machine,
    now: Timestamp,
    tickets: u64,
    published: BTreeSet<(String, String, String)>,
    stored: BTreeMap<String, Vec<u8>>,
    step: usize,
    firings: Vec<Value>,
    /// Dependencies with a transform: only for these the rows name the data.
    transformed: BTreeSet<String>,
}

#[test]
fn vectors_of_sequences() {
    zetes_vectors::check("sequences", |input| answer(input).unwrap_or_else(|| json!({"error": true})));
}

fn answer(input: &Value) -> Option<Value> {
    let dependencies = input["dependencies"].as_array()?.iter();
    let transformed = dependencies.filter(|one| one.get("transform").is_some());
    let transformed = transformed.filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect();
    let rules = rules(input)?;
    let mut run = Run {
        machine: Machine::new(rules.clone()),
        rules,
        now: "2026-03-29T00:00:00Z".parse().ok()?,
        tickets: 0,
        published: BTreeSet::new(),
        stored: BTreeMap::new(),
        step: 0,
        firings: Vec::new(),
        transformed,
    };
    for (at, step) in input["steps"].as_array()?.iter().enumerate() {
        run.step = at;
        run.play(step)?;
    }
    Some(json!({"firings": run.firings}))
}

fn rules(spec: &Value) -> Option<Arc<Rules>> {
    // Resets are a matter of time: the test says when, at midnight.
    let reset = json!([{"byTime": {"cron": "0 0 * * *"}}]);
    let conditions = spec["conditions"].as_str().unwrap_or_default();
    let sensor = json!({
        "metadata": {"name": "s"},
        "spec": {
            "dependencies": spec["dependencies"],
            "triggers": [{"template": {"name": "t", "conditions": conditions, "conditionsReset": reset, "log": {}}}],
        },
    });
    let sensor: Sensor = serde_json::from_value(sensor).ok()?;
    Rules::compile(&"default".into(), &sensor, 0).ok().map(Arc::new)
}

impl Run {
    fn play(&mut self, step: &Value) -> Option<()> {
        self.now += SignedDuration::from_secs(1);
        match step["do"].as_str() {
            None => self.publish(step),
            Some("restart") => self.restart(),
            Some("edit") => {
                self.rules = rules(&step["spec"])?;
                self.restart();
            }
            Some("reset") => {
                self.now += SignedDuration::from_hours(24);
                self.input(Input::Tick);
            }
            Some("missed-reset") => {
                self.now += SignedDuration::from_hours(24);
                self.restart();
            }
            Some(other) => panic!("unknown step {other}"),
        }
        Some(())
    }

    fn publish(&mut self, step: &Value) {
        let text = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        if !self.published.insert((text("source"), text("subject"), text("id"))) {
            return;
        }
        let mut message = json!({
            "specversion": "1.0", "id": text("id"), "source": text("source"), "subject": text("subject"),
            "type": step["type"].as_str().unwrap_or("webhook"), "datacontenttype": "application/json",
            "data": step["data"],
        });
        if let Some(time) = step["time"].as_str() {
            message["time"] = json!(time);
        }
        let message = step["raw"].as_str().map_or_else(|| message.to_string(), str::to_owned);
        // What is no event is dead-lettered where the bus is read, and never reaches a machine.
        let Ok(event) = Event::from_json(message.as_bytes()).map(Arc::new) else { return };
        self.tickets += 1;
        let matches = self.rules.judge(&event);
        self.input(Input::Arrived { ticket: self.tickets, matches });
    }

    fn restart(&mut self) {
        let (machine, effects) = Machine::restore(self.rules.clone(), self.stored.clone(), self.now);
        self.machine = machine;
        self.carry_out(effects);
    }

    fn input(&mut self, input: Input) {
        let effects = self.machine.step(self.now, input);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Store { key, value } => drop(self.stored.insert(key, value)),
                Effect::Forget { key } => drop(self.stored.remove(&key)),
                Effect::Fire { round, .. } => {
                    self.firings.push(self.firing(&round));
                    self.input(fired(round.key.clone()));
                }
                _ => {}
            }
        }
    }

    fn firing(&self, round: &Round) -> Value {
        let events: BTreeMap<_, _> =
            round.events.iter().map(|(name, event)| (name.as_str(), event.id.as_str())).collect();
        let mut firing = json!({"after": self.step, "events": events});
        let data: BTreeMap<_, _> = round
            .events
            .iter()
            .filter(|(name, _)| self.transformed.contains(name.as_str()))
            .map(|(name, event)| (name.as_str(), event.data_text().unwrap_or_default()))
            .collect();
        if !data.is_empty() {
            firing["data"] = json!(data);
        }
        firing
    }
}
