//! The judgement on chains.

use proptest::prelude::*;
use rustls_pki_types::CertificateDer;
use tls::{
    Roots, ServerRefusal, ServerVerifier,
    chain::{ChainError, MAX_PRESENTED, Purpose, Verified, verify},
    issue::{Authority, AuthorityRequest, Issued, KeyType, LeafRequest, Usage, self_signed},
};
use types::Timestamp;

use crate::support::{chain_of, future, leaf, now, past, root, roots, under, valid};

fn inward(chain: &[CertificateDer<'_>], roots: &Roots, depth: usize) -> Result<Verified, ChainError> {
    verify(chain, roots, Purpose::ClientAuth, now(), Some(depth))
}

fn outward(chain: &[CertificateDer<'_>], roots: &Roots) -> Result<Verified, ChainError> {
    verify(chain, roots, Purpose::ServerAuth, now(), None)
}

#[test]
fn depth_counts_signatures() {
    let ca = root("root");
    let trusted = roots(&[&ca]);
    let mut authority = ca.clone();
    for signatures in 1..=MAX_PRESENTED {
        let issued = authority.issue(&leaf("a.example")).unwrap();
        assert_eq!(issued.chain().len(), signatures);
        for allowed in 1..=MAX_PRESENTED {
            let judged = inward(issued.chain(), &trusted, allowed);
            if signatures <= allowed {
                assert_eq!(judged.unwrap().signatures, signatures);
            } else {
                assert_eq!(judged.unwrap_err(), ChainError::TooDeep { needed: signatures, allowed });
            }
        }
        assert_eq!(outward(issued.chain(), &trusted).unwrap().signatures, signatures);
        authority = under(&authority, &format!("intermediate {signatures}"));
    }
}

#[test]
fn a_shorter_path_is_found_where_there_is_one() {
    let ca = root("root");
    let far = under(&ca, "far");
    let near = under(&far, "near");
    let issued = near.issue(&leaf("a.example")).unwrap();
    let trusted = roots(&[&ca]);
    assert_eq!(inward(issued.chain(), &trusted, 2).unwrap_err(), ChainError::TooDeep { needed: 3, allowed: 2 });
    // An intermediate that is listed itself is an anchor.
    assert_eq!(inward(issued.chain(), &roots(&[&ca, &far]), 2).unwrap().signatures, 2);
    assert_eq!(inward(issued.chain(), &roots(&[&ca, &near]), 1).unwrap().signatures, 1);
    // The same intermediate, signed by the root directly as well, with the longer way tried first.
    let mut chain = chain_of(&issued);
    chain.push(signed_again(&near, "near", &ca));
    assert_eq!(inward(&chain, &trusted, 2).unwrap().signatures, 2);
    assert_eq!(inward(&chain, &trusted, 1).unwrap_err(), ChainError::TooDeep { needed: 2, allowed: 1 });
}

/// A leaf under a CA of its own under `root`, as a given pair of key usages makes them.
fn with_key_usages(
    root: &Authority,
    authority: &[rcgen::KeyUsagePurpose],
    leaf: &[rcgen::KeyUsagePurpose],
) -> Vec<CertificateDer<'static>> {
    let key = || rcgen::KeyPair::generate().unwrap();
    let root_key = rcgen::KeyPair::from_pem(&root.key_pem()).unwrap();
    let root = rcgen::Issuer::from_ca_cert_der(root.certificate(), root_key).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "an intermediate");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = authority.to_vec();
    let authority_key = key();
    let authority = params.signed_by(&authority_key, &root).unwrap().der().clone();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
    params.key_usages = leaf.to_vec();
    vec![params.signed_by(&key(), &issuer).unwrap().der().clone(), authority]
}

