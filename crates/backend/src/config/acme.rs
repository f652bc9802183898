//! The section `[acme]`: certificates from Let's Encrypt or another ACME server.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::Domain;

use super::{Config, ConfigError, FederatorConfig, options};

/// Certificates from an ACME server. The one for federation is kept in the data folder, and `federation.certificate` and
/// `federation.key` are not set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acme {
    /// Whether the terms of service of the ACME server are agreed to; nothing is issued before.
    #[serde(default)]
    pub agree_terms: bool,
    /// Where the ACME server can write to when something is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The URL of the ACME server's directory; Let's Encrypt where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// Takes Let's Encrypt's staging server, whose certificates nobody believes: for trying things out.
    #[serde(default)]
    pub staging: bool,
    /// More names than the infrastructure domain.
    #[serde(default)]
    pub names: Vec<Domain>,
    /// Where challenges of type HTTP-01 are answered: what the ACME server reaches by port 80 of every name. Without it,
    /// port 80 of all addresses: `[::]:80`, or `0.0.0.0:80` where there is no IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "options::some_address")]
    pub http_listen: Option<SocketAddr>,
    /// The CA certificates by which the ACME server itself is believed, for one of your own; the system's otherwise.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
}

/// The folder of account and certificate, in the data folder.
const FOLDER: &str = "acme";

impl Acme {
    /// From whom, for which names, and where to keep it. `shared` says whether the certificate serves the client role too.
    fn settings(&self, infra: &Domain, shared: bool, data: &Path) -> acme::Settings {
        let lets_encrypt = if self.staging { acme::LETS_ENCRYPT_STAGING } else { acme::LETS_ENCRYPT };
        acme::Settings {
            directory: self.directory.clone().unwrap_or_else(|| lets_encrypt.to_owned()),
            email: self.email.clone(),
            infra: infra.clone(),
            names: self.names.clone(),
            ca: self.ca.clone(),
            folder: data.join(FOLDER),
            shared,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.transgression().map_or(Ok(()), |(option, problem)| Err(wrong(option, problem)))
    }

    fn transgression(&self) -> Option<(&'static str, &'static str)> {
        if !self.agree_terms {
            return Some(("acme.agree_terms", "read the terms of service of the ACME server, and set it to true"));
        }
        if self.staging && self.directory.is_some() {
            return Some(("acme.staging", "set either staging or directory, not both"));
        }
        let host = |url: &String| {
            url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
                && url.parse::<http::Uri>().is_ok()
        };
        if self.directory.as_ref().is_some_and(|url| !host(url)) {
            return Some(("acme.directory", "give the https URL of an ACME server's directory"));
        }
        let address = |email: &String| {
            email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
                && !email.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
        };
        if self.email.as_ref().is_some_and(|email| !address(email)) {
            return Some(("acme.email", "give one e-mail address"));
        }
        None
    }
}

impl Config {
    /// The ACME server and what it certifies, where certificates come from one and are needed.
    pub(crate) fn by_acme(&self) -> Option<(&Acme, acme::Settings)> {
        let (acme, federation) = self.acme.as_ref().zip(self.federating_itself())?;
        let shared = federation.client_certificate.is_none();
        Some((acme, acme.settings(&federation.infra, shared, &self.data)))
    }

    /// Puts the certificate that ACME keeps in the place of one of the file. Paths are resolved already.
    pub(super) fn take_acme_certificate(&mut self) -> Result<(), ConfigError> {
        let Some(acme) = &self.acme else { return Ok(()) };
        acme.check()?;
        let Some(federation) = self.federation.as_mut().filter(|_| self.components.is_none()) else {
            return Err(wrong("acme", "certificates are for a section [federation] with a federator of its own"));
        };
        let shared = federation.client_certificate.is_none();
        let kept = acme.settings(&federation.infra, shared, &self.data).certificate();
        take("federation.certificate", &mut federation.certificate, &kept)?;
        take("federation.key", &mut federation.key, &kept)
    }
}

impl FederatorConfig {
    /// The ACME server and what it certifies, where certificates come from one.
    pub(crate) fn by_acme(&self) -> Option<(&Acme, acme::Settings)> {
        let (acme, ingress) = self.acme.as_ref().zip(self.inward.ingress.as_ref())?;
        let shared = ingress.certificate.as_ref().is_some_and(|server| *server == self.tls.certificate);
        Some((acme, acme.settings(&ingress.infra, shared, &self.data)))
    }

