//! The reference's answers, and what must hold for any schedule.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use proptest::prelude::*;
use serde_json::Value as Json;
use zetes_gotime::duration;
use zetes_vectors::check;

use crate::{Descriptors, Exclusions, Schedule, go_time, zone};

fn text<'r>(value: &'r Json, key: &str) -> &'r str {
    value[key].as_str().unwrap_or_default()
}

fn error() -> Json {
    serde_json::json!({"error": true})
}

fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    let text = at.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    text.strip_suffix("+00:00").map_or(text.clone(), |text| format!("{text}Z"))
}

#[test]
fn vectors_of_schedules() {
    check("cron", |input| {
        let never = || serde_json::json!({"next": []});
        let schedule = match Schedule::parse(text(input, "schedule"), Descriptors::Accepted) {
            Ok(schedule) => schedule,
            Err(crate::ScheduleError::Never { .. }) => return never(),
            Err(_) => return error(),
        };
        let Ok(zone) = zone(text(input, "timezone")) else { return error() };
        let mut at: Timestamp = text(input, "from").parse().unwrap();
        let mut next = Vec::new();
        while let Some(found) = schedule.next_after(at, &zone).filter(|_| next.len() < 6) {
            next.push(rfc3339(found, &zone));
            at = found;
        }
        serde_json::json!({"next": next})
    });
}

#[test]
fn vectors_of_last_firings() {
    check("cron-prev", |input| {
        let Ok(schedule) = Schedule::parse(text(input, "cron"), Descriptors::Refused) else { return error() };
        let Ok(zone) = zone(text(input, "timezone")) else { return error() };
        let last = schedule.last_before(text(input, "now").parse().unwrap(), &zone);
        serde_json::json!({"last": last.map(|last| rfc3339(last, &zone))})
    });
}

/// The schedule of a calendar's input, its zone (`otherwise` if it names none) and its exclusions.
fn calendar(input: &Json, otherwise: TimeZone) -> Option<(Schedule, TimeZone, Exclusions)> {
    let schedule = match (text(input, "schedule"), text(input, "interval")) {
        ("", interval) => Schedule::every(duration::parse(interval).ok()?),
        (schedule, _) => Schedule::parse(schedule, Descriptors::Accepted).ok()?,
    };
    let named = || match text(input, "timezone") {
        "" => Some(otherwise),
        name => zone(name).ok(),
    };
    let zone = schedule.own_zone().cloned().map_or_else(named, Some)?;
    let lines = input.get("exclusionDates").cloned().unwrap_or_else(|| serde_json::json!([]));
    let lines: Vec<String> = serde_json::from_value(lines).unwrap();
    Some((schedule, zone, Exclusions::parse(&lines).ok()?))
}

fn start(input: &Json) -> Zoned {
    text(input, "start").parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC)
}

/// The firings after an instant, without the excluded days.
fn firings(input: &Json, from: &Zoned) -> Option<impl Iterator<Item = Timestamp> + use<>> {
    let (schedule, zone, exclusions) = calendar(input, from.time_zone().clone())?;
    let next = {
        let zone = zone.clone();
        move |at: &Timestamp| schedule.next_after(*at, &zone)
    };
    Some(
        std::iter::successors(next(&from.timestamp()), next)
            .filter(move |at| !exclusions.excludes(*at, &zone)),
    )
}

/// What the reference writes for a firing. Its clock stands at UTC, and it escapes as Go does.
fn tick(at: Timestamp, metadata: &Json) -> Json {
    let mut data = serde_json::json!({"eventTime": go_time::format(&at.to_zoned(TimeZone::UTC))});
    if !metadata.is_null() {
        data["metadata"] = metadata.clone();
    }
    let data = data.to_string().replace('<', "\\u003c").replace('>', "\\u003e");
    serde_json::json!({"at": at.to_string(), "data": data})
}

