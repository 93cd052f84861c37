//! An expression with two comparisons and a pattern.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use zetes_govaluate::{Expression, Value};

fn measure(criterion: &mut Criterion) {
    let expression = Expression::compile("ref == 'refs/heads/main' && commits > 2 && login =~ '^a'")
        .expect("an expression");
    let lookup = |name: &str| match name {
        "ref" => Some(Value::String("refs/heads/main".into())),
        "commits" => Some(Value::Number(3.0)),
        "login" => Some(Value::String("ann".into())),
        _ => None,
    };
    criterion.bench_function("govaluate/three-tests", |b| b.iter(|| expression.evaluate(black_box(&lookup))));
}

criterion_group!(benches, measure);
criterion_main!(benches);
