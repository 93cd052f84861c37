//! A transform that makes a small object of a push.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use zetes_jq::{Program, Run};

fn measure(criterion: &mut Criterion) {
    let program = "{branch: (.body.ref | ltrimstr(\"refs/heads/\")), author: .body.pusher.name, ids: [.body.commits[].id]}";
    let program = Program::compile(program).expect("a program");
    let run = Run::default();
    let transform = || program.transform(black_box(zetes_vectors::PUSH), &run);
    criterion.bench_function("jq/transform", |b| b.iter(transform));
}

criterion_group!(benches, measure);
criterion_main!(benches);
