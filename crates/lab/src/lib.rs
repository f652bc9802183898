//! A laboratory on loopback: a name server with SRV records, a CA, and as many backends as wanted, each with its own
//! data and a certificate whose only name is its infrastructure domain. What `ferrule demo`, `ferrule dev` and the
//! scenario tests are made of.

pub mod dns;
mod lab;
mod plan;
mod ready;
mod stranger;

pub use lab::Lab;
pub use plan::{BackendPlan, PeerPlan, Plan, infra_of};
pub use ready::{ReadyBackend, ReadyFile, ReadyPeer};
pub use stranger::{IdentityFiles, Stranger};
