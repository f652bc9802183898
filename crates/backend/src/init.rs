//! The files that a first start needs: configuration, token keys, a federation CA and a certificate of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use tls::{
    files::{self, Access},
    issue::{Authority, AuthorityRequest, IssueError, LeafRequest, Validity},
};
use types::{Domain, Rng, Timestamp};
use zauth::PrivateKeys;

/// How long a federation CA is good where nobody says otherwise: ten years.
pub const CA_LASTS: Duration = Duration::from_secs(3650 * 86_400);

/// How long a certificate of it is good: a year and a month. Renewal is a command away and needs no restart.
pub const LEAF_LASTS: Duration = Duration::from_secs(395 * 86_400);

/// The names of the files, in the folder that is initialised.
pub mod file {
    /// The configuration.
    pub const CONFIG: &str = "ferrule.toml";
    /// Private token keys.
    pub const TOKENS_PRIVATE: &str = "zauth-private.txt";
    /// Public token keys.
    pub const TOKENS_PUBLIC: &str = "zauth-public.txt";
    /// The federation CA's certificate, for the trust stores of others.
    pub const CA: &str = "federation-ca.pem";
    /// Its key.
    pub const CA_KEY: &str = "federation-ca-key.pem";
    /// The certificate of the infrastructure domain, for both roles.
    pub const CERTIFICATE: &str = "federation.pem";
    /// Its key.
    pub const KEY: &str = "federation-key.pem";
    /// The folder for the CA certificates of other backends.
    pub const PARTNERS: &str = "partners";
}

/// What to initialise.
#[derive(Clone, Debug)]
pub struct Init {
    /// The backend domain.
    pub domain: Domain,
    /// The infrastructure domain.
    pub infra: Domain,
    /// The folder for data; a relative one counts from the folder of the configuration.
    pub data: String,
    /// From when certificates are good.
    pub now: Timestamp,
}

/// Why it could not be done. Files that were written stay; running it again says which are there.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file is there already: nothing is ever overwritten.
    #[error("{} is there already; nothing is overwritten", .0.display())]
    Exists(PathBuf),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// A file could not be written.
    #[error("{} cannot be written", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes everything. Gives the files with a word on each.
///
/// # Errors
/// [`InitError`]. If any of the files is there already, none is written.
pub fn write(folder: &Path, init: &Init, rng: &dyn Rng) -> Result<Vec<(&'static str, &'static str)>, InitError> {
    let all = [
        (file::CONFIG, "the configuration; look through it"),
        (file::TOKENS_PRIVATE, "signs access tokens and cookies: secret"),
        (file::TOKENS_PUBLIC, "verifies them"),
        (file::CA, "give this to the backends you federate with"),
        (file::CA_KEY, "signs federation certificates: secret, best kept offline"),
        (file::CERTIFICATE, "the certificate shown to other backends"),
        (file::KEY, "its key: secret"),
        (file::PARTNERS, "a folder for the CA certificates of backends you federate with"),
    ];
    if let Some((name, _)) = all.iter().find(|(name, _)| folder.join(name).exists()) {
        return Err(InitError::Exists(folder.join(name)));
    }
    fs::create_dir_all(folder).map_err(|source| InitError::Write { file: folder.to_owned(), source })?;
    let authority = federation_ca(&init.domain, init.now, CA_LASTS)?;
    create(&folder.join(file::CA), authority.certificate_pem().as_bytes(), false)?;
    create(&folder.join(file::CA_KEY), authority.key_pem().as_bytes(), true)?;
    federation_identity(folder, &authority, &init.infra, init.now)?;
    token_keys(folder, rng)?;
    let partners = folder.join(file::PARTNERS);
    fs::create_dir(&partners).map_err(|source| InitError::Write { file: partners, source })?;
    create(&folder.join(file::CONFIG), config_text(init).as_bytes(), false)?;
    Ok(all.to_vec())
}

/// A CA for the federation certificates of a backend.
///
/// # Errors
/// [`IssueError`]
pub fn federation_ca(domain: &Domain, now: Timestamp, lasts: Duration) -> Result<Authority, IssueError> {
    let name = format!("{domain} federation CA");
    Authority::root(&AuthorityRequest::new(&name, Validity::starting(now, lasts)))
}

