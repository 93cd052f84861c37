//! A script that filters a push.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;
use zetes_lua::{Limits, Script};

fn measure(criterion: &mut Criterion) {
    let data: Value = serde_json::from_str(zetes_vectors::PUSH).expect("a document");
    let script =
        Script::compile("return event.body.ref == \"refs/heads/main\" and event.body.pusher.name ~= \"bot\"");
    let script = script.expect("a script");
    let limits = Limits::default();
    criterion.bench_function("lua/filter", |b| b.iter(|| script.filter(black_box(&data), &limits)));
}

criterion_group!(benches, measure);
criterion_main!(benches);
