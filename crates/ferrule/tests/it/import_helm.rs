//! `ferrule config import-helm` with the keys and values of wire-server's documentation on federation, and
//! `ferrule config nginx`.

mod chart;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use testkit::process::{Child, run as run_program};
use tls::issue::{Authority, AuthorityRequest, Issued, LeafRequest, Usage, Validity};
use types::{Clock, SystemClock};

use crate::support::ferrule;

const INFRA: &str = "federator.wire.example.org";

/// The overrides of nginx-ingress-services, manual certificates (B): values and secrets.
const INGRESS: &str = "
tls:
  # the validation depth between a federator client certificate and tlsClientCA
  verify_depth: 3 # default: 1
federator:
  enabled: true
config:
  dns:
    https: nginz-https.wire.example.org
    webapp: webapp.wire.example.org
    federator: federator.wire.example.org # set this to your \"infra\" domain
";
const INGRESS_SECRETS: &str = "
secrets:
  tlsWildcardCert: |
@server
  tlsWildcardKey: |
@server-key
  tlsClientCA: |
@ca
";
/// The overrides of wire-server.
const WIRE_SERVER: &str = "
tags:
  federator: true
galley:
  config:
    enableFederator: true
    settings:
      federationDomain: example.com # your chosen \"backend domain\"
      maxTeamSize: 500
brig:
  config:
    enableFederator: true
    optSettings:
      setFederationDomain: example.com # your chosen \"backend domain\"
cargohold:
  config:
    enableFederator: true
    settings:
      federationDomain: example.com # your chosen \"backend domain\"
federator:
  remoteCAContents: |
@ca
  config:
    optSettings:
      federationStrategy:
        allowedDomains:
         - example.net
         - example.org
";
const WIRE_SERVER_SECRETS: &str = "
federator:
  clientCertificateContents: |
@client
  clientPrivateKeyContents: |
@client-key
";
/// (A): certificates of Let's Encrypt.
const ACME_INGRESS: &str = "
tls:
  useCertManager: true
certManager:
  inTestMode: false
  certmasterEmail: \"certificates@example.com\"
secrets:
  tlsClientCA: |
@ca
";
const ACME_WIRE_SERVER: &str = "
federator:
  tls:
    useSharedFederatorSecret: true
";

struct Place {
    folder: TempDir,
    ca: Authority,
    server: Issued,
    client: Issued,
}

impl Place {
    fn new() -> Self {
        let validity = Validity::starting(SystemClock.now(), Duration::from_secs(86_400));
        let ca = Authority::root(&AuthorityRequest::new("partners", validity)).unwrap();
        let mut wildcard = LeafRequest::new("*.wire.example.org", validity);
        wildcard.usage = Usage::Server;
        let server = ca.issue(&wildcard).unwrap();
        let client = ca.issue(&LeafRequest::new(INFRA, validity)).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), ca, server, client }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of values, with PEM texts in the places of their names.
    fn values(&self, name: &str, text: &str) -> String {
        let block = |pem: &str| pem.lines().map(|line| format!("    {line}\n")).collect::<String>();
        let text = text
            .replace("@server-key\n", &block(self.server.key_pem()))
            .replace("@server\n", &block(&self.server.chain_pem()))
            .replace("@client-key\n", &block(self.client.key_pem()))
            .replace("@client\n", &block(&self.client.chain_pem()))
            .replace("@ca\n", &block(&self.ca.certificate_pem()));
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// Imports these texts, in their order. `Ok` is the report, `Err` what was said instead.
    fn import(&self, texts: &[&str]) -> Result<String, String> {
        let files: Vec<String> = (0..).zip(texts).map(|(n, text)| self.values(&format!("{n}.yaml"), text)).collect();
        let out = self.out().display().to_string();
        let mut arguments = vec!["config", "import-helm", "--data", "kept", "--out", &out];
        arguments.extend(files.iter().map(String::as_str));
        let ended = run_program(ferrule(), arguments).unwrap();
        if ended.status.success() { Ok(ended.stdout) } else { Err(ended.stderr) }
    }

    fn config(&self) -> String {
        self.out().join("ferrule.toml").display().to_string()
    }
}

