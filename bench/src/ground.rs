//! What every measurement stands on: a folder, a name server, and certificates that all sides trust.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use lab::dns::{Dns, Service};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tls::{
    Identity, Role, Roots,
    issue::{Authority, AuthorityRequest, KeyType, LeafRequest, Validity},
};
use types::{Clock, Domain, SystemClock};

/// The backend that is called.
pub const BACKEND: &str = "bench.example";
/// The backend that calls.
pub const CALLER: &str = "caller.example";

/// The TTL of all records: longer than any run.
const TTL: Duration = Duration::from_secs(7200);

/// How long certificates are good.
const CERTIFICATES_LAST: Duration = Duration::from_secs(30 * 86_400);

/// A port where nobody listens.
const NOBODY: u16 = 9;

/// The infrastructure domain of a backend of the bench.
pub fn infra(backend: &str) -> String {
    format!("federator.{backend}")
}

/// A folder, a name server, and certificates.
pub struct Ground {
    folder: TempDir,
    dns: Dns,
}

impl Ground {
    /// An empty one, in which the caller can be found.
    ///
    /// # Errors
    /// The folder cannot be made, or the name server does not start.
    pub async fn lay() -> Result<Self> {
        let folder = TempDir::with_prefix("ferrule-bench-").context("making a folder")?;
        let dns = Dns::start((Ipv4Addr::LOCALHOST, 0).into()).await.context("starting the name server")?;
        let ground = Self { folder, dns };
        ground.publish(CALLER, (Ipv4Addr::LOCALHOST, NOBODY).into())?;
        Ok(ground)
    }

    /// Where the name server listens.
    pub fn dns(&self) -> SocketAddr {
        self.dns.address()
    }

    /// Puts a backend into DNS, with one target and one address.
    ///
    /// # Errors
    /// The name is no domain.
    pub fn publish(&self, backend: &str, address: SocketAddr) -> Result<()> {
        let (domain, target): (Domain, Domain) = (backend.parse()?, infra(backend).parse()?);
        self.dns.publish_addresses(&target, TTL, &[address.ip()]);
        self.dns.publish_services(&domain, TTL, &[Service { priority: 0, weight: 0, port: address.port(), target }]);
        Ok(())
    }

    /// A new folder in the folder.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// A CA with keys of that type, which issues into files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn authority(&self, name: &str, key_type: KeyType) -> Result<Ca> {
        let folder = self.folder(name)?;
        let request = AuthorityRequest { key_type, ..AuthorityRequest::new("Bench", lasting()) };
        let authority = Authority::root(&request)?;
        let certificate = write(&folder, "ca.pem", &authority.certificate_pem())?;
        Ok(Ca { authority, key_type, folder, certificate })
    }
}

/// A CA.
pub struct Ca {
    authority: Authority,
    key_type: KeyType,
    folder: PathBuf,
    certificate: PathBuf,
}

impl Ca {
    /// The certificate of a backend, good for both roles.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn issue(&self, backend: &str) -> Result<Credentials> {
        let request = LeafRequest { key_type: self.key_type, ..LeafRequest::new(&infra(backend), lasting()) };
        let issued = self.authority.issue(&request)?;
        Ok(Credentials {
            ca: self.certificate.clone(),
            certificate: write(&self.folder, &format!("{backend}.pem"), &issued.chain_pem())?,
            key: write(&self.folder, &format!("{backend}-key.pem"), issued.key_pem())?,
        })
    }
}

/// A certificate with its key and the CA that it trusts, as files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    /// The CA's certificate.
    pub ca: PathBuf,
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Credentials {
    /// For use.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn identity(&self, role: Role) -> Result<Identity> {
        let (certificate, key) = (fs::read(&self.certificate)?, fs::read(&self.key)?);
        let at = |path: &Path| path.display().to_string();
        Ok(Identity::from_pem(role, (&at(&self.certificate), &certificate), (&at(&self.key), &key))?)
    }

    /// Whom it trusts.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn roots(&self) -> Result<Arc<Roots>> {
        Ok(Arc::new(Roots::from_pem(&self.ca.display().to_string(), &fs::read(&self.ca)?)?))
    }
}

/// An address of loopback where nobody listens at this moment.
///
/// # Errors
/// There is none.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).context("looking for a free port")?;
    Ok(listener.local_addr()?)
}

fn lasting() -> Validity {
    Validity::starting(SystemClock.now(), CERTIFICATES_LAST)
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}
