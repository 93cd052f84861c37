//! What one event costs: a filter, and a step.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use std::sync::Arc;

use criterion::BatchSize;
use jiff::Timestamp;
use sensor_engine::{Effect, Input, Machine, Rules};
use serde_json::{Value, json};
use zetes_api::{Event, Sensor};

fn rules(filters: &Value) -> Arc<Rules> {
    let sensor: Sensor = serde_json::from_value(json!({
        "metadata": {"name": "s"},
        "spec": {
            "dependencies": [{"name": "d", "eventSourceName": "src", "eventName": "push", "filters": filters}],
            "triggers": [{"template": {"name": "t", "log": {}}}],
        },
    }))
    .expect("a Sensor");
    Arc::new(Rules::compile(&"ci".into(), &sensor, 0).expect("rules"))
}

fn event() -> Arc<Event> {
    Arc::new(Event::with_data("webhook", "src", "push", "e1", zetes_vectors::PUSH))
}

fn measure(criterion: &mut Criterion) {
    let rules =
        rules(&json!({"data": [{"path": "body.ref", "type": "string", "value": ["refs/heads/main"]}]}));
    let event = event();
    // The document is parsed once, by the first filter that looks inside it.
    drop(rules.judge(&event));
    criterion.bench_function("engine/data-filter", |b| b.iter(|| rules.judge(black_box(&event))));
    let expression = self::rules(&json!({"exprs": [{"expr": "n > 2 && ref == 'refs/heads/main'", "fields": [
        {"name": "n", "path": "body.commits.#"}, {"name": "ref", "path": "body.ref"}
    ]}]}));
    criterion.bench_function("engine/expression-filter", |b| b.iter(|| expression.judge(black_box(&event))));

    let matches = rules.judge(&event);
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let mut machine = Machine::new(rules.clone());
    let mut ticket = 0;
    criterion.bench_function("engine/step", |b| {
        b.iter_batched(
            || matches.clone(),
            |matches| {
                ticket += 1;
                let effects = machine.step(now, Input::Arrived { ticket, matches });
                let key = effects.iter().find_map(|effect| match effect {
                    Effect::Fire { round, .. } => Some(round.key.clone()),
                    _ => None,
                });
                (effects, key)
            },
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, measure);
criterion_main!(benches);
