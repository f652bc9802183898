//! Keys that stay where they were made, and requests for certificates of them (PKCS#10, RFC 2986).

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use types::Timestamp;
use zeroize::Zeroizing;

use super::{
    Authority, IssueError, Issued, KeyType, LeafRequest, Usage, Validity, dns_name, extended, generate, refused,
    wish::Wish,
};
use crate::{Certificate, KeyKind, pem};

/// A private key for which somebody else makes the certificate.
pub struct PrivateKey(KeyPair);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrivateKey").finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// A new one.
    ///
    /// # Errors
    /// [`IssueError::Refused`] when there is no randomness.
    pub fn generate(key_type: KeyType) -> Result<Self, IssueError> {
        generate(key_type).map(Self)
    }

    /// From PEM.
    ///
    /// # Errors
    /// [`IssueError::Key`] when there is none that we use; the text is not quoted.
    pub fn from_pem(text: &str) -> Result<Self, IssueError> {
        let unusable = |why: String| IssueError::Key(why);
        let der = pem::private_key(text.as_bytes()).map_err(|problem| unusable(problem.to_string()))?;
        let no_kind = |_| unusable("it is no RSA, ECDSA (P-256, P-384) or Ed25519 key".into());
        KeyPair::try_from(&der).map(Self).map_err(no_kind)
    }

    /// As PKCS#8. Secret.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.serialize_pem())
    }

    /// A request for a certificate with these names.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn request(&self, dns_names: &[String], usage: Usage) -> Result<SigningRequest, IssueError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = dns_names.iter().map(|name| dns_name(name)).collect::<Result<_, _>>()?;
        params.extended_key_usages = extended(usage);
        let request = params.serialize_request(&self.0).map_err(refused)?;
        let text = request.pem().map_err(refused)?;
        SigningRequest::from_pem(&text)
    }
}

/// A request for a certificate, signed by the key that it is for.
#[derive(Clone, Debug)]
pub struct SigningRequest {
    wish: Wish,
    der: Vec<u8>,
    text: String,
}

impl SigningRequest {
    /// Reads PEM, and checks that whoever made it holds the key, and that it is a key of a kind that backends take.
    ///
    /// # Errors
    /// [`IssueError::Request`]
    pub fn from_pem(text: &str) -> Result<Self, IssueError> {
        let der = pem::signing_request(text).map_err(|problem| IssueError::Request(problem.to_string()))?;
        let wish = Wish::read(&der).map_err(IssueError::Request)?;
        Ok(Self { wish, der: der.to_vec(), text: text.to_owned() })
    }

    /// The dNSNames that are asked for, as they are written. Names of other kinds are no use here and are passed over.
    pub fn dns_names(&self) -> &[String] {
        &self.wish.dns_names
    }

    /// As it is sent to a CA.
    pub fn pem(&self) -> &str {
        &self.text
    }

    /// The same in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

impl Authority {
    /// A leaf for a request's key, with the names, usage and dates that the CA decides on. What it sends is the leaf and
    /// the intermediates, without the root.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn sign(
        &self,
        request: &SigningRequest,
        dns_names: Vec<String>,
        usage: Usage,
        validity: Validity,
    ) -> Result<Vec<Vec<u8>>, IssueError> {
        let key = &request.wish.key;
        let key_type = match key.kind() {
            KeyKind::Rsa(_) => KeyType::Rsa2048,
            _ => KeyType::EcdsaP256,
        };
        let leaf = self.certify(&LeafRequest { dns_names, common_name: None, usage, validity, key_type }, key)?;
        Ok(std::iter::once(leaf.to_vec()).chain(self.chain.iter().map(|der| der.to_vec())).collect())
    }

    /// A leaf for a key that is there already, with its chain.
    ///
    /// # Errors
    /// [`IssueError`]
    pub fn issue_for(&self, request: &LeafRequest, key: &PrivateKey) -> Result<Issued, IssueError> {
        let leaf = self.certify(request, &key.0)?;
        let chain = std::iter::once(leaf).chain(self.chain.iter().cloned()).collect();
        Ok(Issued { chain, key: key.to_pem() })
    }

    /// Until when the CA's own certificate is good: nothing it issues is believed for longer.
    ///
    /// # Errors
    /// [`IssueError::Authority`] when it cannot be read, which it was when this was made.
    pub fn not_after(&self) -> Result<Timestamp, IssueError> {
        let facts = Certificate::parse(&self.certificate).map_err(|error| IssueError::Authority(error.to_string()))?;
        Ok(facts.not_after)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::{KeyKind, issue::AuthorityRequest};

    fn validity() -> Validity {
        Validity::starting(Timestamp::from_seconds(1_800_000_000), Duration::from_secs(86_400))
    }

    #[test]
    fn a_request_is_signed_with_what_the_authority_decides() {
        let authority = Authority::root(&AuthorityRequest::new("a CA", validity())).unwrap();
        let key = PrivateKey::from_pem(&PrivateKey::generate(KeyType::EcdsaP256).unwrap().to_pem()).unwrap();
        let request = key.request(&["federator.a.example".into()], Usage::Both).unwrap();
        assert_eq!(SigningRequest::from_pem(request.pem()).unwrap().dns_names(), ["federator.a.example"]);
        let chain = authority.sign(&request, vec!["other.example".into()], Usage::Server, validity()).unwrap();
        let leaf = Certificate::parse(&chain[0]).unwrap();
        assert_eq!((leaf.names(), leaf.key.clone()), (vec!["other.example".to_owned()], KeyKind::EcdsaP256));
        assert!(leaf.purposes.is_some_and(|purposes| purposes.server_auth && !purposes.client_auth));
        let kept = authority.issue_for(&LeafRequest::new("federator.a.example", validity()), &key).unwrap();
        assert_eq!(kept.key_pem(), key.to_pem().as_str());
        kept.identity(crate::Role::Server).unwrap();
    }

    #[test]
    fn a_request_that_was_changed_is_refused() {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let request = key.request(&["federator.a.example".into()], Usage::Both).unwrap();
        let at = request.der().windows(9).position(|window| window == b"federator").unwrap();
        let mut der = request.der().to_vec();
        der[at] = b'g';
        let text = super::super::armoured("CERTIFICATE REQUEST", &der);
        assert!(matches!(SigningRequest::from_pem(&text), Err(IssueError::Request(_))));
    }

    #[test]
    fn no_line_of_a_key_is_quoted() {
        let error =
            PrivateKey::from_pem("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n").unwrap_err();
        assert!(!error.to_string().contains("c2Vj"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", body in "[A-Za-z0-9+/=\n]{0,200}") {
            let armoured = format!("-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n");
            for text in [text, armoured] {
                let _ = SigningRequest::from_pem(&text);
                let _ = PrivateKey::from_pem(&text);
            }
        }

        #[test]
        fn a_damaged_request_never_panics(at in 0usize..400, with in any::<u8>()) {
            static DER: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
                let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
                key.request(&["a.example".into()], Usage::Both).unwrap().der().to_vec()
            });
            let mut der = DER.clone();
            let index = at % der.len();
            der[index] = with;
            let _ = SigningRequest::from_pem(&super::super::armoured("CERTIFICATE REQUEST", &der));
        }
    }
}
