//! rustls in one place: key material, trust anchors, chains, reload, issuing.
//!
//! - [`Identity`] and [`Roots`] are key material that was read and found usable; [`TlsError`] says which file is not,
//!   and why, in words for an operator.
//! - [`Contexts`] are what connections are made with; [`Reloader`] replaces them when files change.
//! - [`chain::verify`] judges a peer's certificate chain, [`names`] compares names, [`Certificate`] has the facts.
//! - [`issue`] is a small CA for `ferrule init` and `ferrule cert`, the laboratory and tests.
//! - [`roles`](fn@roles) says what a leaf may be used for, [`renewal_due`] when it wants a successor.
//!
//! The crypto provider is always [`provider`], passed explicitly; the process-wide default is never consulted.

mod certificate;
pub mod chain;
mod config;
mod contexts;
mod error;
mod explain;
pub mod files;
mod identity;
pub mod issue;
mod left_behind;
pub mod names;
mod pem;
mod printable;
mod reload;
mod renewal;
mod roles;
mod roots;
mod verifier;
mod warning;

pub use certificate::{Certificate, CertificateError, KeyKind, KeyUsages, Purposes};
pub use config::{acceptor, connector, provider, web_connector};
pub use contexts::{Contexts, ContextsHandle};
pub use error::{Problem, TlsError};
pub use explain::explain;
pub use identity::{Identity, Role};
pub use pem::{MAX_PEM_FILE, parsed_certificates};
pub use reload::{Check, DEFAULT_CHECK_INTERVAL, KeyFiles, Reloader, RootSources, Sources};
pub use renewal::{Renewal, renewal_due};
pub use roles::{Roles, roles};
pub use roots::Roots;
pub use verifier::{PossessionVerifier, ServerRefusal, ServerVerifier};
pub use warning::Warning;
