//! What is allowed but will not work.

use std::fmt;

use types::{Domain, Timestamp};

use crate::{Certificate, Contexts, Role, printable::list};

/// Something about the own certificates that other backends will stumble over. Federation starts all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The certificate is out of date or not yet valid.
    NotValidNow {
        /// Which certificate.
        role: Role,
        /// First moment.
        from: Timestamp,
        /// Last moment.
        to: Timestamp,
    },
    /// The certificate was not issued for the own infrastructure domain.
    OtherName {
        /// Which certificate.
        role: Role,
        /// The infrastructure domain.
        infra: Domain,
        /// The names it was issued for.
        names: Vec<String>,
    },
    /// The certificate has an extended key usage without what it is used for.
    Purpose {
        /// Which certificate.
        role: Role,
        /// `clientAuth` or `serverAuth`.
        lacks: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotValidNow { role, from, to } => {
                write!(f, "the {} certificate is valid from {from} to {to} only, which is not now", role_name(*role))
            }
            Self::OtherName { role, infra, names } => write!(
                f,
                "the {} certificate was issued for {}, not for the infrastructure domain {infra}; other backends \
                 will refuse it",
                role_name(*role),
                if names.is_empty() { "no name".to_owned() } else { list(names) }
            ),
            Self::Purpose { role, lacks } => write!(
                f,
                "the extended key usage of the {} certificate lacks {lacks}; other backends will refuse it",
                role_name(*role)
            ),
        }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

impl Contexts {
    /// What other backends will stumble over, if `infra` is the name that the own SRV records point to.
    ///
    /// A certificate that serves both roles wants both extended key usages; one of its own role wants that role's.
    /// A missing extension allows everything. Inward the common name counts, outward it does not
    /// (`federation.md` §2). There is nothing to say of what stands in for a certificate that is yet to come.
    pub fn warnings(&self, infra: &Domain, now: Timestamp) -> Vec<Warning> {
        let shared = self.client.chain().first() == self.server.chain().first();
        let mut warnings = Vec::new();
        let both = [(Role::Client, &self.client), (Role::Server, &self.server)];
        for (role, identity) in both.into_iter().filter(|(_, identity)| !identity.stands_in()) {
            warnings.extend(Warning::of_leaf(role, identity.leaf(), infra, now));
        }
        if shared {
            // One certificate, one line about its name and one about its dates.
            let told: Vec<_> = warnings.iter().filter(|w| w.role() == Role::Client).cloned().collect();
            warnings.retain(|w| w.role() == Role::Client || !told.iter().any(|t| w.same_kind(t)));
        }
        warnings
    }
}

impl Warning {
    /// What other backends will stumble over in one certificate that is used in one role.
    pub fn of_leaf(role: Role, leaf: &Certificate, infra: &Domain, now: Timestamp) -> Vec<Self> {
        let mut warnings = Vec::new();
        let named = match role {
            Role::Client => leaf.presents(infra.as_str()),
            Role::Server => crate::names::presents(&leaf.dns_names, None, infra.as_str()),
        };
        if !named {
            warnings.push(Self::OtherName { role, infra: infra.clone(), names: leaf.names() });
        }
        if let Some(purposes) = leaf.purposes {
            let lacks = match role {
                Role::Client if !purposes.client_auth => Some("clientAuth"),
                Role::Server if !purposes.server_auth => Some("serverAuth"),
                _ => None,
            };
            warnings.extend(lacks.map(|lacks| Self::Purpose { role, lacks }));
        }
        if now < leaf.not_before || now > leaf.not_after {
            warnings.push(Self::NotValidNow { role, from: leaf.not_before, to: leaf.not_after });
        }
        warnings
    }

    fn role(&self) -> Role {
        match self {
            Self::NotValidNow { role, .. } | Self::OtherName { role, .. } | Self::Purpose { role, .. } => *role,
        }
    }

    fn same_kind(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::NotValidNow { .. }, Self::NotValidNow { .. }) | (Self::OtherName { .. }, Self::OtherName { .. })
        )
    }
}
