//! How much of a conversation those see who join later.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// What newcomers see: `null`, or how far back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Option<HistorySharingConfig>", into = "Option<HistorySharingConfig>")]
pub enum History {
    /// Nothing.
    #[default]
    Private,
    /// Some of it.
    Shared(HistorySharingConfig),
}

/// How far back newcomers see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySharingConfig {
    /// The age of the oldest message.
    pub depth: HistoryDuration,
}

impl From<Option<HistorySharingConfig>> for History {
    fn from(config: Option<HistorySharingConfig>) -> Self {
        config.map_or(Self::Private, Self::Shared)
    }
}

impl From<History> for Option<HistorySharingConfig> {
    fn from(history: History) -> Self {
        match history {
            History::Private => None,
            History::Shared(config) => Some(config),
        }
    }
}

/// A length of time, or all of it: `"infinite"` or the seconds, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HistoryDuration {
    /// So many seconds.
    Finite(u64),
    /// All of it.
    Infinite,
}

/// The text is neither `infinite` nor a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the depth of a history is \"infinite\" or a number of seconds")]
pub struct HistoryDurationError;

impl FromStr for HistoryDuration {
    type Err = HistoryDurationError;

    fn from_str(text: &str) -> Result<Self, HistoryDurationError> {
        if text == "infinite" {
            return Ok(Self::Infinite);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(HistoryDurationError);
        }
        text.parse().map(Self::Finite).map_err(|_| HistoryDurationError)
    }
}

impl fmt::Display for HistoryDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(seconds) => seconds.fmt(f),
            Self::Infinite => f.write_str("infinite"),
        }
    }
}

impl TryFrom<String> for HistoryDuration {
    type Error = HistoryDurationError;

    fn try_from(text: String) -> Result<Self, HistoryDurationError> {
        text.parse()
    }
}

impl From<HistoryDuration> for String {
    fn from(duration: HistoryDuration) -> Self {
        duration.to_string()
    }
}
