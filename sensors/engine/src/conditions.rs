//! `conditions`: dependency names joined by `&&`, `||` and parentheses (spec/sensors.md 6, S15, S17, S47).

use std::collections::BTreeSet;
use std::ops::Range;

use zetes_api::{DependencyName, Finding};

/// Parentheses inside parentheses, at most.
const MAX_DEPTH: usize = 64;

/// When a trigger fires: an expression over "an event of this dependency is present".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    root: Expression,
    /// As often as they are mentioned, in the order of the text.
    mentions: Vec<DependencyName>,
    names: BTreeSet<DependencyName>,
    immediate: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expression {
    Name(DependencyName),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

/// Why `conditions` can't be used, and which bytes of the text are to blame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionsError {
    #[error("unknown dependency `{name}`, expected {}", one_of(.known))]
    UnknownDependency { name: String, known: Vec<DependencyName>, at: Range<usize> },
    #[error("expected {expected}, found {found}")]
    Syntax { expected: &'static str, found: String, at: Range<usize> },
    #[error("more than {MAX_DEPTH} parentheses inside each other")]
    TooDeep { at: Range<usize> },
}

impl Conditions {
    /// Reads a text. The names it may mention are the Sensor's dependencies.
    ///
    /// # Errors
    /// Everything but names, `&&`, `||` and parentheses; an empty text; a name that is not among `known`; nesting that
    /// is too deep.
    pub fn parse(text: &str, known: &[DependencyName]) -> Result<Self, ConditionsError> {
        let mut parser = Parser { text, position: 0, known };
        let root = parser.any(0)?;
        if parser.next() == Token::End {
            Ok(Self::from_root(root))
        } else {
            Err(parser.syntax("`&&`, `||` or the end"))
        }
    }

    /// What a trigger without `conditions` waits for: every dependency (S15).
    pub fn all_of(names: &[DependencyName]) -> Self {
        Self::from_root(join(names.iter().cloned().map(Expression::Name).collect(), Expression::All))
    }

    fn from_root(root: Expression) -> Self {
        let mut mentions = Vec::new();
        root.collect_names(&mut mentions);
        let names = mentions.iter().cloned().collect();
        let immediate = !root.has_and();
        Self { root, mentions, names, immediate }
    }

    /// Whether they hold when these dependencies have an event.
    pub fn holds(&self, present: &BTreeSet<DependencyName>) -> bool {
        self.root.used(present).is_some()
    }

    /// The present dependencies that belong to the branches that hold (S17); `None` when the conditions don't hold.
    /// `(a && b) || c` with `a` and `c` gives `c`; with all three, all three.
    pub fn used(&self, present: &BTreeSet<DependencyName>) -> Option<BTreeSet<DependencyName>> {
        self.root.used(present)
    }

    /// Every dependency they mention.
    pub fn names(&self) -> &BTreeSet<DependencyName> {
        &self.names
    }

    /// Every mention of a dependency, in the order of the text.
    pub fn mentions(&self) -> &[DependencyName] {
        &self.mentions
    }

    /// Whether every accepted event fires by itself: there is no `&&`.
    pub fn is_immediate(&self) -> bool {
        self.immediate
    }

    /// The smallest set of further dependencies that would make them hold; the first written among equals.
    pub fn missing(&self, present: &BTreeSet<DependencyName>) -> BTreeSet<DependencyName> {
        self.root.missing(present)
    }
}

impl ConditionsError {
    /// Stable kebab-case words.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownDependency { .. } => "unknown-dependency",
            Self::Syntax { .. } | Self::TooDeep { .. } => "bad-conditions",
        }
    }

    /// Bytes of the text that are wrong.
    pub fn span(&self) -> Range<usize> {
        match self {
            Self::UnknownDependency { at, .. } | Self::Syntax { at, .. } | Self::TooDeep { at } => at.clone(),
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownDependency { name, known, .. } => {
                Some(format!("did you mean `{}`?", nearest(name, known)?))
            }
            Self::Syntax { .. } => Some("join dependency names with `&&`, `||` and parentheses".to_owned()),
            Self::TooDeep { .. } => None,
        }
    }

    /// The finding at the path of the field that holds the text.
    pub fn to_finding(&self, path: &zetes_api::FieldPath) -> Finding {
        let mut finding = Finding::error(self.code(), path.clone(), self.to_string()).span(self.span());
        finding.hint = self.hint();
        finding
    }
}

fn one_of(names: &[DependencyName]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

/// The known name that a slip of the finger is likeliest to have meant.
fn nearest<'a>(name: &str, known: &'a [DependencyName]) -> Option<&'a DependencyName> {
    let distance = |other: &DependencyName| strsim::damerau_levenshtein(name, other.as_str());
    let limit = (name.chars().count() / 3).max(1);
    known.iter().min_by_key(|other| distance(other)).filter(|other| distance(other) <= limit)
}

