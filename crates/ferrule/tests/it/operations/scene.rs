//! The processes: `ferrule serve`, and `ferrule federator` with recording components behind it; beside each a foreign
//! backend that calls.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use testkit::{
    Stranger, World,
    client::Operator,
    load::{Asked, Door},
    peer::{Caller, Shown},
    process::{Federated, FederatorFolder, Folder, Served},
    recording::ServedComponents,
};

use crate::support::ferrule;

/// How long a process may take to do what it gives no signal of.
const PATIENCE: Duration = Duration::from_secs(30);

/// `ferrule serve`, and a foreign backend that is allowed to call it.
pub struct Backend {
    pub world: World,
    pub folder: Folder,
    pub served: Served,
    pub operator: Operator,
    pub peer: Stranger,
}

impl Backend {
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let world = World::new().await.unwrap();
        let folder = Folder::init(ferrule(), &world, "served.example", "").unwrap();
        let served = folder.serve_in(environment).unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        let peer = world.stranger("peer").unwrap();
        world.publish_caller(&peer);
        operator.allow(&peer.domain).await.unwrap();
        Self { world, folder, served, operator, peer }
    }

    /// The public edge, asked for something that is limited for nobody.
    pub fn edge(&self) -> Asked {
        let address = self.served.backend().api.trim_start_matches("http://").parse().unwrap();
        Asked { door: Door::Clear(address), request: Request::get("/api-version").body(Bytes::new()).unwrap() }
    }

    pub fn caller(&self) -> Caller {
        let backend = self.served.backend();
        let roots = self.world.certificates().root_pem();
        Caller::new(backend.federation, &backend.infra, &roots, Shown::Certificate(&self.peer.certificate)).unwrap()
    }

    /// The listener for other backends.
    pub fn ingress(&self) -> Asked {
        Asked { door: Door::Mutual(self.caller()), request: rpc(&self.peer) }
    }
}

/// `ferrule federator` with its own ingress, and a foreign backend.
pub struct Alone {
    pub world: World,
    pub components: ServedComponents,
    pub folder: FederatorFolder,
    pub federated: Federated,
    pub peer: Stranger,
}

impl Alone {
    /// Starts it with a policy that is made of the foreign backend's domain: lines of TOML.
    pub async fn start(policy: impl Fn(&str) -> String, environment: &[(&str, &str)]) -> Self {
        let world = World::new().await.unwrap();
        let components = ServedComponents::start().await.unwrap();
        let folder = FederatorFolder::new(ferrule(), &world, &world.domain("alone")).unwrap();
        let peer = world.stranger("peer").unwrap();
        world.publish_caller(&peer);
        components.put(&peer.domain);
        // For those whose policy is in a file of its own.
        folder.write("policy.toml", "allowedDomains = []").unwrap();
        let text = configuration(&world, &folder, &components, &policy(peer.domain.as_str()));
        let config = folder.write("federator.toml", &text).unwrap();
        let federated = folder.run_in(environment, &config, &[]).unwrap();
        world.publish(folder.domain(), folder.infra(), federated.ingress.unwrap());
        Self { world, components, folder, federated, peer }
    }

    /// Its configuration with another policy.
    pub fn configure(&self, policy: &str) {
        let text = configuration(&self.world, &self.folder, &self.components, policy);
        self.folder.write("federator.toml", &text).unwrap();
    }

    pub fn caller(&self) -> Caller {
        self.caller_as(&self.peer)
    }

    pub fn caller_as(&self, peer: &Stranger) -> Caller {
        let roots = self.world.certificates().root_pem();
        let shown = Shown::Certificate(&peer.certificate);
        Caller::new(self.federated.ingress.unwrap(), self.folder.infra(), &roots, shown).unwrap()
    }

    /// The listener for other backends.
    pub fn ingress(&self) -> Asked {
        Asked { door: Door::Mutual(self.caller()), request: rpc(&self.peer) }
    }

    /// The listener for components.
    pub fn outward(&self) -> Asked {
        let request = Request::get("/i/status").body(Bytes::new()).unwrap();
        Asked { door: Door::Clear(self.federated.outward), request }
    }
}

fn configuration(world: &World, folder: &FederatorFolder, components: &ServedComponents, policy: &str) -> String {
    let ServedComponents { brig, galley, cargohold, .. } = components;
    let (domain, infra, dns): (_, _, SocketAddr) = (folder.domain(), folder.infra(), world.dns().address());
    format!(
        r#"
domain = "{domain}"
dns = "{dns}"
[outward]
listen = "127.0.0.1:0"
[inward.ingress]
listen = "127.0.0.1:0"
infra = "{infra}"
[components]
brig = "{brig}"
galley = "{galley}"
cargohold = "{cargohold}"
[tls]
certificate = "leaf.pem"
key = "leaf-key.pem"
ca = ["ca.pem"]
[policy]
{policy}
"#
    )
}

/// A call that a backend makes of another one.
fn rpc(peer: &Stranger) -> Request<Bytes> {
    Request::post("/federation/brig/api-version")
        .header("wire-origin-domain", peer.domain.as_str())
        .header("wire-origin-request-id", "00000000-0000-4000-8000-00000000cafe")
        .header("x-wire-api-version", "1")
        .header("accept", "application/json")
        .header("content-type", "application/json")
        .body(Bytes::from_static(b"[]"))
        .unwrap()
}

/// Polls: another process gives no signal.
pub async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polling).await.unwrap_or_else(|_| panic!("{what} does not come"));
}
