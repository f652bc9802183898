//! Certificates, keys, and whom to trust.

use tls::{Certificate, Identity, Role, Roots};

use super::{
    draft::{Draft, of_federator},
    file,
    names::INFRA,
};
use crate::options::{Options, Problem};

const SERVER_CERTIFICATE: &str = "secrets.tlsWildcardCert";
const SERVER_KEY: &str = "secrets.tlsWildcardKey";
const CERT_MANAGER: &str = "tls.useCertManager";
const TEST_MODE: &str = "certManager.inTestMode";
const EMAIL: &str = "certManager.certmasterEmail";
const SHARED: [&str; 2] = ["federator.tls.useSharedFederatorSecret", "tls.useSharedFederatorSecret"];
const CLIENT_CERTIFICATE: [&str; 2] = ["federator.clientCertificateContents", "clientCertificateContents"];
const CLIENT_KEY: [&str; 2] = ["federator.clientPrivateKeyContents", "clientPrivateKeyContents"];
pub(super) const INWARD_CA: &str = "secrets.tlsClientCA";
const OUTWARD_CA: [&str; 2] = ["federator.remoteCAContents", "remoteCAContents"];
const SYSTEM_CA: [&str; 2] = ["federator.config.optSettings.useSystemCAStore", "config.optSettings.useSystemCAStore"];
const DEPTH: &str = "tls.verify_depth";

/// Where cert-manager is told to go elsewhere than to Let's Encrypt.
const ISSUERS: [&str; 2] = ["federator.tls.issuer.name", "tls.issuer.name"];
/// The issuer of wire-server's chart, which is Let's Encrypt.
const LETS_ENCRYPT: &str = "letsencrypt-http01";

/// The certificates that this backend shows.
pub(super) fn own(options: &Options<'_>, draft: &mut Draft) {
    let managed = options.flag(CERT_MANAGER).unwrap_or(false);
    let pasted = [options.text(SERVER_CERTIFICATE), options.text(SERVER_KEY)];
    // Asked in any case: without cert-manager they do nothing, and are no unknown options.
    let acme = (options.flag(TEST_MODE).unwrap_or(false), options.text(EMAIL));
    let issuers = ISSUERS.map(|path| options.text(path));
    let mut server = None;
    match (managed, pasted) {
        (true, [None, None]) => by_acme(options, draft, acme, issuers),
        (true, _) => options.problem(Problem::of(
            [CERT_MANAGER, SERVER_CERTIFICATE, SERVER_KEY],
            "certificates are either managed or pasted, and wire-server passes over pasted ones that are managed as \
             well; remove those, or set tls.useCertManager to false",
        )),
        (false, [Some(certificate), Some(key)]) => {
            let from = ([SERVER_CERTIFICATE, SERVER_KEY], [certificate.as_str(), key.as_str()]);
            server = pair(options, draft, Role::Server, from, [file::CERTIFICATE, file::KEY]);
            if server.is_some() {
                draft.set(&[SERVER_CERTIFICATE], "federation", "certificate", file::CERTIFICATE);
                draft.set(&[SERVER_KEY], "federation", "key", file::KEY);
                draft.warn(format!(
                    "{SERVER_CERTIFICATE}: it serves federation here; for the names that clients use, give it to the \
                     proxy that ends TLS in front of edge.listen as well"
                ));
            }
        }
        (false, [None, None]) => options.problem(Problem::of(
            [SERVER_CERTIFICATE, SERVER_KEY],
            "federation is on, but there is no server certificate; paste certificate and key, or set \
             tls.useCertManager to true",
        )),
        (false, [Some(_), None]) => {
            options.problem(Problem::new(SERVER_KEY, "the key of secrets.tlsWildcardCert is missing"))
        }
        (false, [None, Some(_)]) => {
            options.problem(Problem::new(SERVER_CERTIFICATE, "the certificate of secrets.tlsWildcardKey is missing"));
        }
    }
    client(options, draft, managed, server.as_ref());
}

