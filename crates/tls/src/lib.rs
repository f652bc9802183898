//! rustls in one place: key material, trust anchors, chains, reload, issuing.
//!
//! - [`Identity`] and [`Roots`] are key material that was read and found usable; [`TlsError`] says which file is not,
//!   and why, in words for an operator.
//! - [`Contexts`] are what connections are made with; [`Reloader`] replaces them when files change.
//! - [`chain::verify`] judges a peer's certificate chain, [`names`] compares names, [`Certificate`] has the facts.
//! - [`issue`] is a small CA for `ferrule init`, the laboratory and tests.
//!
//! The crypto provider is always [`provider`], passed explicitly; the process-wide default is never consulted.

mod certificate;
pub mod chain;
mod config;
mod contexts;
mod error;
mod explain;
mod identity;
pub mod issue;
pub mod names;
mod pem;
mod printable;
mod reload;
mod roots;
mod verifier;
mod warning;

pub use certificate::{Certificate, CertificateError, KeyKind, KeyUsages, Purposes};
pub use config::{acceptor, connector, provider};
pub use contexts::{Contexts, ContextsHandle};
pub use error::{Problem, TlsError};
pub use explain::explain;
pub use identity::{Identity, Role};
pub use pem::MAX_PEM_FILE;
pub use reload::{Check, DEFAULT_CHECK_INTERVAL, KeyFiles, Reloader, RootSources, Sources};
pub use roots::Roots;
pub use verifier::{PossessionVerifier, ServerRefusal, ServerVerifier};
pub use warning::Warning;
