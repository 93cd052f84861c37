use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn round(layout: &str, text: &str) -> String {
    parse(layout, text, &TimeZone::UTC)
        .map_or_else(|error| format!("error: {error}"), |at| format(RFC3339_NANO, &at))
}

#[test]
fn texts_are_read_as_go_reads_them() {
    // Answers of Go 1.26.
    let cases = [
        ("2006-01-02", "2026-03-29", "2026-03-29T00:00:00Z"),
        (RFC3339, "2026-03-29T01:02:03+01:00", "2026-03-29T01:02:03+01:00"),
        (RFC3339, "2026-03-29T01:02:03.5Z", "2026-03-29T01:02:03.5Z"),
        ("Jan _2 15:04:05 2006", "Mar  9 01:02:03 2026", "2026-03-09T01:02:03Z"),
        ("3:04PM", "1:30PM", "0000-01-01T13:30:00Z"),
        ("Mon Jan 2 15:04:05 MST 2006", "Sun Mar 29 01:02:03 UTC 2026", "2026-03-29T01:02:03Z"),
        ("Monday, 02-Jan-06 15:04:05 -0700", "sunday, 29-mar-26 01:02:03 -0730", "2026-03-29T01:02:03-07:30"),
        ("2006-002", "2026-060", "2026-03-01T00:00:00Z"),
        ("15h04", "7h05", "0000-01-01T07:05:00Z"),
        ("2006-01-02 15:04:05.000", "2026-03-29 01:02:03.250", "2026-03-29T01:02:03.25Z"),
    ];
    for (layout, text, expected) in cases {
        assert_eq!(round(layout, text), expected, "{layout} of {text}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    for (layout, text) in [
        ("2006-01-02", "2026-02-30"),
        ("2006-01-02", "2026-1-2"),
        ("2006-01-02", "2026-01-02 "),
        ("15:04", "24:00"),
        ("3PM", "13PM"),
        ("2006-01-02", ""),
        (RFC3339, "2026-03-29T01:02:03"),
    ] {
        assert!(parse(layout, text, &TimeZone::UTC).is_err(), "{layout} of {text}");
    }
}

#[test]
fn layouts_write_what_go_writes() {
    let at = parse(RFC3339_NANO, "2026-03-09T13:04:05.06Z", &TimeZone::UTC).unwrap();
    let cases = [
        ("2006-01-02T15:04:05Z07:00", "2026-03-09T13:04:05Z"),
        ("Mon Jan _2 3:04:05PM 06", "Mon Mar  9 1:04:05PM 26"),
        ("Monday January 2 pm MST", "Monday March 9 pm UTC"),
        (".000 ,999 .00", ".060 ,06 .06"),
        ("-0700 -07:00 Z0700 -07", "+0000 +00:00 Z +00"),
        ("002 __2 1 01 _2006", "068  68 3 03 _2026"),
        ("no elements", "no elements"),
    ];
    for (layout, expected) in cases {
        assert_eq!(format(layout, &at), expected, "{layout}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(layout in "[JanMo0-9 _.,:ZPMST-]{0,16}", text in "[a-zA-Z0-9 :.,+-]{0,16}") {
        if let Ok(at) = parse(&layout, &text, &TimeZone::UTC) {
            drop(format(&layout, &at));
        }
    }
}
