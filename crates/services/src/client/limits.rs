//! The limits of a [`super::FederationClient`].

use std::time::Duration;

/// What a client of other backends remembers and reads at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// How long the version agreed on with a remote is remembered.
    pub version_ttl: Duration,
    /// With how many remotes a version is remembered at most.
    pub version_remotes: usize,
    /// Longest JSON answer in bytes; beyond it 533 `federation-invalid-body`.
    pub answer_bytes: usize,
    /// How long a JSON answer may take from the call to its last byte; beyond it 533 `federation-http2-error`. Each
    /// step before has its own, shorter limit in the federator; this one bounds an answer that trickles.
    pub answer_time: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            version_ttl: Duration::from_secs(600),
            version_remotes: 10_000,
            answer_bytes: 16 * 1024 * 1024,
            answer_time: Duration::from_secs(90),
        }
    }
}