#[test]
fn vectors_of_calendars() {
    let answer = |row: &zetes_vectors::Row| {
        let input = &row.input;
        let Some(firings) = firings(input, &start(input)) else { return error() };
        let most = row.expect["ticks"].as_array().map_or(5, Vec::len);
        let ticks: Vec<Json> = firings.take(most).map(|at| tick(at, &input["metadata"])).collect();
        serde_json::json!({"ticks": ticks})
    };
    zetes_vectors::check_rows("calendar", answer, |expected, got| expected == got);
}

/// Where a catch-up begins: at the stored tick, or later where that is too long ago.
fn catch_up_from(input: &Json, start: Zoned) -> Option<Zoned> {
    let stored = match text(input, "lastPersisted") {
        _ if input["catchup"] == false => return Some(start),
        "" => return Some(start),
        stored => serde_json::from_str::<Json>(stored).unwrap(),
    };
    let from = go_time::parse_zoned(text(&stored, "eventTime")).ok()?;
    match text(input, "maxDuration") {
        "" => Some(from),
        most => Some(from.max(&start - duration::parse(most).ok()?)),
    }
}

#[test]
fn vectors_of_catch_ups() {
    check("calendar-catchup", |input| {
        let start = start(input);
        let Some(from) = catch_up_from(input, start.clone()) else { return error() };
        let begin = from.timestamp().to_string();
        let Some(firings) = firings(input, &from) else { return error() };
        let mut missed = Vec::new();
        for at in firings {
            let late = at >= start.timestamp();
            if !late {
                missed.push(at.to_string());
            }
            // The recorded answers stop there, with the last firing seen.
            if late || missed.len() == 21 {
                return serde_json::json!({"from": begin, "missed": missed, "next": at.to_string()});
            }
        }
        error()
    });
}

#[test]
fn a_zone_s_name_is_read_as_it_is_written() {
    assert!(zone("europe/warsaw").is_err());
    assert!(zone("+02:00").is_err());
    assert_eq!(zone("Local"), Ok(TimeZone::UTC));
    let schedule = Schedule::parse("TZ=Local 0 0 * * *", Descriptors::Refused).unwrap();
    assert!(schedule.own_zone().is_none());
}

#[test]
fn an_interval_begins_at_the_whole_second() {
    let from: Timestamp = "2026-06-15T12:00:00.7Z".parse().unwrap();
    let next = |milliseconds| {
        let every = Schedule::every(jiff::SignedDuration::from_millis(milliseconds));
        every.next_after(from, &TimeZone::UTC).unwrap().to_string()
    };
    assert_eq!(next(1500), "2026-06-15T12:00:01.5Z");
    assert_eq!(next(-5), "2026-06-15T12:00:01Z", "never less than a second");
}

#[test]
fn descriptors_are_schedules_only_where_they_are_accepted() {
    assert!(Schedule::parse("@daily", Descriptors::Refused).is_err());
    let daily = Schedule::parse("@daily", Descriptors::Accepted).unwrap();
    let noon: Timestamp = "2026-06-15T12:00:00Z".parse().unwrap();
    assert_eq!(daily.next_after(noon, &TimeZone::UTC).unwrap().to_string(), "2026-06-16T00:00:00Z");
    let every = Schedule::parse("@every 90s", Descriptors::Accepted).unwrap();
    assert_eq!(every.next_after(noon, &TimeZone::UTC).unwrap().to_string(), "2026-06-15T12:01:30Z");
}

#[test]
fn a_wrong_field_is_named_with_its_place() {
    let error = Schedule::parse("0 25 * * *", Descriptors::Refused).unwrap_err();
    assert_eq!(error.span(), Some(2..4));
    assert_eq!(error.to_string(), "hour `25`: expected numbers from 0 to 23, with `,` `-` `/` or `*`");
}

#[test]
fn an_unknown_zone_or_descriptor_is_named_with_its_place() {
    let place = |text: &'static str| {
        let span = Schedule::parse(text, Descriptors::Accepted).unwrap_err().span().unwrap();
        text.get(span).unwrap()
    };
    assert_eq!(place("CRON_TZ=Nowhere/City * * * * *"), "Nowhere/City");
    assert_eq!(place("TZ=UTC  @fortnightly"), "@fortnightly");
    assert_eq!(place("@every 5"), "@every 5");
    assert_eq!(place("0 0 * * MON-FRU"), "MON-FRU");
}

