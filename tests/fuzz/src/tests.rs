//! The corpus, replayed.

use std::path::Path;

use crate::LANGUAGES;

#[test]
fn every_input_of_the_corpus_is_answered() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus"));
    for (language, holds) in LANGUAGES {
        let folder = corpus.join(language);
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut inputs = 0;
        for file in files {
            let file = file.unwrap().path();
            let input = std::fs::read(&file).unwrap();
            let answered = std::panic::catch_unwind(|| holds(&input));
            assert!(answered.is_ok(), "run it alone: cargo xtask fuzz {language} --input {}", file.display());
            inputs += 1;
        }
        assert!(inputs > 0, "{} has no inputs", folder.display());
        // Bytes that are no text, nothing, and what is nested deep.
        for input in [&b"\xff\xfe"[..], b"", &b"(".repeat(5_000), &b"[".repeat(5_000), &b"{{ (".repeat(2_000)]
        {
            holds(input);
        }
    }
}
