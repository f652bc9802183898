//! A stand-alone federator as a process: calls to and from other backends, for components that run elsewhere.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::Request,
    middleware::{self, Next},
    response::Response,
};
use federation_api::Component;
use federator::{
    component::HttpComponent,
    forwarded::Forwarded,
    inbound::Components,
    limits::{ComponentLimits, ForwardedLimits, OutwardLimits},
    outward,
};
use http::StatusCode;
use prometheus::Registry;
use services::FederationComponent;
use tls::{KeyFiles, Reloader, RootSources, Sources};
use tokio::sync::watch;
use types::Domain;
use web::{
    Served, Trusting,
    metrics::{Durations, Resources},
};

use crate::{
    certified,
    client::{Call, Target, json},
    config::{Answering, FederatorConfig, HostPort, Inward},
    federator_policy::Whom,
    listener::Bound,
    measured,
    node::{StartError, Surroundings, bind},
    outside::{self, Door, Outside, Setup},
    reload::{self, ReloadError},
    running::Running,
    settings,
};

/// How long to wait before brig is asked again for the domain that it is of.
const BRIG_IS_AWAY: Duration = Duration::from_secs(1);

/// A running stand-alone federator.
///
/// Dropped without [`stop`](Self::stop) it ends all the same, but without waiting for calls to be answered.
pub struct FederatorNode {
    domain: Domain,
    outward: SocketAddr,
    ingress: Option<SocketAddr>,
    behind_proxy: Option<SocketAddr>,
    running: Running,
    certificates: Arc<Reloader>,
    status: watch::Receiver<&'static str>,
    whom: Whom,
    /// As it is in force, or would be after a restart.
    config: FederatorConfig,
}

/// The listeners for calls from others, before anybody answers behind them.
struct Doors {
    ingress: Option<Door>,
    behind_proxy: Option<Bound>,
}

impl FederatorNode {
    /// Starts it; when this returns, every listener answers, but for the ingress where its first certificate from an ACME
    /// server is awaited. Where the domain is not configured, that is once brig has
    /// said it.
    ///
    /// # Errors
    /// [`StartError`], in an operator's words. Nothing stays behind.
    pub async fn start(config: FederatorConfig, surroundings: Surroundings) -> Result<Self, StartError> {
        let components = components(&config.components)?;
        let metrics = Registry::new();
        let running = Running::default();
        let awaited = certified::keep(config.by_acme(), &surroundings, &metrics, &running).await?;
        let doors = Doors::open(&config.inward, awaited.is_some()).await?;
        let outward = bind("outward.listen", config.outward.listen).await?.for_components();
        let whom = Whom::new(&config, &running)?;
        // Read before anything is waited for: what is wrong with the configuration is told at once.
        let tls = outside::certificates(sources(&config), awaited.as_ref())?.insisting_on_calls()?;
        let domain = match &config.domain {
            Some(domain) => domain.clone(),
            None => domain_of(config.components.brig.as_ref()).await?,
        };
        let setup = Setup {
            domain: domain.clone(),
            infra: config.inward.ingress.as_ref().map(|ingress| ingress.infra.clone()),
            tls,
            awaited,
            dns: config.dns,
            limits: settings::limits(&config.limits),
            policy: whom.source(),
        };
        let outside = Outside::new(setup, &surroundings)?;
        outside.federator.register_metrics(&metrics);
        let durations = Durations::default();
        durations.register(&metrics);
        Resources::register(&metrics);
        measured::certificates(outside.certificates().handle().clone(), &metrics);
        let about = web::process(&Served::default(), metrics).router(Arc::new(Trusting), Arc::clone(&surroundings.rng));
        let node = Self {
            domain: domain.clone(),
            outward: outward.address().unwrap_or(config.outward.listen),
            ingress: doors.ingress.as_ref().map(|door| door.address),
            behind_proxy: doors.behind_proxy.as_ref().and_then(Bound::address),
            running,
            certificates: Arc::clone(outside.certificates()),
            status: outside.status(),
            whom,
            config,
        };
        let calls =
            outward::router(outside.outbound(), OutwardLimits::default(), Arc::clone(&surroundings.rng), domain);
        let handlers = measured::Handlers::outward();
        let answers = durations.around_naming(about.clone().merge(calls), move |uri| handlers.label(uri));
        node.running.listen(outward, answers);
        if let (Some(listener), Some(behind)) = (doors.behind_proxy, &node.config.inward.behind_proxy) {
            let forwarded = Forwarded {
                inbound: outside.federator.inbound(components.clone()),
                proxies: behind.proxies.clone(),
                hops: behind.hops,
                limits: ForwardedLimits::default(),
                clock: Arc::clone(&surroundings.clock),
            };
            let about = about.layer(middleware::from_fn(not_for_others));
            let handlers = measured::Handlers::inward();
            let answers = durations.around_naming(about.merge(forwarded.router()), move |uri| handlers.label(uri));
            node.running.listen(listener, answers);
        }
        if let Some(door) = doors.ingress {
            let inbound = measured::inbound(outside.federator.inbound(components), durations);
            outside.serve_ingress(door, inbound, &surroundings, &node.running);
        }
        outside.watch_certificates(&node.running);
        Ok(node)
    }