    /// Puts the certificate that ACME keeps in the place of the own ingress's, and of that for calls to others unless the
    /// file names one. Paths are resolved already.
    pub(super) fn take_acme_certificate(&mut self) -> Result<(), ConfigError> {
        let Some(acme) = &self.acme else { return Ok(()) };
        acme.check()?;
        let Some(ingress) = self.inward.ingress.as_mut() else {
            return Err(wrong(
                "acme",
                "certificates are for an ingress of its own: set inward.ingress, or let the ingress in front get its own",
            ));
        };
        let kept = acme.settings(&ingress.infra, true, &self.data).certificate();
        for (option, path) in
            [("inward.ingress.certificate", &mut ingress.certificate), ("inward.ingress.key", &mut ingress.key)]
        {
            let mut named = path.take().unwrap_or_default();
            take(option, &mut named, &kept)?;
            *path = Some(named);
        }
        match (options::is_unset(&self.tls.certificate), options::is_unset(&self.tls.key)) {
            (true, true) => {
                self.tls.certificate.clone_from(&kept);
                self.tls.key = kept;
                Ok(())
            }
            (false, false) => Ok(()),
            _ => Err(wrong("tls.certificate", "a certificate for calls to others and its key are set together")),
        }
    }
}

/// Sets a path that the file leaves open. What `config show` printed names the same one, and can be read again.
fn take(option: &'static str, path: &mut PathBuf, kept: &Path) -> Result<(), ConfigError> {
    if !options::is_unset(path) && path != kept {
        return Err(wrong(option, "[acme] obtains the certificate and its key: remove this option or [acme]"));
    }
    kept.clone_into(path);
    Ok(())
}

fn wrong(option: &'static str, problem: &str) -> ConfigError {
    ConfigError::Contradiction { option, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::from_text;

    fn read(federation: &str, acme: &str) -> Result<Config, String> {
        let text = format!(
            "domain = 'a.example'\n[federation]\ninfra = 'federator.wire.a.example'\nca = ['ca.pem']\n{federation}\n{acme}"
        );
        from_text(&text, Path::new("ferrule.toml"), std::iter::empty(), Path::new("/etc")).map_err(|e| e.to_string())
    }

    #[test]
    fn the_certificate_is_in_the_data_folder_and_lets_encrypt_is_meant() {
        let config = read("", "[acme]\nagree_terms = true\nnames = ['nginz-https.a.example']").unwrap();
        let (acme, settings) = config.by_acme().unwrap();
        let federation = config.federation.as_ref().unwrap();
        assert_eq!(federation.certificate, Path::new("/etc/data/acme/federation.pem"));
        assert_eq!(federation.key, federation.certificate);
        assert_eq!(acme.http_listen, None);
        assert_eq!((settings.directory.as_str(), settings.shared), (acme::LETS_ENCRYPT, true));
        assert_eq!(settings.all_names(), ["federator.wire.a.example", "nginz-https.a.example"]);
        // What `config show` prints can be read again.
        let shown = toml::to_string(&config).unwrap();
        assert_eq!(from_text(&shown, Path::new("x"), std::iter::empty(), Path::new("/")).unwrap(), config);
    }

    #[test]
    fn a_client_certificate_of_its_own_is_not_shared() {
        let own = "client_certificate = 'client.pem'\nclient_key = 'client-key.pem'";
        let config = read(own, "[acme]\nagree_terms = true\nstaging = true").unwrap();
        let (_, settings) = config.by_acme().unwrap();
        assert_eq!((settings.directory.as_str(), settings.shared), (acme::LETS_ENCRYPT_STAGING, false));
    }

    #[test]
    fn contradictions_name_their_option() {
        for (federation, acme, option) in [
            ("", "[acme]", "acme.agree_terms"),
            ("", "[acme]\nagree_terms = true\nstaging = true\ndirectory = 'https://x/dir'", "acme.staging"),
            ("", "[acme]\nagree_terms = true\ndirectory = 'http://x/dir'", "acme.directory"),
            ("", "[acme]\nagree_terms = true\ndirectory = 'https:///dir'", "acme.directory"),
            ("", "[acme]\nagree_terms = true\nemail = 'nobody'", "acme.email"),
            ("", "[acme]\nagree_terms = true\nemail = 'a@b.example,c@d.example'", "acme.email"),
            ("certificate = 'x.pem'", "[acme]\nagree_terms = true", "federation.certificate"),
            ("key = 'x.pem'", "[acme]\nagree_terms = true", "federation.key"),
            ("", "", "federation.certificate"),
        ] {
            let told = read(federation, acme).unwrap_err();
            assert!(told.starts_with(option), "{option}: {told}");
        }
        let alone = "domain = 'a.example'\n[acme]\nagree_terms = true";
        let told = from_text(alone, Path::new("x"), std::iter::empty(), Path::new("/")).unwrap_err().to_string();
        assert!(told.starts_with("acme: "), "{told}");
    }

    fn federator(inward: &str, tls: &str) -> Result<FederatorConfig, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("federator.toml");
        let text = format!(
            "data = '/var/lib/ferrule'\n{inward}\n[components]\nbrig = 'brig:8080'\n[tls]\nca = ['/ca.pem']\n{tls}\n\
             [acme]\nagree_terms = true\n"
        );
        std::fs::write(&file, text).unwrap();
        let loaded = crate::config::load_federator(&file, std::iter::empty(), Default::default());
        loaded.map(|(config, _)| config).map_err(|error| error.to_string())
    }

    const INGRESS: &str = "[inward.ingress]\ninfra = 'federator.wire.a.example'";

    #[test]
    fn a_stand_alone_federator_has_its_certificate_by_the_same_section() {
        let kept = Path::new("/var/lib/ferrule/acme/federation.pem");
        let config = federator(INGRESS, "").unwrap();
        let ingress = config.inward.ingress.as_ref().unwrap();
        assert_eq!((ingress.certificate.as_deref(), ingress.key.as_deref()), (Some(kept), Some(kept)));
        assert_eq!((config.tls.certificate.as_path(), config.tls.key.as_path()), (kept, kept));
        assert!(config.by_acme().unwrap().1.shared);
        let config = federator(INGRESS, "certificate = '/client.pem'\nkey = '/client-key.pem'").unwrap();
        assert_eq!(config.tls.certificate, Path::new("/client.pem"));
        assert!(!config.by_acme().unwrap().1.shared);
        let behind = "[inward.behind_proxy]\nproxies = ['10.0.0.1']";
        for (inward, tls, told) in [
            (behind.to_owned(), "certificate = '/c.pem'\nkey = '/k.pem'", "acme: certificates are for an ingress"),
            (format!("{INGRESS}\ncertificate = '/c.pem'\nkey = '/k.pem'"), "", "inward.ingress.certificate: [acme]"),
            (INGRESS.to_owned(), "certificate = '/c.pem'", "tls.certificate: "),
        ] {
            let error = federator(&inward, tls).unwrap_err();
            assert!(error.starts_with(told), "{told}: {error}");
        }
    }
}
