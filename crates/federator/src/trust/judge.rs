//! The judgement on those who call us.

use std::{net::SocketAddr, sync::Arc};

use rustls_pki_types::CertificateDer;
use tls::{
    Roots,
    chain::{Purpose, verify},
};
use types::Timestamp;

use super::{Leaf, Refusal};

/// How many signatures may lie between a trusted root and a leaf where nothing else is configured: room for one
/// intermediate, through which many CAs sign.
pub const DEFAULT_VERIFY_DEPTH: usize = 2;

/// Judges certificate chains of peers that call us.
#[derive(Clone, Debug)]
pub struct Judge {
    roots: Arc<Roots>,
    verify_depth: usize,
}

/// A peer that completed a handshake.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// Whether it is believed.
    pub verdict: Verdict,
}

/// The judgement on a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its chain is good, and this is its leaf.
    Authenticated(Arc<Leaf>),
    /// It may be told why not, and nothing else.
    Refused(Refusal),
}

impl Judge {
    /// `verify_depth` counts the signatures between a root and the leaf: 1 where the root signs the leaf, 3 for
    /// root → first intermediate → second intermediate → leaf.
    pub fn new(roots: Arc<Roots>, verify_depth: usize) -> Self {
        Self { roots, verify_depth }
    }

    /// Judges a chain, leaf first, as the handshake brought it. The rules are those of [`tls::chain::verify`] for
    /// client certificates; a leaf without subject alternative names is fine (`federation.md` §2.2).
    ///
    /// # Errors
    /// [`Refusal`]: why the peer is not believed.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<Leaf, Refusal> {
        let verified = verify(chain, &self.roots, Purpose::ClientAuth, now, Some(self.verify_depth))?;
        Ok(verified.leaf.into())
    }
}
