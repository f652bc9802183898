//! Where log lines go: standard error, for people or for machines.

mod json;
mod text;

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{LevelFilter, filter_fn},
    fmt,
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::{
    config::{Log, LogFormat},
    telemetry::{Spans, is_step},
};

/// How the names of fields begin that a span has for traces alone.
const FOR_TRACES: &str = "otel.";

/// The environment variable that overrides the configured level.
const VARIABLE: &str = "FERRULE_LOG";

/// The log cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is neither a level nor a filter.
    #[error("{option}: `{level}` is no level and no filter: {problem}")]
    Level {
        /// The option or the variable.
        option: &'static str,
        /// What it says.
        level: String,
        /// What is wrong.
        problem: String,
    },
    /// The variable that overrides the level is not UTF-8.
    #[error("{VARIABLE}: the environment variable is not UTF-8")]
    NotUtf8,
    /// Something in this process logs already.
    #[error("the log was started before")]
    Twice,
}

/// Starts logging as configured.
///
/// # Errors
/// The level does not parse, or logging was started before.
pub fn start(log: &Log) -> Result<(), LoggingError> {
    start_with(log, None)
}

/// The same, and `spans` learns of all that is traced, whatever the level.
///
/// # Errors
/// As [`start`].
pub fn start_with(log: &Log, spans: Option<Spans>) -> Result<(), LoggingError> {
    let registry = tracing_subscriber::registry();
    let started = match (filter(log)?, spans) {
        // As most have it: nothing need be remembered of who wants what.
        (Filter::Level(level), None) => registry.with(level).with(lines(log.format)).try_init(),
        (filter, spans) => {
            let lines = match filter {
                Filter::Level(level) => lines(log.format).with_filter(level).boxed(),
                Filter::Directives(directives) => lines(log.format).with_filter(*directives).boxed(),
            };
            let spans = spans.map(|spans| spans.with_filter(filter_fn(is_step)).boxed());
            registry.with([lines].into_iter().chain(spans).collect::<Vec<_>>()).try_init()
        }
    };
    started.map_err(|_| LoggingError::Twice)
}

fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    match format {
        LogFormat::Json => Box::new(json::Json(std::io::stderr)),
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal();
            Box::new(fmt::layer().fmt_fields(text::Text).with_writer(std::io::stderr).with_ansi(colours))
        }
    }
}

/// Whether logging could be started as configured.
///
/// # Errors
/// The level does not parse.
pub fn check(log: &Log) -> Result<(), LoggingError> {
    filter(log).map(drop)
}

/// Which lines are written.
enum Filter {
    /// Down to that level. Asked for each span and each line, it answers at once.
    Level(LevelFilter),
    /// By target, span and level.
    Directives(Box<EnvFilter>),
}

fn filter(log: &Log) -> Result<Filter, LoggingError> {
    let (option, level) = match std::env::var(VARIABLE) {
        Ok(level) => (VARIABLE, level),
        Err(std::env::VarError::NotPresent) => ("log.level", log.level.clone()),
        Err(std::env::VarError::NotUnicode(_)) => return Err(LoggingError::NotUtf8),
    };
    if let Ok(level) = level.parse() {
        return Ok(Filter::Level(level));
    }
    let directives = EnvFilter::try_new(&level);
    let directives = directives.map_err(|e| LoggingError::Level { option, level, problem: e.to_string() })?;
    Ok(Filter::Directives(Box::new(directives)))
}

/// Starts logging to standard error for a command that has no configuration file.
///
/// # Errors
/// As [`start`].
pub fn to_stderr(level: &str) -> Result<(), LoggingError> {
    start(&Log { level: level.into(), format: LogFormat::Text })
}
