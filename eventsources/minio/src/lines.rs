//! Lines out of a stream of bytes, none of them too long.

use bytes::Bytes;

/// A line holds a record or a few, each with a key of at most some thousand bytes.
const LONGEST: usize = 1 << 20;

/// One line without its end.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Whole(Bytes),
    /// How it begins; the rest is passed over.
    TooLong(Bytes),
}

/// What came of a line so far.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    /// Its beginning was given out.
    is_passed_over: bool,
}

impl Lines {
    /// The lines that end in these bytes. Blanks around a line are nothing: the server sends some to keep the connection open.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.last() == Some(&b'\n');
            if !self.is_passed_over {
                self.begun.extend(if self.begun.is_empty() { part.trim_ascii_start() } else { part });
            }
            if self.begun.len() > LONGEST {
                self.begun.truncate(LONGEST);
                self.is_passed_over = true;
                lines.push(Line::TooLong(std::mem::take(&mut self.begun).into()));
            }
            if ends {
                let line = std::mem::take(&mut self.begun);
                let line = line.trim_ascii_end();
                if !line.is_empty() {
                    lines.push(Line::Whole(Bytes::copy_from_slice(line)));
                }
                self.is_passed_over = false;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<String> {
        let text = |line: &Line| match line {
            Line::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
            Line::TooLong(begin) => format!("{} bytes and more", begin.len()),
        };
        lines.iter().map(text).collect()
    }

    #[test]
    fn lines_come_in_any_pieces() {
        let whole = b"  {\"a\":1}\n \n\r\n   {\"b\": 2} \r\n{\"c\":";
        for size in 1..=whole.len() {
            let mut lines = Lines::default();
            let mut found: Vec<Line> = whole.chunks(size).flat_map(|piece| lines.take(piece)).collect();
            found.extend(lines.take(b"3}\n"));
            assert_eq!(texts(&found), ["{\"a\":1}", "{\"b\": 2}", "{\"c\":3}"], "{size}");
        }
    }

    #[test]
    fn what_is_too_long_is_cut_once_and_the_next_line_is_whole() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 300_000];
        let found: Vec<Line> = (0..20).flat_map(|_| lines.take(&piece)).collect();
        assert_eq!(texts(&found), ["1048576 bytes and more"]);
        assert!(lines.begun.is_empty(), "nothing is hoarded");
        assert_eq!(texts(&lines.take(b"x\n{}\n")), ["{}"]);
    }
}
