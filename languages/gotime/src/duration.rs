//! Go's text for durations: `300ms`, `1.5h`, `2h45m0s`, `-1s`.

use jiff::SignedDuration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as `300ms` or `1h30m`, found `{found}`")]
pub struct DurationError {
    pub found: String,
}

/// Units are `ns`, `us`, `µs`, `ms`, `s`, `m` and `h`; a bare number other than `0` is refused, as Go does.
///
/// # Errors
/// The text is no duration, or one of more than 292 years.
pub fn parse(text: &str) -> Result<SignedDuration, DurationError> {
    let wrong = || DurationError { found: text.to_owned() };
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..).unwrap_or_default()),
        Some(b'+') => (false, text.get(1..).unwrap_or_default()),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (nanoseconds, after) = term(rest).ok_or_else(wrong)?;
        total = total.checked_add(nanoseconds).ok_or_else(wrong)?;
        rest = after;
    }
    let total = i64::try_from(if negative { -total } else { total }).map_err(|_| wrong())?;
    Ok(SignedDuration::from_nanos(total))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn term(text: &str) -> Option<(i128, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
    let (number, rest) = text.split_at_checked(digits)?;
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at_checked(unit_end)?;
    let scale: i128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    Some((whole.checked_mul(scale)?.checked_add(fraction_of(fraction, scale))?, rest))
}

/// `0.<digits>` of `scale`, cut to whole nanoseconds.
fn fraction_of(digits: &str, scale: i128) -> i128 {
    let (mut value, mut unit) = (0, scale);
    for digit in digits.bytes().take(18) {
        value = value * 10 + i128::from(digit - b'0');
        unit *= 10;
    }
    // unit / scale is 10^digits
    if unit == 0 { 0 } else { value * scale / (unit / scale) }
}

/// As Go prints it: `1h30m0s`, `1.5s`, `250ms`, `0s`.
#[must_use]
pub fn format(duration: SignedDuration) -> String {
    let nanoseconds = duration.as_nanos().unsigned_abs();
    let sign = if duration.is_negative() { "-" } else { "" };
    let fraction = |whole: u128, rest: u128, digits: usize, unit: &str| {
        let rest = format!("{rest:0digits$}");
        let rest = rest.trim_end_matches('0');
        if rest.is_empty() { format!("{sign}{whole}{unit}") } else { format!("{sign}{whole}.{rest}{unit}") }
    };
    match nanoseconds {
        0 => "0s".to_owned(),
        1..=999 => format!("{sign}{nanoseconds}ns"),
        1_000..=999_999 => fraction(nanoseconds / 1_000, nanoseconds % 1_000, 3, "µs"),
        1_000_000..=999_999_999 => fraction(nanoseconds / 1_000_000, nanoseconds % 1_000_000, 6, "ms"),
        _ => {
            let seconds = nanoseconds / 1_000_000_000;
            let last = {
                let rest = format!("{:09}", nanoseconds % 1_000_000_000);
                let rest = rest.trim_end_matches('0').to_owned();
                let dot = if rest.is_empty() { "" } else { "." };
                format!("{}{dot}{rest}s", seconds % 60)
            };
            match (seconds / 3600, seconds / 60 % 60) {
                (0, 0) => format!("{sign}{last}"),
                (0, minutes) => format!("{sign}{minutes}m{last}"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{last}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        let nanoseconds = |text| parse(text).map(|duration| duration.as_nanos());
        assert_eq!(nanoseconds("1h30m"), Ok(5_400_000_000_000));
        assert_eq!(nanoseconds("-1.5s"), Ok(-1_500_000_000));
        assert_eq!(nanoseconds(".5ms"), Ok(500_000));
        for wrong in ["", "10", "1d", "s", "1..5s", "--1s"] {
            assert!(nanoseconds(wrong).is_err(), "{wrong}");
        }
        for text in ["1h30m0s", "1.5s", "250ms", "0s", "-2m0.25s", "1.5µs", "3ns"] {
            assert_eq!(parse(text).map(format).as_deref(), Ok(text));
        }
    }
}