#[test]
fn key_usages() {
    use rcgen::KeyUsagePurpose::{
        ContentCommitment, CrlSign, DigitalSignature, KeyAgreement, KeyCertSign, KeyEncipherment,
    };
    let ca = root("root");
    let trusted = roots(&[&ca]);
    let lacks = |purpose| Some(ChainError::LacksKeyUsage(purpose));
    for (leaf, client, server) in [
        (&[][..], None, None),
        (&[DigitalSignature], None, None),
        (&[KeyAgreement], None, None),
        (&[KeyEncipherment], lacks(Purpose::ClientAuth), None),
        (&[ContentCommitment], lacks(Purpose::ClientAuth), lacks(Purpose::ServerAuth)),
    ] {
        let chain = with_key_usages(&ca, &[KeyCertSign], leaf);
        assert_eq!(inward(&chain, &trusted, 2).err(), client, "{leaf:?}");
        assert_eq!(outward(&chain, &trusted).err(), server, "{leaf:?}");
    }
    for (authority, refused) in [
        (&[][..], None),
        (&[KeyCertSign, CrlSign], None),
        (&[CrlSign], Some(ChainError::IssuerLacksKeyUsage)),
        (&[DigitalSignature], Some(ChainError::IssuerLacksKeyUsage)),
    ] {
        let chain = with_key_usages(&ca, authority, &[DigitalSignature]);
        assert_eq!(inward(&chain, &trusted, 2).err(), refused, "{authority:?}");
        assert_eq!(outward(&chain, &trusted).err(), refused, "{authority:?}");
    }
    let told = ChainError::LacksKeyUsage(Purpose::ClientAuth).to_string();
    assert!(told.contains("digitalSignature"), "{told}");
    assert!(ChainError::IssuerLacksKeyUsage.to_string().contains("keyCertSign"));
}

#[test]
fn another_path_is_tried_where_an_issuer_may_not_sign() {
    use rcgen::KeyUsagePurpose::{CrlSign, DigitalSignature};
    let ca = root("root");
    let near = under(&ca, "near");
    let mut chain = chain_of(&near.issue(&leaf("a.example")).unwrap());
    let good = chain.pop().unwrap();
    let bad = signed_again_for(&near, "near", &ca, &[CrlSign, DigitalSignature]);
    for pair in [[bad.clone(), good.clone()], [good, bad]] {
        let chain = [&chain[..], &pair].concat();
        assert_eq!(inward(&chain, &roots(&[&ca]), 2).unwrap().signatures, 2);
    }
}

/// Another certificate for the same CA.
fn signed_again(authority: &Authority, name: &str, by: &Authority) -> CertificateDer<'static> {
    signed_again_for(authority, name, by, &[])
}

/// The same with these key usages.
fn signed_again_for(
    authority: &Authority,
    name: &str,
    by: &Authority,
    key_usages: &[rcgen::KeyUsagePurpose],
) -> CertificateDer<'static> {
    let key = |of: &Authority| rcgen::KeyPair::from_pem(&of.key_pem()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(by.certificate(), key(by)).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = key_usages.to_vec();
    params.signed_by(&key(authority), &issuer).unwrap().der().clone()
}

#[test]
fn order_and_superfluous_certificates_do_not_matter() {
    let ca = root("root");
    let issued = under(&under(&ca, "one"), "two").issue(&leaf("a.example")).unwrap();
    let mut chain = chain_of(&issued);
    chain[1..].reverse();
    chain.push(ca.certificate().clone());
    chain.push(root("somebody else").certificate().clone());
    assert_eq!(inward(&chain, &roots(&[&ca]), 3).unwrap().signatures, 3);
}

#[test]
fn too_many_certificates_are_not_looked_at() {
    let ca = root("root");
    let mut chain = chain_of(&ca.issue(&leaf("a.example")).unwrap());
    chain.resize(MAX_PRESENTED, ca.certificate().clone());
    assert!(inward(&chain, &roots(&[&ca]), 1).is_ok());
    chain.push(ca.certificate().clone());
    assert_eq!(inward(&chain, &roots(&[&ca]), 1).unwrap_err(), ChainError::TooMany(MAX_PRESENTED + 1));
}

