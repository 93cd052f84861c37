//! A transform that makes a small object of a push.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;
use zetes_jq::Program;

fn measure(criterion: &mut Criterion) {
    let data: Value = serde_json::from_str(zetes_vectors::PUSH).expect("a document");
    let program = "{branch: (.body.ref | ltrimstr(\"refs/heads/\")), author: .body.pusher.name, ids: [.body.commits[].id]}";
    let program = Program::compile(program).expect("a program");
    criterion.bench_function("jq/transform", |b| b.iter(|| program.transform(black_box(&data), 0.0)));
}

criterion_group!(benches, measure);
criterion_main!(benches);
