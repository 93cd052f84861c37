//! Logs: for people on a terminal, JSON otherwise.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How log records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    Text,
    Json,
}

/// Begins to write log records to stderr. `directives` as in `info` or `warn,zetes=debug`.
///
/// # Errors
/// Directives that can't be read.
pub(crate) fn init(format: LogFormat, directives: &str) -> anyhow::Result<()> {
    // The bus on JetStream tells what its client does, once for each thing; who wants the client's own words names it.
    let quiet = if directives.contains("async_nats") { "" } else { ",async_nats=off" };
    let filter = EnvFilter::try_new(format!("{directives}{quiet}")).map_err(|error| {
        crate::cli::Usage(format!("--log-level `{directives}`: {error}; try `info` or `warn,zetes=debug`"))
    })?;
    let terminal = std::io::stderr().is_terminal();
    let text = format == LogFormat::Text || (format == LogFormat::Auto && terminal);
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if text {
        builder.with_ansi(terminal).with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_current_span(true).with_span_list(false).init();
    }
    Ok(())
}
