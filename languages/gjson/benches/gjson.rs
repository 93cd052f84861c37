//! Paths looked up in raw text.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use zetes_gjson::Path;

fn measure(criterion: &mut Criterion) {
    let push = zetes_vectors::PUSH;
    let near = Path::compile("body.ref");
    criterion.bench_function("gjson/push-near", |b| b.iter(|| near.get(black_box(push))));
    let far = Path::compile("body.sender.login");
    criterion.bench_function("gjson/push-far", |b| b.iter(|| far.get(black_box(push))));
    let path = Path::compile("body.commits.#(author.username==\"ann\")#.id");
    criterion.bench_function("gjson/push-query", |b| b.iter(|| path.get(black_box(push))));
    // As the published figures of the Go library have it: three paths in turn, into half a kilobyte.
    let small = r#"{"box": {"debug": "on", "window": {"title": "Sample of a box", "name": "main_window", "width": 500, "height": 500},
        "image": {"src": "Images/Sun.png", "hOffset": 250, "vOffset": 250, "alignment": "center"},
        "text": {"data": "Click here", "size": 36, "style": "bold", "vOffset": 100, "alignment": "center",
        "onMouseUp": "sun1.opacity = (sun1.opacity / 100) * 90;"}}}"#;
    let paths = ["box.window.name", "box.image.hOffset", "box.text.onMouseUp"].map(Path::compile);
    let mut turn = paths.iter().cycle();
    criterion
        .bench_function("gjson/published", |b| b.iter(|| turn.next().map(|path| path.get(black_box(small)))));
}

criterion_group!(benches, measure);
criterion_main!(benches);
