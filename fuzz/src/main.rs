//! One binary for all languages: `ZETES_FUZZ` names the one to fuzz.
#![no_main]

use std::sync::LazyLock;

static HOLDS: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("ZETES_FUZZ").unwrap_or_default();
    let known = zetes_fuzz::LANGUAGES.into_iter().find(|(name, _)| *name == wanted);
    known.unwrap_or_else(|| panic!("ZETES_FUZZ names no language: `{wanted}`")).1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| HOLDS(input));