fn by_acme(
    options: &Options<'_>,
    draft: &mut Draft,
    (staging, email): (bool, Option<String>),
    issuers: [Option<String>; 2],
) {
    for (path, issuer) in ISSUERS.into_iter().zip(issuers) {
        if issuer.is_some_and(|name| name != LETS_ENCRYPT) {
            options.problem(Problem::of(
                [path, CERT_MANAGER],
                "cert-manager asks an issuer of the cluster's own, which Ferrule cannot; take certificate and key from \
                 the secret federator-certificate-secret, paste them as secrets.tlsWildcardCert and \
                 secrets.tlsWildcardKey, and set tls.useCertManager to false",
            ));
        }
    }
    let Some(email) = email else {
        return options.problem(Problem::of(
            [EMAIL, CERT_MANAGER],
            "certificates are to come from Let's Encrypt, which wants an e-mail address to write to",
        ));
    };
    draft.set(&[CERT_MANAGER], "acme", "agree_terms", true);
    draft.set(&[EMAIL], "acme", "email", email.trim());
    draft.set(&[TEST_MODE], "acme", "staging", staging);
    draft.warn(
        "acme.agree_terms: cert-manager agreed to the terms of service of Let's Encrypt, and so does this file; read them. \
         Lead port 80 of the infrastructure domain to acme.http_listen",
    );
    if staging {
        draft.warn(format!("{TEST_MODE}: certificates of Let's Encrypt's staging are trusted by nobody"));
    }
}

/// The certificate for calls to others.
fn client(options: &Options<'_>, draft: &mut Draft, managed: bool, server: Option<&Certificate>) {
    let shared = of_federator(options, SHARED, |path| options.flag(path));
    let shared = shared.filter(|(_, shared)| *shared).map(|(path, _)| path);
    let certificate = of_federator(options, CLIENT_CERTIFICATE, |path| options.text(path));
    let key = of_federator(options, CLIENT_KEY, |path| options.text(path));
    match (shared, certificate, key) {
        (Some(shared), None, None) => share(options, draft, shared, managed, server),
        (Some(shared), certificate, key) => {
            let pasted = [certificate.map(|(path, _)| path), key.map(|(path, _)| path)];
            options.problem(Problem::of(
                [shared].into_iter().chain(pasted.into_iter().flatten()),
                "the client certificate is either shared with the ingress or pasted, and wire-server passes over one \
                 that is pasted as well; remove that, or set useSharedFederatorSecret to false",
            ));
        }
        (None, Some((at, certificate)), Some((key_at, key))) => {
            let from = ([at, key_at], [certificate.as_str(), key.as_str()]);
            let files = [file::CLIENT_CERTIFICATE, file::CLIENT_KEY];
            let leaf = pair(options, draft, Role::Client, from, files);
            if leaf.is_some_and(|leaf| fit_to_call(options, &leaf, &[at])) {
                draft.set(&[at], "federation", "client_certificate", file::CLIENT_CERTIFICATE);
                draft.set(&[key_at], "federation", "client_key", file::CLIENT_KEY);
            }
        }
        (None, None, None) => options.problem(Problem::of(
            [CLIENT_CERTIFICATE[0], CLIENT_KEY[0], SHARED[0]],
            "federation is on, but there is no certificate for calls to others; paste certificate and key, or set \
             useSharedFederatorSecret to true",
        )),
        (None, Some((at, _)), None) => {
            options.problem(Problem::new(CLIENT_KEY[0], format!("the key of {at} is missing")));
        }
        (None, None, Some((at, _))) => {
            options.problem(Problem::new(CLIENT_CERTIFICATE[0], format!("the certificate of {at} is missing")));
        }
    }
}

fn share(options: &Options<'_>, draft: &mut Draft, shared: &'static str, managed: bool, server: Option<&Certificate>) {
    if managed {
        draft.became(&[shared], "the certificate of [acme] serves calls to others as well, if it may");
        draft.warn(format!(
            "{shared}: since 2026 Let's Encrypt, like other public CAs, no longer issues certificates for TLS Web Client \
             Authentication. If what is issued lacks it, other backends refuse the calls of this one: then make a client \
             certificate of an own CA (`ferrule cert`), set federation.client_certificate and federation.client_key, and \
             give that CA to the backends you federate with"
        ));
        return;
    }
    draft.became(&[shared], "federation.certificate serves calls to others as well");
    if let Some(leaf) = server {
        fit_to_call(options, leaf, &[SERVER_CERTIFICATE, shared]);
    }
}

/// Whether others can accept calls with that certificate.
fn fit_to_call(options: &Options<'_>, leaf: &Certificate, paths: &[&str]) -> bool {
    let fit = leaf.purposes.is_none_or(|purposes| purposes.client_auth);
    if !fit {
        options.problem(Problem::of(
            paths.iter().copied(),
            "the certificate lacks TLS Web Client Authentication in its extended key usage, so other backends refuse \
             calls with it; get one that has it, of an own CA if your public one issues none",
        ));
    }
    fit
}

