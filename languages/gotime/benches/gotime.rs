//! A time and a duration, read and written.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::tz::TimeZone;

const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

fn measure(criterion: &mut Criterion) {
    let text = "2026-03-29T01:30:00+01:00";
    let at = zetes_gotime::parse(LAYOUT, text, &TimeZone::UTC).expect("a time");
    criterion.bench_function("gotime/parse", |b| {
        b.iter(|| zetes_gotime::parse(black_box(LAYOUT), black_box(text), &TimeZone::UTC));
    });
    criterion.bench_function("gotime/format", |b| b.iter(|| zetes_gotime::format(black_box(LAYOUT), &at)));
    let duration = || zetes_gotime::duration::parse(black_box("1h30m15.5s"));
    criterion.bench_function("gotime/duration", |b| b.iter(duration));
}

criterion_group!(benches, measure);
criterion_main!(benches);
