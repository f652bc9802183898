//! Backends that are several processes: an outside federator, components over HTTP, an ingress in front.

use std::{fs, time::Duration};

use lab::dns::Service;
use testkit::{
    Specimen, Stranger, TTL, World,
    peer::{ForeignBackend, Reply, Terms, script},
    process::{Federated, FederatorFolder, Folder, Reserved, Served, run as run_program},
};

use super::{
    examined::Examined,
    patient::{demanding, well},
};
use crate::support::{SMALL_LIMITS, ferrule, run};

/// The federator keeps records for their TTL, and here partners move.
const SHORT: Duration = Duration::ZERO;

/// `ferrule serve` with brig, `ferrule federator`, and a partner played by the test.
struct Pair {
    world: World,
    backend: Folder,
    federator: FederatorFolder,
    partner: Stranger,
    answers: ForeignBackend,
    outward: Reserved,
    brig: Reserved,
    served: Served,
    federated: Federated,
}

impl Pair {
    /// In good health. `policy` are lines of the federator's `[policy]`.
    async fn new(policy: &str) -> Self {
        let world = World::new().await.unwrap();
        let partner = world.stranger("partner").unwrap();
        let answers = ForeignBackend::start(&partner.certificate, script(well)).await.unwrap();
        world.publish_for(SHORT, &partner.domain, &[(partner.infra.clone(), answers.address())]);
        let (outward, brig) = (Reserved::new().unwrap(), Reserved::new().unwrap());
        let backend = Folder::init_only(ferrule(), "pair.example").unwrap();
        let federator = FederatorFolder::new(ferrule(), &world, backend.domain()).unwrap();
        let dns = world.dns().address();
        let text = format!(
            "[federation]\ninfra = \"{}\"\nstrategy = \"allowDynamic\"\ndns = \"{dns}\"\n[[federation.remotes]]\ndomain = \
             \"{}\"\n[federation.limits]\n{SMALL_LIMITS}\n[components]\nfederator = \"{}\"\nlisten = \"{}\"\nfederators = \
             [\"127.0.0.1\"]\n",
            federator.infra(),
            partner.domain,
            outward.address,
            brig.address
        );
        backend.configure(&text).unwrap();
        let served = backend.serve().unwrap();
        let text = format!(
            "dns = \"{dns}\"\n[outward]\nlisten = \"{}\"\n[inward.ingress]\nlisten = \"127.0.0.1:0\"\ninfra = \"{}\"\n\
             [components]\nbrig = \"{}\"\n[policy]\n{policy}\n[tls]\ncertificate = \"leaf.pem\"\nkey = \
             \"leaf-key.pem\"\nca = [\"ca.pem\"]\n[limits]\n{SMALL_LIMITS}",
            outward.address,
            federator.infra(),
            brig.address
        );
        let federated = federator.run(&federator.write("federator.toml", &text).unwrap(), &[]).unwrap();
        let this = Self { world, backend, federator, partner, answers, outward, brig, served, federated };
        this.publish(this.federated.ingress.unwrap().port());
        this
    }

    fn publish(&self, port: u16) {
        let dns = self.world.dns().truth();
        let target = self.federator.infra().clone();
        dns.publish_services(self.backend.domain(), TTL, &[Service { priority: 0, weight: 10, port, target }]);
        dns.publish_addresses(self.federator.infra(), TTL, &[[127, 0, 0, 1].into()]);
    }

    /// The partner has another certificate, or makes handshakes on other terms.
    async fn partner_with(&mut self, specimen: Specimen, terms: Terms<'_>) {
        let certificate = self.world.certificates().issue(specimen, self.partner.infra.as_str()).unwrap();
        self.answers = ForeignBackend::on_terms(terms, &certificate, script(well)).await.unwrap();
        let target = (self.partner.infra.clone(), self.answers.address());
        self.world.publish_for(SHORT, &self.partner.domain, &[target]);
    }

    /// The doctor with the backend's configuration.
    #[track_caller]
    fn backend_examined(&self) -> Examined {
        Examined::of(self.backend.command(&["doctor", "--json"]).unwrap())
    }

    /// The doctor with a configuration of the federator's.
    #[track_caller]
    fn federator_examined(&self, config: &str, more: &[&str]) -> Examined {
        let config = self.federator.path(config).display().to_string();
        let ended = run_program(ferrule(), [&["doctor", "--json", "--config", &config], more].concat());
        Examined::of(ended.unwrap())
    }

    /// Changes a text of the federator's configuration.
    #[track_caller]
    fn edit(&self, from: &str, to: &str) {
        let path = self.federator.path("federator.toml");
        edit(&path, from, to);
    }
}

