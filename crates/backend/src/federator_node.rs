//! A stand-alone federator as a process: calls to and from other backends, for components that run elsewhere.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
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
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};
use types::Domain;
use web::{
    Readiness, Served, Trusting,
    metrics::{Durations, Resources},
};

use crate::{
    awaited::Awaited,
    awaited_domain::{self, Later},
    certified,
    config::{Answering, BehindProxy, FederatorConfig, Inward},
    federator_policy::Whom,
    limits,
    listener::Bound,
    measured::{self, Handlers},
    node::{StartError, Surroundings, bind},
    own_federator::{self, Door, Prepared, Setup},
    reload::{self, ReloadError},
    running::Running,
    settings,
};

/// A running stand-alone federator.
///
/// Dropped without [`stop`](Self::stop) it ends all the same, but without waiting for calls to be answered.
pub struct FederatorNode {
    outward: SocketAddr,
    ingress: Option<SocketAddr>,
    behind_proxy: Option<SocketAddr>,
    running: Arc<Running>,
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
    /// server is awaited. Where no domain is configured and brig does not say it at once, calls are 500 until brig has, and
    /// nobody is let in by the own ingress.
    ///
    /// # Errors
    /// [`StartError`], in an operator's words. Nothing stays behind.
    pub async fn start(config: FederatorConfig, surroundings: Surroundings) -> Result<Self, StartError> {
        let components = components(&config.components)?;
        let metrics = Registry::new();
        let running = Running::new(Duration::from_secs(config.drain_delay), Readiness::default());
        let awaited_domain = Awaited::domain(config.domain.is_none(), running.readiness(), &metrics);
        let awaited = certified::keep(config.by_acme(), &surroundings, &metrics, &running).await?;
        let doors = Doors::open(&config.inward, awaited.is_some() || config.domain.is_none()).await?;
        let outward = bind("outward.listen", config.outward.listen).await?.for_components();
        let whom = Whom::new(&config, &running)?;
        whom.await_first(Awaited::policy(whom.is_brigs(), running.readiness(), &metrics), &running);
        // Read before anything is waited for: what is wrong with the configuration is told at once.
        let tls = own_federator::certificates(sources(&config), awaited.as_ref())?.insisting_on_calls()?;
        let setup = Setup {
            infra: config.inward.ingress.as_ref().map(|ingress| ingress.infra.clone()),
            tls,
            awaited,
            dns: config.dns,
            limits: settings::limits(&config.limits),
            policy: whom.source(),
        };
        let prepared = Prepared::new(setup, &surroundings)?;
        let durations = Durations::default();
        durations.register(&metrics);
        Resources::register(&metrics);
        measured::certificates(prepared.certificates().handle().clone(), &metrics);
        let (status, watched) = watch::channel(awaited_domain::SERVING_WITHOUT);
        let node = Self {
            outward: outward.address().unwrap_or(config.outward.listen),
            ingress: doors.ingress.as_ref().map(|door| door.address),
            behind_proxy: doors.behind_proxy.as_ref().and_then(Bound::address),
            running: Arc::new(running),
            certificates: Arc::clone(prepared.certificates()),
            status: watched,
            whom,
            config,
        };
        let about = web::process(&Served::default(), metrics.clone());
        let about = about.and(web::readiness(node.running.readiness().clone()));
        let about = about.router(Arc::new(Trusting), Arc::clone(&surroundings.rng));
        let beginning = Beginning {
            about_behind: about.clone().layer(middleware::from_fn(not_for_others)),
            about,
            calls: Later::default(),
            forwarded: Later::default(),
            ingress: doors.ingress,
            behind_proxy: node.config.inward.behind_proxy.clone(),
            prepared,
            components,
            durations,
            metrics,
            surroundings,
            status,
            awaited_domain,
        };
        beginning.listen(outward, doors.behind_proxy, &node.running);
        let running = Arc::downgrade(&node.running);
        match (&node.config.domain, &node.config.components.brig) {
            (Some(domain), _) => beginning.begin(domain.clone(), &node.running),
            (None, None) => return Err(StartError::NoDomain),
            (None, Some(brig)) => {
                let (begun, first) = oneshot::channel();
                let asking = awaited_domain::of_brig(brig.clone());
                node.running.until_stopped(async move {
                    let domain = asking.await;
                    if let Some(running) = running.upgrade() {
                        beginning.begin(domain, &running);
                    }
                    // Whether or not anybody waits.
                    let _ = begun.send(());
                });
                // A brig that is there says it at once, and then nobody is told that it is not known.
                let _ = timeout(limits::FIRST_WORD, first).await;
            }
        }
        // The same of whom to deal with: calls are 500 until then.
        let _ = timeout(limits::FIRST_WORD, node.whom.first_word()).await;
        Ok(node)
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

    /// Stops accepting, after the delay that is configured or once somebody is in a hurry, and lets open calls end within a deadline.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.running.stop(hurry).await;
    }
}

