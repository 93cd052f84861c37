//! `cargo xtask new-source`: the folder of an event source that compiles, is tested and runs, and the two lines that make it known.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

/// What is in the folder, by its place.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("new_source/template/Cargo.toml.in")),
    ("README.md", include_str!("new_source/template/README.md.in")),
    ("example.yaml", include_str!("new_source/template/example.yaml.in")),
    ("src/lib.rs", include_str!("new_source/template/lib.rs.in")),
    ("src/tests.rs", include_str!("new_source/template/tests.rs.in")),
];
/// Behind which lines the new ones belong.
const REGISTRY: &str = "        Self::default()\n";
const DEPENDENCIES: &str = "\n[dependencies]\n";

/// Make the folder of a new event source, with tests, and register it.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cargo xtask new-source pager-duty && cargo xtask test -p eventsource-pager-duty")]
pub(crate) struct NewSource {
    /// Its name: lower case, words joined by `-`. The kind in manifests is the same in camelCase.
    name: String,
    /// The workspace to change.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl NewSource {
    pub(crate) fn run(self, root: &Path) -> Result<()> {
        let name = Name::parse(&self.name)?;
        let root = self.root.as_deref().unwrap_or(root);
        let folder = root.join("eventsources").join(&name.0);
        ensure!(!folder.exists(), "{} is there already", folder.display());
        let manifest = root.join("Cargo.toml");
        let registry = root.join("src/registry.rs");
        let crate_line = format!("eventsource-{0} = {{ path = \"eventsources/{0}\" }}\n", name.0);
        let kind_line =
            format!("            .receives::<eventsource_{}::{}>()\n", name.snake(), name.pascal());
        // Both are found before anything is written.
        let manifest_text = inserted(&manifest, DEPENDENCIES, &crate_line)?;
        let registry_text = inserted(&registry, REGISTRY, &kind_line)?;
        std::fs::create_dir_all(folder.join("src")).with_context(|| folder.display().to_string())?;
        for (place, text) in FILES {
            std::fs::write(folder.join(place), name.filled(text))?;
        }
        std::fs::write(&manifest, manifest_text)?;
        std::fs::write(&registry, registry_text)?;
        eprintln!("eventsources/{0}/: the event source; begin with src/lib.rs", name.0);
        eprintln!("Cargo.toml, src/registry.rs: one line each");
        eprintln!("next: cargo xtask test -p eventsource-{}", name.0);
        Ok(())
    }
}

/// The text of a file with a line behind another one.
fn inserted(file: &Path, behind: &str, line: &str) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (before, after) = text
        .split_once(behind)
        .with_context(|| format!("{}: no line `{}`", file.display(), behind.trim()))?;
    Ok(format!("{before}{behind}{line}{after}"))
}

/// Words in lower case, joined by `-`.
struct Name(String);

impl Name {
    fn parse(text: &str) -> Result<Self> {
        let is_word = |word: &str| {
            word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        ensure!(
            text.split('-').all(is_word),
            "`{text}`: expected words in lower case joined by `-`, `pager-duty` for example"
        );
        Ok(Self(text.to_owned()))
    }

    fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    fn pascal(&self) -> String {
        self.0.split('-').map(capitalised).collect()
    }

    fn camel(&self) -> String {
        let mut words = self.0.split('-');
        let first = words.next().unwrap_or_default().to_owned();
        first + &words.map(capitalised).collect::<String>()
    }

    fn filled(&self, template: &str) -> String {
        let filled = template.replace("@name@", &self.0).replace("@kind@", &self.camel());
        filled.replace("@Type@", &self.pascal())
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_has_its_forms_and_a_wrong_one_is_told() {
        let name = Name::parse("pager-duty2").unwrap();
        assert_eq!(
            (name.snake(), name.pascal(), name.camel()),
            ("pager_duty2".into(), "PagerDuty2".into(), "pagerDuty2".into())
        );
        for wrong in ["", "PagerDuty", "pager_duty", "-pager", "pager--duty", "2fast"] {
            assert!(Name::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn git(folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The checkout as it is, without what git does not know, under a git of its own.
    fn scratch_copy(root: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        let files = git(root, &["ls-files", "--cached", "--others", "--exclude-standard"]);
        for file in files.lines().filter(|file| root.join(file).is_file()) {
            let to = copy.path().join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(root.join(file), to).unwrap();
        }
        git(copy.path(), &["init", "--quiet"]);
        git(copy.path(), &["add", "--all"]);
        let author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        git(copy.path(), &[&author[..], &["commit", "--quiet", "--message", "copy"]].concat());
        copy
    }

    mod slow {
        use super::*;

        #[test]
        fn a_new_source_is_one_folder_and_its_lines_and_passes_its_tests() {
            let root = crate::root();
            // The dependencies are built there already, and the servers run.
            let target = crate::target(&root).unwrap();
            let copy = scratch_copy(&root);
            let new = NewSource { name: "example-source".to_owned(), root: Some(copy.path().to_owned()) };
            new.run(&root).unwrap();
            let package = "eventsource-example-source";
            crate::test::packages(copy.path(), &target, &[package.to_owned()]).unwrap();
            let cargo = |arguments: &[&str]| {
                let mut command = Command::new(env!("CARGO"));
                let output =
                    command.args(arguments).env("CARGO_TARGET_DIR", &target).current_dir(copy.path());
                let output = output.output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success(), "cargo {}: {said}", arguments.join(" "));
            };
            cargo(&["clippy", "--quiet", "-p", package, "--all-targets", "--", "-D", "warnings"]);
            cargo(&["check", "--quiet", "-p", "zetes"]);
            cargo(&["fmt", "--check", "-p", package, "-p", "zetes"]);
            let changed = git(copy.path(), &["status", "--porcelain"]);
            let changed: BTreeSet<&str> = changed.lines().filter_map(|line| line.get(3..)).collect();
            let expected = ["Cargo.lock", "Cargo.toml", "eventsources/example-source/", "src/registry.rs"];
            assert_eq!(changed, BTreeSet::from(expected));
            crate::tidy::run(copy.path()).unwrap();
        }
    }
}
