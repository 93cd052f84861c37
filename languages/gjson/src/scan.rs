//! Walking JSON text without building anything.

/// Where a value stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn of<'j>(&self, json: &'j str) -> &'j str {
        json.get(self.start..self.end).unwrap_or_default()
    }
}

fn byte(json: &str, at: usize) -> Option<u8> {
    json.as_bytes().get(at).copied()
}

pub(crate) fn skip_blanks(json: &str, mut at: usize) -> usize {
    while byte(json, at).is_some_and(|byte| byte <= b' ') {
        at += 1;
    }
    at
}

/// The first byte from `at` on that `wanted` takes. What else stands there is no JSON, and is passed over as the reference
/// does.
fn seek(json: &str, at: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = json.as_bytes().get(at..)?;
    rest.iter().position(|byte| wanted(*byte)).map(|found| at + found)
}

/// Whether a value can begin with this byte.
fn begins_value(byte: u8) -> bool {
    byte.is_ascii_digit()
        || matches!(byte, b'"' | b'{' | b'[' | b'-' | b'+' | b't' | b'f' | b'n' | b'N' | b'i' | b'I')
}

/// Bytes of a string that are looked at before memchr is called.
const SHORT: usize = 32;

/// Bytes that a container's end depends on.
const MARKS: [bool; 256] = {
    let mut marks = [false; 256];
    let mut rest: &[u8] = b"\"{}[]";
    while let [mark, after @ ..] = rest {
        marks[*mark as usize] = true;
        rest = after;
    }
    marks
};

/// One behind the closing quote of the string that begins at `at`; the end of the text when it is not closed.
pub(crate) fn string_end(json: &str, at: usize) -> usize {
    let bytes = json.as_bytes();
    let mut at = at + 1;
    while let Some(found) = quote_or_escape(bytes, at) {
        if bytes.get(found) == Some(&b'"') {
            return found + 1;
        }
        at = found + 2;
    }
    bytes.len()
}

/// Where the next quote or backslash is. Most strings are short: those are looked at eight bytes at a time, for which a call of
/// memchr costs more than it saves.
fn quote_or_escape(bytes: &[u8], mut at: usize) -> Option<usize> {
    let far = at + SHORT;
    while at < far
        && let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>())
    {
        let word = u64::from_le_bytes(*word);
        let marks = equal_bytes(word, b'"') | equal_bytes(word, b'\\');
        if marks != 0 {
            return Some(at + marks.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found)
}

/// The top bit of each byte of the word that is `byte`; the lowest one set is right, those above it may be borrowed.
fn equal_bytes(word: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let differs = word ^ (ONES * u64::from(byte));
    differs.wrapping_sub(ONES) & !differs & (ONES << 7)
}

fn is_closed(json: &str, at: usize) -> bool {
    closes_at(json, at, string_end(json, at))
}

fn closes_at(json: &str, start: usize, end: usize) -> bool {
    end > start + 1 && end <= json.len() && byte(json, end - 1) == Some(b'"')
}

/// One behind the bracket that closes the one at `at`; the end of the text when none does.
fn container_end(json: &str, mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(mark) = seek(json, at, |byte| MARKS[usize::from(byte)]) {
        at = mark;
        match json.as_bytes().get(at).copied().unwrap_or_default() {
            b'"' => {
                at = string_end(json, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    json.len()
}

fn ends_in_string(json: &str, mut at: usize) -> bool {
    while let Some(start) = seek(json, at, |byte| byte == b'"') {
        if !is_closed(json, start) {
            return true;
        }
        at = string_end(json, start);
    }
    false
}

/// The value that begins at or after `at`; `None` where none does.
#[inline]
pub(crate) fn value_at(json: &str, at: usize) -> Option<Span> {
    let mut start = skip_blanks(json, at);
    if byte(json, start) == Some(b'.') {
        start += 1;
    }
    let end = match byte(json, start).filter(|byte| begins_value(*byte))? {
        b'"' => Some(string_end(json, start)).filter(|end| closes_at(json, start, *end))?,
        b'{' | b'[' => container_end(json, start),
        _ => word_end(json, start),
    };
    Some(Span { start, end: end.min(json.len()) })
}

fn word_end(json: &str, mut at: usize) -> usize {
    while let Some(found) = byte(json, at) {
        if found <= b' ' || matches!(found, b',' | b':' | b'}' | b']' | b'{' | b'[' | b'"') {
            return at;
        }
        at += 1;
    }
    json.len()
}

/// The members of the object that is the whole text: key with its quotes, and value.
pub(crate) struct Members<'j> {
    json: &'j str,
    at: usize,
}

/// `None` when the text is no object.
pub(crate) fn members(json: &str) -> Option<Members<'_>> {
    let start = skip_blanks(json, 0);
    (byte(json, start)? == b'{').then_some(Members { json, at: start + 1 })
}

impl Members<'_> {
    /// The next key with its quotes, and where its value begins. Call [`Members::pass`] before the one after it.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Option<(Span, usize)> {
        let at = seek(self.json, self.at, |byte| matches!(byte, b'"' | b'}'))?;
        if byte(self.json, at)? == b'}' {
            return None;
        }
        let key = Span { start: at, end: string_end(self.json, at).min(self.json.len()) };
        Some((key, seek(self.json, key.end, begins_value)?))
    }

    /// The value that begins there; the next key is looked for behind it.
    pub(crate) fn pass(&mut self, start: usize) -> Option<Span> {
        let value = value_at(self.json, start)?;
        self.at = value.end;
        Some(value)
    }
}

impl Iterator for Members<'_> {
    type Item = (Span, Span);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, start) = self.next_key()?;
        Some((key, self.pass(start)?))
    }
}

/// The elements of the array that is the whole text, or of JSON lines.
pub(crate) struct Elements<'j> {
    json: &'j str,
    at: usize,
    lines: bool,
    /// The text ends inside of a string.
    broken: bool,
}

/// `None` when the text is no array.
pub(crate) fn elements(json: &str) -> Option<Elements<'_>> {
    let start = skip_blanks(json, 0);
    (byte(json, start)? == b'[').then_some(Elements { json, at: start + 1, lines: false, broken: false })
}

/// Values one after the other, as in JSON lines.
pub(crate) fn lines(json: &str) -> Elements<'_> {
    Elements { json, at: 0, lines: true, broken: false }
}

impl Elements<'_> {
    /// All elements; `None` when the text ends inside of a string.
    pub(crate) fn whole(mut self) -> Option<Vec<Span>> {
        let all: Vec<Span> = self.by_ref().collect();
        (!self.broken).then_some(all)
    }
}

impl Iterator for Elements<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let closes = |byte| byte == b']' && !self.lines;
        let at = seek(self.json, self.at, |byte| closes(byte) || begins_value(byte))?;
        if byte(self.json, at).is_some_and(closes) {
            self.at = at;
            return None;
        }
        let Some(span) = value_at(self.json, at) else {
            self.broken = !self.lines;
            return None;
        };
        self.broken = !self.lines && span.end == self.json.len() && ends_in_string(self.json, span.start);
        // A value of no length would be found for ever.
        self.at = span.end.max(at + 1);
        Some(span)
    }
}
