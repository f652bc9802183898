//! The section `[acme]`: certificates from Let's Encrypt or another ACME server.

use std::{
    net::{Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use types::Domain;

use super::{Config, ConfigError, Federation, options};

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
    /// Where challenges of type HTTP-01 are answered: what the ACME server reaches by port 80 of every name.
    #[serde(default = "default_http_listen", deserialize_with = "options::address")]
    pub http_listen: SocketAddr,
    /// The CA certificates by which the ACME server itself is believed, for one of your own; the system's otherwise.
    #[serde(default)]
    pub ca: Vec<PathBuf>,
}

fn default_http_listen() -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, 80).into()
}

/// The folder of account and certificate, in the data folder.
const FOLDER: &str = "acme";

impl Acme {
    /// From whom, for which names, and where to keep it.
    pub(crate) fn settings(&self, federation: &Federation, data: &Path) -> acme::Settings {
        let lets_encrypt = if self.staging { acme::LETS_ENCRYPT_STAGING } else { acme::LETS_ENCRYPT };
        acme::Settings {
            directory: self.directory.clone().unwrap_or_else(|| lets_encrypt.to_owned()),
            email: self.email.clone(),
            infra: federation.infra.clone(),
            names: self.names.clone(),
            ca: self.ca.clone(),
            folder: data.join(FOLDER),
            shared: federation.client_certificate.is_none(),
        }
    }

    fn check(&self) -> Result<(), (&'static str, &'static str)> {
        if !self.agree_terms {
            return Err(("acme.agree_terms", "read the terms of service of the ACME server, and set it to true"));
        }
        if self.staging && self.directory.is_some() {
            return Err(("acme.staging", "set either staging or directory, not both"));
        }
        let host = |url: &String| {
            url.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
                && url.parse::<http::Uri>().is_ok()
        };
        if self.directory.as_ref().is_some_and(|url| !host(url)) {
            return Err(("acme.directory", "give the https URL of an ACME server's directory"));
        }
        let address = |email: &String| {
            email.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
                && !email.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
        };
        if self.email.as_ref().is_some_and(|email| !address(email)) {
            return Err(("acme.email", "give one e-mail address"));
        }
        Ok(())
    }
}

impl Config {
    /// The ACME server and whom it certifies, where certificates come from one and are needed.
    pub fn certified_by_acme(&self) -> Option<(&Acme, &Federation)> {
        self.acme.as_ref().zip(self.federating_itself())
    }

    /// Puts the certificate that ACME keeps in the place of one of the file. Paths are resolved already.
    pub(super) fn take_acme_certificate(&mut self) -> Result<(), ConfigError> {
        let Some(acme) = &self.acme else { return Ok(()) };
        let wrong = |option, problem: &str| ConfigError::Contradiction { option, problem: problem.to_owned() };
        acme.check().map_err(|(option, problem)| wrong(option, problem))?;
        let Some(federation) = self.federation.as_mut().filter(|_| self.components.is_none()) else {
            return Err(wrong("acme", "certificates are for a section [federation] with a federator of its own"));
        };
        let kept = acme.settings(federation, &self.data).certificate();
        for (option, path) in
            [("federation.certificate", &mut federation.certificate), ("federation.key", &mut federation.key)]
        {
            if !options::is_unset(path) && *path != kept {
                return Err(wrong(option, "[acme] obtains the certificate and its key: remove this option or [acme]"));
            }
            path.clone_from(&kept);
        }
        Ok(())
    }
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
        let (acme, federation) = config.certified_by_acme().unwrap();
        assert_eq!(federation.certificate, Path::new("/etc/data/acme/federation.pem"));
        assert_eq!(federation.key, federation.certificate);
        assert_eq!(acme.http_listen, "[::]:80".parse().unwrap());
        let settings = acme.settings(federation, &config.data);
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
        let (acme, federation) = config.certified_by_acme().unwrap();
        let settings = acme.settings(federation, &config.data);
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
}