#[test]
fn dates() {
    let ca = root("root");
    let trusted = roots(&[&ca]);
    let issue = |validity| ca.issue(&LeafRequest::new("a.example", validity)).unwrap();
    assert!(matches!(inward(issue(past()).chain(), &trusted, 1), Err(ChainError::Expired { .. })));
    assert!(matches!(inward(issue(future()).chain(), &trusted, 1), Err(ChainError::NotYetValid { .. })));

    let late = ca.intermediate(&AuthorityRequest::new("i", past())).unwrap().issue(&leaf("a.example")).unwrap();
    assert_eq!(inward(late.chain(), &trusted, 2).unwrap_err(), ChainError::IssuerOutOfDate);

    // First and last second count.
    let validity = valid();
    let issued = issue(validity);
    let at = |moment: Timestamp| verify(issued.chain(), &trusted, Purpose::ClientAuth, moment, None);
    let second = std::time::Duration::from_secs(1);
    let (first, last) =
        (Timestamp::from_seconds(validity.from.seconds()), Timestamp::from_seconds(validity.to.seconds()));
    assert!(at(first).is_ok());
    assert!(at(last).is_ok());
    assert!(matches!(at(first - second), Err(ChainError::NotYetValid { .. })));
    assert!(matches!(at(last + second), Err(ChainError::Expired { .. })));
}

#[test]
fn purposes() {
    let ca = root("root");
    let trusted = roots(&[&ca]);
    for (usage, client, server) in [
        (Usage::Both, true, true),
        (Usage::Client, true, false),
        (Usage::Server, false, true),
        (Usage::Unrestricted, true, true),
    ] {
        let issued = ca.issue(&LeafRequest { usage, ..leaf("a.example") }).unwrap();
        let lacks = |purpose| Err(ChainError::LacksPurpose(purpose));
        let signatures = |judged: Result<Verified, ChainError>| judged.map(|verified| verified.signatures);
        let expected = if client { Ok(1) } else { lacks(Purpose::ClientAuth) };
        assert_eq!(signatures(inward(issued.chain(), &trusted, 1)), expected, "{usage:?}");
        let expected = if server { Ok(1) } else { lacks(Purpose::ServerAuth) };
        assert_eq!(signatures(outward(issued.chain(), &trusted)), expected, "{usage:?}");
    }
}

#[test]
fn strangers() {
    let (ca, other) = (root("root"), root("other"));
    let trusted = roots(&[&ca]);
    assert_eq!(inward(&[], &trusted, 2).unwrap_err(), ChainError::NoCertificate);

    let issued = other.issue(&leaf("a.example")).unwrap();
    let error = inward(issued.chain(), &trusted, 2).unwrap_err();
    assert!(matches!(&error, ChainError::UnknownIssuer { issuer } if issuer.contains("other")), "{error}");

    // Of the same name, but with another key.
    let forged = root("root").issue(&leaf("a.example")).unwrap();
    assert_eq!(inward(forged.chain(), &trusted, 2).unwrap_err(), ChainError::BadSignature);

    // The intermediate was not sent.
    let issued = under(&ca, "intermediate").issue(&leaf("a.example")).unwrap();
    assert!(matches!(inward(&issued.chain()[..1], &trusted, 2), Err(ChainError::UnknownIssuer { .. })));

    // A leaf is no issuer.
    let fake = fake_intermediate(&ca);
    assert!(inward(&fake, &trusted, 3).is_err());

    assert!(matches!(inward(&[CertificateDer::from(vec![1, 2, 3])], &trusted, 2), Err(ChainError::Unparsable(_))));
}

/// Lines and sequences that a stranger would like to see in our log.
const FORGERY: &str = "\n2026-01-01T00:00:00Z  INFO forged\r\u{1b}[31m\u{2028}\u{202e}";

fn is_one_line(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() || ['\u{2028}', '\u{2029}', '\u{202e}'].contains(&char))
}

#[test]
fn names_of_strangers_become_one_short_line() {
    let trusted = roots(&[&root("root")]);
    for name in [format!("other{FORGERY}"), "x".repeat(20_000), "\n".repeat(20_000)] {
        let issued = root(&name).issue(&leaf("a.example")).unwrap();
        let error = inward(issued.chain(), &trusted, 2).unwrap_err();
        assert!(matches!(&error, ChainError::UnknownIssuer { issuer } if issuer.contains(&name)), "as it was written");
        let told = error.to_string();
        assert!(is_one_line(&told), "{told:?}");
        assert!(told.len() < 2_000, "{} bytes", told.len());
    }
    let ca = root("root");
    let verifier = ServerVerifier::new(std::sync::Arc::new(roots(&[&ca])));
    // In a dNSName there is ASCII only.
    let forged = format!("b.example{}", FORGERY.replace(['\u{2028}', '\u{202e}'], ""));
    let request =
        LeafRequest { dns_names: vec![forged, "y".repeat(20_000), "c.example".into()], ..leaf("unused.example") };
    let refusal = verifier.judge(ca.issue(&request).unwrap().chain(), "a.example", now()).unwrap_err();
    for told in [refusal.to_string(), format!("{refusal:?}")] {
        assert!(is_one_line(&told) && told.len() < 2_000, "{told:?}");
        assert!(told.contains("b.example\\n2026") && told.contains("c.example"), "{told}");
    }
}

