//! Whom to believe: the judgement on a peer's certificate chain, and the names a leaf speaks for.
//!
//! Pure: no I/O, and time is a parameter. The handshake has already proven that the peer holds the leaf's key; what
//! remains is whether the chain leads to a CA that we trust, and whose leaf it is (`federation.md` §2.2, §2.3).
//!
//! Inward there is [`Judge`]; outward [`ServerVerifier`] takes part in the handshake.

mod judge;
mod leaf;

pub use judge::{DEFAULT_VERIFY_DEPTH, Judge, Peer, Verdict};
pub use leaf::Leaf;
/// Why a peer's certificate chain is not believed; the text goes to the peer and to the log.
pub use tls::chain::ChainError as Refusal;
pub use tls::{ServerRefusal, ServerVerifier};
