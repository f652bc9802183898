//! A backend of `ferrule serve` in a network of the test's own.

use anyhow::Result;
use testkit::{
    World,
    client::Operator,
    process::{Folder, Served},
};

use super::ferrule;

/// A name server, a CA, and a backend of `ferrule serve` that uses both.
pub struct Network {
    /// The network.
    pub world: World,
    /// The operator of the backend.
    pub operator: Operator,
    /// The backend's folder.
    pub folder: Folder,
    /// The backend.
    pub served: Served,
}

impl Network {
    /// Starts all of it. `limits` are lines of TOML.
    pub async fn start(limits: &str) -> Result<Self> {
        let world = World::new().await?;
        let folder = Folder::init(ferrule(), &world, "served.example", limits)?;
        let served = folder.serve()?;
        let backend = served.backend();
        world.publish(&backend.domain, &backend.infra, backend.federation);
        let operator = Operator::of(backend)?;
        Ok(Self { world, operator, folder, served })
    }
}
