//! RFC 9535 paths: compiled once, evaluated many times.
//!
//! ```
//! use serde_json::json;
//! use zetes_jsonpath::JsonPath;
//! let path = JsonPath::compile("$.commits[?@.size > 1].id")?;
//! let document = json!({"commits": [{"id": "a", "size": 1}, {"id": "b", "size": 2}, {"id": "c", "size": 3}]});
//! assert_eq!(path.find(&document).as_deref(), Some(&json!(["b", "c"])));
//! let error = JsonPath::compile("commits.id").unwrap_err();
//! assert_eq!(error.hint(), Some("a path begins with `$`: `$.commits.id`".to_owned()).as_deref());
//! # Ok::<(), zetes_jsonpath::Error>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::model::{JpQuery, Segment, Selector};
use jsonpath_rust::parser::parse_json_path;
use jsonpath_rust::query::js_path_process;
use pest::error::ErrorVariant;
use serde_json::Value;

/// Nodes of one path, at most; the others are left out.
const MAX_NODES: usize = 10_000;
/// Bytes of a path, at most.
const MAX_LENGTH: usize = 4_096;
/// What the parser may try: it goes back, and without an end each parenthesis would multiply its work.
const MAX_CALLS: NonZeroUsize = NonZeroUsize::new(500_000).expect("not zero");

/// A compiled path. Cloning shares it.
#[derive(Clone)]
pub struct JsonPath {
    text: Arc<str>,
    query: Arc<JpQuery>,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    span: Range<usize>,
    hint: Option<String>,
}

impl Error {
    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The bytes of the text to underline.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What was probably meant.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl fmt::Debug for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonPath").field(&self.text).finish()
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl JsonPath {
    /// Compiles a path.
    ///
    /// # Errors
    /// The text is no path of RFC 9535.
    pub fn compile(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_LENGTH {
            let message = format!("longer than {MAX_LENGTH} bytes");
            return Err(Error { message, span: 0..text.len(), hint: None });
        }
        // For all parsers made with pest in this process; there is no other way to tell one.
        pest::set_call_limit(Some(MAX_CALLS));
        match parse_json_path(text) {
            Ok(query) => Ok(Self { text: Arc::from(text), query: Arc::new(query) }),
            Err(error) => Err(wrong(text, &error)),
        }
    }

    /// Whether the path names one node at most: names and positions only (RFC 9535, section 2.3.5.1).
    #[must_use]
    pub fn is_singular(&self) -> bool {
        self.query
            .segments
            .iter()
            .all(|segment| matches!(segment, Segment::Selector(Selector::Name(_) | Selector::Index(_))))
    }

    /// The nodes in document order.
    #[must_use]
    pub fn get<'v>(&self, document: &'v Value) -> Vec<&'v Value> {
        let found = js_path_process(&self.query, document).unwrap_or_default();
        found.into_iter().take(MAX_NODES).map(jsonpath_rust::query::QueryRef::val).collect()
    }

    /// The node; an array where there are several, `None` where there is none.
    #[must_use]
    pub fn find<'v>(&self, document: &'v Value) -> Option<Cow<'v, Value>> {
        match self.get(document).as_slice() {
            [] => None,
            [one] => Some(Cow::Borrowed(one)),
            several => Some(Cow::Owned(Value::Array(several.iter().map(|one| (*one).clone()).collect()))),
        }
    }
}

fn wrong(text: &str, error: &JsonPathError) -> Error {
    let span = match error {
        JsonPathError::PestError(error) => place(text, &error.location),
        _ => 0..text.len(),
    };
    let found = text.get(span.start..).and_then(|rest| rest.chars().next());
    // The grammar has no errors of its own making: such a one is the parser's limit.
    let is_limit = matches!(error, JsonPathError::PestError(error) if matches!(error.variant, ErrorVariant::CustomError { .. }));
    let message = match (error, found) {
        _ if is_limit => "too many parentheses and brackets inside of one another".to_owned(),
        (JsonPathError::PestError(_), Some(found)) => format!("not a JSONPath: unexpected `{found}`"),
        (JsonPathError::PestError(_), None) => "not a JSONPath: it ends too early".to_owned(),
        (JsonPathError::MaxNestingDepthExceeded(depth), _) => format!("nested more than {depth} deep"),
        (other, _) => format!("not a JSONPath: {other}"),
    };
    Error { message, span, hint: hint(text) }
}