/// Every minute of the two days around a turn of the clock, asked one by one: the answer of a plain calendar of wall times.
#[test]
fn around_a_turned_clock_every_wall_time_fires_as_often_as_it_is_shown() {
    for (name, from) in [
        ("Europe/Warsaw", "2026-03-28T12:00:00Z"),
        ("Europe/Warsaw", "2026-10-24T12:00:00Z"),
        ("America/New_York", "2026-11-01T00:00:00Z"),
    ] {
        let (zone, from) = (zone(name).unwrap(), from.parse::<Timestamp>().unwrap());
        let schedule = Schedule::parse("*/10 1-3 * * *", Descriptors::Refused).unwrap();
        let minutes = (1..=2880).map(|minute| from + jiff::SignedDuration::from_mins(minute));
        let shown = minutes.filter(|at| {
            let wall = at.to_zoned(zone.clone());
            (1..=3).contains(&wall.hour()) && wall.minute() % 10 == 0
        });
        let fired = std::iter::successors(Some(from), |at| schedule.next_after(*at, &zone)).skip(1);
        let until = from + jiff::SignedDuration::from_mins(2880);
        let fired: Vec<Timestamp> = fired.take_while(|at| *at <= until).collect();
        assert_eq!(fired, shown.collect::<Vec<_>>(), "{name} {from}");
    }
}

#[test]
fn the_thirtieth_of_february_is_refused() {
    assert!(Schedule::parse("0 0 30 2 *", Descriptors::Refused).is_err());
}

#[test]
fn an_excluded_day_is_a_day_of_the_zone() {
    let exclusions =
        Exclusions::parse(&["EXDATE:20261225T000000Z,20270101T000000Z".into(), "RRULE:x".into()]).unwrap();
    let athens = zone("Europe/Athens").unwrap();
    let evening: Timestamp = "2026-12-24T22:30:00Z".parse().unwrap();
    assert!(exclusions.excludes(evening, &athens), "half past midnight of the 25th in Athens");
    assert!(!exclusions.excludes(evening, &TimeZone::UTC));
    assert!(Exclusions::parse(&["EXDATE:tomorrow".into()]).is_err());
}

#[test]
fn go_times_are_written_and_read() {
    let at: Timestamp = "2026-12-31T20:59:59.5Z".parse().unwrap();
    let text = go_time::format(&at.to_zoned(zone("Europe/Warsaw").unwrap()));
    assert_eq!(text, "2026-12-31 21:59:59.5 +0100 CET");
    assert_eq!(go_time::parse(&text), Ok(at));
    assert_eq!(go_time::parse("2026-12-31 20:59:59.5 +0000 UTC m=+1.000000001"), Ok(at));
    assert!(go_time::parse("yesterday").is_err());
}

proptest! {
    #[test]
    fn the_next_firing_is_later_and_the_last_before_it_is_found(
        minute in 0_u32..60, hour in 0_u32..24, seconds in 1_700_000_000_i64..1_900_000_000,
        zone_name in prop::sample::select(vec!["UTC", "Europe/Warsaw", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    ) {
        let zone = zone(zone_name).unwrap();
        let schedule = Schedule::parse(&format!("{minute} {hour} * * *"), Descriptors::Refused).unwrap();
        let from = Timestamp::from_second(seconds).unwrap();
        let next = schedule.next_after(from, &zone).unwrap();
        prop_assert!(next > from);
        let just_after = Timestamp::from_second(next.as_second() + 1).unwrap();
        prop_assert_eq!(schedule.last_before(just_after, &zone), Some(next));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[-0-9*/,?@A-Za-z= ]{0,30}") {
        drop(Schedule::parse(&text, Descriptors::Accepted));
        drop((duration::parse(&text), go_time::parse(&text)));
    }
}
