//! The five fields, read as the reference reads them, and given to the `cron` crate as plain lists.

use std::ops::Range;

use crate::schedule::ScheduleError;

/// Which values a field allows, and whether it was a star.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) values: Vec<u32>,
    /// `*`, `?` and `*/1`: the other day field decides alone.
    pub(crate) star: bool,
}

/// The bounds and words of a field.
pub(crate) struct Rules {
    name: &'static str,
    min: u32,
    max: u32,
    words: &'static [&'static str],
}

pub(crate) const FIELDS: [Rules; 5] = [
    Rules { name: "minute", min: 0, max: 59, words: &[] },
    Rules { name: "hour", min: 0, max: 23, words: &[] },
    Rules { name: "day of month", min: 1, max: 31, words: &[] },
    Rules {
        name: "month",
        min: 1,
        max: 12,
        words: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Rules { name: "day of week", min: 0, max: 6, words: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

impl Rules {
    /// Reads a field: a list of stars, numbers, words and ranges, each with a step.
    pub(crate) fn read(&self, text: &str, at: usize) -> Result<Field, ScheduleError> {
        let mut field = Field { values: Vec::new(), star: false };
        let mut offset = at;
        for piece in text.split(',') {
            let span = offset..offset + piece.len();
            offset = span.end + 1;
            // The reference leaves empty pieces of a list out.
            if piece.is_empty() {
                continue;
            }
            let (first, last, step, star) = self.piece(piece, &span)?;
            field.star |= star;
            field.values.extend((first..=last).step_by(usize::try_from(step).unwrap_or(usize::MAX)));
        }
        field.values.sort_unstable();
        field.values.dedup();
        if field.values.is_empty() { Err(self.wrong(text, at..at + text.len())) } else { Ok(field) }
    }

    fn piece(&self, text: &str, span: &Range<usize>) -> Result<(u32, u32, u32, bool), ScheduleError> {
        let wrong = || self.wrong(text, span.clone());
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let step_number =
            step.map_or(Ok(1), |step| number(step).filter(|step| *step > 0).ok_or_else(wrong))?;
        let (low, high) = match range.split_once('-') {
            Some((low, high)) => (low, Some(high)),
            None => (range, None),
        };
        if matches!(low, "*" | "?") {
            // The reference does not look at what follows a star and a hyphen.
            return Ok((self.min, self.max, step_number, step_number == 1));
        }
        let first = self.value(low).ok_or_else(wrong)?;
        let last = match high {
            Some(high) => self.value(high).ok_or_else(wrong)?,
            None if step.is_some() => self.max,
            None => first,
        };
        if first < self.min || last > self.max || first > last {
            Err(wrong())
        } else {
            Ok((first, last, step_number, false))
        }
    }

    fn value(&self, text: &str) -> Option<u32> {
        let lower = text.to_ascii_lowercase();
        let word = self.words.iter().position(|word| *word == lower);
        match word {
            Some(at) => u32::try_from(at).ok().map(|at| at + self.min),
            None => number(text),
        }
    }

    fn wrong(&self, text: &str, span: Range<usize>) -> ScheduleError {
        let words = self
            .words
            .first()
            .map_or_else(String::new, |word| format!(" or names such as {}", word.to_uppercase()));
        let expected = format!("numbers from {} to {}{words}, with `,` `-` `/` or `*`", self.min, self.max);
        ScheduleError::Field { field: self.name, found: text.to_owned(), expected, span }
    }
}

fn number(text: &str) -> Option<u32> {
    let number = text.parse::<i64>().ok().filter(|number| *number >= 0)?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}

/// As the `cron` crate reads lists; `plus` shifts its numbering of weekdays.
pub(crate) fn list(values: &[u32], plus: u32) -> String {
    values.iter().map(|value| (value + plus).to_string()).collect::<Vec<_>>().join(",")
}