#[track_caller]
fn edit(path: &std::path::Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// What is the federator's alone is not seen from a backend.
const FEDERATORS_OWN: [u8; 5] = [3, 13, 16, 24, 25];

#[test]
fn both_are_well() {
    run(async {
        let pair = Pair::new("").await;
        pair.backend_examined().is([]).cannot_tell(&FEDERATORS_OWN);
        assert_eq!(pair.answers.calls_of("get-user-by-handle").len(), 1, "by the federator");
        pair.federator_examined("federator.toml", &[]).is_well();
    });
}

#[test]
fn a_backend_whose_federator_or_whose_door_for_it_is_away() {
    run(async {
        let pair = Pair::new("").await;
        let dead = Reserved::new().unwrap().address.to_string();
        let good = fs::read(pair.backend.config()).unwrap();
        edit(&pair.backend.config(), &pair.outward.address.to_string(), &dead);
        pair.backend_examined().fails(
            52,
            "components.federator",
            "Start the federator, and set `components.federator`",
        );
        fs::write(pair.backend.config(), good).unwrap();
        edit(&pair.backend.config(), &pair.brig.address.to_string(), &dead);
        pair.backend_examined().fails(53, "components.listen", "stand in `components.federators`");
    });
}

#[test]
fn a_federator_whose_components_or_whose_own_ports_are_away() {
    run(async {
        let pair = Pair::new("").await;
        let dead = Reserved::new().unwrap().address.to_string();
        pair.edit("[components]", &format!("[components]\ngalley = \"{dead}\""));
        let remedy = "set `components.galley` to where it listens";
        pair.federator_examined("federator.toml", &[]).fails(53, "components.galley", remedy);
        pair.edit(&format!("galley = \"{dead}\"\n"), "");
        pair.edit(&pair.outward.address.to_string(), &dead);
        pair.federator_examined("federator.toml", &[]).fails(52, "outward.listen", "has the port of `outward.listen`");
    });
}

#[test]
fn a_federator_with_certificates_that_are_none() {
    run(async {
        let pair = Pair::new("").await;
        for file in ["leaf.pem", "leaf-key.pem", "ca.pem"] {
            let path = pair.federator.path(file);
            let good = fs::read(&path).unwrap();
            fs::write(&path, "junk").unwrap();
            pair.federator_examined("federator.toml", &[]).is([(3, "fail")]).leaves_out(&[13, 20, 22, 30], 3);
            fs::write(&path, good).unwrap();
        }
        pair.edit("ca = [\"ca.pem\"]", "");
        pair.federator_examined("federator.toml", &[]).is([(3, "fail")]).says(3, "tls.ca", "Name a certificate");
        pair.edit("infra = ", "nonsense = ");
        pair.federator_examined("federator.toml", &[]).is([(1, "fail")]).says(
            1,
            "nonsense",
            "Correct the configuration",
        );
    });
}

#[test]
fn a_federator_of_another_domain_than_its_brig() {
    run(async {
        let pair = Pair::new("").await;
        pair.edit("[outward]", "domain = \"other.example\"\n[outward]");
        let other = "other.example".parse().unwrap();
        let port = pair.federated.ingress.unwrap().port();
        let target = pair.federator.infra().clone();
        pair.world.dns().truth().publish_services(&other, TTL, &[Service { priority: 0, weight: 10, port, target }]);
        pair.federator_examined("federator.toml", &[]).is([(1, "fail")]).says(
            1,
            "the backend that runs is pair.example",
            "`domain` of a federator is that of its brig",
        );
        pair.served.stop().unwrap();
        edit(&pair.federator.path("federator.toml"), "domain = \"other.example\"\n", "");
        let config = pair.federator.path("federator.toml").display().to_string();
        let ended = run_program(ferrule(), ["doctor", "--json", "--config", &config]).unwrap();
        Examined::of(ended).is([(1, "fail")]).says(1, "is not configured", "Set `domain`");
    });
}

#[test]
fn partners_by_an_outside_federator() {
    run(async {
        let mut pair = Pair::new("").await;
        let denied = |label: &'static str| {
            script(move |request| match request.rpc() {
                "api-version" => Reply::error(400, label, "no"),
                _ => well(request),
            })
        };
        pair.answers.answer_by(denied("federation-denied"));
        pair.backend_examined().is([(27, "fail")]).says(27, "federation-denied", "to allow pair.example");
        pair.answers.answer_by(denied("discovery-failure"));
        pair.backend_examined().is([(28, "fail")]).says(28, "cannot find us", "its name server does not find it");
        pair.answers.answer_by(script(|_| Reply::status(400, "text/html", "<center>nginx</center>")));
        pair.backend_examined().is([(23, "fail")]).says(23, "its ingress answers 400", "tlsClientCA");

        pair.partner_with(Specimen::UnknownAuthority, Terms::default()).await;
        let remedy = "Examine the federator itself, where its certificates are";
        pair.backend_examined().is([(22, "fail")]).says(22, "federation-tls-error", remedy);
        let other = World::new().await.unwrap().certificates().root_pem();
        let terms = Terms { versions: Terms::ONLY_TLS12, clients: Some(&other), ..Terms::default() };
        pair.partner_with(Specimen::Good, terms).await;
        pair.backend_examined().is([(23, "fail")]).says(23, "rejects our client certificate", "tlsClientCA");
        pair.partner_with(Specimen::Good, Terms::default()).await;
        pair.world.dns().truth().publish_services(&pair.partner.domain, TTL, &[]);
        pair.backend_examined().is([(21, "fail")]).says(21, "invalid-domain", "to publish an SRV record");
    });
}

