//! Whom to believe: the judgement on a peer's certificate chain, and the names a leaf speaks for.
//!
//! Pure: no I/O, and time is a parameter. The handshake has already proven that the peer holds the leaf's key; what
//! remains is whether the chain leads to a CA that we trust, and whose leaf it is (`federation.md` §2.2, §2.3).

mod leaf;

pub use leaf::Leaf;
