//! Whether a certificate can be used, looked at as it was issued.

use tls::{Certificate, Renewal, renewal_due, roles};
use types::{Domain, Timestamp};

/// What cannot be used about a certificate, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was not issued for a name that was ordered.
    #[error("the certificate that was issued lacks the name {0}")]
    LacksName(String),
    /// It cannot be shown to callers.
    #[error(
        "the certificate that was issued lacks serverAuth in its extended key usage: other backends would not believe \
         this one when they call it; choose another certificate authority (acme.directory)"
    )]
    NoServerAuth,
    /// It shall serve both roles and cannot be shown to those we call.
    #[error(
        "the certificate that was issued lacks clientAuth in its extended key usage, so it cannot be shared with the \
         client role (useSharedFederatorSecret): other backends would refuse every call of this one. Public certificate \
         authorities, Let's Encrypt among them, no longer issue clientAuth. Keep this certificate for the server role, \
         make one for the client role with `ferrule cert ca` and `ferrule cert issue --client-only --infra {infra}`, set \
         federation.client_certificate and federation.client_key to its files, and give the CA's certificate to the \
         backends you federate with"
    )]
    NotShared {
        /// The infrastructure domain.
        infra: Domain,
    },
}

/// Whether a leaf has these names and can be used: in both directions where it is `shared`, else to be shown to callers.
///
/// # Errors
/// [`Refusal`]
pub fn judge(leaf: &Certificate, names: &[String], shared: bool, infra: &Domain) -> Result<(), Refusal> {
    if let Some(name) = missing(leaf, names) {
        return Err(Refusal::LacksName(name.clone()));
    }
    let found = roles(leaf);
    if !found.server {
        return Err(Refusal::NoServerAuth);
    }
    if shared && !found.client {
        return Err(Refusal::NotShared { infra: infra.clone() });
    }
    Ok(())
}

/// What to do about the certificate that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing before that moment.
    None {
        /// When renewal is due, without jitter.
        due: Timestamp,
    },
    /// A successor; what is there can be used until it has come.
    Renew,
}

/// What to do at `now` about a certificate that shall have these names.
pub fn need(leaf: &Certificate, names: &[String], now: Timestamp) -> Need {
    if missing(leaf, names).is_some() {
        return Need::Renew;
    }
    match renewal_due(leaf.not_before, leaf.not_after, now) {
        Renewal::Fresh { due } => Need::None { due },
        Renewal::Due | Renewal::Expired => Need::Renew,
    }
}

fn missing<'a>(leaf: &Certificate, names: &'a [String]) -> Option<&'a String> {
    names.iter().find(|name| !tls::names::presents(&leaf.dns_names, None, name))
}

#[cfg(test)]
mod tests {
    use tls::issue::{Authority, AuthorityRequest, LeafRequest, Usage, Validity};

    use super::*;

    fn leaf(names: &[&str], usage: Usage) -> Certificate {
        let validity = Validity { from: Timestamp::from_seconds(0), to: Timestamp::from_seconds(900) };
        let authority = Authority::root(&AuthorityRequest::new("a CA", validity)).unwrap();
        let dns_names = names.iter().map(|name| (*name).to_owned()).collect();
        let request = LeafRequest { dns_names, usage, ..LeafRequest::new("x.example", validity) };
        Certificate::parse(&authority.issue(&request).unwrap().chain()[0]).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_issued_decides() {
        let infra: Domain = "f.a.example".parse().unwrap();
        let not_shared = Err(Refusal::NotShared { infra: infra.clone() });
        let lacks = Err(Refusal::LacksName("app.a.example".into()));
        for (issued, usage, ordered, shared, expected) in [
            (&["f.a.example"][..], Usage::Both, &["f.a.example"][..], true, Ok(())),
            (&["f.a.example"], Usage::Unrestricted, &["f.a.example"], true, Ok(())),
            (&["f.a.example"], Usage::Server, &["f.a.example"], true, not_shared),
            (&["f.a.example"], Usage::Server, &["f.a.example"], false, Ok(())),
            (&["f.a.example"], Usage::Client, &["f.a.example"], false, Err(Refusal::NoServerAuth)),
            (&["f.a.example"], Usage::Both, &["f.a.example", "app.a.example"], true, lacks),
            (&["*.a.example"], Usage::Both, &["f.a.example", "app.a.example"], true, Ok(())),
        ] {
            let found = judge(&leaf(issued, usage), &names(ordered), shared, &infra);
            assert_eq!(found, expected, "{issued:?} {usage:?} for {ordered:?}, shared: {shared}");
        }
    }

    #[test]
    fn an_operator_is_told_what_to_do() {
        let refused =
            judge(&leaf(&["x.example"], Usage::Server), &[], true, &"f.a.example".parse().unwrap()).unwrap_err();
        let told = refused.to_string();
        for words in ["clientAuth", "useSharedFederatorSecret", "--infra f.a.example", "federation.client_certificate"]
        {
            assert!(told.contains(words), "{words}: {told}");
        }
    }

    #[test]
    fn a_successor_is_needed_for_dates_and_for_names() {
        let leaf = leaf(&["f.a.example"], Usage::Both);
        let due = Timestamp::from_seconds(600);
        for (ordered, now, expected) in [
            (&["f.a.example"][..], 0, Need::None { due }),
            (&["f.a.example"], 599, Need::None { due }),
            (&["f.a.example"], 600, Need::Renew),
            (&["f.a.example"], 901, Need::Renew),
            (&["f.a.example", "new.a.example"], 0, Need::Renew),
        ] {
            assert_eq!(need(&leaf, &names(ordered), Timestamp::from_seconds(now)), expected, "{ordered:?} at {now}");
        }
    }
}
