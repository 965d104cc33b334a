//! What is logged, and how: to stderr, never to stdout.

use crate::args::{Color, LogFormat};
use crate::output::{LogWriter, stderr_is_terminal};
use crate::prelude::*;
use tracing_subscriber::EnvFilter;

/// Sets the process's log up; `default` is what is logged when nobody says anything.
pub fn init(global: &Global, default: &str) -> Result<()> {
    let filter = global.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        usage_error(format!("`--log {filter}` can't be read: {error}"))
            .hint("write a level such as `debug`, or levels by module: `warn,uptime_engine=debug`")
    })?;
    let ansi = match global.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            stderr_is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| LogWriter).with_ansi(ansi);
    match global.log_format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    Ok(())
}