    /// The backend domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Where components ask for calls to others.
    pub fn outward(&self) -> SocketAddr {
        self.outward
    }

    /// Where other backends connect; `None` where there is no own ingress.
    pub fn ingress(&self) -> Option<SocketAddr> {
        self.ingress
    }

    /// Where an ingress in front passes on calls from others; `None` where there is none.
    pub fn behind_proxy(&self) -> Option<SocketAddr> {
        self.behind_proxy
    }

    /// What to tell a supervisor of the process, now and later: what it waits for, if it waits for something.
    pub fn status(&self) -> watch::Receiver<&'static str> {
        self.status.clone()
    }

    /// Takes up anew the files of the certificates, and whom to deal with; the log tells what is new. Everything else that is
    /// configured is read at start alone, and the log says so where it differs.
    ///
    /// # Errors
    /// The first of the reasons why not everything was taken up.
    pub async fn reload(&mut self, config: FederatorConfig) -> Result<(), ReloadError> {
        let certificates = reload::certificates(&self.certificates).await;
        let policy = self.whom.reload(&config.policy).await;
        if reload::federators_differ_elsewhere(&self.config, &config) {
            tracing::warn!("options other than the policy that is listed have changed; they count from the next start");
        }
        self.config = config;
        certificates.and(policy)
    }

    /// Stops accepting, and lets open calls end within a deadline.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl Doors {
    async fn open(inward: &Inward, reserved: bool) -> Result<Self, StartError> {
        let ingress = match &inward.ingress {
            Some(own) => Some(Door::open("inward.ingress.listen", own.listen, own.verify_depth, reserved).await?),
            None => None,
        };
        let behind_proxy = match &inward.behind_proxy {
            Some(behind) => Some(
                bind("inward.behind_proxy.listen", behind.listen).await?.for_certificates().shared_by(&behind.proxies),
            ),
            None => None,
        };
        Ok(Self { ingress, behind_proxy })
    }
}

/// What came through an ingress is of other backends, and those ask for nothing here.
async fn not_for_others(request: Request, next: Next) -> Response {
    if ["x-ssl-certificate", "x-forwarded-for"].iter().any(|header| request.headers().contains_key(*header)) {
        return web::plain(StatusCode::NOT_FOUND, "There is nothing here");
    }
    next.run(request).await
}

pub(crate) fn components(answering: &Answering) -> Result<Components, StartError> {
    let Answering { brig, galley, cargohold } = answering;
    let named = [
        (Component::Brig, "components.brig", brig),
        (Component::Galley, "components.galley", galley),
        (Component::Cargohold, "components.cargohold", cargohold),
    ];
    let mut components = BTreeMap::new();
    for (component, option, place) in named {
        if let Some(place) = place {
            let called = HttpComponent::new(component, &place.to_string(), ComponentLimits::default())
                .map_err(|source| StartError::Address { option, source })?;
            components.insert(component, Arc::new(called) as Arc<dyn FederationComponent>);
        }
    }
    Ok(components)
}

/// Certificates and whom to trust. Without an own ingress the one certificate is there for calls to others.
pub fn sources(config: &FederatorConfig) -> Sources {
    let tls = &config.tls;
    let client = KeyFiles { certificate: tls.certificate.clone(), key: tls.key.clone() };
    let own =
        config.inward.ingress.as_ref().and_then(|ingress| Some((ingress.certificate.as_ref()?, ingress.key.as_ref()?)));
    let server = match own {
        Some((certificate, key)) => KeyFiles { certificate: certificate.clone(), key: key.clone() },
        None => client.clone(),
    };
    Sources { server, client, roots: RootSources { files: tls.ca.clone(), system: tls.system_ca } }
}

/// The domain that brig says it is of (`GET /api-version`). Asks until it is answered: components start in any order.
async fn domain_of(brig: Option<&HostPort>) -> Result<Domain, StartError> {
    let Some(HostPort { host, port }) = brig else { return Err(StartError::NoDomain) };
    let mut told = false;
    loop {
        if let Ok(mut found) = tokio::net::lookup_host((host.as_str(), *port)).await
            && let Some(address) = found.next()
            && let Ok(answer) = Call::get(&Target::Tcp(address), "/api-version").send().await
            && let Some(domain) = json(&answer)["domain"].as_str().and_then(|domain| domain.parse().ok())
        {
            tracing::info!(%domain, "brig says of which domain it is");
            return Ok(domain);
        }
        if !told {
            tracing::warn!("no domain is configured, and brig does not say of which it is; waiting until it does");
            told = true;
        }
        tokio::time::sleep(BRIG_IS_AWAY).await;
    }
}