impl Expression {
    fn collect_names(&self, mentions: &mut Vec<DependencyName>) {
        match self {
            Self::Name(name) => mentions.push(name.clone()),
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.collect_names(mentions);
                }
            }
        }
    }

    fn has_and(&self) -> bool {
        match self {
            Self::Name(_) => false,
            Self::All(_) => true,
            Self::Any(parts) => parts.iter().any(Self::has_and),
        }
    }

    fn used(&self, present: &BTreeSet<DependencyName>) -> Option<BTreeSet<DependencyName>> {
        match self {
            Self::Name(name) => present.contains(name).then(|| BTreeSet::from([name.clone()])),
            Self::All(parts) => {
                parts.iter().map(|part| part.used(present)).collect::<Option<Vec<_>>>().map(union)
            }
            Self::Any(parts) => {
                let branches: Vec<_> = parts.iter().filter_map(|part| part.used(present)).collect();
                (!branches.is_empty()).then(|| union(branches))
            }
        }
    }

    fn missing(&self, present: &BTreeSet<DependencyName>) -> BTreeSet<DependencyName> {
        match self {
            Self::Name(name) if present.contains(name) => BTreeSet::new(),
            Self::Name(name) => BTreeSet::from([name.clone()]),
            Self::All(parts) => parts.iter().flat_map(|part| part.missing(present)).collect(),
            Self::Any(parts) => {
                parts.iter().map(|part| part.missing(present)).min_by_key(BTreeSet::len).unwrap_or_default()
            }
        }
    }
}

fn union(sets: Vec<BTreeSet<DependencyName>>) -> BTreeSet<DependencyName> {
    sets.into_iter().flatten().collect()
}

/// One part stands for itself.
fn join(mut parts: Vec<Expression>, several: fn(Vec<Expression>) -> Expression) -> Expression {
    if parts.len() == 1 { parts.remove(0) } else { several(parts) }
}

struct Parser<'a> {
    text: &'a str,
    position: usize,
    known: &'a [DependencyName],
}

#[derive(Clone, Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str, Range<usize>),
    And,
    Or,
    Open,
    Close,
    Other,
    End,
}

impl<'a> Parser<'a> {
    /// `all (|| all)*`
    fn any(&mut self, depth: usize) -> Result<Expression, ConditionsError> {
        let mut parts = vec![self.all(depth)?];
        while self.take(&Token::Or) {
            parts.push(self.all(depth)?);
        }
        Ok(join(parts, Expression::Any))
    }

    /// `term (&& term)*`
    fn all(&mut self, depth: usize) -> Result<Expression, ConditionsError> {
        let mut parts = vec![self.term(depth)?];
        while self.take(&Token::And) {
            parts.push(self.term(depth)?);
        }
        Ok(join(parts, Expression::All))
    }

    /// A name, or an expression in parentheses.
    fn term(&mut self, depth: usize) -> Result<Expression, ConditionsError> {
        match self.next() {
            Token::Name(name, at) => {
                self.position = at.end;
                self.name(name, at)
            }
            Token::Open if depth >= MAX_DEPTH => Err(ConditionsError::TooDeep { at: self.here() }),
            Token::Open => self.group(depth),
            _ => Err(self.syntax("a dependency name or `(`")),
        }
    }

    fn group(&mut self, depth: usize) -> Result<Expression, ConditionsError> {
        self.take(&Token::Open);
        let inner = self.any(depth + 1)?;
        if self.take(&Token::Close) { Ok(inner) } else { Err(self.syntax("`&&`, `||` or `)`")) }
    }

    fn name(&self, name: &str, at: Range<usize>) -> Result<Expression, ConditionsError> {
        if let Some(known) = self.known.iter().find(|known| known.as_str() == name) {
            Ok(Expression::Name(known.clone()))
        } else {
            let known = self.known.to_vec();
            Err(ConditionsError::UnknownDependency { name: name.to_owned(), known, at })
        }
    }

    /// Steps over the next token if it is this one.
    fn take(&mut self, wanted: &Token<'_>) -> bool {
        let found = self.next() == *wanted;
        if found {
            self.position = self.here().end;
        }
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.position..).unwrap_or_default()
    }

    /// The next token, after blanks; `here` is its place.
    fn next(&mut self) -> Token<'a> {
        let rest = self.rest().trim_start();
        self.position = self.text.len() - rest.len();
        let length = name_length(rest);
        match rest.chars().next() {
            None => Token::End,
            Some('(') => Token::Open,
            Some(')') => Token::Close,
            _ if rest.starts_with("&&") => Token::And,
            _ if rest.starts_with("||") => Token::Or,
            _ if length > 0 => {
                Token::Name(rest.get(..length).unwrap_or_default(), self.position..self.position + length)
            }
            Some(_) => Token::Other,
        }
    }

    /// The bytes of the token at the position.
    fn here(&self) -> Range<usize> {
        let rest = self.rest();
        let length = match rest.chars().next() {
            None => 0,
            _ if rest.starts_with("&&") || rest.starts_with("||") => 2,
            Some(first) => name_length(rest).max(first.len_utf8()),
        };
        self.position..self.position + length
    }

    fn syntax(&self, expected: &'static str) -> ConditionsError {
        let at = self.here();
        let found = match self.text.get(at.clone()) {
            None | Some("") => "the end".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        ConditionsError::Syntax { expected, found, at }
    }
}

/// Bytes of the name that the text begins with: letters, digits, `_`, `.` and `-`.
fn name_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))).unwrap_or(text.len())
}
