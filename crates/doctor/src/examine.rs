//! The whole examination: what is gathered, in which order, and what comes of it.

use std::sync::Arc;

use backend::{
    Surroundings,
    config::{ConfigError, Either},
};
use federator::discovery::{DnsServer, NameServerResolver};
use futures_util::{StreamExt, stream};
use http::Uri;
use tls::Roots;
use tokio::time::timeout;
use types::Domain;
use wire_server_config::{import, values::Values};

use crate::{
    catalogue::{CHECKS, Check, Group},
    checks::{answers, configuration, dns, ingress, own_tls, partner, processes},
    facts::{
        listener::{self, Listener},
        local::{Local, Node},
        material::Material,
        partner::{Means, Partner},
        service::{Asked, Service},
        site::Site,
        zone,
    },
    limits,
    outcome::{Finding, Outcome, Verdict},
    report::Report,
};

/// What is to be examined.
pub struct Subject {
    /// The configuration of the backend, or of its federator where that is a process of its own; or why it cannot be had,
    /// which is a finding as well.
    pub config: Result<Either, ConfigError>,
    /// The Helm values of a wire-server that it belongs to, if there is one; or why they cannot be read.
    pub helm: Option<Result<Values, String>>,
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
        Ok(config) => Box::pin(examine_site(&Arc::new(Site::of(config)), &subject, progress)).await,
    }
}

/// Where the configuration cannot be read, nothing else can be told.
fn without_configuration(error: &ConfigError) -> Vec<Finding> {
    if configuration::is_about_federation(error) {
        return only(3, configuration::contradictory(error));
    }
    only(1, configuration::unreadable(error))
}

/// One finding about this backend, on which all others depend.
fn only(id: u8, outcome: Outcome) -> Vec<Finding> {
    let mut outcome = Some(outcome);
    let own = CHECKS.iter().filter(|check| check.group != Group::Partner);
    own.map(|check| match outcome.take_if(|_| check.id == id) {
        Some(outcome) => Finding::of(check, None, outcome),
        None => Finding::depending(check, None, id),
    })
    .collect()
}

async fn examine_site(site: &Arc<Site>, subject: &Subject, progress: &dyn Progress) -> Report {
    progress.begins("reading files and asking the backend");
    let local = Local::gather(site).await;
    let said = match &local.node {
        Node::Running { domain, .. } => domain.as_ref(),
        Node::Away(_) | Node::Closed(_) => None,
    };
    let Some(domain) = site.domain.as_ref().or(said) else {
        return Report::new(None, Vec::new(), only(1, configuration::unknown_domain(&local.node)));
    };
    let mut findings = Findings::default();
    findings.add(1, || configuration::domain(domain, &local.node, &local.stored));
    findings.add(2, || configuration::spelling(domain, subject.helm.as_ref()));
    findings.add(3, || configuration::material(local.material.as_ref()));
    let resolver = resolver(site);
    let mut tried: Vec<_> = local.edge.iter().cloned().collect();
    if let Some(url) = &subject.from_outside {
        progress.begins("asking from outside");
        tried.push(listener::from_outside(url, &resolver, &site.limits).await);
    }
    let Some(material) = &local.material else {
        findings.add(5, || configuration::internal_api(site.internal().as_ref(), &tried));
        let rest = CHECKS.iter().filter(|check| check.id > 5 && check.group != Group::Partner);
        let off = |check| Finding::of(check, None, Outcome::skip("federation is switched off"));
        findings.0.extend(rest.map(off));
        return Report::new(Some(domain.clone()), Vec::new(), findings.0);
    };
    let examination = Examination { site, domain, material, local: &local, resolver: &resolver };
    Box::pin(examination.run(subject, tried, findings, progress)).await
}

fn resolver(site: &Site) -> Asked {
    let server = site.dns.map_or(DnsServer::System, DnsServer::At);
    NameServerResolver::new(server, site.limits.dns.try_timeout).map_err(|error| error.to_string())
}

