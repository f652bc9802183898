//! Where log lines go: standard error, for people or for machines.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{Log, LogFormat};

/// The environment variable that overrides the configured level.
const VARIABLE: &str = "FERRULE_LOG";

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is neither a level nor a filter.
    #[error("log.level: {0}")]
    Level(String),
    /// Something in this process logs already.
    #[error("the log was started before")]
    Twice,
}

/// Starts logging as configured.
///
/// # Errors
/// The level does not parse, or logging was started before.
pub fn start(log: &Log) -> Result<(), LoggingError> {
    let level = std::env::var(VARIABLE).unwrap_or_else(|_| log.level.clone());
    let filter = EnvFilter::try_new(&level).map_err(|e| LoggingError::Level(format!("`{level}`: {e}")))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    }
    .map_err(|_| LoggingError::Twice)
}

/// Starts logging to standard error for a command that has no configuration file.
///
/// # Errors
/// As [`start`].
pub fn to_stderr(level: &str) -> Result<(), LoggingError> {
    start(&Log { level: level.into(), format: LogFormat::Text })
}
