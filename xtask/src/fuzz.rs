//! `cargo xtask fuzz`: libFuzzer on the languages. Needs a nightly toolchain (`rustup toolchain install nightly`) and a C++ compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What makes the compiler count edges and comparisons for libFuzzer.
const COVERAGE: &str = "--cfg fuzzing -Cdebug-assertions -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

#[derive(Debug, clap::Args)]
pub(crate) struct Fuzz {
    /// Languages, by their folders; all where none is named.
    languages: Vec<String>,
    /// Seconds for each language.
    #[arg(long, default_value_t = 1200)]
    seconds: u32,
    /// Run one input instead: a finding, or a file of the corpus.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Keep what the fuzzer found interesting in the corpus, made small.
    #[arg(long)]
    grow: bool,
}

impl Fuzz {
    pub(crate) fn run(&self, root: &Path) -> anyhow::Result<()> {
        let folder = root.join("fuzz");
        let target = folder.join("target");
        let mut build = Command::new("rustup");
        build.args(["run", "nightly", "cargo", "build", "--release", "--target", TARGET, "--target-dir"]);
        build.arg(&target).current_dir(&folder).env("RUSTFLAGS", COVERAGE).env_remove("RUSTUP_TOOLCHAIN");
        ensure!(build.status().context("rustup")?.success(), "the fuzzer was not built");
        let binary = target.join(TARGET).join("release/fuzz");
        let all = known(&folder)?;
        let unknown = self.languages.iter().find(|language| !all.contains(language));
        ensure!(unknown.is_none(), "no language {unknown:?}; there are {}", all.join(", "));
        let languages = if self.languages.is_empty() { &all } else { &self.languages };
        for language in languages {
            self.fuzz(&folder, &binary, language)?;
        }
        Ok(())
    }

    fn fuzz(&self, folder: &Path, binary: &Path, language: &str) -> anyhow::Result<()> {
        let found = folder.join("found").join(language);
        let seen = folder.join("target/seen").join(language);
        let corpus = folder.join("corpus").join(language);
        std::fs::create_dir_all(&found)?;
        std::fs::create_dir_all(&seen)?;
        let command = || {
            let mut command = Command::new(binary);
            command.env("ZETES_FUZZ", language).current_dir(folder);
            command
        };
        let mut run = command();
        if let Some(input) = &self.input {
            run.arg(std::path::absolute(input)?);
        } else {
            eprintln!("fuzzing {language} for {} s", self.seconds);
            run.arg(format!("-max_total_time={}", self.seconds));
            run.args(["-max_len=2048", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
            run.arg(format!("-artifact_prefix={}/", found.display())).arg(&seen).arg(&corpus);
        }
        ensure!(run.status()?.success(), "a finding in {language}: see {}", found.display());
        if self.grow {
            let merged = command().args(["-merge=1", "-max_len=512"]).arg(&corpus).arg(&seen).status()?;
            ensure!(merged.success(), "the corpus of {language} was not merged");
        }
        Ok(())
    }
}

/// Languages with a corpus.
fn known(folder: &Path) -> anyhow::Result<Vec<String>> {
    let corpus = std::fs::read_dir(folder.join("corpus"))?;
    let mut names: Vec<String> =
        corpus.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}
