//! One look at the server, for `validate --connect`.

use bus_core::{BusError, Health};
use serde_json::Value;

use crate::api::{ApiError, code};
use crate::layout::Layout;
use crate::link::Live;
use crate::options::Options;
use crate::streams::{self, Wanted};

pub(crate) async fn check(options: &Options, layout: &Layout) -> Result<Health, BusError> {
    let (live, _events) = Live::connect(options).await.map_err(BusError::Unavailable)?;
    let mut warnings = live.warnings().to_vec();
    for wanted in streams::wanted(layout, &options.stream) {
        check_stream(&live, options, &wanted, &mut warnings).await?;
    }
    Ok(Health { failure: None, warnings })
}

/// A stream that is there is given its own settings again; one that isn't is made and taken away.
async fn check_stream(
    live: &Live,
    options: &Options,
    wanted: &Wanted,
    warnings: &mut Vec<String>,
) -> Result<(), ApiError> {
    let name = &wanted.name;
    match live.stream_info(name).await {
        Ok(info) => {
            live.ask::<Value>(&format!("STREAM.UPDATE.{name}"), &Value::Object(info.config)).await.map(drop)
        }
        Err(error) if error.is(code::STREAM_NOT_FOUND) => {
            streams::create(live, &options.clock, wanted, warnings).await?;
            let deleted = live.ask::<Value>(&format!("STREAM.DELETE.{name}"), &Value::Null).await;
            if let Err(error) = deleted {
                warnings.push(format!("the check made stream `{name}`, and could not take it away: {error}"));
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}
