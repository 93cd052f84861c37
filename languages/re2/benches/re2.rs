//! A pattern compiled, and matched.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

fn measure(criterion: &mut Criterion) {
    let pattern = zetes_re2::compile("^refs/heads/(main|release/.*)$").expect("a pattern");
    criterion
        .bench_function("re2/match", |b| b.iter(|| pattern.is_match(black_box(b"refs/heads/release/7"))));
    criterion.bench_function("re2/compile", |b| {
        b.iter(|| zetes_re2::compile(black_box("^refs/heads/(main|release/.*)$")));
    });
}

criterion_group!(benches, measure);
criterion_main!(benches);
