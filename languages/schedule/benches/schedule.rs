//! The next firing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use zetes_schedule::{Descriptors, Schedule};

fn measure(criterion: &mut Criterion) {
    let schedule = Schedule::parse("*/15 8-18 * * 1-5", Descriptors::Refused).expect("a schedule");
    let zone = zetes_schedule::zone("Europe/Warsaw").expect("a zone");
    let from = Timestamp::from_second(1_800_000_000).expect("a time");
    criterion.bench_function("schedule/next", |b| b.iter(|| schedule.next_after(black_box(from), &zone)));
}

criterion_group!(benches, measure);
criterion_main!(benches);
