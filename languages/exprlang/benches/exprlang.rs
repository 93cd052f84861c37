//! A filter as an EventSource has it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::Value as Json;
use zetes_exprlang::{Environment, Expression, Value};

fn measure(criterion: &mut Criterion) {
    let data: Json = serde_json::from_str(zetes_vectors::PUSH).expect("a document");
    let text = r#"body.ref == "refs/heads/main" and any(body.commits, {"src/cart.rs" in .modified})"#;
    let expression = Expression::compile(text).expect("an expression");
    criterion.bench_function("exprlang/filter", |b| {
        b.iter(|| {
            let mut environment = Environment::default();
            for (name, value) in data.as_object().into_iter().flatten() {
                environment.set(name.clone(), Value::from_json(value));
            }
            matches!(
                expression.evaluate(black_box(&environment), Timestamp::UNIX_EPOCH),
                Ok(Value::Bool(true))
            )
        });
    });
}

criterion_group!(benches, measure);
criterion_main!(benches);
