//! Semantic versions and the ranges that they fall into, as Masterminds' semver 3.3 reads them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Table;
use crate::objects::Version;
use crate::value::{Object, Value};

pub(super) const FUNCTIONS: Table = &[
    ("semver", |call| {
        call.expect(1)?;
        Ok(Value::Object(Object::Version(Version::parse(&call.text(0)?)?)))
    }),
    ("semverCompare", |call| {
        call.expect(2)?;
        let range = Range::parse(&call.text(0)?)?;
        Ok(Value::Bool(range.contains(&Version::parse(&call.text(1)?)?)))
    }),
];

/// Alternatives of conditions that must all hold.
struct Range(Vec<Vec<Condition>>);

/// One condition, such as `>=1.2` or `~1.x`.
struct Condition {
    operator: String,
    bound: Version,
    /// How many numbers were given: `1.x` gives one.
    given: usize,
}

const BOUND: &str = r"v?([0-9|xX*]+)(\.[0-9|xX*]+)?(\.[0-9|xX*]+)?(-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?";
const OPERATOR: &str = r"(=>|=<|>=|<=|!=|~>|=|>|<|~|\^|)";

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant")
}

impl Range {
    fn parse(text: &str) -> Result<Self, String> {
        static HYPHEN: LazyLock<Regex> =
            LazyLock::new(|| pattern(&format!(r"\s*({BOUND})\s+-\s+({BOUND})\s*")));
        static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
            pattern(&format!(r"^\s*{OPERATOR}\s*{BOUND}\s*(?:(?:\s+|,\s*){OPERATOR}\s*{BOUND}\s*)*$"))
        });
        static PART: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"{OPERATOR}\s*{BOUND}")));
        let text =
            HYPHEN.replace_all(text, |found: &Captures<'_>| format!(">= {}, <= {} ", &found[1], &found[6]));
        let alternatives = text.split("||").map(|alternative| {
            if !WHOLE.is_match(alternative) {
                return Err(format!("improper constraint: {alternative}"));
            }
            PART.captures_iter(alternative).map(|found| Condition::read(&found)).collect()
        });
        alternatives.collect::<Result<_, _>>().map(Self)
    }

    fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|all| all.iter().all(|condition| condition.holds(version)))
    }
}

impl Condition {
    fn read(found: &Captures<'_>) -> Result<Self, String> {
        let number = |at: usize| found.get(at).map(|part| part.as_str().trim_start_matches('.'));
        let is_any = |part: &str| matches!(part, "x" | "X" | "*");
        let given = (2..=4).take_while(|at| number(*at).is_some_and(|part| !is_any(part))).count();
        let mut numbers: Vec<&str> = (2..2 + given).filter_map(number).collect();
        numbers.resize(3, "0");
        let prerelease = found.get(5).map_or("", |part| part.as_str());
        let bound = Version::parse(&format!("{}{prerelease}", numbers.join(".")))?;
        Ok(Self { operator: found[1].to_owned(), bound, given })
    }

    /// A version before a release falls into no range that names releases only.
    fn holds(&self, version: &Version) -> bool {
        let is_exact = self.given == 3;
        let is_unnamed = !version.prerelease.is_empty() && self.bound.prerelease.is_empty();
        if is_unnamed && (self.operator != "!=" || !is_exact) {
            return false;
        }
        let order = version.order(&self.bound);
        match self.operator.as_str() {
            "!=" if is_exact => order.is_ne(),
            "!=" => self.differs(version),
            ">" if is_exact || self.given == 0 => order.is_gt(),
            // Behind all that the given numbers stand for.
            ">" => version.numbers().iter().take(self.given).gt(self.bound.numbers().iter().take(self.given)),
            "<" => order.is_lt(),
            ">=" | "=>" => order.is_ge(),
            "<=" | "=<" if is_exact => order.is_le(),
            "<=" | "=<" => {
                let numbers = self.given.max(1);
                version.numbers().iter().take(numbers).le(self.bound.numbers().iter().take(numbers))
            }
            "^" => order.is_ge() && self.is_compatible(version),
            "" | "=" if is_exact => order.is_eq(),
            _ => order.is_ge() && self.is_close(version),
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let same =
            |count: usize| version.numbers().iter().take(count).eq(self.bound.numbers().iter().take(count));
        match self.given {
            // `x` alone: the reference compares with 0.0.0.
            0 => !same(3),
            1 => !same(1),
            _ => !same(2) || version.prerelease != self.bound.prerelease,
        }
    }

    /// `~`: the same as far as given, but for the last of three.
    fn is_close(&self, version: &Version) -> bool {
        let (major, minor, patch) = (self.bound.major, self.bound.minor, self.bound.patch);
        if (major, minor, patch) == (0, 0, 0) && (self.given == 0 || self.given == 3) {
            return true;
        }
        version.major == major && (self.given == 1 || version.minor == minor)
    }

    /// `^`: the same up to the first number that is not 0.
    fn is_compatible(&self, version: &Version) -> bool {
        let bound = &self.bound;
        if bound.major > 0 || self.given == 1 {
            return version.major == bound.major;
        }
        if version.major > 0 {
            return false;
        }
        if bound.minor > 0 || self.given == 2 {
            return version.minor == bound.minor;
        }
        version.minor == 0 && version.patch == bound.patch
    }
}
