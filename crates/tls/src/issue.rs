//! A small CA: for `ferrule init`, the laboratory and tests.
//!
//! Keys come from the provider's own random generator; dates are given by the caller.

mod request;
mod wish;

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};
use types::Timestamp;
use zeroize::Zeroizing;

pub use self::request::{PrivateKey, SigningRequest};
use crate::{Identity, Role, TlsError, pem};

/// Why a certificate could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// The CA's own certificate or key cannot be read.
    #[error("the certificate authority cannot be used: {0}")]
    Authority(String),
    /// A private key cannot be used.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// A name has characters that a certificate cannot hold.
    #[error("{0:?} cannot be a name in a certificate")]
    Name(String),
    /// The library refuses.
    #[error("cannot make a certificate: {0}")]
    Refused(String),
    /// A request for a certificate cannot be read, is not signed by its key, or is for a key that nobody takes.
    #[error("the request cannot be used: {0}")]
    Request(String),
}

/// The first and last moment of a certificate, in whole seconds. Both lie between 1970 and 9999; others are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub from: Timestamp,
    /// Last moment.
    pub to: Timestamp,
}

impl Validity {
    /// From `now` (less an hour, for clocks that are behind) for so long.
    pub fn starting(now: Timestamp, lasts: Duration) -> Self {
        const CLOCKS_BEHIND: Duration = Duration::from_secs(3600);
        Self { from: now - CLOCKS_BEHIND, to: now + lasts }
    }
}

/// The kind of key to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyType {
    /// ECDSA on P-256, what every peer accepts.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519.
    Ed25519,
    /// RSA of 2048 bits.
    Rsa2048,
}

/// The extended key usage to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// clientAuth and serverAuth.
    #[default]
    Both,
    /// clientAuth.
    Client,
    /// serverAuth.
    Server,
    /// No extension.
    Unrestricted,
}

/// What a CA is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityRequest {
    /// Its common name.
    pub name: String,
    /// Its dates.
    pub validity: Validity,
    /// Its key.
    pub key_type: KeyType,
    /// Domains under which it may issue; all where there is none.
    pub permitted_domains: Vec<String>,
}

impl AuthorityRequest {
    /// An unrestricted CA with a P-256 key.
    pub fn new(name: &str, validity: Validity) -> Self {
        Self { name: name.to_owned(), validity, key_type: KeyType::default(), permitted_domains: Vec::new() }
    }
}

/// What a leaf is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRequest {
    /// dNSName subject alternative names; no extension where there is none.
    pub dns_names: Vec<String>,
    /// The common name; an empty subject where there is none.
    pub common_name: Option<String>,
    /// Its extended key usage.
    pub usage: Usage,
    /// Its dates.
    pub validity: Validity,
    /// Its key.
    pub key_type: KeyType,
}

impl LeafRequest {
    /// A leaf for one name and both roles, with a P-256 key.
    pub fn new(dns_name: &str, validity: Validity) -> Self {
        Self {
            dns_names: vec![dns_name.to_owned()],
            common_name: None,
            usage: Usage::default(),
            validity,
            key_type: KeyType::default(),
        }
    }
}

/// A CA that can issue.
#[derive(Clone)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    /// The certificates between this one and the root, this one included, as leaves send them; empty for a root.
    chain: Vec<CertificateDer<'static>>,
    key: Arc<KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("intermediates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Authority {
    /// A root.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn root(request: &AuthorityRequest) -> Result<Self, IssueError> {
        let key = generate(request.key_type)?;
        let certificate = authority_params(request)?.self_signed(&key).map_err(refused)?.der().clone();
        Ok(Self { certificate, chain: Vec::new(), key: Arc::new(key) })
    }

    /// A root from its stored certificate and key.
    ///
    /// # Errors
    /// [`IssueError::Authority`] when one cannot be read or they do not belong together.
    pub fn root_from_pem(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let authority = |why: String| IssueError::Authority(why);
        let texts = (("certificate", certificate.as_bytes()), ("key", key.as_bytes()));
        Identity::from_pem(Role::Server, texts.0, texts.1).map_err(|error| authority(error.to_string()))?;
        let key = KeyPair::from_pem(key).map_err(|error| authority(error.to_string()))?;
        let mut found = pem::certificates(certificate.as_bytes()).map_err(|problem| authority(problem.to_string()))?;
        Ok(Self { certificate: found.swap_remove(0), chain: Vec::new(), key: Arc::new(key) })
    }

    /// A CA under this one.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn intermediate(&self, request: &AuthorityRequest) -> Result<Self, IssueError> {
        let key = generate(request.key_type)?;
        let certificate = authority_params(request)?.signed_by(&key, &self.issuer()?).map_err(refused)?.der().clone();
        let mut chain = vec![certificate.clone()];
        chain.extend(self.chain.iter().cloned());
        Ok(Self { certificate, chain, key: Arc::new(key) })
    }

    /// A leaf with a new key. What it sends is the leaf and the intermediates, without the root.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue(&self, request: &LeafRequest) -> Result<Issued, IssueError> {
        let key = generate(request.key_type)?;
        let leaf = leaf_params(request)?.signed_by(&key, &self.issuer()?).map_err(refused)?;
        let mut chain = vec![leaf.der().clone()];
        chain.extend(self.chain.iter().cloned());
        Ok(Issued { chain, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A leaf for a public key that somebody else holds.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn certify(
        &self,
        request: &LeafRequest,
        public_key: &impl rcgen::PublicKeyData,
    ) -> Result<CertificateDer<'static>, IssueError> {
        Ok(leaf_params(request)?.signed_by(public_key, &self.issuer()?).map_err(refused)?.der().clone())
    }

    /// The CA's own certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's own certificate, for the trust stores of others.
    pub fn certificate_pem(&self) -> String {
        certificate_pem(&self.certificate)
    }

    /// The CA's private key as PKCS#8. Secret.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.key.serialize_pem())
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, IssueError> {
        Issuer::from_ca_cert_der(&self.certificate, &*self.key)
            .map_err(|error| IssueError::Authority(error.to_string()))
    }
}