const MANUAL: [&str; 4] = [INGRESS, INGRESS_SECRETS, WIRE_SERVER, WIRE_SERVER_SECRETS];

#[test]
fn the_values_of_the_documentation_become_a_backend_that_starts() {
    let place = Place::new();
    let report = place.import(&MANUAL).unwrap();
    for told in [
        "tls.verify_depth -> federation.verify_depth = 3",
        "secrets.tlsWildcardCert -> the file federation.pem",
        "federator.clientPrivateKeyContents -> the file federation-client-key.pem",
        "brig.config.optSettings.setFederationDomain, galley.config.settings.federationDomain, \
         cargohold.config.settings.federationDomain -> domain = \"example.com\"",
        "galley.config.settings.maxTeamSize",
        "config.dns.https",
    ] {
        assert!(report.contains(told), "{told} is not told:\n{report}");
    }
    let shown = run_program(ferrule(), ["config", "show", "--config", &place.config()]).unwrap();
    for set in [
        "domain = \"example.com\"",
        &format!("data = {:?}", place.out().join("kept")),
        "infra = \"federator.wire.example.org\"",
        "verify_depth = 3",
        "strategy = \"allowDynamic\"",
        "domain = \"example.net\"",
        "https://webapp.wire.example.org",
    ] {
        assert!(shown.stdout.contains(set), "{set}: {}\n{}", shown.stdout, shown.stderr);
    }
    let check = run_program(ferrule(), ["config", "check", "--config", &place.config()]).unwrap();
    assert!(check.status.success(), "{}", check.stderr);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for key in ["federation-key.pem", "federation-client-key.pem", "zauth-private.txt"] {
        assert_eq!(mode(&place.out().join(key)), 0o600, "{key}");
    }
    assert_eq!(fs::read_to_string(place.out().join("federation.pem")).unwrap(), place.server.chain_pem());

    fs::write(
        place.path("ports.toml"),
        fs::read_to_string(place.config())
            .unwrap()
            .replace("0.0.0.0:8443", "127.0.0.1:0")
            .replace("[edge]", "[edge]\nlisten = \"127.0.0.1:0\""),
    )
    .unwrap();
    fs::rename(place.path("ports.toml"), place.config()).unwrap();
    let mut served = Child::start(ferrule(), ["serve", "--config", &place.config()]).unwrap();
    served
        .until("the backend", |served| {
            let (out, err) = served.output();
            (out + &err).contains("ready").then_some(())
        })
        .unwrap();
    assert!(served.terminate().unwrap().success());
}

#[test]
fn nothing_is_overwritten() {
    let place = Place::new();
    place.import(&MANUAL).unwrap();
    let before = fs::read(place.out().join("federation-key.pem")).unwrap();
    let again = place.import(&MANUAL).unwrap_err();
    assert!(again.contains("is there already"), "{again}");
    assert_eq!(fs::read(place.out().join("federation-key.pem")).unwrap(), before);
}

#[test]
fn contradictions_are_told_all_at_once_and_nothing_is_written() {
    let place = Place::new();
    let contradicting = "
galley: {config: {settings: {federationDomain: other.example}}}
cargohold: {config: {enableFederator: false}}
tls: {useCertManager: true}
config: {isAdditionalIngress: true}
federator: {config: {optSettings: {federationStrategy: {allowAll: true}}}}
";
    let told = place.import(&[&MANUAL[..], &[contradicting]].concat()).unwrap_err();
    for (options, problem) in [
        ("cargohold.config.enableFederator", "federation is on in one place and off in another"),
        ("brig.config.optSettings.setFederationDomain", "galley.config.settings.federationDomain is other.example"),
        ("tls.useCertManager, secrets.tlsWildcardCert", "either managed or pasted"),
        ("config.isAdditionalIngress", "multi-ingress and federation cannot be configured together"),
        ("federationStrategy.allowAll", "the one allows everybody"),
    ] {
        let line = told.lines().find(|line| line.contains(problem));
        assert!(line.is_some_and(|line| line.contains(options)), "{problem}\n{told}");
    }
    assert!(!place.out().exists());
}