/// What is there before the domain is known.
struct Beginning {
    /// What the process tells of itself.
    about: Router,
    /// The same where others' calls come in.
    about_behind: Router,
    calls: Later,
    forwarded: Later,
    ingress: Option<Door>,
    behind_proxy: Option<BehindProxy>,
    prepared: Prepared,
    components: Components,
    durations: Durations,
    metrics: Registry,
    surroundings: Surroundings,
    status: watch::Sender<&'static str>,
    awaited_domain: Awaited,
}

impl Beginning {
    /// Lets the listeners tell of the process, and answer calls with an error.
    fn listen(&self, outward: Bound, behind_proxy: Option<Bound>, running: &Running) {
        let calls = self.about.clone().merge(awaited_domain::no_calls("/rpc/{*call}"));
        running.listen(
            outward.measured_by(&self.durations),
            self.calls.router(named(&self.durations, calls, Handlers::outward())),
        );
        if let Some(listener) = behind_proxy {
            let forwarded = self.about_behind.clone().merge(awaited_domain::no_calls("/federation/{*call}"));
            let listener = listener.measured_by(&self.durations);
            running.listen(listener, self.forwarded.router(named(&self.durations, forwarded, Handlers::inward())));
        }
    }

    /// Calls to and from other backends from now on.
    fn begin(self, domain: Domain, running: &Running) {
        let Self { about, about_behind, prepared, durations, components, surroundings, status, .. } = self;
        let own = prepared.of(domain.clone());
        own.federator.register_metrics(&self.metrics);
        let rng = Arc::clone(&surroundings.rng);
        let calls = outward::router(own.outbound(), OutwardLimits::default(), rng, domain);
        self.calls.begin(named(&durations, about.merge(calls), Handlers::outward()));
        if let Some(behind) = self.behind_proxy {
            let forwarded = Forwarded {
                inbound: own.federator.inbound(components.clone()),
                proxies: behind.proxies,
                hops: behind.hops,
                limits: ForwardedLimits::default(),
                clock: Arc::clone(&surroundings.clock),
            };
            self.forwarded.begin(named(&durations, about_behind.merge(forwarded.router()), Handlers::inward()));
        }
        if let Some(door) = self.ingress {
            let inbound = measured::measured(own.federator.inbound(components), durations);
            own.serve_ingress(door, inbound, &surroundings, running);
        }
        own.watch_certificates(running);
        self.awaited_domain.arrived();
        let mut of_certificates = own.status();
        status.send_replace(*of_certificates.borrow_and_update());
        running.until_stopped(async move {
            while of_certificates.changed().await.is_ok() {
                status.send_replace(*of_certificates.borrow_and_update());
            }
        });
    }
}

/// Measured by what is called.
fn named(durations: &Durations, router: Router, handlers: Handlers) -> Router {
    durations.around_naming(router, move |uri| handlers.label(uri))
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
