//! Backends whose federator is a process of its own: `ferrule federator`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use federator::{limits::OutsideLimits, outside::OutsideFederator};
use services::{ClientLimits, Federation, FederationClient};
use testkit::{
    Answer, World,
    client::{Client, Operator},
    process::{Federated, FederatorFolder, Folder, Reserved, Served},
    recording::{ServedComponents, search},
};
use types::{Domain, SystemClock};

use super::ferrule;

/// How long a change of the policy may take to reach the federator.
const PATIENCE: Duration = Duration::from_secs(30);

/// A federator between its own ingress and recording components over HTTP, in a network of its own.
pub struct Standalone {
    /// The network.
    pub world: World,
    /// What is behind it.
    pub served: ServedComponents,
    /// Its folder.
    pub folder: FederatorFolder,
    /// The process.
    pub federated: Federated,
    federation: Arc<dyn Federation>,
}

impl Standalone {
    /// Starts all of it. `limits` are lines of TOML.
    pub async fn start(limits: &str) -> Result<Self> {
        let world = World::new().await?;
        let served = ServedComponents::start().await?;
        let folder = FederatorFolder::new(ferrule(), &world, &world.domain("recorded"))?;
        let components = Behind { brig: served.brig, galley: served.galley, cargohold: served.cargohold };
        let config = components.config(&world, &folder, "127.0.0.1:0", limits);
        let federated = folder.run(&folder.write("federator.toml", &config)?, &[])?;
        world.publish(folder.domain(), folder.infra(), federated.ingress.context("its ingress")?);
        let federation = calling(&folder, federated.outward);
        Ok(Self { world, served, folder, federated, federation })
    }

    /// Searches at a remote, and tells the outcome as a client would be told.
    pub async fn search(&self, remote: &Domain) -> Answer {
        search(&self.federation, remote, "bob").await
    }
}

/// A component's way to other backends by that federator.
fn calling(folder: &FederatorFolder, outward: SocketAddr) -> Arc<dyn Federation> {
    let outside = OutsideFederator::new(folder.domain().clone(), &outward.to_string(), OutsideLimits::default());
    let outbound = Arc::new(outside.expect("an address"));
    let clock = Arc::new(SystemClock);
    Arc::new(FederationClient::new(folder.domain().clone(), outbound, clock, ClientLimits::default()))
}

/// What stands behind a federator.
struct Behind {
    brig: SocketAddr,
    galley: SocketAddr,
    cargohold: SocketAddr,
}

impl Behind {
    fn config(&self, world: &World, folder: &FederatorFolder, outward: &str, limits: &str) -> String {
        format!(
            r#"
domain = "{}"
dns = "{}"
[outward]
listen = "{outward}"
[inward.ingress]
listen = "127.0.0.1:0"
infra = "{}"
[inward.behind_proxy]
listen = "127.0.0.1:0"
proxies = ["127.0.0.1"]
[components]
brig = "{}"
galley = "{}"
cargohold = "{}"
[policy]
refresh = 50
[tls]
certificate = "leaf.pem"
key = "leaf-key.pem"
ca = ["ca.pem"]
[limits]
{limits}
"#,
            folder.domain(),
            world.dns().address(),
            folder.infra(),
            self.brig,
            self.galley,
            self.cargohold
        )
    }
}

/// A backend of two processes: `ferrule serve`, and `ferrule federator` for its calls to and from others.
pub struct Pair {
    /// The operator of the backend.
    pub operator: Operator,
    /// The folder of `serve`.
    pub folder: Folder,
    /// The process of `serve`.
    pub served: Served,
    /// The folder of the federator.
    pub federator: FederatorFolder,
    /// The process of the federator.
    pub federated: Federated,
    components: SocketAddr,
    _reserved: [Reserved; 2],
}

impl Pair {
    /// Starts both in that network. `limits` are lines of TOML.
    pub async fn start(world: &World, domain: &str, limits: &str) -> Result<Self> {
        Self::start_in(&[], world, domain, limits).await
    }

    /// The same with these variables in the environment of both.
    pub async fn start_in(environment: &[(&str, &str)], world: &World, domain: &str, limits: &str) -> Result<Self> {
        // Each needs to know where the other is.
        let (outward, brig) = (Reserved::new()?, Reserved::new()?);
        let folder = Folder::init_only(ferrule(), domain)?;
        let federator = FederatorFolder::new(ferrule(), world, folder.domain())?;
        folder.configure(&format!(
            r#"
[federation]
infra = "{}"
strategy = "allowDynamic"
[components]
federator = "{}"
listen = "{}"
federators = ["127.0.0.1"]
"#,
            federator.infra(),
            outward.address,
            brig.address,
        ))?;
        let served = folder.serve_in(environment)?;
        let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
        let behind = Behind { brig: brig.address, galley: nobody, cargohold: nobody };
        let config = behind.config(world, &federator, &outward.address.to_string(), limits);
        let federated = federator.run_in(environment, &federator.write("federator.toml", &config)?, &[])?;
        world.publish(folder.domain(), federator.infra(), federated.ingress.context("its ingress")?);
        let operator = Operator::of(served.backend())?;
        let components = brig.address;
        Ok(Self { operator, folder, served, federator, federated, components, _reserved: [outward, brig] })
    }

    /// Puts a domain on the allow list, and waits until the federator has heard of it.
    pub async fn allow(&self, domain: &Domain) {
        self.operator.allow(domain).await.unwrap();
        self.heard().await;
    }

    /// Waits until the federator has asked for the policy anew.
    pub async fn heard(&self) {
        let before = self.asked().await;
        // An answer that is on its way may be the old one; and the next one must have been taken up before the one after
        // it is asked for.
        let again = async {
            while self.asked().await < before + 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("the federator asks for the policy");
    }

    /// How often the policy was asked for.
    async fn asked(&self) -> u64 {
        let metrics = self.operator.metrics().await.unwrap().text();
        let of_policy = |line: &&str| {
            line.starts_with("http_request_duration_seconds_count")
                && line.contains("/i/federation/remotes")
                && line.contains("\"GET\"")
        };
        let counts = metrics.lines().filter(of_policy).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        counts.sum()
    }

    /// Where the federator reaches the components.
    pub fn components(&self) -> SocketAddr {
        self.components
    }

    /// A client of its own.
    pub async fn client(&self, name: &str) -> Client {
        self.operator.client(name).await.unwrap()
    }
}