#[test]
fn federation_without_certificates_is_refused() {
    let place = Place::new();
    let told = place.import(&[INGRESS, WIRE_SERVER]).unwrap_err();
    assert!(told.contains("there is no server certificate"), "{told}");
    assert!(told.contains("there is no certificate for calls to others"), "{told}");
    let shared = "federator: {tls: {useSharedFederatorSecret: true}}";
    let told = place.import(&[INGRESS, INGRESS_SECRETS, WIRE_SERVER, shared]).unwrap_err();
    assert!(told.contains("lacks TLS Web Client Authentication"), "{told}");
    let swapped = WIRE_SERVER_SECRETS.replace("@client-key", "@server-key");
    let told = place.import(&[INGRESS, INGRESS_SECRETS, WIRE_SERVER, &swapped]).unwrap_err();
    assert!(told.contains("federator.clientPrivateKeyContents") && told.contains("does not belong"), "{told}");
    assert!(!told.contains("PRIVATE KEY"), "{told}");
}

#[test]
fn certificates_of_lets_encrypt_become_acme() {
    let place = Place::new();
    let report = place.import(&[INGRESS, ACME_INGRESS, WIRE_SERVER, ACME_WIRE_SERVER]).unwrap();
    assert!(report.contains("certManager.certmasterEmail -> acme.email = \"certificates@example.com\""), "{report}");
    assert!(report.contains("no longer issues certificates for TLS Web Client Authentication"), "{report}");
    let shown = run_program(ferrule(), ["config", "show", "--config", &place.config()]).unwrap();
    assert!(shown.status.success() && shown.stdout.contains("[acme]"), "{}{}", shown.stdout, shown.stderr);
}

#[test]
fn an_explicit_depth_of_one_stays_and_is_warned_of() {
    let place = Place::new();
    let report = place.import(&[&MANUAL[..], &["tls: {verify_depth: 1}"]].concat()).unwrap();
    assert!(report.contains("federation.verify_depth = 1"), "{report}");
    assert!(report.contains("warning: tls.verify_depth: 1 was taken over as it is written"), "{report}");
}

#[test]
fn the_example_for_nginx_is_what_the_command_prints() {
    let ended = run_program(
        ferrule(),
        [
            "config",
            "nginx",
            "--infra",
            INFRA,
            "--certificate",
            "/etc/ferrule/federation.pem",
            "--key",
            "/etc/ferrule/federation-key.pem",
            "--client-ca",
            "/etc/ferrule/partners-ca.pem",
        ],
    )
    .unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx/federation.conf");
    if std::env::var_os("FERRULE_BLESS").is_some() {
        fs::write(&example, &ended.stdout).unwrap();
    }
    assert_eq!(ended.stdout, fs::read_to_string(example).unwrap());
    assert!(ended.stdout.contains("ssl_verify_depth 1;"), "verify_depth is 2, of which nginx counts the intermediates");
}

#[test]
#[ignore = "needs nginx"]
fn nginx_takes_what_the_command_prints_for_an_imported_configuration() {
    let place = Place::new();
    place.import(&MANUAL).unwrap();
    let ca = place.out().join("remote-ca.pem").display().to_string();
    let arguments =
        ["config", "nginx", "--config", &place.config(), "--client-ca", &ca, "--port", "18443"].map(str::to_owned);
    let printed = run_program(ferrule(), arguments).unwrap();
    assert!(printed.stdout.contains("ssl_verify_depth 2;"), "{}{}", printed.stdout, printed.stderr);
    let config = place.path("nginx.conf");
    let pid = place.path("pid").display().to_string();
    fs::write(&config, format!("pid {pid};\nevents {{}}\nhttp {{\n{}\n}}\n", printed.stdout)).unwrap();
    let checked = std::process::Command::new("nginx")
        .args(["-t", "-e", "stderr", "-c"])
        .arg(&config)
        .output()
        .expect("nginx is installed");
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.contains("test is successful"), "{said}");
}