/// A leaf issued by another leaf that the CA issued to us.
fn fake_intermediate(ca: &Authority) -> Vec<CertificateDer<'static>> {
    let named = LeafRequest { common_name: Some("mallory".into()), ..leaf("mallory.example") };
    let leaf_of_ours = ca.issue(&named).unwrap();
    let mallory = Authority::root_from_pem(&leaf_of_ours.chain_pem(), leaf_of_ours.key_pem()).unwrap();
    let forged = mallory.issue(&leaf("federator.b.example")).unwrap();
    vec![forged.chain()[0].clone(), leaf_of_ours.chain()[0].clone()]
}

#[test]
fn a_self_signed_leaf_is_accepted_only_where_it_is_listed() {
    let nobody = Roots::empty();
    let named = LeafRequest { common_name: Some("itself".into()), ..leaf("a.example") };
    for request in [leaf("a.example"), named.clone()] {
        let issued = self_signed(&request).unwrap();
        assert_eq!(inward(issued.chain(), &nobody, 2).unwrap_err(), ChainError::SelfSigned);
        assert_eq!(inward(issued.chain(), &roots(&[&root("root")]), 2).unwrap_err(), ChainError::SelfSigned);
        let listed = Roots::from_pem("test", issued.chain_pem().as_bytes()).unwrap();
        assert_eq!(inward(issued.chain(), &listed, 1).unwrap().signatures, 0);
    }
    // As `openssl req -x509` makes it: with CA:TRUE.
    let authority = root("itself");
    assert_eq!(inward(&[authority.certificate().clone()], &nobody, 1).unwrap_err(), ChainError::SelfSigned);
    assert!(inward(&[authority.certificate().clone()], &roots(&[&authority]), 1).is_ok());
    // Dates and purpose count for a listed one too.
    let listed = |issued: &Issued| Roots::from_pem("test", issued.chain_pem().as_bytes()).unwrap();
    let late = self_signed(&LeafRequest { validity: past(), ..named.clone() }).unwrap();
    assert!(matches!(inward(late.chain(), &listed(&late), 1), Err(ChainError::Expired { .. })));
    let server = self_signed(&LeafRequest { usage: Usage::Server, ..named }).unwrap();
    assert_eq!(inward(server.chain(), &listed(&server), 1).unwrap_err(), ChainError::LacksPurpose(Purpose::ClientAuth));
}

#[test]
fn being_listed_does_not_help_a_leaf_that_a_stranger_signed() {
    let issued = root("stranger").issue(&leaf("a.example")).unwrap();
    let listed = Roots::from_pem("test", issued.chain_pem().as_bytes()).unwrap();
    assert!(matches!(inward(issued.chain(), &listed, 2), Err(ChainError::UnknownIssuer { .. })));
}

#[test]
fn a_ca_is_no_leaf() {
    let ca = root("root");
    let intermediate = under(&ca, "intermediate");
    assert_eq!(inward(&[intermediate.certificate().clone()], &roots(&[&ca]), 2).unwrap_err(), ChainError::CaAsLeaf);
}

#[test]
fn every_kind_of_key_signs() {
    for key_type in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519, KeyType::Rsa2048] {
        let ca = Authority::root(&AuthorityRequest { key_type, ..AuthorityRequest::new("root", valid()) }).unwrap();
        let issued = ca.issue(&LeafRequest { key_type, ..leaf("a.example") }).unwrap();
        assert!(inward(issued.chain(), &roots(&[&ca]), 1).is_ok(), "{key_type:?}");
    }
}

