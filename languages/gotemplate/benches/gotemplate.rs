//! A template of five actions.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use serde_json::Value;
use zetes_gotemplate::Template;

fn measure(criterion: &mut Criterion) {
    let data: Value = serde_json::from_str(zetes_vectors::PUSH).expect("a document");
    let text = "{{ .Input.body.ref | trimPrefix \"refs/heads/\" }} {{ .Input.body.after | trunc 7 }} {{ .Input.body.pusher.name | upper }} \
                {{ len .Input.body.commits }} {{ if .Input.body.forced }}forced{{ else }}plain{{ end }}";
    let template = Template::parse(text).expect("a template");
    criterion.bench_function("gotemplate/five-actions", |b| {
        b.iter(|| template.render(black_box(&data), Timestamp::UNIX_EPOCH));
    });
    let text =
        "{{ regexReplaceAll \"[^a-z0-9]+\" (lower .Input.body.head_commit.message) \"-\" | trunc 40 }}";
    let pattern = Template::parse(text).expect("a template");
    criterion.bench_function("gotemplate/pattern", |b| {
        b.iter(|| pattern.render(black_box(&data), Timestamp::UNIX_EPOCH));
    });
    criterion.bench_function("gotemplate/parse", |b| b.iter(|| Template::parse(black_box(text))));
}

criterion_group!(benches, measure);
criterion_main!(benches);
