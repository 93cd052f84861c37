//! The reference's own way of stepping, for the zones where it shows.
//!
//! It adds months, days, hours and minutes to the time it has come to, and returns to the beginning of a day or hour only
//! once. Where a clock is turned by half an hour, it then looks at half past each hour for the rest of its way, and so skips
//! firings. Manifests that live with it fire at the same instants here.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use crate::fields::Field;
use crate::schedule::whole_second;

/// The reference gives up after so many years.
const YEARS: i16 = 5;

/// The first instant later than `after` at which the reference stops.
pub(crate) fn next_after(fields: &[Field; 5], after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let from = whole_second(after)?.to_zoned(zone.clone()).checked_add(Span::new().seconds(1)).ok()?;
    let last_year = from.year().saturating_add(YEARS);
    let mut walk = Walk { at: from, cut: false };
    while walk.at.year() <= last_year {
        if walk.pass(fields)? {
            return Some(walk.at.timestamp());
        }
    }
    None
}

struct Walk {
    at: Zoned,
    /// Whether the smaller units have been set to their beginning.
    cut: bool,
}

impl Walk {
    /// One pass from months down to seconds; `false` when a larger unit has changed and the pass must begin anew.
    fn pass(&mut self, [minute, hour, day, month, weekday]: &[Field; 5]) -> Option<bool> {
        while !has(month, self.at.month()) {
            self.cut_to(Span::new().days(i64::from(self.at.day()) - 1), true)?;
            self.add(Span::new().months(1))?;
            if self.at.month() == 1 {
                return Some(false);
            }
        }
        while !self.is_day(day, weekday) {
            self.cut_to(Span::new(), true)?;
            self.next_day()?;
            if self.at.day() == 1 {
                return Some(false);
            }
        }
        while !has(hour, self.at.hour()) {
            self.cut_to(Span::new(), false)?;
            self.add(Span::new().hours(1))?;
            if self.at.hour() == 0 {
                return Some(false);
            }
        }
        while !has(minute, self.at.minute()) {
            self.cut_seconds()?;
            self.add(Span::new().minutes(1))?;
            if self.at.minute() == 0 {
                return Some(false);
            }
        }
        while self.at.second() != 0 {
            self.cut = true;
            self.add(Span::new().seconds(1))?;
            if self.at.second() == 0 {
                return Some(false);
            }
        }
        Some(true)
    }

    fn is_day(&self, day: &Field, weekday: &Field) -> bool {
        let by_day = has(day, self.at.day());
        let by_weekday = has(weekday, self.at.weekday().to_sunday_zero_offset());
        if day.star || weekday.star { by_day && by_weekday } else { by_day || by_weekday }
    }

    fn add(&mut self, span: Span) -> Option<()> {
        self.at = self.at.checked_add(span).ok()?;
        Some(())
    }

    /// The first time: back by `days`, to the beginning of the day or of the hour.
    fn cut_to(&mut self, days: Span, whole_day: bool) -> Option<()> {
        if !self.cut {
            self.cut = true;
            let time = self.at.time();
            let hour = if whole_day { 0 } else { time.hour() };
            let start = self.at.date().checked_sub(days).ok()?.at(hour, 0, 0, 0);
            self.at = start.to_zoned(self.at.time_zone().clone()).ok()?;
        }
        Some(())
    }

    fn cut_seconds(&mut self) -> Option<()> {
        if !self.cut {
            self.cut = true;
            self.add(Span::new().seconds(-i64::from(self.at.second())))?;
        }
        Some(())
    }

    /// A day later, at midnight again where a turned clock has led away from it.
    fn next_day(&mut self) -> Option<()> {
        self.add(Span::new().days(1))?;
        let hour = i64::from(self.at.hour());
        match hour {
            0 => Some(()),
            13.. => self.add(Span::new().hours(24 - hour)),
            _ => self.add(Span::new().hours(-hour)),
        }
    }
}

fn has(field: &Field, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| field.values.contains(&value))
}
