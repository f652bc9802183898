//! The whole examination: what is gathered, in which order, and what comes of it.

use backend::{
    Surroundings,
    config::{Config, ConfigError, Federation},
};
use federator::{
    discovery::{DnsServer, NameServerResolver},
    limits::Limits,
};
use futures_util::{StreamExt, stream};
use http::Uri;
use tls::Roots;
use tokio::time::timeout;
use types::Domain;

use crate::{
    catalogue::{CHECKS, Check, Group},
    checks::{configuration, dns, own_tls, partner},
    facts::{
        listener::{self, Listener},
        local::{Local, Node},
        material::Material,
        partner::{Means, Partner},
        service::{Asked, Service},
    },
    limits,
    outcome::{Finding, Outcome, Verdict},
    report::Report,
};

/// What is to be examined.
pub struct Subject {
    /// The configuration of the backend, or why it cannot be had, which is a finding as well.
    pub config: Result<Config, ConfigError>,
    /// The partners; where there is none, every backend that is allowed.
    pub partners: Vec<Domain>,
    /// The public address of the backend as clients have it.
    pub from_outside: Option<Uri>,
    /// Time and randomness.
    pub surroundings: Surroundings,
}

/// Who wants to know what is being done.
pub trait Progress: Send + Sync {
    /// This begins now.
    fn begins(&self, what: &str);
}

/// Nobody.
impl Progress for () {
    fn begins(&self, _: &str) {}
}

/// Makes every check.
pub async fn examine(subject: Subject, progress: &dyn Progress) -> Report {
    match &subject.config {
        Err(error) => Report::new(None, Vec::new(), without_configuration(error)),
        Ok(config) => Box::pin(examine_backend(config, &subject, progress)).await,
    }
}

/// Where the configuration cannot be read, nothing else can be told.
fn without_configuration(error: &ConfigError) -> Vec<Finding> {
    let about_federation = configuration::is_about_federation(error);
    let cause = if about_federation { 3 } else { 1 };
    let of = |check: &'static Check| match check.id {
        3 if about_federation => Finding::of(check, None, configuration::contradictory(error)),
        1 if !about_federation => Finding::of(check, None, configuration::unreadable(error)),
        _ => Finding::depending(check, None, cause),
    };
    CHECKS.iter().filter(|check| check.group != Group::Partner).map(of).collect()
}

async fn examine_backend(config: &Config, subject: &Subject, progress: &dyn Progress) -> Report {
    progress.begins("reading files and asking the backend");
    let local = Local::gather(config).await;
    let mut findings = Findings::default();
    findings.add(1, || configuration::domain(&config.domain, &local));
    findings.add(2, || configuration::spelling(&config.domain));
    findings.add(3, || configuration::material(local.material.as_ref()));
    let limits = config.federation.as_ref().map_or_else(Limits::default, |f| backend::federation_limits(&f.limits));
    let resolver = resolver(config, &limits);
    let mut tried = vec![local.edge.clone()];
    if let Some(url) = &subject.from_outside {
        progress.begins("asking from outside");
        tried.push(listener::from_outside(url, &resolver, &limits).await);
    }
    let (Some(federation), Some(material)) = (config.federating(), &local.material) else {
        findings.add(5, || configuration::internal_api(config, &tried));
        let rest = CHECKS.iter().filter(|check| check.id > 5 && check.group != Group::Partner);
        let off = |check| Finding::of(check, None, Outcome::skip("federation is switched off"));
        findings.0.extend(rest.map(off));
        return Report::new(Some(config.domain.clone()), Vec::new(), findings.0);
    };
    let examination = Examination { config, federation, material, local: &local, limits: &limits, resolver: &resolver };
    Box::pin(examination.run(subject, tried, findings, progress)).await
}

fn resolver(config: &Config, limits: &Limits) -> Asked {
    let server = config.federation.as_ref().and_then(|federation| federation.dns);
    let server = server.map_or(DnsServer::System, DnsServer::At);
    NameServerResolver::new(server, limits.dns.try_timeout).map_err(|error| error.to_string())
}

/// A backend that federates.
struct Examination<'a> {
    config: &'a Config,
    federation: &'a Federation,
    material: &'a Material,
    local: &'a Local,
    limits: &'a Limits,
    resolver: &'a Asked,
}

