//! The zoo of certificates: what peers show, good and bad.

use std::{fmt, path::Path, time::Duration};

use anyhow::{Context, Result};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use tls::{
    Certificate, Identity, Role,
    issue::{Authority, AuthorityRequest, IssueError, Issued, KeyType, LeafRequest, Usage, Validity, self_signed},
};
use types::Timestamp;

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Credentials {
    /// Leaf first, then intermediates.
    pub chain: String,
    /// The key.
    pub key: String,
}

impl Credentials {
    /// From two files.
    ///
    /// # Errors
    /// One cannot be read.
    pub fn read(chain: &Path, key: &Path) -> Result<Self> {
        let text = |path: &Path| std::fs::read_to_string(path).with_context(|| path.display().to_string());
        Ok(Self { chain: text(chain)?, key: text(key)? })
    }

    /// For use by the product's own code.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn identity(&self, role: Role) -> Result<Identity> {
        Ok(Identity::from_pem(role, ("(test)", self.chain.as_bytes()), ("(test)", self.key.as_bytes()))?)
    }

    /// For use by the TLS library, the chain replaced by other bytes if there are any.
    pub(crate) fn certified(&self, instead: Option<&[u8]>) -> Result<CertifiedKey> {
        let chain = match instead {
            Some(bytes) => vec![CertificateDer::from(bytes.to_vec())],
            None => CertificateDer::pem_slice_iter(self.chain.as_bytes()).collect::<Result<_, _>>()?,
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        Ok(CertifiedKey::new(chain, tls::provider().key_provider.load_private_key(key)?))
    }
}

impl From<&Issued> for Credentials {
    fn from(issued: &Issued) -> Self {
        Self { chain: issued.chain_pem(), key: issued.key_pem().to_owned() }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// A kind of certificate. Unless its description says otherwise it carries the one name it was asked for, is good for
/// both roles and a month, and was signed directly by the trusted root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specimen {
    /// The subject's common name is the only name.
    CommonNameOnly,
    /// So many signatures lie between the root and the leaf: 1 is the default, 3 means two intermediates.
    Depth(usize),
    /// It ends after so many days.
    Ends(u32),
    /// It ended yesterday.
    Expired,
    /// Nothing is wrong with it.
    Good,
    /// Its key is of that kind; that of the others is on P-256.
    Key(KeyType),
    /// Sixty names, the right one last.
    ManyNames,
    /// Neither a name of type dNSName nor a common name.
    Nameless,
    /// It begins tomorrow.
    NotYetValid,
    /// It signed itself.
    SelfSigned,
    /// The name has a trailing dot.
    TrailingDot,
    /// Another root signed it, which bears a name of its own.
    UnknownAuthority,
    /// The first label is a wildcard.
    Wildcard,
    /// Its extended key usage does not contain clientAuth.
    WithoutClientAuth,
    /// Its extended key usage does not contain serverAuth.
    WithoutServerAuth,
    /// It has no extended key usage at all.
    WithoutUsage,
    /// Another root signed it, which bears the trusted one's name.
    WrongAuthority,
}

/// Issues specimens from a root that the backend under test trusts.
#[derive(Clone, Debug)]
pub struct Certificates {
    authority: Authority,
    now: Timestamp,
}

/// The name of a root of our own making.
const ROOT_NAME: &str = "Test root";

impl Certificates {
    /// From a root of its own; `now` is the moment at which the specimens are to be looked at.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn new(now: Timestamp) -> Result<Self, IssueError> {
        Ok(Self { authority: root(ROOT_NAME, now)?, now })
    }

    /// From a root that is there already.
    pub fn of(authority: Authority, now: Timestamp) -> Self {
        Self { authority, now }
    }

    /// The trusted root, as PEM.
    pub fn root_pem(&self) -> String {
        self.authority.certificate_pem()
    }

