//! The `ferrule` program as its users have it: a process of its own.

mod child;
mod dev;
mod federator;
mod nginx;
mod ready;
mod resources;
mod scratch;
mod served;

pub use child::{Child, Ended, run};
pub use dev::{Dev, DevPlan};
pub use federator::{Federated, FederatorFolder, Reserved};
pub use nginx::Nginx;
pub use ready::{Backend, Peer, Ready};
pub use resources::{Resources, usage_of};
pub use scratch::scratch;
pub use served::{Folder, Served};
