//! Wire's vocabulary, without I/O: the domain of a backend, qualified ids, handles, client ids, and the two
//! things every rule takes as a parameter instead of asking the operating system: time and randomness.
//!
//! Syntax follows `brig.md` §2 of the protocol reference. Every type here is *parsed*: a value that exists is valid.

mod block;
mod clock;
mod domain;
mod handle;
mod ids;
mod network;
mod policy;
mod rng;
mod trace;
pub mod written;

pub use block::{AddressBlock, AddressBlockError};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use domain::{Domain, DomainError};
pub use handle::{Handle, HandleError};
pub use ids::{
    AssetKey, BotId, ClientId, ClientIdError, ConversationId, ProviderId, Qualified, ServiceId, TeamId, UserId,
};
pub use network::network;
pub use policy::{FederationDomainConfig, FederationPolicy, FederationRestriction, FederationStrategy, SearchPolicy};
pub use rng::{Rng, SeededRng, SystemRng};
pub use trace::{
    MAX_TRACE_STATE, SAMPLED, SpanId, TRACEPARENT, TRACESTATE, TraceContext, TraceId, TraceParent, TraceParentError,
    record_traces,
};
