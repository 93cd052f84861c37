//! A push of about 7 KB, written as Go writes it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;

fn measure(criterion: &mut Criterion) {
    let document: Value = serde_json::from_str(zetes_vectors::PUSH).expect("JSON");
    criterion.bench_function("gojson/push", |b| b.iter(|| zetes_gojson::to_string(black_box(&document))));
}

criterion_group!(benches, measure);
criterion_main!(benches);