#[test]
fn a_federator_that_allows_others_than_its_backend() {
    run(async {
        let pair = Pair::new("source = \"here\"\nstrategy = \"allowNone\"").await;
        let remedy = "Look whether the federator asks this backend for its policy, or has one of its own";
        pair.backend_examined().is([(26, "fail")]).says(26, "but our federator denies it", remedy);
        let partner = pair.partner.domain.to_string();
        pair.federator_examined("federator.toml", &[&partner]).is([(26, "fail")]).says(
            26,
            "not allowed here",
            "Set `federation.strategy` to allowDynamic",
        );
    });
}

#[test]
fn wire_servers_file_behind_an_ingress_of_its_own() {
    run(async {
        let mut pair = Pair::new("").await;
        let ingress =
            pair.world.certificates().issue(Specimen::WithoutClientAuth, pair.federator.infra().as_str()).unwrap();
        let ingress = ForeignBackend::on_terms(Terms::default(), &ingress, script(demanding)).await.unwrap();
        pair.publish(ingress.address().port());
        let at = |name: &str| pair.federator.path(name).display().to_string();
        let (internal, external) = (Reserved::new().unwrap(), Reserved::new().unwrap());
        let (brig, dns) = (pair.brig.address, pair.world.dns().address());
        let text = format!(
            "federatorInternal: {{host: 127.0.0.1, port: {}}}\nfederatorExternal: {{host: 127.0.0.1, port: {}}}\n\
             brig: {{host: 127.0.0.1, port: {}}}\ngalley: {{host: 127.0.0.1, port: {}}}\ncargohold: {{host: 127.0.0.1, \
             port: {}}}\nlogLevel: Info\nlogNetStrings: false\noptSettings:\n  remoteCAStore: '{}'\n  useSystemCAStore: \
             false\n  clientCertificate: '{}'\n  clientPrivateKey: '{}'\n  tcpConnectionTimeout: 2500000\n  dnsHost: '{}'\n  \
             dnsPort: {}\n",
            internal.address.port(),
            external.address.port(),
            brig.port(),
            brig.port(),
            brig.port(),
            at("ca.pem"),
            at("leaf.pem"),
            at("leaf-key.pem"),
            dns.ip(),
            dns.port(),
        );
        let file = pair.federator.write("federator.yaml", &text).unwrap();
        let _theirs = pair.federator.run(&file, &[]).unwrap();
        pair.federator_examined("federator.yaml", &[]).is([]).cannot_tell(&[24, 25]);

        // What the ingress believes stands in its Helm values.
        let values = |name: &str, roots: &str| {
            let indented: String = roots.lines().map(|line| format!("    {line}\n")).collect();
            let names = "brig: {config: {optSettings: {setFederationDomain: pair.example}}}\n\
                         galley: {config: {settings: {federationDomain: pair.example}}}\n\
                         cargohold: {config: {settings: {federationDomain: pair.example}}}\n";
            let file = pair.federator.write(name, &format!("{names}secrets:\n  tlsClientCA: |\n{indented}")).unwrap();
            file.display().to_string()
        };
        let good = values("good.yaml", &pair.world.certificates().root_pem());
        pair.federator_examined("federator.yaml", &["--helm", &good]).is([]).cannot_tell(&[24]);
        let bad = values("bad.yaml", &World::new().await.unwrap().certificates().root_pem());
        let examined = pair.federator_examined("federator.yaml", &["--helm", &bad]);
        let remedy = "Put the CA certificate of remoteCAContents into secrets.tlsClientCA";
        examined.is([(25, "fail")]).says(25, "outgoing works, incoming fails", remedy);

        // A partner is asked with the certificate of the file.
        pair.partner_with(Specimen::UnknownAuthority, Terms::default()).await;
        let examined = pair.federator_examined("federator.yaml", &[]);
        examined.is([(22, "fail")]).says(22, "not in remoteCAContents", "for the CA certificate and add it to");
    });
}
