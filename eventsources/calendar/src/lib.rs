//! `calendar`: events by cron schedule or interval (spec/event-sources.md 2.1).
//!
//! Each tick is one event: its id is made from the planned instant, so that a tick which is emitted again after a crash is
//! a duplicate. The last tick is remembered durably; ticks that were missed while nothing ran are emitted only if catch-up
//! is asked for (S39).

mod config;
mod plan;

use std::collections::BTreeMap;

use eventsource_core::{Context, Draft, Error, EventSource};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use zetes_api::{EventId, Invalid};
use zetes_schedule::go_time;

pub use config::{CatchUp, Config, PersistedIn, Persistence};
use plan::Plan;

/// The kind `calendar`.
pub struct Calendar {
    plan: Plan,
    metadata: Option<BTreeMap<String, String>>,
}

/// The shape of the data.
#[derive(Serialize)]
struct Data<'d> {
    #[serde(rename = "eventTime")]
    event_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'d BTreeMap<String, String>>,
}

impl EventSource for Calendar {
    const KIND: &'static str = "calendar";
    type Config = Config;

    fn validate(config: &Config) -> Result<(), Invalid> {
        config.check()
    }

    async fn connect(config: Config, _cx: &Context) -> Result<Self, Error> {
        let plan = Plan::new(&config).map_err(Error::permanent)?;
        Ok(Self { plan, metadata: config.metadata })
    }

    async fn run(self, cx: &Context) -> Result<(), Error> {
        let now = cx.clock().now();
        let mut last = self.plan.start(last_tick(cx).await?, now);
        while let Some(next) = self.plan.next_after(last) {
            if !cx.wait_until(next).await {
                return Ok(());
            }
            self.emit(cx, next).await?;
            last = next;
        }
        Err(Error::permanent("the schedule has no further tick"))
    }
}

impl Calendar {
    async fn emit(&self, cx: &Context, at: Timestamp) -> Result<(), Error> {
        let data = Data { event_time: event_time(at), metadata: self.metadata.as_ref() };
        let id = EventId::from(format!("{}-{}", cx.event(), at.as_second()));
        cx.emit(Draft::json(Some(id), &data)?).await?;
        cx.set_cursor(at.to_string().into()).await
    }
}

/// As the reference writes it on a clock that stands at UTC.
fn event_time(at: Timestamp) -> String {
    go_time::format(&at.to_zoned(TimeZone::UTC))
}

/// The tick that was emitted last, whenever that was. A cursor that can't be read counts as none.
async fn last_tick(cx: &Context) -> Result<Option<Timestamp>, Error> {
    let cursor = cx.cursor().await?;
    let text = cursor.as_ref().and_then(|cursor| std::str::from_utf8(cursor).ok());
    Ok(text.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests;
