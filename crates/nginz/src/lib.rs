//! The public edge, in the place of wire-server's nginz: versions, tokens, limits, CORS; and the guard of the internal
//! listener.
//!
//! Both faces are made of the same endpoints. At the edge a request goes through CORS, request ids and the version
//! prefix; then the router finds its endpoint, and the edge's gate removes what only the edge may assert, checks the
//! token that the endpoint's declaration demands, and counts the request. On the internal listener everybody is
//! believed, so the listener itself must be out of reach: [`internal`] refuses what a browser could send.

mod acl;
mod cors;
mod gate;
mod guard;
pub mod limits;
mod rate;
mod token;
mod version;

use std::{collections::BTreeSet, sync::Arc};

use axum::{Router, middleware, response::Response};
use http::{HeaderValue, header};
use public_api::Version;
use types::{Clock, Rng};
use web::{RequestIds, Served, Trusting};
use zauth::PublicKeys;

pub use cors::{OriginError, Origins};
pub use gate::ClientAddress;
pub use rate::Rates;

/// What the public edge must know.
#[derive(Clone)]
pub struct EdgeConfig {
    /// The keys that verify access tokens.
    pub keys: PublicKeys,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Randomness for request ids.
    pub rng: Arc<dyn Rng>,
    /// Versions of the API that are not offered. Version 0 is still answered without a prefix.
    pub disabled_versions: BTreeSet<Version>,
    /// Which web pages may call.
    pub origins: Origins,
    /// How many requests are let through; `None` for all.
    pub rates: Option<Rates>,
    /// How the client's address is found.
    pub client_address: ClientAddress,
}

/// The public edge in front of these endpoints.
///
/// The client's address is taken from [`axum::extract::ConnectInfo`]`<SocketAddr>`, which the listener must put into
/// every request's extensions.
pub fn edge(served: &Served, config: EdgeConfig) -> Router {
    let gate = gate::EdgeGate::new(&config);
    let router = served.exposed().router(Arc::new(gate), Arc::clone(&config.rng));
    let router = version::around(router, config.disabled_versions);
    let router = RequestIds::new(config.rng).around(router);
    cors::around(router, config.origins).layer(middleware::map_response(by_tls_alone))
}

/// Tells browsers to come by TLS from now on (RFC 6797). They ignore it where they came without, so that a backend for
/// trying out stays reachable.
async fn by_tls_alone(mut response: Response) -> Response {
    const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000; preload");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, A_YEAR);
    response
}

/// What the internal listener must know.
#[derive(Clone)]
pub struct InternalConfig {
    /// The values of `Host` that are answered: names or addresses, with a port or for any port. Others get 421.
    pub allowed_hosts: Vec<String>,
    /// Versions of the API that are not offered.
    pub disabled_versions: BTreeSet<Version>,
    /// Randomness for request ids.
    pub rng: Arc<dyn Rng>,
}

/// The internal listener's face of these endpoints: all of them, and the identity headers are believed. A wrong `Host`
/// gets 421 and any `Origin` 403, so that no web page can reach it through a browser, not even by DNS rebinding.
pub fn internal(served: &Served, config: InternalConfig) -> Router {
    let router = served.router(Arc::new(Trusting), Arc::clone(&config.rng));
    let router = version::around(router, config.disabled_versions);
    let router = guard::around(router, config.allowed_hosts);
    RequestIds::new(config.rng).around(router)
}
