//! docs/event-sources-tested.md: what each event source was shown to do, made from the tests that ran.
//!
//! A test counts by its name: `<kind>::<property>` in a test program of an adapter. Against what is the first line of the kind's
//! file, or of the program's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

const PAGE: &str = "docs/event-sources-tested.md";
/// What that line begins with.
const AGAINST: &str = "//! Against ";
/// Tests by their names, and the columns that they fill.
const PROPERTIES: [(&str, &str); 6] = [
    ("every_message_becomes_one_event", "every message"),
    ("a_restarted_server_is_found_again", "server restarted"),
    ("a_crash_loses_nothing", "crash"),
    ("a_poison_message_is_dead_lettered", "poison"),
    ("tls_is_verified", "TLS"),
    ("a_wrong_login_is_told_and_a_right_one_serves", "auth"),
];

/// What was shown of the kinds: against what, and which properties.
type Shown = BTreeMap<String, (BTreeSet<String>, BTreeSet<&'static str>)>;

/// Writes the page.
pub(crate) fn write(root: &Path) -> Result<()> {
    std::fs::write(root.join(PAGE), page(root)?).context(PAGE)?;
    eprintln!("{PAGE} is written");
    Ok(())
}

/// Whether the page says what the tests that just ran have shown.
pub(crate) fn check(root: &Path) -> Result<()> {
    let written = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    ensure!(
        written == page(root)?,
        "{PAGE} is not what the tests have shown; run `cargo xtask docs` and commit it"
    );
    Ok(())
}

fn page(root: &Path) -> Result<String> {
    let report = crate::target(root)?.join("nextest/ci/junit.xml");
    let text = std::fs::read_to_string(&report)
        .with_context(|| format!("{}: run `cargo xtask test` first", report.display()))?;
    let mut shown = Shown::new();
    for (program, test) in passed(&text)? {
        let Some((module, property)) = of_adapter(&program, &test) else { continue };
        let (against, properties) = shown.entry(camel(module)).or_default();
        properties.insert(property);
        against.extend(against_what(root, &program, module));
    }
    Ok(written(&shown))
}

/// Program and name of every test that passed.
fn passed(report: &str) -> Result<Vec<(String, String)>> {
    let mut reader = Reader::from_str(report);
    let mut passed: Vec<(String, String)> = Vec::new();
    loop {
        match reader.read_event()? {
            Event::Start(tag) | Event::Empty(tag) if tag.name().as_ref() == "testcase" => {
                passed.push((attribute(&tag, "classname")?, attribute(&tag, "name")?));
            }
            Event::Start(tag) | Event::Empty(tag)
                if matches!(tag.name().as_ref(), "failure" | "error" | "skipped") =>
            {
                drop(passed.pop());
            }
            Event::Eof => return Ok(passed),
            _ => {}
        }
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String> {
    let found = tag.try_get_attribute(name)?.with_context(|| format!("a testcase without `{name}`"))?;
    Ok(found.value.into_owned())
}

/// `eventsource-redis::real` and `redis_stream::slow::tls_is_verified`: the kind's module and the property.
fn of_adapter<'t>(program: &str, test: &'t str) -> Option<(&'t str, &'static str)> {
    program.strip_prefix("eventsource-").filter(|name| !name.starts_with("core"))?;
    let (module, _) = test.split_once("::")?;
    let last = test.rsplit("::").next()?;
    let (property, _) = PROPERTIES.iter().find(|(property, _)| *property == last)?;
    Some((module, property))
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        name + &first.into_iter().chain(letters).collect::<String>()
    })
}

fn against_what(root: &Path, program: &str, module: &str) -> Option<String> {
    let (package, binary) = program.split_once("::")?;
    let folder = root.join("eventsources").join(package.strip_prefix("eventsource-")?).join("tests");
    let programs = [folder.join(format!("{binary}.rs")), folder.join(binary).join("main.rs")];
    let mut files = vec![folder.join(binary).join(format!("{module}.rs"))];
    files.extend(programs);
    files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        Some(text.lines().next()?.strip_prefix(AGAINST)?.trim_end_matches('.').to_owned())
    })
}

fn written(shown: &Shown) -> String {
    let columns: Vec<&str> = PROPERTIES.iter().map(|(_, column)| *column).collect();
    let mut page = format!(
        "# What was shown of each event source\n\n\
         Made by `cargo xtask docs` from the tests that ran; a line of it is a test that passed, by the names in `xtask/src/sources.rs`.\n\n\
         - every message: a hundred messages out, a hundred events in, in order where it is promised\n\
         - server restarted: the server was killed and came back; events go on by themselves\n\
         - crash: we were killed in the middle; nothing that upstream was told to forget is missing on the bus\n\
         - poison: what can't be read is a dead letter with its bytes, and the next message comes\n\
         - TLS: a certificate of the wrong issuer is refused, and told\n\
         - auth: a wrong login is told, and a right one serves\n\n\
         A dash is a property that the kind does not have, as core NATS has no acknowledgement.\n\n\
         | kind | against | {} |\n|---|---|{}\n",
        columns.join(" | "),
        "---|".repeat(columns.len())
    );
    let rows = shown.iter().map(|(kind, (against, properties))| {
        let against: Vec<&str> = against.iter().map(String::as_str).collect();
        let cells: Vec<&str> =
            PROPERTIES.iter().map(|(name, _)| if properties.contains(name) { "yes" } else { "–" }).collect();
        format!("| `{kind}` | {} | {} |\n", against.join("; "), cells.join(" | "))
    });
    page.extend(rows);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_passed_fills_a_cell_and_one_that_failed_does_not() {
        let report = r#"<testsuites><testsuite name="x">
            <testcase name="redis_stream::a_crash_loses_nothing" classname="eventsource-redis::real" time="1"/>
            <testcase name="redis_stream::slow::tls_is_verified" classname="eventsource-redis::real"><system-out>t</system-out></testcase>
            <testcase name="redis::tls_is_verified" classname="eventsource-redis::real"><failure type="f">no</failure></testcase>
        </testsuite></testsuites>"#;
        let passed = passed(report).unwrap();
        let found: Vec<_> = passed.iter().filter_map(|(program, test)| of_adapter(program, test)).collect();
        let module = "redis_stream";
        assert_eq!(found, [(module, "a_crash_loses_nothing"), (module, "tls_is_verified")]);
        let shown = Shown::from([(
            camel(module),
            (BTreeSet::from(["Redis 7.0".to_owned()]), BTreeSet::from(["a_crash_loses_nothing"])),
        )]);
        let page = written(&shown);
        assert!(page.ends_with("| `redisStream` | Redis 7.0 | – | – | yes | – | – | – |\n"), "{page}");
    }

    #[test]
    fn tests_of_the_frame_and_of_other_crates_are_no_rows() {
        for program in ["eventsource-core", "bus-kafka::real"] {
            assert_eq!(of_adapter(program, "kafka::a_crash_loses_nothing"), None, "{program}");
        }
        assert_eq!(of_adapter("eventsource-x::real", "x::something_else"), None);
    }
}
