//! When a provider that is asked too often may be asked again.

use std::time::Duration;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Where the provider does not say how long.
const USUAL: Duration = Duration::from_mins(1);
/// A header that asks for more is not believed.
const LONGEST: Duration = Duration::from_hours(1);
/// Numbers below are seconds from now, those above seconds since 1970.
const FIRST_EPOCH_SECOND: i64 = 1_000_000_000;

/// `None` where the answer has nothing to do with a limit.
///
/// `Retry-After` wins; then a limit that is used up (`X-RateLimit-*` of GitHub and Gitea, `RateLimit-*` of GitLab and Bitbucket), then a plain 429 or a
/// message that speaks of a limit (GitHub's secondary ones).
pub(crate) fn again(
    status: StatusCode,
    headers: &HeaderMap,
    message: &str,
    now: Timestamp,
) -> Option<Timestamp> {
    if !matches!(
        status,
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    ) {
        return None;
    }
    let limited = status == StatusCode::TOO_MANY_REQUESTS || message.to_lowercase().contains("rate limit");
    let when = retry_after(headers, now)
        .or_else(|| used_up(headers, now))
        .or_else(|| limited.then(|| later(now, USUAL)))?;
    Some(when.clamp(later(now, Duration::from_secs(1)), later(now, LONGEST)))
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    match text.parse() {
        Ok(seconds) => Some(later(now, Duration::from_secs(seconds))),
        Err(_) => rfc2822::DateTimeParser::new().parse_timestamp(text).ok(),
    }
}

fn used_up(headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    ["x-ratelimit", "ratelimit"].iter().find_map(|family| {
        let left = number(&format!("{family}-remaining"))?;
        let reset = number(&format!("{family}-reset")).filter(|_| left <= 0)?;
        if reset < FIRST_EPOCH_SECOND {
            Some(later(now, Duration::from_secs(reset.unsigned_abs())))
        } else {
            Timestamp::from_second(reset).ok()
        }
    })
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| now.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// Seconds from now.
    fn wait(status: u16, headers: &[(&'static str, &'static str)], message: &str) -> Option<i64> {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let when = again(StatusCode::from_u16(status).unwrap(), &headers, message, now)?;
        Some(when.duration_since(now).as_secs())
    }

    #[test]
    fn each_provider_says_in_its_way_when_to_come_again() {
        let primary = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000120")];
        assert_eq!(wait(403, &primary, "API rate limit exceeded"), Some(120));
        assert_eq!(wait(429, &primary, ""), Some(120));
        assert_eq!(wait(403, &[("retry-after", "30")], "You have exceeded a secondary rate limit"), Some(30));
        assert_eq!(wait(403, &[], "You have exceeded a secondary rate limit"), Some(60));
        let gitlab = [("ratelimit-remaining", "0"), ("ratelimit-reset", "1800000010")];
        assert_eq!(wait(429, &gitlab, ""), Some(10));
        assert_eq!(wait(429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "7")], ""), Some(7));
        assert_eq!(wait(429, &[], ""), Some(60));
        assert_eq!(wait(503, &[("retry-after", "Fri, 15 Jan 2027 08:00:05 GMT")], ""), Some(5));
    }

    #[test]
    fn what_is_no_limit_is_none() {
        let left = [("x-ratelimit-remaining", "12"), ("x-ratelimit-reset", "1800000120")];
        assert_eq!(wait(403, &left, "Resource not accessible by personal access token"), None);
        assert_eq!(wait(404, &[("retry-after", "30")], ""), None);
        assert_eq!(wait(503, &[], "maintenance"), None);
    }

    #[test]
    fn nonsense_stops_nobody_for_long() {
        let far = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")];
        assert_eq!(wait(403, &far, ""), Some(3_600));
        assert_eq!(wait(429, &[("retry-after", "soon")], ""), Some(60));
        assert_eq!(wait(429, &[("retry-after", "0")], ""), Some(1));
    }
}
