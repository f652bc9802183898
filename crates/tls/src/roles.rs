//! What a leaf may be used for.

use crate::{Certificate, chain::Purpose};

/// The roles in which other backends believe a leaf, as far as its usages say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Towards callers: serverAuth.
    pub server: bool,
    /// Towards those we call: clientAuth.
    pub client: bool,
}

impl Roles {
    /// Whether one certificate can be used in both directions, as wire-server's `useSharedFederatorSecret` has it.
    pub fn shared(self) -> bool {
        self.server && self.client
    }
}

/// The roles of a leaf. An absent extension allows everything; a CA's certificate is no leaf.
pub fn roles(leaf: &Certificate) -> Roles {
    let may = |purpose: Purpose| !leaf.is_ca && purpose.allowed_by(leaf.key_usages) && purpose.is_among(leaf.purposes);
    Roles { server: may(Purpose::ServerAuth), client: may(Purpose::ClientAuth) }
}

#[cfg(test)]
mod tests {
    use types::Timestamp;

    use super::*;
    use crate::{
        KeyUsages,
        issue::{Authority, AuthorityRequest, LeafRequest, Usage, Validity},
    };

    #[test]
    fn usages_decide() {
        let validity = Validity { from: Timestamp::EPOCH, to: Timestamp::from_seconds(1_900_000_000) };
        let authority = Authority::root(&AuthorityRequest::new("a CA", validity)).unwrap();
        let leaf = |usage| {
            let request = LeafRequest { usage, ..LeafRequest::new("a.example", validity) };
            Certificate::parse(&authority.issue(&request).unwrap().chain()[0]).unwrap()
        };
        for (usage, server, client) in [
            (Usage::Both, true, true),
            (Usage::Unrestricted, true, true),
            (Usage::Server, true, false),
            (Usage::Client, false, true),
        ] {
            let found = roles(&leaf(usage));
            assert_eq!(found, Roles { server, client }, "{usage:?}");
            assert_eq!(found.shared(), server && client);
        }
        // A key that encrypts alone cannot sign a client's handshake.
        let usages =
            KeyUsages { digital_signature: false, key_agreement: false, key_cert_sign: false, key_encipherment: true };
        let encrypts = Certificate { key_usages: Some(usages), ..leaf(Usage::Both) };
        assert_eq!(roles(&encrypts), Roles { server: true, client: false });
        assert_eq!(
            roles(&Certificate::parse(authority.certificate()).unwrap()),
            Roles { server: false, client: false }
        );
    }
}