#[test]
fn a_common_name_does_not_get_around_name_constraints() {
    let ca = root("root");
    let trusted = roots(&[&ca]);
    let only_a =
        AuthorityRequest { permitted_domains: vec!["a.example".into()], ..AuthorityRequest::new("for a", valid()) };
    let for_a = ca.intermediate(&only_a).unwrap();
    let by_name = |name: &str| for_a.issue(&leaf(name)).unwrap();
    assert!(inward(by_name("federator.a.example").chain(), &trusted, 2).is_ok());
    assert_eq!(inward(by_name("federator.b.example").chain(), &trusted, 2).unwrap_err(), ChainError::NameConstraints);
    let cn_only = LeafRequest {
        dns_names: Vec::new(),
        common_name: Some("federator.b.example".into()),
        ..leaf("unused.example")
    };
    assert_eq!(inward(for_a.issue(&cn_only).unwrap().chain(), &trusted, 2).unwrap_err(), ChainError::Unconstrained);
    let constrained_root = Authority::root(&only_a).unwrap();
    let issued = constrained_root.issue(&cn_only).unwrap();
    assert_eq!(inward(issued.chain(), &roots(&[&constrained_root]), 2).unwrap_err(), ChainError::Unconstrained);
    assert!(inward(ca.issue(&cn_only).unwrap().chain(), &trusted, 2).is_ok());
}

#[test]
fn servers_are_judged_by_name() {
    let ca = root("root");
    let verifier = ServerVerifier::new(std::sync::Arc::new(roots(&[&ca])));
    let judge = |request: &LeafRequest, target: &str| {
        verifier.judge(ca.issue(request).unwrap().chain(), target, now()).map_err(|refusal| refusal.to_string())
    };
    // `localhost` and `localhost.` reach a certificate for `localhost`; one for `localhost.` is never matched.
    assert_eq!(judge(&leaf("localhost"), "localhost"), Ok(()));
    assert_eq!(judge(&leaf("localhost"), "localhost."), Ok(()));
    assert!(judge(&leaf("localhost."), "localhost.").unwrap_err().contains("NameMismatch"));
    assert_eq!(judge(&leaf("*.a.example"), "federator.a.example."), Ok(()));
    let wrong = judge(&leaf("federator.a.example"), "federator.b.example.").unwrap_err();
    assert!(wrong.contains("NameMismatch: the certificate was issued for federator.a.example"), "{wrong}");
    assert!(wrong.contains("not for federator.b.example"), "{wrong}");
    let cn_only =
        LeafRequest { dns_names: Vec::new(), common_name: Some("a.example".into()), ..leaf("unused.example") };
    assert!(judge(&cn_only, "a.example").unwrap_err().contains("no subject alternative name"));
    let client = LeafRequest { usage: Usage::Client, ..leaf("a.example") };
    assert!(judge(&client, "a.example").unwrap_err().contains("serverAuth"));
    assert_eq!(judge(&LeafRequest { usage: Usage::Unrestricted, ..leaf("a.example") }, "a.example"), Ok(()));
    let stranger = root("stranger").issue(&leaf("a.example")).unwrap();
    assert!(matches!(
        verifier.judge(stranger.chain(), "a.example", now()),
        Err(ServerRefusal::Chain(ChainError::UnknownIssuer { .. }))
    ));
}

proptest! {
    #[test]
    fn arbitrary_chains_never_panic(
        chain in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 0..4),
    ) {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        prop_assert!(inward(&chain, &Roots::empty(), 2).is_err());
    }

    #[test]
    fn no_damage_makes_a_chain_better(at in 0usize..4096, bit in 0u8..8) {
        static FIXED: std::sync::LazyLock<(Roots, Vec<CertificateDer<'static>>)> = std::sync::LazyLock::new(|| {
            let ca = root("root");
            (roots(&[&ca]), chain_of(&under(&ca, "i").issue(&leaf("a.example")).unwrap()))
        });
        let (trusted, chain) = &*FIXED;
        let mut damaged = chain[0].to_vec();
        let index = at % damaged.len();
        damaged[index] ^= 1 << bit;
        prop_assert!(inward(&[damaged.into(), chain[1].clone()], trusted, 2).is_err());
    }
}
