//! What tests of Ferrule are made of.
//!
//! - [`process`] starts the program, or takes a ready-file of backends that run already; [`client`] is a user of theirs.
//! - [`peer`] is a foreign backend, calling and called, well-behaved or not; [`Certificates`] is what it shows.
//! - [`World`] is the network around it, with a name server that lies when it is told to ([`HostileDns`]).
//! - [`load`] asks until nobody listens, and tells what was lost; [`collector`] takes traces.
//! - [`recording`] puts components that take note in the place of brig, behind the real federator.
//!
//! Everything speaks the real protocols over real sockets of loopback.

mod answer;
mod certificates;
pub mod client;
pub mod collector;
mod dns;
pub mod http1;
pub mod load;
pub mod peer;
pub mod process;
pub mod recording;
mod world;

pub use answer::Answer;
pub use certificates::{Certificates, Credentials, Specimen};
pub use dns::{HostileDns, Trouble};
pub use world::{Stranger, TTL, World};