/// A leaf that signed itself.
///
/// # Errors
/// [`IssueError`]
pub fn self_signed(request: &LeafRequest) -> Result<Issued, IssueError> {
    let key = generate(request.key_type)?;
    let leaf = leaf_params(request)?.self_signed(&key).map_err(refused)?;
    Ok(Issued { chain: vec![leaf.der().clone()], key: Zeroizing::new(key.serialize_pem()) })
}

/// A leaf, its intermediates and its key.
#[derive(Clone)]
pub struct Issued {
    chain: Vec<CertificateDer<'static>>,
    key: Zeroizing<String>,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl Issued {
    /// Leaf first, then intermediates.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The chain as PEM.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(|der| certificate_pem(der)).collect()
    }

    /// The private key as PKCS#8. Secret.
    pub fn key_pem(&self) -> &str {
        &self.key
    }

    /// The private key as PKCS#8 in DER. Secret.
    ///
    /// # Errors
    /// Never for a key made here.
    pub fn key_der(&self) -> Result<PrivatePkcs8KeyDer<'static>, IssueError> {
        PrivatePkcs8KeyDer::from_pem_slice(self.key.as_bytes()).map_err(|error| IssueError::Refused(error.to_string()))
    }

    /// Ready for use.
    ///
    /// # Errors
    /// [`TlsError`] never for a leaf made here, unless the dates or names asked for made it unreadable.
    pub fn identity(&self, role: Role) -> Result<Identity, TlsError> {
        Identity::from_pem(role, ("(made here)", self.chain_pem().as_bytes()), ("(made here)", self.key.as_bytes()))
    }
}

fn generate(key_type: KeyType) -> Result<KeyPair, IssueError> {
    match key_type {
        KeyType::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::EcdsaP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyType::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        KeyType::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    }
    .map_err(refused)
}

fn authority_params(request: &AuthorityRequest) -> Result<CertificateParams, IssueError> {
    let mut params = params(Some(&request.name), request.validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    if !request.permitted_domains.is_empty() {
        let permitted_subtrees = request.permitted_domains.iter().cloned().map(GeneralSubtree::DnsName).collect();
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    }
    Ok(params)
}

fn leaf_params(request: &LeafRequest) -> Result<CertificateParams, IssueError> {
    let mut params = params(request.common_name.as_deref(), request.validity)?;
    params.subject_alt_names = request.dns_names.iter().map(|name| dns_name(name)).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if request.key_type == KeyType::Rsa2048 {
        params.key_usages.push(KeyUsagePurpose::KeyEncipherment);
    }
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = extended(request.usage);
    Ok(params)
}

fn extended(usage: Usage) -> Vec<ExtendedKeyUsagePurpose> {
    match usage {
        Usage::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
        Usage::Unrestricted => Vec::new(),
    }
}

fn params(common_name: Option<&str>, validity: Validity) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(name) = common_name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(validity.from);
    params.not_after = epoch + since_epoch(validity.to);
    Ok(params)
}

/// Whole seconds, between the first and the last moment that a certificate can name.
fn since_epoch(moment: Timestamp) -> Duration {
    const END_OF_9999: i64 = 253_402_300_799;
    Duration::from_secs(u64::try_from(moment.seconds().min(END_OF_9999)).unwrap_or(0))
}

fn dns_name(name: &str) -> Result<SanType, IssueError> {
    Ok(SanType::DnsName(name.try_into().map_err(|_| IssueError::Name(name.to_owned()))?))
}

fn refused(error: rcgen::Error) -> IssueError {
    IssueError::Refused(error.to_string())
}

/// A certificate as PEM.
pub fn certificate_pem(der: &[u8]) -> String {
    armoured("CERTIFICATE", der)
}

/// RFC 7468: 64 characters a line.
fn armoured(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
