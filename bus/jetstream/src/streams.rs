//! The streams, created where they are missing and brought in line where they are not (S43).

use std::time::Duration;

use serde_json::{Map, Value, json};
use zetes_runtime::Clock;

use crate::api::{ApiError, StreamInfo, code};
use crate::layout::Layout;
use crate::link::Live;
use crate::options::{Options, Stream};

/// A stream that is there and not there is looked at again so often, with this pause.
const TRIES: u32 = 30;
const SETTLING: Duration = Duration::from_millis(200);
/// Less room than this for a stream is a failure.
const LEAST_BYTES: i64 = 1 << 20;
/// Codes with which a server says that it has no room for so many bytes: of storage, of memory, of the account, in the cluster.
const NO_ROOM: [u64; 6] = [10_002, code::NO_PEERS, 10_023, 10_028, 10_047, 10_120];
/// Codes with which a server says that it is too few for so many replicas.
const TOO_FEW_SERVERS: [u64; 3] = [code::NO_PEERS, 10_052, 10_074];

type Config = Map<String, Value>;

/// What a stream is asked to be.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    config: Config,
    /// The settings that an existing one is given.
    ours: Vec<&'static str>,
}

/// Brings all streams in line, and gives what could not be had.
pub(crate) async fn reconcile(
    live: &Live,
    layout: &Layout,
    options: &Options,
) -> Result<Vec<String>, ApiError> {
    let mut warnings = Vec::new();
    for wanted in wanted(layout, &options.stream) {
        match live.stream_info(&wanted.name).await {
            Ok(info) => update(live, &wanted, info, &mut warnings).await?,
            Err(error) if error.is(code::STREAM_NOT_FOUND) => {
                create(live, &options.clock, &wanted, &mut warnings).await?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(warnings)
}

/// The streams of a bus: events, records, state.
pub(crate) fn wanted(layout: &Layout, stream: &Stream) -> Vec<Wanted> {
    let retention = &stream.retention;
    let age = retention.max_age.map_or(0, nanoseconds);
    let count = |limit: Option<u64>| limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
    let discard = if retention.discard_old { "old" } else { "new" };
    let window = nanoseconds(retention.duplicate_window).max(100_000_000);
    let window = if age > 0 { window.min(age) } else { window };
    let common = |subjects: String| -> Config {
        let config = json!({
            "subjects": [subjects], "retention": "limits", "storage": "file", "num_replicas": stream.replicas.max(1),
            "max_consumers": -1, "max_msg_size": -1, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_msgs_per_subject": -1,
            "discard": "old", "duplicate_window": 120_000_000_000_u64.min(if age > 0 { age } else { u64::MAX }),
        });
        config.as_object().cloned().unwrap_or_default()
    };
    let with = |mut config: Config, more: Value| -> Config {
        config.extend(more.as_object().cloned().unwrap_or_default());
        config
    };
    let events = with(
        common(layout.event_subjects()),
        json!({"max_age": age, "max_msgs": count(retention.max_events), "max_bytes": count(retention.max_bytes),
            "discard": discard, "duplicate_window": window}),
    );
    let records = with(
        common(layout.record_subjects()),
        json!({"max_age": age, "max_bytes": count(retention.max_bytes)}),
    );
    let state = with(
        common(layout.state_subjects()),
        json!({"max_msgs_per_subject": 1, "duplicate_window": 120_000_000_000_u64}),
    );
    let ours = vec!["max_age", "max_msgs", "max_bytes", "duplicate_window", "num_replicas", "discard"];
    // Argo's stream is left as it is, unless somebody wrote down what it is to do when it is full.
    let events_ours = match (layout.is_argo(), stream.discard_written) {
        (false, _) => ours.clone(),
        (true, true) => vec!["discard"],
        (true, false) => Vec::new(),
    };
    let named = |name: &str, config: Config, ours: Vec<&'static str>| Wanted {
        name: name.to_owned(),
        config: with(config, json!({"name": name})),
        ours,
    };
    vec![
        named(&layout.events, events, events_ours),
        named(&layout.records, records, ours.clone()),
        named(&layout.state, state, ours),
    ]
}

/// Creates a stream, with fewer replicas or bytes where the server has no room for what is asked.
pub(crate) async fn create(
    live: &Live,
    clock: &Clock,
    wanted: &Wanted,
    warnings: &mut Vec<String>,
) -> Result<(), ApiError> {
    let mut config = wanted.config.clone();
    let mut tries = 0;
    loop {
        let path = format!("STREAM.CREATE.{}", wanted.name);
        let Err(error) = live.ask::<Value>(&path, &Value::Object(config.clone())).await else { break };
        let ApiError::Refused { code, description } = &error else { return Err(error) };
        tries += 1;
        if *code == code::STREAM_NAME_IN_USE && tries < TRIES {
            // Another process makes it now, or the cluster has not put away one that it could not make.
            if live.stream_info(&wanted.name).await.is_ok() {
                return Ok(());
            }
            clock.sleep(SETTLING).await;
        } else if !lower(&mut config, &wanted.config, *code, description) {
            return Err(explained(error, &wanted.name));
        }
    }
    tell_lowered(wanted, &config, warnings);
    Ok(())
}

/// Asks for less of what the server has not enough of. Old servers do not say which it is: then replicas are lowered first, and if one
/// is too many, bytes.
fn lower(config: &mut Config, wanted: &Config, code: u64, description: &str) -> bool {
    let is_of_room = NO_ROOM.contains(&code) && (code != code::NO_PEERS || description.contains("storage"));
    if TOO_FEW_SERVERS.contains(&code) && !is_of_room && fewer_replicas(config) {
        return true;
    }
    if code == code::NO_PEERS {
        config
            .extend(wanted.get("num_replicas").map(|replicas| ("num_replicas".to_owned(), replicas.clone())));
    }
    NO_ROOM.contains(&code) && less_bytes(config)
}

fn fewer_replicas(config: &mut Config) -> bool {
    let replicas = config.get("num_replicas").and_then(Value::as_u64).unwrap_or(1);
    if replicas > 1 {
        config.insert("num_replicas".to_owned(), json!(replicas - 1));
    }
    replicas > 1
}

fn less_bytes(config: &mut Config) -> bool {
    let half = config.get("max_bytes").and_then(Value::as_i64).unwrap_or(-1) / 2;
    if half >= LEAST_BYTES {
        config.insert("max_bytes".to_owned(), json!(half));
    }
    half >= LEAST_BYTES
}

/// Says which limits are lower than they were asked to be.
fn tell_lowered(wanted: &Wanted, config: &Config, warnings: &mut Vec<String>) {
    let name = &wanted.name;
    let number = |config: &Config, key: &str| config.get(key).and_then(Value::as_i64).unwrap_or(-1);
    let (asked, has) = (number(&wanted.config, "num_replicas"), number(config, "num_replicas"));
    if has < asked {
        warnings.push(format!("stream `{name}` has {has} replicas instead of {asked}: the cluster has no more servers for it; add servers, or lower replicas"));
    }
    let (asked, has) = (number(&wanted.config, "max_bytes"), number(config, "max_bytes"));
    if has != asked {
        warnings.push(format!("stream `{name}` holds at most {has} bytes instead of {asked}: the server or the account has no room for more; raise its limit for files, or lower maxBytes"));
    }
}

/// Brings an existing stream in line: at once, or setting by setting where the server refuses that.
async fn update(
    live: &Live,
    wanted: &Wanted,
    info: StreamInfo,
    warnings: &mut Vec<String>,
) -> Result<(), ApiError> {
    let changed: Vec<&str> =
        wanted.ours.iter().copied().filter(|key| info.config.get(*key) != wanted.config.get(*key)).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let path = format!("STREAM.UPDATE.{}", wanted.name);
    let with = |base: &Config, keys: &[&str]| {
        let mut config = base.clone();
        for key in keys {
            config.insert((*key).to_owned(), wanted.config.get(*key).cloned().unwrap_or(Value::Null));
        }
        config
    };
    match live.ask::<Value>(&path, &Value::Object(with(&info.config, &changed))).await {
        Ok(_) => return Ok(()),
        Err(ApiError::Refused { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut config = info.config;
    for key in changed {
        let candidate = with(&config, &[key]);
        match live.ask::<Value>(&path, &Value::Object(candidate.clone())).await {
            Ok(_) => config = candidate,
            Err(ApiError::Refused { description, .. }) => warnings.push(format!(
                "stream `{}` keeps its {key} {} instead of {}: {description}",
                wanted.name,
                config.get(key).unwrap_or(&Value::Null),
                wanted.config.get(key).unwrap_or(&Value::Null)
            )),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A refusal with what to do about it.
fn explained(error: ApiError, name: &str) -> ApiError {
    let ApiError::Refused { code, description } = error else { return error };
    let advice = match code {
        10_065 => "; another stream has its subjects: remove that one, or give this EventBus another name",
        10_026 => "; the account may have no more streams: raise its limit",
        10_076 | 10_039 => "; switch JetStream on for this account",
        _ if NO_ROOM.contains(&code) => "; raise the limits of the server or of the account",
        _ => "",
    };
    ApiError::Refused { code, description: format!("stream `{name}` can't be made: {description}{advice}") }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