impl Examination<'_> {
    async fn run(
        &self,
        subject: &Subject,
        mut tried: Vec<listener::Tried>,
        mut findings: Findings,
        progress: &dyn Progress,
    ) -> Report {
        let Self { config, federation, material, .. } = *self;
        let (domain, infra) = (&config.domain, &federation.infra);
        let now = subject.surroundings.clock.now();
        let identity = material.client().identity.as_ref().ok();
        progress.begins(&format!("looking up {domain}"));
        let service = Service::look_up(domain, self.resolver, self.limits).await;
        progress.begins("knocking at the own door");
        let listener = Box::pin(Listener::look_at(config, infra, &service, identity, self.limits)).await;
        tried.push(listener.internal.clone());

        findings.add(5, || configuration::internal_api(config, &tried));
        findings.add(8, || dns::present(domain, infra, &service));
        findings.add(9, || dns::well_formed(&service));
        findings.add(10, || dns::leads_here(infra, &service, material, &listener));
        let known = self.known_roots();
        findings.add(13, || own_tls::chain(material, &listener, &known, now));
        findings.add(14, || own_tls::subject_names(infra, material, &listener));
        findings.add(15, || own_tls::dates(material, &listener, now));
        findings.add(16, || own_tls::keys(material));
        findings.add(17, || own_tls::usages(material));
        findings.add(18, || own_tls::algorithms(material));
        findings.add(19, || own_tls::protocols(&listener));
        findings.add(20, || own_tls::demands_certificate(&listener));

        let policy = self.local.policy(config);
        let partners = match subject.partners.as_slice() {
            [] => policy
                .remotes
                .keys()
                .filter(|_| policy.strategy != types::FederationStrategy::AllowNone)
                .cloned()
                .collect(),
            named => named.to_vec(),
        };
        let means = Means {
            own_domain: domain,
            resolver: self.resolver,
            limits: self.limits,
            roots: material.roots.as_ref().ok(),
            identity,
            rng: subject.surroundings.rng.as_ref(),
            now,
        };
        let ours = partner::Ours {
            domain,
            roots: means.roots,
            identity,
            verify_depth: usize::from(federation.verify_depth),
            service: &service,
            policy: &policy,
            in_force: matches!(&self.local.node, Node::Running { policy: Ok(_), .. }),
            now,
        };
        let looks = stream::iter(&partners).map(|partner| look_at(partner, means, progress));
        let mut seen = looks.buffered(limits::PARTNERS_AT_ONCE);
        while let Some(partner) = seen.next().await {
            findings.of_partner(&partner, ours);
        }
        drop(seen);
        Report::new(Some(domain.clone()), partners, findings.0)
    }

    /// Whom our own chain may lead to: whoever we trust, and whoever the system does.
    fn known_roots(&self) -> Roots {
        let mut roots = self.material.roots.clone().unwrap_or_default();
        // A system without a store adds nothing.
        let _ = roots.add_system();
        roots
    }
}

async fn look_at(domain: &Domain, means: Means<'_>, progress: &dyn Progress) -> Partner {
    progress.begins(&format!("looking at {domain}"));
    let looked = timeout(limits::WHOLE, Partner::look_at(domain, means)).await;
    looked.unwrap_or_else(|_| Partner::too_slow(domain))
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding about this backend.
    fn add(&mut self, id: u8, outcome: impl FnOnce() -> Outcome) {
        self.about(id, None, outcome);
    }

    /// Adds the findings about a partner, layer by layer.
    fn of_partner(&mut self, seen: &Partner, ours: partner::Ours<'_>) {
        let who = Some(&seen.domain);
        self.about(21, who, || partner::reached(seen));
        self.about(22, who, || partner::trusted(seen));
        self.about(23, who, || partner::accepted(seen, ours));
        self.about(24, who, || partner::depth(seen, ours));
        self.about(25, who, || partner::both_directions(seen, ours));
        self.about(26, who, || partner::allowed_here(seen, ours));
        self.about(27, who, || partner::allowed_there(seen, ours));
        self.about(28, who, || partner::origin(seen, ours));
        self.about(29, who, || partner::versions(seen));
        self.about(30, who, || partner::round_trip(seen));
    }

    fn about(&mut self, id: u8, partner: Option<&Domain>, outcome: impl FnOnce() -> Outcome) {
        let Some(check) = Check::numbered(id) else { return };
        let finding = match self.broken_below(check, partner) {
            Some(on) => Finding::depending(check, partner, on),
            None => Finding::of(check, partner, outcome()),
        };
        self.0.push(finding);
    }

    /// The check that keeps this one from being made: the one at the bottom.
    fn broken_below(&self, check: &Check, partner: Option<&Domain>) -> Option<u8> {
        check.depends_on.iter().find_map(|on| {
            let below = self
                .0
                .iter()
                .rev()
                .find(|one| one.id == *on && (one.partner.is_none() || one.partner.as_ref() == partner))?;
            matches!(below.verdict, Verdict::Fail | Verdict::Skip).then(|| below.depends_on.unwrap_or(*on))
        })
    }
}
