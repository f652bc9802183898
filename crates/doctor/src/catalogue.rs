//! The checks, as data.

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its number, which is what scripts know it by. Numbers are those of `admin-and-deploy.md` §9.
    pub id: u8,
    /// What it is about.
    pub group: Group,
    /// The same in a few words.
    pub title: &'static str,
    /// What is looked at, and when it fails or warns.
    pub looks: &'static str,
    /// What is to be done, where nothing more exact can be said.
    pub remedy: &'static str,
    /// Ferrule's option.
    pub option: &'static str,
    /// The value of wire-server's Helm charts that sets the same; empty where there is none.
    pub helm: &'static str,
    /// Without these nothing can be said; the first that was not good is named then.
    pub depends_on: &'static [u8],
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Identity and configuration.
    Configuration,
    /// The own records.
    Dns,
    /// The own certificates and listener.
    OwnTls,
    /// A backend that is several processes.
    Processes,
    /// Another backend; repeated for each.
    Partner,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Configuration, Self::Dns, Self::OwnTls, Self::Processes, Self::Partner];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Configuration => "Identity and configuration",
            Self::Dns => "Own DNS records",
            Self::OwnTls => "Own TLS",
            Self::Processes => "Federator and components",
            Self::Partner => "Each partner",
        }
    }
}

