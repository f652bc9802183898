//! A backend that runs, in a network with a name server and a CA of the test's own, and a partner played by the test.

use std::{fs, net::SocketAddr};

use lab::dns::Service;
use serde_json::json;
use testkit::{
    Credentials, Specimen, Stranger, TTL, World,
    peer::{ForeignBackend, Recorded, Reply, Script, Terms, script},
    process::{Folder, Reserved, Served, run},
};
use types::Domain;

use super::examined::Examined;
use crate::support::{SMALL_LIMITS, ferrule};

/// All of it, in good health until something is broken.
pub struct Patient {
    /// Name server and CA.
    pub world: World,
    /// The backend's files.
    pub folder: Folder,
    /// Its partner's names and certificate.
    pub partner: Stranger,
    /// What answers for the partner.
    pub answers: ForeignBackend,
    served: Option<Served>,
    edge: Reserved,
    federation: Reserved,
}

impl Patient {
    /// In good health.
    pub async fn new() -> Self {
        let patient = Self::with(Specimen::Good).await;
        patient.examined(&[]).is_well();
        patient
    }

    /// With a certificate of that kind for both roles.
    pub async fn with(specimen: Specimen) -> Self {
        let this = Self::not_started().await;
        this.certify("federation", specimen);
        this.started()
    }

    /// The same before the backend was started.
    pub async fn not_started() -> Self {
        let world = World::new().await.unwrap();
        let partner = world.stranger("partner").unwrap();
        let answers = ForeignBackend::start(&partner.certificate, script(well)).await.unwrap();
        let folder = Folder::init(ferrule(), &world, "patient.example", SMALL_LIMITS).unwrap();
        let (edge, federation) = (Reserved::new().unwrap(), Reserved::new().unwrap());
        let this = Self { world, folder, partner, answers, served: None, edge, federation };
        this.configure("");
        this.publish(|_| {});
        this.publish_partner(this.answers.address());
        this
    }

    /// Starts the backend.
    pub fn started(mut self) -> Self {
        self.served = Some(self.folder.serve().unwrap());
        self
    }

    /// Ends the backend.
    pub fn stop(&mut self) {
        self.served.take().unwrap().stop().unwrap();
    }

    /// Writes the configuration, with more lines in `[federation]`.
    pub fn configure(&self, more: &str) {
        let text = format!(
            "[federation]\ninfra = \"{}\"\nlisten = \"{}\"\ncertificate = \"federation.pem\"\nkey = \"federation-key.pem\"\n\
             ca = [\"federation-ca.pem\"]\ndns = \"{}\"\nstrategy = \"allowDynamic\"\n{more}\n[[federation.remotes]]\n\
             domain = \"{}\"\n[federation.limits]\n{SMALL_LIMITS}",
            self.infra(),
            self.federation.address,
            self.world.dns().address(),
            self.partner.domain,
        );
        self.folder.configure(&text).unwrap();
        self.edit("listen = \"127.0.0.1:0\"", &format!("listen = \"{}\"", self.edge.address));
    }

    /// Changes the text of the configuration.
    #[track_caller]
    pub fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.folder.config()).unwrap();
        assert!(text.contains(from), "{from}: {text}");
        fs::write(self.folder.config(), text.replacen(from, to, 1)).unwrap();
    }

    /// Its infrastructure domain.
    pub fn infra(&self) -> Domain {
        format!("federator.infra-{}", self.folder.domain()).parse().unwrap()
    }

    /// Where it is configured to listen for others.
    pub fn federation(&self) -> SocketAddr {
        self.federation.address
    }

    /// Writes a certificate for the infrastructure domain into `NAME.pem` and `NAME-key.pem`.
    pub fn certify(&self, name: &str, specimen: Specimen) {
        self.write(name, &self.world.certificates().issue(specimen, self.infra().as_str()).unwrap());
    }

    /// Writes a certificate.
    pub fn write(&self, name: &str, certificate: &Credentials) {
        fs::write(self.folder.path(&format!("{name}.pem")), &certificate.chain).unwrap();
        fs::write(self.folder.path(&format!("{name}-key.pem")), &certificate.key).unwrap();
    }

    /// What it shows to others.
    pub fn certificate(&self) -> Credentials {
        Credentials::read(&self.folder.path("federation.pem"), &self.folder.path("federation-key.pem")).unwrap()
    }

    /// Its records, changed as wanted.
    pub fn publish(&self, change: impl FnOnce(&mut Service)) {
        let mut service = self.service();
        change(&mut service);
        self.publish_all(TTL.as_secs(), &[service]);
    }

    /// The record that leads to it.
    pub fn service(&self) -> Service {
        Service { priority: 0, weight: 10, port: self.federation.address.port(), target: self.infra() }
    }

    /// Its records and the address of its infrastructure domain.
    pub fn publish_all(&self, ttl: u64, services: &[Service]) {
        let dns = self.world.dns().truth();
        dns.publish_services(self.folder.domain(), std::time::Duration::from_secs(ttl), services);
        dns.publish_addresses(&self.infra(), TTL, &[self.federation.address.ip()]);
    }

    /// Puts something else in the place of its ingress: a foreign server with its certificate.
    pub async fn ingress(&self, terms: Terms<'_>, answer: Script) -> ForeignBackend {
        self.ingress_showing(&self.certificate(), terms, answer).await
    }

    /// The same with any certificate.
    pub async fn ingress_showing(&self, shown: &Credentials, terms: Terms<'_>, answer: Script) -> ForeignBackend {
        let ingress = ForeignBackend::on_terms(terms, shown, answer).await.unwrap();
        self.publish(|service| service.port = ingress.address().port());
        ingress
    }

    /// The partner's records lead there.
    pub fn publish_partner(&self, address: SocketAddr) {
        self.world.publish(&self.partner.domain, &self.partner.infra, address);
    }

    /// The partner has another certificate.
    pub async fn partner_with(&mut self, specimen: Specimen) {
        self.partner.certificate = self.world.certificates().issue(specimen, self.partner.infra.as_str()).unwrap();
        self.partner_on(Terms::default()).await;
    }

    /// The partner makes handshakes on other terms.
    pub async fn partner_on(&mut self, terms: Terms<'_>) {
        self.answers = ForeignBackend::on_terms(terms, &self.partner.certificate, script(well)).await.unwrap();
        self.publish_partner(self.answers.address());
    }

    /// The partner answers the RPC so, and the other one well.
    pub fn partner_answers(&self, rpc: &'static str, reply: Reply) {
        self.answers.answer_by(script(move |request| if request.rpc() == rpc { reply.clone() } else { well(request) }));
    }

    /// Runs `ferrule doctor --json`.
    #[track_caller]
    pub fn examined(&self, arguments: &[&str]) -> Examined {
        Examined::of(self.folder.command(&[&["doctor", "--json"], arguments].concat()).unwrap())
    }
}

/// Runs openssl, which makes certificates that nobody should have.
#[track_caller]
pub fn openssl(arguments: &[&str]) {
    let ended = run(std::path::Path::new("openssl"), arguments).unwrap();
    assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
}

/// Answers as a backend in good health does.
pub fn well(request: &Recorded) -> Reply {
    match request.rpc() {
        "api-version" => Reply::versions(),
        _ => Reply::json(&json!(null)),
    }
}

/// Answers as an ingress does that got no client certificate.
pub fn demanding(request: &Recorded) -> Reply {
    match request.path.as_str() {
        _ if request.names.is_empty() => Reply::error(400, "authentication-failure", "no certificate"),
        "/i/status" => Reply::error(404, "no-endpoint", ""),
        _ => well(request),
    }
}
