//! A push of about 7 KB as `%v` shows it, and a float.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;

fn measure(criterion: &mut Criterion) {
    let document: Value = serde_json::from_str(zetes_vectors::PUSH).expect("JSON");
    criterion.bench_function("gotext/push", |b| b.iter(|| zetes_gotext::print(black_box(&document))));
    criterion.bench_function("gotext/float", |b| b.iter(|| zetes_gotext::print_float(black_box(1234.5678))));
}

criterion_group!(benches, measure);
criterion_main!(benches);
