//! A foreign backend, played by the test: it calls ([`Caller`]) and it is called ([`ForeignBackend`]).
//!
//! Both speak the real protocol over real TLS, and both can misbehave in every way that a stranger on the network can.

mod caller;
pub mod frames;
mod server;
mod terms;

pub use caller::{Caller, Connection, Outgoing, Shown, trickle, whole};
pub use server::{ForeignBackend, Manner, Recorded, Reply, Script, after_versions, script};
pub use terms::Terms;
