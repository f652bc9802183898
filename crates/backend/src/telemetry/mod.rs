//! Traces for an OpenTelemetry collector, by OTLP over HTTP with JSON.
//!
//! Where it is switched off nothing of it runs; the ids of traces still cross from backend to backend. A collector that is
//! slow or away costs a bounded queue and some lines in the log, and no request waits for it.

mod encode;
mod export;
mod spans;

use std::{str::FromStr, sync::Arc};

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::mpsc;
use types::{Domain, record_traces};

pub(crate) use self::spans::is_step;
pub use self::{
    export::{Exporter, Exporting},
    spans::Spans,
};
use crate::limits;

/// Where a collector listens: `http://host:port`, perhaps with a path before `/v1/traces`.
///
/// Never by TLS: what is exported goes to a collector beside the backend, which carries it on by TLS if it must go far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    host: String,
    port: u16,
    path: String,
}

/// The text names no collector that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not `http://host:port`, where a collector takes OTLP over HTTP; TLS is the collector's to add")]
pub struct CollectorError;

impl FromStr for Collector {
    type Err = CollectorError;

    fn from_str(text: &str) -> Result<Self, CollectorError> {
        let uri: Uri = text.parse().map_err(|_| CollectorError)?;
        let plain = uri.scheme_str() == Some("http") && uri.query().is_none();
        let authority = uri.authority().filter(|authority| plain && !authority.as_str().contains('@'));
        let host = authority.map(|authority| authority.host()).filter(|host| !host.is_empty()).ok_or(CollectorError)?;
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(4318), path })
    }
}

impl std::fmt::Display for Collector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

impl Serialize for Collector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Collector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` {error}")))
    }
}

/// What takes note of spans, for [`logging::start_with`](crate::logging::start_with), and what sends them, to be run in the
/// runtime. `share` of the traces are exported, the same ones at every backend that has the same share, whatever their
/// callers' flags say; what is sent to others has the flag of what is exported. The domain is that
/// of the backend, where it is known so early.
pub fn start(collector: &Collector, share: f64, domain: Option<&Domain>) -> (Spans, Exporter) {
    record_traces(share);
    let (sender, receiver) = mpsc::channel(limits::SPANS_WAITING);
    let dropped = Arc::default();
    let spans = Spans::new(sender, Arc::clone(&dropped), share);
    (spans, Exporter::new(collector.clone(), domain.cloned(), receiver, dropped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_reached_by_plain_http() {
        for (text, expected) in [
            ("http://127.0.0.1:4318", Some("http://127.0.0.1:4318")),
            ("http://otel", Some("http://otel:4318")),
            ("http://[::1]:9/otlp/", Some("http://[::1]:9/otlp")),
            ("https://otel:4318", None),
            ("otel:4318", None),
            ("http://user:secret@otel", None),
            ("http://otel/?a=b", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Collector>().ok().map(|c| c.to_string()).as_deref(), expected, "{text}");
        }
    }
}
