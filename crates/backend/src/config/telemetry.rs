//! Traces.

use serde::{Deserialize, Serialize};

use crate::telemetry::Collector;

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// A collector near by that takes OTLP over HTTP, such as `http://127.0.0.1:4318`; without it nothing is exported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Collector>,
    /// Which share of the traces is exported, from 0 to 1. Backends with the same share export the same traces, whatever
    /// the flags of their callers say; `traceparent` tells others (`sampled`) what is exported.
    pub share: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { otlp: None, share: 1.0 }
    }
}

impl Telemetry {
    /// What is wrong with the share, if anything is.
    pub(super) fn transgression(&self) -> Option<(&'static str, String)> {
        let fine = (0.0..=1.0).contains(&self.share);
        (!fine).then(|| ("telemetry.share", format!("{} is not between 0 and 1", self.share)))
    }
}
