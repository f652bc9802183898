//! What happens on a federated call, step by step, for whoever wants to watch: the demo's transcript, traces, tests.

use std::{net::SocketAddr, time::Duration};

use federation_api::{ApiVersion, Component};
use serde::{Serialize, Serializer};
use types::Domain;

/// One step of a call, as the backend that took it saw it.
#[derive(Clone, Debug, Serialize)]
pub struct Hop {
    /// The backend that took the step.
    pub backend: Domain,
    /// The request it belongs to; the same on both backends.
    pub request_id: String,
    /// How long the step took; in JSON `took_us`, in microseconds.
    #[serde(rename = "took_us", serialize_with = "micros")]
    pub took: Duration,
    /// What was done.
    #[serde(flatten)]
    pub step: Step,
}

/// The steps of a federated call, in the order in which they occur.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// A component asked the federator to call a remote.
    Asked {
        /// The remote.
        remote: Domain,
        /// Its component.
        component: Component,
        /// The RPC.
        rpc: String,
    },
    /// The strategy and the allow list were asked about a remote.
    Policy {
        /// The remote.
        remote: Domain,
        /// Whether it is allowed.
        allowed: bool,
        /// The strategy that decided.
        strategy: String,
    },
    /// The SRV record of a domain was looked up or found in the cache.
    Discovery {
        /// The domain.
        domain: Domain,
        /// The targets by priority, as `host:port`. Those of the same priority stand as in the record; the order among
        /// them is drawn by weight for each connection that is opened.
        targets: Vec<String>,
        /// How long the answer stays valid; in JSON `ttl_s`, in seconds.
        #[serde(rename = "ttl_s", serialize_with = "seconds")]
        ttl: Duration,
        /// Whether the answer came from the cache.
        cached: bool,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// A connection to a remote ingress: a new one, with mutual TLS, or one of the pool.
    Connected {
        /// The target's name.
        target: String,
        /// The address.
        address: Option<SocketAddr>,
        /// Whether it was open already.
        reused: bool,
        /// Protocol version and cipher suite of a new one.
        tls: Option<String>,
        /// The names in the remote's certificate.
        names: Vec<String>,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// The call ended.
    Answered {
        /// The status that the caller is told: the remote's own if it is a success.
        status: u16,
        /// The label that the caller is told; without one the call succeeded.
        label: Option<String>,
    },
    /// The ingress judged the certificate of a peer.
    Peer {
        /// The peer's address.
        address: SocketAddr,
        /// The names in its certificate; none if it sent none.
        names: Vec<String>,
        /// Why it was refused, if it was.
        refused: Option<String>,
    },
    /// The claimed origin domain was compared with the names in the certificate.
    Identity {
        /// The claimed domain.
        origin: Domain,
        /// The targets its SRV record names.
        targets: Vec<String>,
        /// The target that the certificate carries, if one does.
        matched: Option<String>,
    },
    /// The call was handed to a component.
    Dispatched {
        /// The component.
        component: Component,
        /// The RPC.
        rpc: String,
        /// The version.
        version: Option<ApiVersion>,
        /// The status of its answer.
        status: u16,
    },
}

fn micros<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// Takes note of steps. Called on the path of the request: it must be quick and must not block.
pub trait HopObserver: Send + Sync {
    /// A step was taken.
    fn hop(&self, hop: Hop);

    /// Whether anybody listens; where not, no step is described.
    fn listening(&self) -> bool {
        true
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl HopObserver for NoObserver {
    fn hop(&self, _: Hop) {}

    fn listening(&self) -> bool {
        false
    }
}
