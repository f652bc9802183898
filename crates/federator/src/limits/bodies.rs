//! Limits of the bodies of requests.

use std::time::Duration;

use super::{IngressLimits, KIB, MIB};

/// When to try again where there was no memory for the body of a request.
pub const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Limits of the bodies of requests. Everywhere the same, unless somebody says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Size in bytes, unless the RPC says more; beyond it 413.
    pub bytes: usize,
    /// Silence within a body; beyond it 408.
    pub idle: Duration,
    /// From the end of the headers to the end of the body, however steadily it trickles; beyond it 408.
    pub total: Duration,
    /// How much of bodies is held at a time, in all and for each of those for whom they are. A request waits for room as long
    /// as its body might be silent; beyond it 503.
    pub memory: MemoryLimits,
    /// How much of the body of a request is read and forgotten that is refused by its head alone.
    pub discarded_bytes: usize,
    /// How long that may take; then the answer goes out before the body is whole.
    pub discarding: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        IngressLimits::default().bodies()
    }
}

/// How many bytes of bodies are held at a time. Small ones and large ones have rooms of their own, so that neither waits for
/// the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// In all, small ones and large ones.
    pub all: usize,
    /// Of large ones, those of one of those for whom bodies are held. At least as much as the largest body.
    pub each: usize,
    /// Up to this a body is small.
    pub small_bytes: usize,
    /// What small ones have of all.
    pub small: usize,
    /// Of small ones, those of one of those for whom bodies are held.
    pub small_each: usize,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self { all: 256 * MIB, each: 64 * MIB, small_bytes: 64 * KIB, small: 32 * MIB, small_each: 8 * MIB }
    }
}

impl MemoryLimits {
    /// All bodies are alike.
    pub fn of_one_size(all: usize, each: usize) -> Self {
        Self { all, each, small_bytes: 0, small: 0, small_each: 0 }
    }
}

/// What remotes have of the memory for bodies that are silent, or were never called. What a remote was asked is held until it
/// answers, so that a few silent ones would hold all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnheardLimits {
    /// For small bodies, in bytes, each.
    pub small: usize,
    /// For large bodies, in bytes, all of them together. At least as much as the largest body.
    pub large: usize,
    /// How long a remote may have calls under way and answer none before it counts as silent.
    pub silence: Duration,
    /// How long an answer counts. A call in vain ends that at once.
    pub remembered_for: Duration,
    /// Of how many remotes it is remembered.
    pub remembered: usize,
}

impl Default for UnheardLimits {
    fn default() -> Self {
        Self {
            small: MIB,
            large: 64 * MIB,
            silence: Duration::from_secs(2),
            remembered_for: Duration::from_secs(60),
            remembered: 10_000,
        }
    }
}
