//! What an event's data says when it is read as JSON.

use std::fmt;
use std::sync::OnceLock;

use serde::de::IgnoredAny;
use serde_json::Value;

/// The data of one event, read at most once, when somebody first looks inside, and shared by everybody who holds the event.
///
/// A clone begins anew, because data may be changed in a clone.
#[derive(Default)]
pub struct Document {
    text: OnceLock<Text>,
    tree: OnceLock<Value>,
}

enum Text {
    AsItIs,
    /// Bytes that are no UTF-8 stand as replacement characters.
    Repaired(String),
    NotJson,
}

impl Document {
    /// The data as JSON text; `None` where it is not JSON.
    pub(crate) fn text<'d>(&'d self, data: &'d [u8]) -> Option<&'d str> {
        match self.text.get_or_init(|| read(data)) {
            // Checked once, when it was first read.
            Text::AsItIs => std::str::from_utf8(data).ok(),
            Text::Repaired(text) => Some(text),
            Text::NotJson => None,
        }
    }

    /// The data as a tree; `None` where it is not JSON.
    pub(crate) fn tree<'d>(&'d self, data: &'d [u8]) -> Option<&'d Value> {
        if let Some(tree) = self.tree.get() {
            return Some(tree);
        }
        let tree = serde_json::from_str(self.text(data)?).ok()?;
        Some(self.tree.get_or_init(|| tree))
    }
}

fn read(data: &[u8]) -> Text {
    let text = String::from_utf8_lossy(data);
    if serde_json::from_str::<IgnoredAny>(&text).is_err() {
        return Text::NotJson;
    }
    match text {
        std::borrow::Cow::Borrowed(_) => Text::AsItIs,
        std::borrow::Cow::Owned(text) => Text::Repaired(text),
    }
}

impl Clone for Document {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Document {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}