/// A backend that federates.
struct Examination<'a> {
    site: &'a Site,
    domain: &'a Domain,
    material: &'a Material,
    local: &'a Local,
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
        let Self { site, domain, material, local, .. } = *self;
        let now = subject.surroundings.clock.now();
        let identity = material.identity();
        progress.begins(&format!("looking up {domain}"));
        let (service, zone_ttl) = tokio::join!(
            Service::look_up(domain, self.resolver, &site.limits),
            zone::ttl(domain, self.resolver, &site.limits),
        );
        let service = Service { zone_ttl, ..service };
        // Where only the ingress in front has the name in its configuration, the record says it.
        let recorded = service.targets.first().map(|one| one.target.host.as_str());
        let infra = site.infra.as_ref().map(Domain::as_str).or(recorded).unwrap_or_default();
        progress.begins("knocking at the own door");
        let listener = Box::pin(Listener::look_at(site, domain, infra, &service, identity)).await;
        tried.push(listener.internal.clone());

        findings.add(5, || configuration::internal_api(site.internal().as_ref(), &tried));
        findings.add(8, || dns::present(domain, site.infra.as_ref(), site.listen, &service));
        findings.add(9, || dns::well_formed(&service, material.awaits_server().then_some(infra)));
        findings.add(10, || dns::leads_here(infra, &service, material, &listener));
        let roots = self.known_roots();
        findings.add(13, || own_tls::chain(material, &listener, &roots, now));
        findings.add(14, || own_tls::subject_names(infra, material, &listener));
        findings.add(15, || own_tls::dates(material, &listener, now));
        findings.add(16, || own_tls::keys(material));
        findings.add(17, || own_tls::usages(material, &listener));
        findings.add(18, || own_tls::algorithms(material, &listener));
        findings.add(19, || ingress::protocols(&listener));
        findings.add(20, || ingress::demands_certificate(&listener));
        findings.add(52, || processes::federator(&local.processes.federator));
        findings.add(53, || processes::components(&local.processes.components));

        let known = local.policy();
        let policy = &known.policy;
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
            limits: &site.limits,
            roots: material.roots(),
            identity,
            outside: site.outside(),
            rng: subject.surroundings.rng.as_ref(),
            now,
        };
        let callers = subject.helm.as_ref().and_then(|values| callers(values.as_ref().ok()?));
        let ours = partner::Ours {
            domain,
            roots: means.roots,
            identity,
            signatures: identity.map(|identity| partner::signatures(identity, &roots, now)),
            verify_depth: site.verify_depth,
            service: &service,
            policy,
            whose: local.without_policy().map_or(Ok(known.whose), Err),
            outside: means.outside.is_some(),
            callers: callers.as_ref(),
            awaits_certificate: material.awaits_client(),
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
        let mut roots = self.material.roots().cloned().unwrap_or_default();
        // A system without a store adds nothing.
        let _ = roots.add_system();
        roots
    }
}

/// Whom wire-server's ingress believes, by its Helm values.
fn callers(values: &Values) -> Option<Roots> {
    Roots::from_pem("secrets.tlsClientCA", import::callers_ca(values)?.as_bytes()).ok()
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
        match Check::numbered(22).filter(|_| ours.awaits_certificate) {
            // Who shows none may be refused for that alone.
            Some(check) => self.0.push(Finding::depending(check, who, 3)),
            None => self.about(22, who, || partner::trusted(seen, ours.outside)),
        }
        self.about(23, who, || partner::accepted(seen, ours));
        self.about(24, who, || partner::depth(seen, ours));
        self.about(25, who, || partner::both_directions(seen, ours));
        self.about(26, who, || partner::allowed_here(seen, ours));
        self.about(27, who, || answers::allowed_there(seen, ours));
        self.about(28, who, || answers::origin(seen, ours));
        self.about(29, who, || answers::versions(seen));
        self.about(30, who, || answers::round_trip(seen));
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
            // What cannot be told of this backend need not be wrong; what was not asked of a partner is not known.
            let unknown = below.verdict == Verdict::Skip && (below.partner.is_some() || below.depends_on.is_some());
            (unknown || below.verdict == Verdict::Fail).then(|| below.depends_on.unwrap_or(*on))
        })
    }
}
