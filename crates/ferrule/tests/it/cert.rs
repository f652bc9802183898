//! `ferrule cert`, as an operator uses it, with OpenSSL as the judge of what comes out.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;
use tempfile::TempDir;
use testkit::process::{Ended, run as run_program, scratch};

use crate::support::ferrule;

const INFRA: &str = "federator.wire.a.example";

/// A folder in which the command works.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(TempDir::with_prefix_in("cert-", scratch()).unwrap());
        place.good(&["ca", "--domain", "a.example", &place.at("")]);
        place
    }

    fn at(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn cert(&self, arguments: &[&str]) -> Ended {
        let all = std::iter::once("cert").chain(arguments.iter().copied());
        run_program(ferrule(), all).unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let ended = self.cert(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", ended.stderr);
        ended.stdout
    }

    /// The options that name the CA.
    fn by_ca(&self) -> [String; 4] {
        ["--ca".into(), self.at("federation-ca.pem"), "--ca-key".into(), self.at("federation-ca-key.pem")]
    }

    /// The command with these arguments and the CA's.
    fn with_ca(&self, arguments: &[&str]) -> Ended {
        let ca = self.by_ca();
        let all: Vec<&str> = arguments.iter().copied().chain(ca.iter().map(String::as_str)).collect();
        self.cert(&all)
    }

    fn issue(&self, more: &[&str]) -> Ended {
        let (certificate, key) = (self.at("federation.pem"), self.at("federation-key.pem"));
        let mut all = vec!["issue", "--infra", INFRA, "--certificate", &certificate, "--key", &key];
        all.extend(more);
        self.with_ca(&all)
    }

    fn show(&self, file: &str, more: &[&str]) -> Value {
        let file = self.at(file);
        let all: Vec<&str> = ["show", &file, "--json"].into_iter().chain(more.iter().copied()).collect();
        serde_json::from_str(&self.good(&all)).unwrap()
    }
}

fn openssl(arguments: &[&str]) -> Ended {
    run_program(Path::new("openssl"), arguments).unwrap()
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn openssl_believes_what_the_own_authority_issues() {
    let place = Place::new();
    let ended = place.issue(&["--name", "*.wire.a.example"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let (ca, leaf) = (place.at("federation-ca.pem"), place.at("federation.pem"));
    for purpose in ["sslserver", "sslclient"] {
        let verified = openssl(&["verify", "-x509_strict", "-purpose", purpose, "-CAfile", &ca, &leaf]);
        assert!(verified.status.success(), "{purpose}: {}{}", verified.stdout, verified.stderr);
    }
    let text = openssl(&["x509", "-noout", "-text", "-in", &leaf]).stdout;
    for words in [
        "ASN1 OID: prime256v1",
        "TLS Web Server Authentication, TLS Web Client Authentication",
        "DNS:federator.wire.a.example, DNS:*.wire.a.example",
        "Issuer: CN = a.example federation CA",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let key = openssl(&["pkey", "-pubout", "-in", &place.at("federation-key.pem")]);
    let public = openssl(&["x509", "-noout", "-pubkey", "-in", &leaf]);
    assert!(public.stdout.contains(key.stdout.trim()) && !key.stdout.is_empty(), "{key:?}");
    for secret in ["federation-ca-key.pem", "federation-key.pem"] {
        assert_eq!(mode(&place.at(secret)), 0o600, "{secret}");
    }
}

#[test]
fn usages_are_what_was_asked_for() {
    let place = Place::new();
    for (option, server, client) in [("--server-only", true, false), ("--client-only", false, true)] {
        let ended = place.issue(&[option, "--force"]);
        assert!(ended.status.success(), "{}", ended.stderr);
        let (ca, leaf) = (place.at("federation-ca.pem"), place.at("federation.pem"));
        for (purpose, good) in [("sslserver", server), ("sslclient", client)] {
            let verified = openssl(&["verify", "-purpose", purpose, "-CAfile", &ca, &leaf]);
            assert_eq!(verified.status.success(), good, "{option} {purpose}: {}", verified.stderr);
        }
        let shown = place.show("federation.pem", &["--ca", &ca]);
        assert_eq!(shown["partner"][0]["accepted"], server, "{shown}");
        assert_eq!(shown["partner"][1]["accepted"], client, "{shown}");
    }
    assert!(!place.issue(&["--server-only", "--client-only", "--force"]).status.success());
}

#[test]
fn requests_go_both_ways_between_us_and_openssl() {
    let place = Place::new();
    let (key, request) = (place.at("own-key.pem"), place.at("own.csr"));
    place.good(&["request", "--infra", INFRA, "--key", &key, "--out", &request]);
    let text = openssl(&["req", "-noout", "-text", "-verify", "-in", &request]);
    assert!(text.status.success() && text.stdout.contains("DNS:federator.wire.a.example"), "{text:?}");
    assert_eq!(mode(&key), 0o600);
    let out = place.at("own.pem");
    let ended = place.with_ca(&["sign", &request, "--out", &out, "--days", "30"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let verified = openssl(&["verify", "-x509_strict", "-CAfile", &place.at("federation-ca.pem"), &out]);
    assert!(verified.status.success(), "{}", verified.stderr);
    assert_eq!(place.show("own.pem", &[])["certificates"][0]["days_left"], 29);
}

/// A request that OpenSSL makes of a new key, with these options beside.
fn requested_with_openssl(place: &Place, kind: &str, options: &str) -> String {
    let request = place.at(&format!("{kind}.csr"));
    let key = place.at(&format!("{kind}-key.pem"));
    let fixed = ["req", "-new", "-nodes", "-keyout", &key, "-out", &request, "-subj", "/O=Example"];
    let all: Vec<&str> = fixed.into_iter().chain(options.split_whitespace()).collect();
    let made = openssl(&all);
    assert!(made.status.success(), "{kind}: {}", made.stderr);
    request
}

const ASKED: &str = "-addext subjectAltName=DNS:federator.b.example,IP:192.0.2.1,email:wire@b.example";

#[test]
fn requests_of_openssl_are_signed_whatever_their_key() {
    let place = Place::new();
    let ca = place.at("federation-ca.pem");
    for (kind, options, key) in [
        ("rsa", "-newkey rsa:2048", "RSA 2048"),
        ("rsa-3072", "-newkey rsa:3072", "RSA 3072"),
        ("rsa-sha384", "-newkey rsa:2048 -sha384", "RSA 2048"),
        ("p256", "-newkey ec -pkeyopt ec_paramgen_curve:P-256", "ECDSA P-256"),
        ("p256-sha384", "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha384", "ECDSA P-256"),
        ("p256-sha512", "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha512", "ECDSA P-256"),
        // OpenSSL signs over SHA-256 unless it is told otherwise, whatever the curve.
        ("p384", "-newkey ec -pkeyopt ec_paramgen_curve:P-384", "ECDSA P-384"),
        ("p384-sha384", "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha384", "ECDSA P-384"),
        ("ed25519", "-newkey ed25519", "Ed25519"),
        // What the CA decides may be asked for, as may what no backend looks at.
        (
            "extensions",
            "-newkey rsa:2048 -addext basicConstraints=CA:true -addext keyUsage=keyCertSign -addext \
             extendedKeyUsage=codeSigning,1.2.3.4 -addext subjectKeyIdentifier=hash -addext tlsfeature=status_request",
            "RSA 2048",
        ),
        ("old-label", "-newkey rsa:2048 -newhdr", "RSA 2048"),
    ] {
        let request = requested_with_openssl(&place, kind, &format!("{options} {ASKED}"));
        let out = place.at(&format!("{kind}.pem"));
        let ended = place.with_ca(&["sign", &request, "--out", &out, "--server-only"]);
        assert!(ended.status.success(), "{kind}: {}", ended.stderr);
        let shown = &place.show(&format!("{kind}.pem"), &[])["certificates"][0];
        assert_eq!(shown["key"], key, "{kind}");
        assert_eq!(shown["names"], serde_json::json!(["federator.b.example"]), "{kind}");
        let verified = openssl(&["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", &ca, &out]);
        assert!(verified.status.success(), "{kind}: {}", verified.stderr);
        let text = openssl(&["x509", "-noout", "-text", "-in", &out]).stdout;
        assert!(!text.contains("CA:TRUE") && !text.contains("Certificate Sign"), "{kind}: {text}");
        assert_eq!(text.contains("Key Encipherment"), key.starts_with("RSA"), "{kind}: {text}");
        // It is the certificate of the very key that asked.
        let own = openssl(&["pkey", "-pubout", "-in", &place.at(&format!("{kind}-key.pem"))]).stdout;
        let public = openssl(&["x509", "-noout", "-pubkey", "-in", &out]).stdout;
        assert!(public == own && !own.is_empty(), "{kind}: {public}{own}");
    }
}

#[test]
fn a_request_that_cannot_be_signed_says_why() {
    let place = Place::new();
    for (kind, options, why) in [
        ("rsa-1024", "-newkey rsa:1024", "an RSA key of 1024 bits is too weak; at least 2048 are needed"),
        ("p521", "-newkey ec -pkeyopt ec_paramgen_curve:P-521", "is not supported; use RSA of at least 2048 bits"),
        ("rsa-pss", "-newkey rsa:2048 -sigopt rsa_padding_mode:pss", "is signed with 1.2.840.113549.1.1.10 (RSA-PSS)"),
        ("sha1", "-newkey rsa:2048 -sha1", "is signed with 1.2.840.113549.1.1.5 (SHA-1)"),
    ] {
        let request = requested_with_openssl(&place, kind, &format!("{options} {ASKED}"));
        let out = place.at(&format!("{kind}.pem"));
        let ended = place.with_ca(&["sign", &request, "--out", &out]);
        assert!(!ended.status.success() && ended.stderr.contains(why), "{kind}: {}", ended.stderr);
        assert!(!Path::new(&out).exists(), "{kind}");
    }
    let odd = requested_with_openssl(&place, "odd", "-newkey rsa:2048 -addext subjectAltName=DNS:a_b..example");
    let ended = place.with_ca(&["sign", &odd, "--out", &place.at("odd.pem")]);
    assert!(!ended.status.success() && ended.stderr.contains("say which with --name"), "{}", ended.stderr);
}

#[test]
fn nothing_is_overwritten_unless_it_is_forced() {
    let place = Place::new();
    assert!(place.issue(&[]).status.success());
    let before = ["federation-ca.pem", "federation-ca-key.pem", "federation.pem", "federation-key.pem"]
        .map(|name| (name, place.read(name)));
    fs::remove_file(place.at("federation.pem")).unwrap();
    for ended in [
        place.cert(&["ca", "--domain", "a.example", &place.at("")]),
        // The certificate is gone, and its key is there.
        place.issue(&[]),
        place.cert(&[
            "request",
            "--infra",
            INFRA,
            "--key",
            &place.at("federation-key.pem"),
            "--out",
            &place.at("x.csr"),
        ]),
    ] {
        assert!(!ended.status.success() && ended.stderr.contains("nothing is overwritten"), "{}", ended.stderr);
    }
    for (name, text) in before.iter().filter(|(name, _)| *name != "federation.pem") {
        assert_eq!(place.read(name), *text, "{name}");
    }
    assert!(place.issue(&["--force"]).status.success());
    assert_ne!(place.read("federation-key.pem"), before[3].1);
}

#[test]
fn renewal_waits_for_the_last_third_and_keeps_names_and_usages() {
    let place = Place::new();
    assert!(place.issue(&["--client-only", "--name", "more.a.example", "--days", "90"]).status.success());
    let (certificate, key) = (place.at("federation.pem"), place.at("federation-key.pem"));
    let before = (place.read("federation.pem"), place.read("federation-key.pem"));
    let renew = |more: &[&str]| {
        let all: Vec<&str> = ["renew", &certificate, "--key", &key].into_iter().chain(more.iter().copied()).collect();
        let ended = place.with_ca(&all);
        assert!(ended.status.success(), "{}", ended.stderr);
        ended.stdout
    };
    assert!(renew(&[]).contains("nothing was done"));
    assert_eq!((place.read("federation.pem"), place.read("federation-key.pem")), before);
    let old = place.show("federation.pem", &[]);
    renew(&["--force", "--keep-key"]);
    assert!(place.read("federation.pem") != before.0 && place.read("federation-key.pem") == before.1);
    renew(&["--force"]);
    assert_ne!(place.read("federation-key.pem"), before.1);
    let new = place.show("federation.pem", &["--ca", &place.at("federation-ca.pem"), "--infra", INFRA]);
    for fact in ["names", "server", "client", "days_left", "issuer"] {
        assert_eq!(new["certificates"][0][fact], old["certificates"][0][fact], "{fact}");
    }
    assert_eq!(new["partner"][1]["accepted"], true, "{new}");
    assert_eq!(mode(&key), 0o600);
    // A backend of the CA's goes on believing: the issuer is the same.
    let verified =
        openssl(&["verify", "-purpose", "sslclient", "-CAfile", &place.at("federation-ca.pem"), &certificate]);
    assert!(verified.status.success(), "{}", verified.stderr);
}

#[test]
fn renewal_touches_no_key_but_the_certificates_own() {
    let place = Place::new();
    assert!(place.issue(&[]).status.success());
    let server = place.read("federation-key.pem");
    let [client, client_key] = ["client.pem", "client-key.pem"].map(|name| place.at(name));
    let names = ["--infra", INFRA, "--client-only", "--certificate", &client, "--key", &client_key];
    assert!(place.with_ca(&[&["issue"], &names[..]].concat()).status.success());
    let before = (place.read("client.pem"), place.read("client-key.pem"));

    // Told a key that is not its own, it writes nothing.
    let ended = place.with_ca(&["renew", &client, "--key", &place.at("federation-key.pem"), "--force"]);
    assert!(!ended.status.success() && ended.stderr.contains("does not belong"), "{}", ended.stderr);
    assert_eq!((place.read("client.pem"), place.read("client-key.pem")), before);

    // Told none, it takes the one of that name.
    let ended = place.with_ca(&["renew", &client, "--force"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(place.read("client.pem") != before.0 && place.read("client-key.pem") != before.1);
    assert_eq!(place.read("federation-key.pem"), server);
    let pair = openssl(&["x509", "-noout", "-pubkey", "-in", &client]).stdout;
    assert_eq!(openssl(&["pkey", "-pubout", "-in", &client_key]).stdout, pair);
}

#[test]
fn renewal_keeps_the_issuer() {
    let (place, partner) = (Place::new(), Place::new());
    assert!(place.issue(&[]).status.success());
    let before = place.read("federation.pem");
    let files = ["federation.pem", "federation-key.pem", "federation-ca.pem", "federation-ca-key.pem"];
    let [certificate, key] = [files[0], files[1]].map(|name| place.at(name));
    // The partner's CA has the same name, and another key.
    let [ca, ca_key] = [files[2], files[3]].map(|name| partner.at(name));
    let ended = place.cert(&["renew", &certificate, "--key", &key, "--ca", &ca, "--ca-key", &ca_key, "--force"]);
    assert!(!ended.status.success() && ended.stderr.contains("is not by the CA in"), "{}", ended.stderr);
    assert_eq!(place.read("federation.pem"), before);
}

#[test]
fn nothing_outlives_the_authority() {
    let place = Place::new();
    place.good(&["ca", "--domain", "a.example", "--days", "10", "--force", &place.at("")]);
    let ended = place.issue(&[]);
    assert!(ended.status.success() && ended.stderr.contains("note: "), "{}", ended.stderr);
    let shown = place.show("federation.pem", &[]);
    assert!(shown["certificates"][0]["days_left"].as_u64().unwrap() <= 10, "{shown}");
}

#[test]
fn what_is_no_certificate_is_told_and_no_key_is_printed() {
    let place = Place::new();
    let shown = place.good(&["show", &place.at("federation-ca.pem")]);
    assert!(shown.contains("a certificate authority") && shown.contains("a.example federation CA"), "{shown}");
    let ended = place.cert(&["show", &place.at("federation-ca-key.pem")]);
    assert!(!ended.status.success() && ended.stderr.contains("no certificate in it"), "{}", ended.stderr);
    let secret = place.read("federation-ca-key.pem").lines().nth(1).unwrap().to_owned();
    assert!(!ended.stderr.contains(&secret) && !ended.stdout.contains(&secret));
    let ended = place.cert(&["show", &place.at("not-there.pem")]);
    assert!(!ended.status.success() && ended.stderr.contains("not-there.pem"), "{}", ended.stderr);
}

#[test]
fn the_commands_of_the_documentation_work() {
    let text = include_str!("../../../../docs/certificates.md");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect();
    assert!(script.lines().count() > 8, "they are found");
    let place = TempDir::with_prefix_in("docs-", scratch()).unwrap();
    let programs = ferrule().parent().unwrap().display();
    let script = format!("set -e\nPATH=\"{programs}:$PATH\"\ncd \"{}\"\n{script}", place.path().display());
    let ended = run_program(Path::new("sh"), ["-c", &script]).unwrap();
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("client.pem: a certificate for federator.wire.example.com"), "{}", ended.stdout);
}