/// Reads certificate and key, and writes them to their files.
fn pair(
    options: &Options<'_>,
    draft: &mut Draft,
    role: Role,
    ([at, key_at], [certificate, key]): ([&'static str; 2], [&str; 2]),
    [name, key_name]: [&'static str; 2],
) -> Option<Certificate> {
    match Identity::from_pem(role, (at, certificate.as_bytes()), (key_at, key.as_bytes())) {
        Ok(identity) => {
            let leaf = identity.leaf().clone();
            let infra = options.text(INFRA).unwrap_or_default();
            let infra = infra.trim().trim_end_matches('.');
            if !infra.is_empty() && !leaf.presents(infra) {
                options.problem(Problem::of(
                    [at, INFRA],
                    format!(
                        "the certificate is for {} and not for {infra}: other backends find {infra} by the SRV record, \
                         and look for it in the certificate",
                        leaf.names().join(", ")
                    ),
                ));
            }
            draft.certificates(&[at], name, certificate);
            draft.file(&[key_at], key_name, key, true);
            Some(leaf)
        }
        Err(error) => {
            options.problem(Problem::of([at, key_at], error.to_string()));
            None
        }
    }
}

/// Whom this backend trusts, and how far.
pub(super) fn trusted(options: &Options<'_>, draft: &mut Draft) {
    let inward = options.text(INWARD_CA).map(|text| (INWARD_CA, text));
    let outward = of_federator(options, OUTWARD_CA, |path| options.text(path));
    let system = of_federator(options, SYSTEM_CA, |path| options.flag(path));
    let stores = [(inward, file::INWARD_CA), (outward, file::OUTWARD_CA)];
    let mut files = Vec::new();
    let mut paths = Vec::new();
    let mut union = Roots::empty();
    let mut sizes = Vec::new();
    for (store, name) in stores {
        let Some((path, text)) = store else { continue };
        match Roots::from_pem(path, text.as_bytes()).and_then(|found| {
            union.add_pem(path, text.as_bytes())?;
            Ok(found)
        }) {
            Ok(found) => {
                draft.certificates(&[path], name, &text);
                files.push(toml::Value::from(name));
                paths.push(path);
                sizes.push(found.len());
            }
            Err(error) => options.problem(Problem::new(path, error.to_string())),
        }
    }
    if let [path] = paths[..] {
        let other = if path == INWARD_CA { OUTWARD_CA[0] } else { INWARD_CA };
        draft.warn(format!("{other}: not set; the CAs of {path} are trusted in both directions"));
    }
    if sizes.iter().any(|size| *size != union.len()) {
        draft.warn(format!(
            "{} hold different CAs; Ferrule trusts those of both in both directions",
            paths.join(" and ")
        ));
    }
    system_ca(options, draft, system, &paths);
    if !paths.is_empty() {
        draft.set(&paths, "federation", "ca", files);
    }
    depth(options, draft);
}

fn system_ca(options: &Options<'_>, draft: &mut Draft, system: Option<(&'static str, bool)>, paths: &[&str]) {
    match system {
        Some((path, true)) => {
            draft.set(&[path], "federation", "system_ca", true);
            draft.warn(format!(
                "{path}: the system's CAs count for outgoing calls alone in wire-server, in Ferrule for incoming ones too; \
                 set federation.system_ca to false if all your partners' CAs are listed"
            ));
        }
        Some((path, false)) if paths.is_empty() => no_ca(options, &[INWARD_CA, OUTWARD_CA[0], path]),
        Some((path, false)) => draft.set(&[path], "federation", "system_ca", false),
        None if paths.is_empty() => no_ca(options, &[INWARD_CA, OUTWARD_CA[0]]),
        None => draft.warn(format!(
            "{}: not set; wire-server then trusts the system's CAs for outgoing calls as well, Ferrule only those that \
             are listed. Set federation.system_ca to true if a partner's certificate is of a public CA that is not listed",
            SYSTEM_CA[0]
        )),
    }
}

fn no_ca(options: &Options<'_>, paths: &[&str]) {
    options.problem(Problem::of(
        paths.iter().copied(),
        "federation is on, but no CA is trusted, so no other backend could be; paste the CA certificates of those you \
         federate with",
    ));
}

fn depth(options: &Options<'_>, draft: &mut Draft) {
    const MOST: u64 = 6;
    match options.number(DEPTH, 1, MOST) {
        Some(depth) => {
            draft.set(&[DEPTH], "federation", "verify_depth", i64::try_from(depth).unwrap_or(i64::MAX));
            if depth == 1 {
                draft.warn(format!(
                    "{DEPTH}: 1 was taken over as it is written, so only certificates that a trusted CA signed directly are \
                     accepted. Today's nginx is laxer at that value: it admits one intermediate. If a partner has one, \
                     set federation.verify_depth to 2"
                ));
            }
        }
        None if options.value(DEPTH).is_none() => draft.warn(format!(
            "{DEPTH}: not set; Ferrule's default admits one intermediate, as nginx does at wire-server's default"
        )),
        None => {}
    }
}
