//! Versions of the federation API and how two backends agree on one (`federation.md` §6.1).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// A version of the federation API. The current one is 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiVersion(pub u32);

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The versions that Ferrule speaks, ascending.
pub const SUPPORTED: [ApiVersion; 4] = [ApiVersion(0), ApiVersion(1), ApiVersion(2), ApiVersion(3)];

/// A half-open range of versions: `from ≤ v < until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// First version.
    pub from: ApiVersion,
    /// First version that is out of the range; `None` if it goes on.
    #[serde(rename = "until_excl", default, skip_serializing_if = "Option::is_none")]
    pub until: Option<ApiVersion>,
}

impl VersionRange {
    /// Every version.
    pub const ALL: Self = Self { from: ApiVersion(0), until: None };

    /// From that version on.
    pub const fn from(version: u32) -> Self {
        Self { from: ApiVersion(version), until: None }
    }

    /// Before that version.
    pub const fn until(version: u32) -> Self {
        Self { from: ApiVersion(0), until: Some(ApiVersion(version)) }
    }

    /// From the first one on, before the second one.
    pub const fn between(from: u32, until: u32) -> Self {
        Self { from: ApiVersion(from), until: Some(ApiVersion(until)) }
    }

    /// Whether the version lies in the range.
    pub fn contains(self, version: ApiVersion) -> bool {
        version >= self.from && self.until.is_none_or(|until| version < until)
    }

    /// Whether a version lies in both ranges.
    pub fn overlaps(self, other: Self) -> bool {
        let begins_before_end_of = |a: Self, b: Self| b.until.is_none_or(|until| a.from < until);
        begins_before_end_of(self, other) && begins_before_end_of(other, self)
    }
}

/// The answer of the RPC `api-version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// What the backend speaks. A backend of the first version leaves it out, which means `[0]`.
    #[serde(default = "only_version_0", deserialize_with = "null_is_version_0")]
    pub supported_versions: Vec<u32>,
    /// The same for peers that know versions 0 and 1 only; their parser demands it.
    pub supported: Vec<u32>,
}

fn only_version_0() -> Vec<u32> {
    vec![0]
}

fn null_is_version_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(only_version_0))
}

impl VersionInfo {
    /// What Ferrule answers.
    pub fn own() -> Self {
        let supported_versions: Vec<u32> = SUPPORTED.iter().map(|v| v.0).collect();
        let supported = supported_versions.iter().copied().filter(|v| *v <= 1).collect();
        Self { supported_versions, supported }
    }
}

/// Why two backends have no version in common. Each is a 533 `federation-version-error` to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// The remote lists nothing.
    #[error("the remote backend supports no version at all")]
    Empty,
    /// The remote speaks only newer versions.
    #[error("the remote backend is too new")]
    RemoteTooNew,
    /// The remote speaks only older versions.
    #[error("the remote backend is too old")]
    RemoteTooOld,
}

/// The highest version that both sides speak.
pub fn negotiate(remote: &VersionInfo) -> Result<ApiVersion, NegotiationError> {
    let common = SUPPORTED.iter().rev().find(|own| remote.supported_versions.contains(&own.0));
    if let Some(version) = common {
        return Ok(*version);
    }
    match remote.supported_versions.iter().max() {
        None => Err(NegotiationError::Empty),
        Some(newest) if *newest < SUPPORTED[0].0 => Err(NegotiationError::RemoteTooOld),
        Some(_) => Err(NegotiationError::RemoteTooNew),
    }
}
