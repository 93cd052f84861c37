//! Paths into a push.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::Value;
use zetes_jsonpath::JsonPath;

fn measure(criterion: &mut Criterion) {
    let data: Value = serde_json::from_str(zetes_vectors::PUSH).expect("a document");
    let path = JsonPath::compile("$.body.commits[?@.author.username == 'ann'].id").expect("a path");
    criterion.bench_function("jsonpath/query", |b| b.iter(|| path.get(black_box(&data)).len()));
}

criterion_group!(benches, measure);
criterion_main!(benches);