/// Every check, by number.
pub const CHECKS: [Check; 27] = [
    Check {
        id: 1,
        group: Group::Configuration,
        title: "backend domain",
        looks: "The configuration can be read and its domain is the one that the data was created for. Fails otherwise; \
                warns where the internal listener may not be opened, so that a running backend cannot be asked.",
        remedy: "Set `domain` back to what the data was created for: it must never change once there are users.",
        option: "domain",
        helm: "brig.config.optSettings.setFederationDomain",
        depends_on: &[],
    },
    Check {
        id: 2,
        group: Group::Configuration,
        title: "one spelling of the domain",
        looks: "wire-server's charts name the domain three times (brig, galley, cargohold), Ferrule once. With `--helm` its \
                values agree with each other and with `domain`: fails otherwise; warns if one is not set.",
        remedy: "Set the three values to the same domain.",
        option: "domain",
        helm: "brig.config.optSettings.setFederationDomain, galley.config.settings.federationDomain, \
               cargohold.config.settings.federationDomain",
        depends_on: &[],
    },
    Check {
        id: 3,
        group: Group::Configuration,
        title: "certificates and CA trust configured",
        looks: "Where federation is on, the files of certificates, keys and CA certificates are there and can be read. \
                Fails otherwise; warns before an ACME server has issued the first certificate.",
        remedy: "Name a certificate with its key, and the CA certificates of your partners.",
        option: "federation.certificate, federation.key, federation.ca",
        helm: "federator.clientCertificateContents, federator.clientPrivateKeyContents, federator.remoteCAContents",
        depends_on: &[],
    },
    Check {
        id: 5,
        group: Group::Configuration,
        title: "internal API not public",
        looks: "The internal listener is a socket or on loopback, and `GET /i/status` is not answered where the public \
                comes in (the client listener, the federation listener, and the URL of `--from-outside`). Fails if it is; warns \
                if that URL does not answer.",
        remedy: "Bind `internal.listen` to `unix` or a loopback address, and let no proxy pass `/i/` on.",
        option: "internal.listen",
        helm: "",
        depends_on: &[],
    },
    Check {
        id: 8,
        group: Group::Dns,
        title: "SRV record",
        looks: "`_wire-server-federator._tcp.<domain>` has an SRV record. Fails otherwise.",
        remedy: "Publish `_wire-server-federator._tcp.<domain>. 600 IN SRV 0 10 <port> <infrastructure domain>.`: the port of \
                 `federation.listen`, or the one that is forwarded to it.",
        option: "domain",
        helm: "config.dns.federator",
        depends_on: &[],
    },
    Check {
        id: 9,
        group: Group::Dns,
        title: "SRV record well-formed",
        looks: "Each target is a host name with an address, neither an alias nor an IP address, and its port can be \
                reached: fails otherwise. Warns of weight 0 and of a TTL outside 60 to 86400 \
                seconds, for which the name servers of the zone are asked. Where those cannot be, a low TTL is not judged: a \
                resolver that remembers the record counts it down.",
        remedy: "Correct the record; `0 10` as priority and weight, the port of `federation.listen` or the one that is \
                 forwarded to it, and a TTL of 600 are good values.",
        option: "federation.infra",
        helm: "config.dns.federator",
        depends_on: &[8],
    },
    Check {
        id: 10,
        group: Group::Dns,
        title: "SRV record leads here",
        looks: "The record's target is the configured infrastructure domain, and what answers there shows a certificate \
                for it. Fails otherwise; warns if several targets are named and not all of them are it.",
        remedy: "Let the SRV record point to the infrastructure domain, and that to your ingress.",
        option: "federation.infra",
        helm: "config.dns.federator",
        depends_on: &[8],
    },
    Check {
        id: 13,
        group: Group::OwnTls,
        title: "chain complete and ordered",
        looks: "Each certificate that is shown was issued by the next, up to a known CA. Fails if one is missing in \
                between or the order is wrong; warns if it cannot be told whether the last issuer is a root.",
        remedy: "Put leaf and intermediates into `federation.certificate`, leaf first, each followed by its issuer, \
                 without the root.",
        option: "federation.certificate",
        helm: "secrets.tlsWildcardCert",
        depends_on: &[3],
    },
    Check {
        id: 14,
        group: Group::OwnTls,
        title: "names in the certificate",
        looks: "The infrastructure domain is among the subject alternative names of the certificate that is shown. \
                Fails otherwise.",
        remedy: "Get a certificate with the infrastructure domain as a subject alternative name (or a wildcard for its \
                 parent).",
        option: "federation.certificate",
        helm: "secrets.tlsWildcardCert",
        depends_on: &[3],
    },
    Check {
        id: 15,
        group: Group::OwnTls,
        title: "dates of the certificates",
        looks: "Every certificate that we show is valid now: fails if not, or if one ends within 3 days; warns if one \
                ends within 21 days.",
        remedy: "Renew the certificate; Ferrule takes the new file without a restart.",
        option: "federation.certificate, federation.client_certificate",
        helm: "secrets.tlsWildcardCert, federator.clientCertificateContents",
        depends_on: &[3],
    },
    Check {
        id: 16,
        group: Group::OwnTls,
        title: "key belongs to certificate",
        looks: "Each private key is the one of its certificate. Fails otherwise.",
        remedy: "Put the key that the certificate was requested with beside it; the first certificate of the file must \
                 be the leaf.",
        option: "federation.key, federation.client_key",
        helm: "secrets.tlsWildcardKey, federator.clientPrivateKeyContents",
        depends_on: &[3],
    },
    Check {
        id: 17,
        group: Group::OwnTls,
        title: "extended key usage",
        looks: "The certificate that we call with allows clientAuth, the one that we are called at serverAuth. Fails \
                otherwise.",
        remedy: "Get a certificate for both roles, or set `federation.client_certificate` and `federation.client_key` to \
                 one for TLS Web Client Authentication; public CAs no longer issue such.",
        option: "federation.client_certificate",
        helm: "federator.clientCertificateContents, federator.tls.useSharedFederatorSecret",
        depends_on: &[3],
    },
    Check {
        id: 18,
        group: Group::OwnTls,
        title: "kind of key and signature",
        looks: "Keys are ECDSA P-256, or RSA of 3000 bits or more. Warns of other curves and shorter RSA keys; fails \
                for keys that cannot be used (RSA below 2048 bits) and for signatures over SHA-1.",
        remedy: "Get a certificate with an ECDSA P-256 key: every federator can use it.",
        option: "federation.certificate, federation.client_certificate",
        helm: "secrets.tlsWildcardCert, federator.clientCertificateContents",
        depends_on: &[3],
    },
    Check {
        id: 19,
        group: Group::OwnTls,
        title: "TLS versions, suites and HTTP/2",
        looks: "Where others connect, TLS 1.2 with ECDHE-(ECDSA|RSA)-AES256-GCM-SHA384 or TLS 1.3 is spoken and `h2` \
                is agreed on by ALPN: fails otherwise. Warns if only one of the two versions is.",
        remedy: "Let the ingress offer TLS 1.2 and 1.3 and HTTP/2, or pass TLS through to Ferrule.",
        option: "federation.listen",
        helm: "federator.enabled",
        depends_on: &[3],
    },
    Check {
        id: 20,
        group: Group::OwnTls,
        title: "client certificate demanded",
        looks: "A request without client certificate is answered 400 or refused in the handshake, where others connect. \
                Fails otherwise.",
        remedy: "Let the ingress demand a client certificate (`ssl_verify_client on`), or pass TLS through to Ferrule.",
        option: "federation.listen",
        helm: "secrets.tlsClientCA",
        depends_on: &[3],
    },
    Check {
        id: 21,
        group: Group::Partner,
        title: "found and reached",
        looks: "Its SRV record and the target's address are found and a TCP connection comes about within 5 seconds. \
                Fails otherwise.",
        remedy: "Ask its operator to look at its DNS records; if those are right, look at firewalls between you.",
        option: "federation.dns",
        helm: "",
        depends_on: &[],
    },
    Check {
        id: 22,
        group: Group::Partner,
        title: "its certificate trusted",
        looks: "The chain that it shows leads to a CA that we trust, and its names cover the SRV target. Fails \
                otherwise.",
        remedy: "Ask its operator for the CA certificate and add that to `federation.ca` (remoteCAContents).",
        option: "federation.ca",
        helm: "federator.remoteCAContents",
        depends_on: &[3, 21],
    },
    Check {
        id: 23,
        group: Group::Partner,
        title: "our certificate accepted",
        looks: "Its ingress accepts the client certificate that we show. Fails if it answers 400, as nginx and Ferrule \
                do, or with a TLS alert.",
        remedy: "Ask its operator to add our CA certificate to its trust store (tlsClientCA).",
        option: "federation.client_certificate",
        helm: "secrets.tlsClientCA (at the partner)",
        depends_on: &[16, 22],
    },
    Check {
        id: 24,
        group: Group::Partner,
        title: "length of chains",
        looks: "Its chain has no more signatures than our depth allows: fails otherwise. The length of our own is told, \
                for its operator.",
        remedy: "Raise `federation.verify_depth` (tls.verify_depth).",
        option: "federation.verify_depth",
        helm: "tls.verify_depth",
        depends_on: &[22],
    },
    Check {
        id: 25,
        group: Group::Partner,
        title: "trusted in both directions",
        looks: "The CA that its certificate leads to is trusted for its calls to us as well. Fails otherwise.",
        remedy: "Ask its operator for a CA that may issue for both directions; with wire-server's charts, put the same \
                 CA certificates into remoteCAContents and tlsClientCA.",
        option: "federation.ca",
        helm: "secrets.tlsClientCA, federator.remoteCAContents",
        depends_on: &[22],
    },
    Check {
        id: 26,
        group: Group::Partner,
        title: "allowed here",
        looks: "The policy in force allows it. Fails otherwise.",
        remedy: "Allow it with `ferrule federation allow DOMAIN`, or list it in `[[federation.remotes]]`.",
        option: "federation.strategy, federation.remotes",
        helm: "federator.config.optSettings.federationStrategy.allowedDomains",
        depends_on: &[],
    },
    Check {
        id: 27,
        group: Group::Partner,
        title: "allowed there",
        looks: "It does not answer `federation-denied`. Fails if it does.",
        remedy: "Ask its operator to allow our backend domain.",
        option: "domain",
        helm: "federator.config.optSettings.federationStrategy.allowedDomains (at the partner)",
        depends_on: &[23],
    },
    Check {
        id: 28,
        group: Group::Partner,
        title: "our name believed",
        looks: "One of our own SRV targets is a name of our client certificate, and the partner finds it so. Fails \
                otherwise.",
        remedy: "Make the SRV record's target and a subject alternative name of the client certificate the same.",
        option: "federation.infra, federation.client_certificate",
        helm: "config.dns.federator, federator.clientCertificateContents",
        depends_on: &[8, 27],
    },
    Check {
        id: 29,
        group: Group::Partner,
        title: "common version",
        looks: "Its `api-version` has a version of the federation API that we speak. Fails otherwise.",
        remedy: "Bring the older of the two backends up to date.",
        option: "",
        helm: "",
        depends_on: &[28],
    },
    Check {
        id: 30,
        group: Group::Partner,
        title: "round trip",
        looks: "A look-up of a random handle comes back, and how long it takes. Fails if it is not answered with 2xx.",
        remedy: "Look into its operator's logs for our request at this time; the status and label say what it made of it.",
        option: "",
        helm: "",
        depends_on: &[29],
    },
    Check {
        id: 52,
        group: Group::Processes,
        title: "federator answers",
        looks: "Where the federator is a process of its own, it answers `GET /i/status` at the port for components, and at \
                the one behind an ingress in front. Fails otherwise.",
        remedy: "Start the federator, and set `components.federator` to its `outward.listen`.",
        option: "components.federator, outward.listen, inward.behind_proxy.listen",
        helm: "",
        depends_on: &[],
    },
    Check {
        id: 53,
        group: Group::Processes,
        title: "components answer",
        looks: "Where the federator is a process of its own, each component that it brings calls to answers \
                `GET /i/status`. Fails otherwise.",
        remedy: "Start the component, or correct its address.",
        option: "components.listen, components.brig, components.galley, components.cargohold",
        helm: "",
        depends_on: &[],
    },
];

impl Check {
    /// The check of that number.
    pub fn numbered(id: u8) -> Option<&'static Self> {
        CHECKS.iter().find(|check| check.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_and_nothing_depends_on_what_comes_later() {
        assert!(CHECKS.is_sorted_by_key(|check| check.id));
        for check in &CHECKS {
            assert_eq!(Check::numbered(check.id), Some(check));
            for on in check.depends_on {
                assert!(*on < check.id && Check::numbered(*on).is_some(), "{} depends on {on}", check.id);
            }
        }
        assert_eq!(Check::numbered(4), None);
    }
}