/// Writes a certificate for the infrastructure domain and its key.
///
/// # Errors
/// [`InitError`]
pub fn federation_identity(
    folder: &Path,
    authority: &Authority,
    infra: &Domain,
    now: Timestamp,
) -> Result<(), InitError> {
    let leaf = authority.issue(&LeafRequest::new(infra.as_str(), Validity::starting(now, LEAF_LASTS)))?;
    create(&folder.join(file::CERTIFICATE), leaf.chain_pem().as_bytes(), false)?;
    create(&folder.join(file::KEY), leaf.key_pem().as_bytes(), true)
}

/// Writes a pair of token keys.
///
/// # Errors
/// [`InitError`]
pub fn token_keys(folder: &Path, rng: &dyn Rng) -> Result<(), InitError> {
    let keys = PrivateKeys::generate(rng);
    create(&folder.join(file::TOKENS_PRIVATE), keys.to_text().as_bytes(), true)?;
    create(&folder.join(file::TOKENS_PUBLIC), keys.public().to_text().as_bytes(), false)
}

fn create(path: &Path, contents: &[u8], secret: bool) -> Result<(), InitError> {
    let access = if secret { Access::Secret } else { Access::Public };
    files::create(path, contents, access).map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
        _ => InitError::Write { file: path.to_owned(), source },
    })
}

fn config_text(init: &Init) -> String {
    let Init { domain, infra, data, .. } = init;
    let data = toml::Value::from(data.as_str());
    format!(
        r#"# The backend domain: part of every user's identity. It can never be changed once there are users.
domain = "{domain}"

# The folder that holds all data.
data = {data}

[edge]
# Clients, in plain HTTP: terminate TLS in front of it.
listen = "127.0.0.1:8080"
# Origins of web apps that may call from a browser, such as "https://webapp.{domain}".
allowed_origins = []

[internal]
# Whoever reaches this listener can act as any user: a unix socket in the data folder.
listen = "unix"

[federation]
# Where other backends reach this one: the target of the SRV record _wire-server-federator._tcp.{domain}
# and the name in the certificate.
infra = "{infra}"
listen = "0.0.0.0:8443"
certificate = "{certificate}"
key = "{key}"
# CA certificates, in files or folders: the own one, so that the backend trusts itself, and those of the backends to
# federate with. What is put into the folder counts within seconds.
ca = ["{ca}", "{partners}"]
# How many signatures may lie between a CA certificate and a peer's certificate (1: signed directly).
verify_depth = 2
# "allowNone", "allowDynamic" (those that `ferrule federation allow` names), or "allowAll".
strategy = "allowDynamic"
"#,
        certificate = file::CERTIFICATE,
        key = file::KEY,
        ca = file::CA,
        partners = file::PARTNERS,
    )
}

#[cfg(test)]
mod tests {
    use types::SystemRng;

    use super::*;
    use crate::config;

    #[test]
    fn what_is_written_can_be_read_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let init = Init {
            domain: "example.com".parse().unwrap(),
            infra: "federator.wire.example.com".parse().unwrap(),
            data: "/var/lib/fer\"rule".into(),
            now: Timestamp::from_seconds(1_800_000_000),
        };
        let written = write(folder.path(), &init, &SystemRng).unwrap();
        assert_eq!(written.len(), 8);
        let config = config::load(&folder.path().join(file::CONFIG), std::iter::empty()).unwrap();
        assert_eq!((&config.domain, config.data.as_path()), (&init.domain, Path::new(&init.data)));
        assert_eq!(config.federation.unwrap().infra, init.infra);
        let before = fs::read(folder.path().join(file::CA)).unwrap();
        assert!(matches!(write(folder.path(), &init, &SystemRng), Err(InitError::Exists(_))));
        assert_eq!(fs::read(folder.path().join(file::CA)).unwrap(), before);
        #[cfg(unix)]
        for secret in [file::TOKENS_PRIVATE, file::CA_KEY, file::KEY] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join(secret)).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0, "{secret} can be read by others");
        }
    }
}
