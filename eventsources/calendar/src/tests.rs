//! Ticks and their data, against the reference's answers.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::plan::Plan;
use crate::{Config, Data, event_time};

fn config(input: &Value) -> Config {
    let mut config: Config = serde_json::from_value(input.clone()).unwrap();
    if input["catchup"] == true {
        let max_duration = input["maxDuration"].as_str().map(str::to_owned);
        let catchup = Some(crate::CatchUp { enabled: true, max_duration });
        config.persistence = Some(crate::Persistence { catchup, config_map: None });
    }
    config
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn vectors_of_ticks_and_their_data() {
    let answer = |row: &zetes_vectors::Row| {
        let config = config(&row.input);
        let Ok(plan) = Plan::new(&config) else { return json!({"error": true}) };
        let count = row.expect["ticks"].as_array().map_or(0, Vec::len);
        let mut at = time(&row.input["start"]);
        let mut ticks = Vec::new();
        while let Some(next) = plan.next_after(at).filter(|_| ticks.len() < count) {
            let data = Data { event_time: event_time(next), metadata: config.metadata.as_ref() };
            // The reference's JSON escapes more than ours has to.
            let data = serde_json::to_string(&data).unwrap().replace('<', "\\u003c").replace('>', "\\u003e");
            ticks.push(json!({"at": next.to_string(), "data": data}));
            at = next;
        }
        json!({"ticks": ticks})
    };
    zetes_vectors::check_rows("calendar", answer, |expected, got| expected == got);
}

fn start(catch_up: &Value, last: Option<&str>) -> String {
    let config = json!({"schedule": "0 * * * *", "persistence": {"catchup": catch_up}});
    let plan = Plan::new(&serde_json::from_value(config).unwrap()).unwrap();
    let last = last.map(|last| last.parse().unwrap());
    plan.start(last, "2026-06-15T08:30:00Z".parse().unwrap()).to_string()
}

#[test]
fn missed_ticks_are_caught_up_with_only_if_asked_for_and_only_so_far_back() {
    let last = Some("2026-06-15T03:00:00Z");
    assert_eq!(start(&json!({"enabled": false}), last), "2026-06-15T08:30:00Z");
    assert_eq!(start(&json!({"enabled": true}), None), "2026-06-15T08:30:00Z");
    assert_eq!(start(&json!({"enabled": true}), last), "2026-06-15T03:00:00Z");
    assert_eq!(start(&json!({"enabled": true, "maxDuration": "2h"}), last), "2026-06-15T06:30:00Z");
}

#[test]
fn a_schedule_that_can_not_be_read_is_told_with_its_place() {
    let factory = eventsource_core::Factory::of::<crate::Calendar>();
    let findings = factory.check(&json!({"schedule": "61 * * * *"}));
    assert_eq!(findings[0].span, Some(0..2));
    assert_eq!(factory.check(&json!({}))[0].code, "missing-field");
}

#[test]
fn what_nobody_will_look_at_is_no_error() {
    let told = |config: Value| -> Vec<String> {
        let findings = eventsource_core::Factory::of::<crate::Calendar>().check(&config);
        findings.iter().map(|one| format!("{:?} {} {}", one.severity, one.code, one.path)).collect()
    };
    let catch_up = |enabled: bool| {
        json!({
            "schedule": "* * * * *", "interval": "nonsense",
            "persistence": {"catchup": {"enabled": enabled, "maxDuration": "x"}},
        })
    };
    assert_eq!(told(catch_up(false)), [""; 0]);
    assert_eq!(told(catch_up(true)), ["Error bad-value persistence.catchup.maxDuration"]);
    assert_eq!(told(json!({"interval": "-5s"})), ["Warning least-interval interval"]);
    assert_eq!(told(json!({"interval": "1d"})), ["Error bad-value interval"]);
}