/// From where the parser gave up, one character.
fn place(text: &str, location: &pest::error::InputLocation) -> Range<usize> {
    let at = match location {
        pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => *at,
    };
    let at = at.min(text.len());
    at..at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
}

fn hint(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        return Some(format!("without kubectl's braces, with `$` in front: `${inside}`"));
    }
    if text.starts_with('.') || text.starts_with('[') {
        return Some(format!("a path begins with `$`: `${text}`"));
    }
    if !text.starts_with('$') && !text.is_empty() {
        return Some(format!("a path begins with `$`: `$.{text}`"));
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_the_rfc_find_what_it_says() {
        // The document and paths are those of RFC 9535, section 1.5.
        let store = json!({"store": {
            "book": [
                {"category": "reference", "author": "Nigel Rees", "title": "Sayings of the Century", "price": 8.95},
                {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
                {"category": "fiction", "author": "Herman Melville", "title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
                {"category": "fiction", "author": "J. R. R. Tolkien", "title": "The Lord of the Rings", "isbn": "0-395-19395-8", "price": 22.99}
            ],
            "bicycle": {"color": "red", "price": 399}
        }});
        for (path, count) in [
            ("$.store.book[*].author", 4),
            ("$..author", 4),
            ("$.store.*", 2),
            ("$.store..price", 5),
            ("$..book[2]", 1),
            ("$..book[2].publisher", 0),
            ("$..book[-1]", 1),
            ("$..book[0,1]", 2),
            ("$..book[:2]", 2),
            ("$..book[?@.isbn]", 2),
            ("$..book[?@.price<10]", 2),
            ("$..*", 27),
        ] {
            let found = JsonPath::compile(path).expect(path).get(&store).len();
            assert_eq!(found, count, "{path}");
        }
    }

    #[test]
    fn one_node_is_itself_and_several_are_an_array() {
        let document = json!({"a": [1, 2], "b": null});
        let find = |path: &str| JsonPath::compile(path).unwrap().find(&document).map(Cow::into_owned);
        assert_eq!(find("$.a[0]"), Some(json!(1)));
        assert_eq!(find("$.a[*]"), Some(json!([1, 2])));
        assert_eq!(find("$.a"), Some(json!([1, 2])));
        assert_eq!(find("$.b"), Some(json!(null)));
        assert_eq!(find("$.c"), None);
    }

    #[test]
    fn mistakes_have_their_place_and_a_hint() {
        for (path, start, hint) in [
            ("a.b", 0, Some("a path begins with `$`: `$.a.b`")),
            ("{.a.b}", 0, Some("without kubectl's braces, with `$` in front: `$.a.b`")),
            (".a", 0, Some("a path begins with `$`: `$.a`")),
            ("$.a[", 4, None),
            ("$.a[?@.b = 1]", 9, None),
            ("", 0, None),
        ] {
            let error = JsonPath::compile(path).expect_err(path);
            assert_eq!((error.span().start, error.hint()), (start, hint), "{path}: {error}");
        }
    }

    #[test]
    fn parentheses_without_end_are_refused_soon() {
        for path in [format!("$[?{}", "(".repeat(100)), "$[?(".repeat(1_000)] {
            assert!(JsonPath::compile(&path).is_err());
        }
        let error = JsonPath::compile(&"$[?length(".repeat(20)).unwrap_err();
        assert_eq!(error.message(), "too many parentheses and brackets inside of one another");
        assert!(JsonPath::compile("$[?(((@.a == 1)) && (@.b > 2))]").is_ok());
        let long = format!("$[?{}@.a == 1]", "@.some.longer.name == 'value' && ".repeat(100));
        assert!(JsonPath::compile(&long).is_ok(), "{:?}", JsonPath::compile(&long));
    }

    proptest! {
        #[test]
        fn no_text_panics(path in r#"[$.a-c0-9\[\]*?@'":,()<>=! &|-]{0,24}"#) {
            if let Ok(path) = JsonPath::compile(&path) {
                drop(path.find(&json!({"a": [1, {"b": "c"}], "b": {"c": null}})));
            }
        }
    }
}