    /// A certificate for `name`.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(&self, specimen: Specimen, name: &str) -> Result<Credentials, IssueError> {
        Ok(Credentials::from(&self.issued(specimen, name)?))
    }

    fn issued(&self, specimen: Specimen, name: &str) -> Result<Issued, IssueError> {
        let request = self.request(specimen, name);
        match specimen {
            Specimen::Depth(signatures) => {
                let mut authority = self.authority.clone();
                for level in 1..signatures {
                    let name = format!("Test intermediate {level}");
                    authority = authority.intermediate(&AuthorityRequest::new(&name, self.lasting()))?;
                }
                authority.issue(&request)
            }
            Specimen::SelfSigned => self_signed(&request),
            Specimen::UnknownAuthority => root("Another root", self.now)?.issue(&request),
            Specimen::WrongAuthority => {
                let own = Certificate::parse(self.authority.certificate()).ok().and_then(|own| own.common_name);
                root(own.as_deref().unwrap_or(ROOT_NAME), self.now)?.issue(&request)
            }
            _ => self.authority.issue(&request),
        }
    }

    fn request(&self, specimen: Specimen, name: &str) -> LeafRequest {
        let mut request = LeafRequest::new(name, self.lasting());
        match specimen {
            Specimen::CommonNameOnly => {
                request.dns_names.clear();
                request.common_name = Some(name.to_owned());
            }
            // With an hour to spare for the test.
            Specimen::Ends(days) => request.validity.to = self.now + DAY * days + Duration::from_secs(3600),
            Specimen::Expired => request.validity = Validity { from: self.now - 30 * DAY, to: self.now - DAY },
            Specimen::ManyNames => {
                request.dns_names = (0..59).map(|n| format!("name-{n}.elsewhere.example")).collect();
                request.dns_names.push(name.to_owned());
            }
            Specimen::Key(key_type) => request.key_type = key_type,
            Specimen::Nameless => request.dns_names.clear(),
            Specimen::NotYetValid => {
                request.validity = Validity { from: self.now + DAY, to: self.now + 30 * DAY };
            }
            Specimen::TrailingDot => request.dns_names = vec![format!("{name}.")],
            Specimen::Wildcard => {
                let parent = name.split_once('.').map_or(name, |(_, parent)| parent);
                request.dns_names = vec![format!("*.{parent}")];
            }
            Specimen::WithoutClientAuth => request.usage = Usage::Server,
            Specimen::WithoutServerAuth => request.usage = Usage::Client,
            Specimen::WithoutUsage => request.usage = Usage::Unrestricted,
            Specimen::Depth(_)
            | Specimen::Good
            | Specimen::SelfSigned
            | Specimen::UnknownAuthority
            | Specimen::WrongAuthority => {}
        }
        request
    }

    fn lasting(&self) -> Validity {
        Validity::starting(self.now, 30 * DAY)
    }
}

fn root(name: &str, now: Timestamp) -> Result<Authority, IssueError> {
    Authority::root(&AuthorityRequest::new(name, Validity::starting(now, 365 * DAY)))
}

#[cfg(test)]
mod tests {
    use tls::{
        Roots,
        chain::{ChainError, Purpose, verify},
    };

    use super::*;

    const NAME: &str = "federator.infra-x.example";

    fn judged(specimen: Specimen, purpose: Purpose) -> Result<Certificate, ChainError> {
        let now = Timestamp::from_seconds(1_800_000_000);
        let certificates = Certificates::new(now).unwrap();
        let roots = Roots::from_pem("(test)", certificates.root_pem().as_bytes()).unwrap();
        let issued = certificates.issued(specimen, NAME).unwrap();
        verify(issued.chain(), &roots, purpose, now, Some(2)).map(|verified| verified.leaf)
    }

    #[test]
    fn every_specimen_is_what_it_is_called() {
        use Specimen as S;
        let client = |specimen| judged(specimen, Purpose::ClientAuth);
        let server = |specimen| judged(specimen, Purpose::ServerAuth);
        for specimen in [S::Good, S::ManyNames, S::Wildcard, S::WithoutUsage, S::Depth(1), S::Depth(2)] {
            assert!(client(specimen).unwrap().presents(NAME), "{specimen:?}");
            assert!(server(specimen).unwrap().presents(NAME), "{specimen:?}");
        }
        assert!(client(S::CommonNameOnly).unwrap().dns_names.is_empty());
        assert_eq!(client(S::Nameless).unwrap().names(), Vec::<String>::new());
        assert_eq!(client(S::TrailingDot).unwrap().dns_names, [format!("{NAME}.")]);
        assert!(matches!(client(S::Expired), Err(ChainError::Expired { .. })));
        assert!(matches!(client(S::NotYetValid), Err(ChainError::NotYetValid { .. })));
        assert!(matches!(client(S::SelfSigned), Err(ChainError::SelfSigned)));
        assert!(matches!(client(S::WrongAuthority), Err(ChainError::BadSignature)));
        assert!(matches!(client(S::UnknownAuthority), Err(ChainError::UnknownIssuer { .. })));
        assert!(matches!(client(S::Depth(3)), Err(ChainError::TooDeep { needed: 3, allowed: 2 })));
        assert!(client(S::WithoutClientAuth).is_err() && server(S::WithoutClientAuth).is_ok());
        assert!(server(S::WithoutServerAuth).is_err() && client(S::WithoutServerAuth).is_ok());
    }
}
