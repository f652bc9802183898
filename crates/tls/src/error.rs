//! What can be wrong with key material.

/// Key material that cannot be used. The variants carry the names under which wire-server's federator reports the
/// same failures at its start ([`TlsError::name`]).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The private key is another certificate's.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    CertificateAndPrivateKeyDoNotMatch {
        /// Where the certificate is.
        certificate: String,
        /// Where the key is.
        key: String,
    },
    /// The TLS library refuses the settings.
    #[error("TLS settings: {0}")]
    Configuration(String),
    /// A file or folder of CA certificates cannot be used, or there are none at all.
    #[error("CA store {file}: {problem}")]
    InvalidCAStore {
        /// Where.
        file: String,
        /// Why.
        problem: Problem,
    },
    /// The certificate for calls to others.
    #[error("client certificate {file}: {problem}")]
    InvalidClientCertificate {
        /// Where.
        file: String,
        /// Why.
        problem: Problem,
    },
    /// The key for calls to others.
    #[error("client private key {file}: {problem}")]
    InvalidClientPrivateKey {
        /// Where.
        file: String,
        /// Why.
        problem: Problem,
    },
    /// The certificate shown to callers.
    #[error("server certificate {file}: {problem}")]
    InvalidServerCertificate {
        /// Where.
        file: String,
        /// Why.
        problem: Problem,
    },
    /// The key of the certificate shown to callers.
    #[error("server private key {file}: {problem}")]
    InvalidServerPrivateKey {
        /// Where.
        file: String,
        /// Why.
        problem: Problem,
    },
}

impl TlsError {
    /// The name of the failure, for logs and tests.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CertificateAndPrivateKeyDoNotMatch { .. } => "CertificateAndPrivateKeyDoNotMatch",
            Self::Configuration(_) => "Configuration",
            Self::InvalidCAStore { .. } => "InvalidCAStore",
            Self::InvalidClientCertificate { .. } => "InvalidClientCertificate",
            Self::InvalidClientPrivateKey { .. } => "InvalidClientPrivateKey",
            Self::InvalidServerCertificate { .. } => "InvalidServerCertificate",
            Self::InvalidServerPrivateKey { .. } => "InvalidServerPrivateKey",
        }
    }
}

/// What is wrong with one file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has a certificate that is none; counted from 1.
    #[error("certificate {index} cannot be read: {why}")]
    BadCertificate {
        /// Which one.
        index: usize,
        /// Why.
        why: String,
    },
    /// Its private key cannot be read.
    #[error("the private key cannot be read: {0}")]
    BadKey(String),
    /// It is not PEM.
    #[error("not valid PEM: {0}")]
    BadPem(String),
    /// It has no certificate.
    #[error("there is no certificate in it (\"BEGIN CERTIFICATE\")")]
    NoCertificate,
    /// It has no private key in an encoding we read.
    #[error("there is no private key in it (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    NoPrivateKey,
    /// Other backends would not believe it when they are called.
    #[error(
        "it lacks clientAuth in its extended key usage, so other backends would refuse every call of this one. Public \
         certificate authorities, Let's Encrypt among them, no longer issue clientAuth: their certificates cannot be \
         shared with the client role (useSharedFederatorSecret). Make one for it with `ferrule cert ca` and `ferrule \
         cert issue --client-only`, name its files for calls to others (tls.certificate and tls.key, or clientCertificate \
         and clientPrivateKey; in values federator.clientCertificateContents and federator.clientPrivateKeyContents, with \
         useSharedFederatorSecret set to false), and give the CA's certificate to the backends you federate with"
    )]
    NotForCalls,
    /// It has no request for a certificate.
    #[error("there is no request for a certificate in it (\"BEGIN CERTIFICATE REQUEST\")")]
    NoRequest,
    /// Neither a file nor the system gave a CA.
    #[error("no CA certificate is configured, so that no other backend could be trusted")]
    NothingTrusted,
    /// It is larger than [`MAX_PEM_FILE`](crate::MAX_PEM_FILE).
    #[error("larger than {0} bytes")]
    TooLarge(u64),
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// The key is of a kind that we do not use.
    #[error("{0} is not supported; use RSA of at least 2048 bits, ECDSA on P-256 or P-384, or Ed25519")]
    UnsupportedKey(String),
    /// The RSA key is too short.
    #[error("an RSA key of {bits} bits is too weak; at least 2048 are needed")]
    WeakRsaKey {
        /// Its length.
        bits: usize,
    },
}
