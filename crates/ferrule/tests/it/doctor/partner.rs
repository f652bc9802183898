//! Checks 21 to 30: another backend.

use std::fs;

use testkit::{
    Credentials, Specimen, TTL, Trouble, World,
    peer::{Manner, Reply, Terms},
    process::{Folder, Reserved},
};

use super::{examined::Examined, patient::Patient};
use crate::support::{SMALL_LIMITS, ferrule, run};

/// What cannot be asked of a partner that is not reached.
const ABOVE_21: [u8; 8] = [22, 23, 24, 25, 27, 28, 29, 30];

/// What cannot be asked of a partner that is not believed.
const ABOVE_22: [u8; 7] = [23, 24, 25, 27, 28, 29, 30];

#[test]
fn one_that_cannot_be_found() {
    run(async {
        let patient = Patient::new().await;
        let (dns, partner) = (patient.world.dns(), patient.partner.domain.clone());
        for (trouble, told, remedy) in [
            (Trouble::ServFail, "discovery-failure for", "Look at the name server (`federation.dns`"),
            (Trouble::Silent, "discovery-failure for", "Look at the name server (`federation.dns`"),
            (Trouble::NullTarget, "the service is not offered", "Ask its operator to look at its DNS records"),
        ] {
            dns.trouble(&partner, trouble);
            patient.examined(&[]).fails(21, told, remedy).leaves_out(&ABOVE_21, 21);
        }
        dns.heal(&partner);
        dns.truth().publish_addresses(&patient.partner.infra, TTL, &[]);
        patient.examined(&[]).fails(21, "has no address", "to publish an address for").leaves_out(&ABOVE_21, 21);
        dns.truth().publish_services(&partner, TTL, &[]);
        patient
            .examined(&[])
            .fails(21, "invalid-domain (422)", "to publish an SRV record, and look whether the domain is spelt right")
            .leaves_out(&ABOVE_21, 21);
    });
}

#[test]
fn one_that_cannot_be_reached() {
    run(async {
        let patient = Patient::new().await;
        let dead = Reserved::new().unwrap();
        patient.publish_partner(dead.address);
        patient
            .examined(&[])
            .fails(21, "connection refused by", "Look at firewalls on the way")
            .leaves_out(&ABOVE_21, 21);
        // The second target is as good as the first.
        let targets =
            [(patient.partner.infra.clone(), dead.address), (patient.partner.infra.clone(), patient.answers.address())];
        patient.world.publish_for(TTL, &patient.partner.domain, &targets);
        patient.examined(&[]).is_well();
    });
}

#[test]
fn one_that_is_not_believed() {
    run(async {
        let mut patient = Patient::new().await;
        for (specimen, told, remedy) in [
            (
                Specimen::UnknownAuthority,
                "presents a certificate by",
                "for the CA certificate and add it to `federation.ca`",
            ),
            (Specimen::SelfSigned, "not in remoteCAContents", "for the CA certificate and add that to `federation.ca`"),
            (
                Specimen::WrongAuthority,
                "not in remoteCAContents",
                "for the CA certificate and add that to `federation.ca`",
            ),
            (Specimen::Expired, "is out of date", "to renew it"),
            (Specimen::NotYetValid, "is not valid before", "for a certificate without that fault"),
            (Specimen::WithoutServerAuth, "serverAuth", "for a certificate without that fault"),
            (Specimen::CommonNameOnly, "for another name than its SRV target", "a subject alternative name"),
        ] {
            patient.partner_with(specimen).await;
            patient.examined(&[]).fails(22, told, remedy).leaves_out(&ABOVE_22, 22);
            assert!(patient.answers.requests().is_empty(), "nothing is told to one that is not believed");
        }
        let other = patient.world.stranger("other").unwrap();
        patient.partner.certificate = other.certificate;
        patient.partner_on(Terms::default()).await;
        patient.examined(&[]).fails(22, "for another name than its SRV target", "a subject alternative name");
    });
}

#[test]
fn one_that_speaks_otherwise() {
    run(async {
        let mut patient = Patient::new().await;
        patient.partner_on(Terms { http2: false, ..Terms::default() }).await;
        patient.examined(&[]).fails(22, "does not agree on HTTP/2", "to switch HTTP/2 on").leaves_out(&ABOVE_22, 22);
        patient.partner_on(Terms::default()).await;
        for manner in [Manner::NoTls, Manner::Closes, Manner::Silent] {
            patient.answers.treat(manner);
            patient
                .examined(&[])
                .fails(22, "does not complete a TLS handshake", "is an ingress that speaks TLS 1.2 or 1.3 and HTTP/2")
                .leaves_out(&ABOVE_22, 22);
        }
        for manner in [Manner::NoHttp, Manner::SilentAfterHandshake] {
            patient.answers.treat(manner);
            patient.examined(&[]).fails(23, "broke the connection off", "Look at proxies and firewalls on the way");
        }
    });
}

#[test]
fn one_that_does_not_believe_our_certificate() {
    run(async {
        let mut patient = Patient::new().await;
        let other = World::new().await.unwrap().certificates().root_pem();
        let remedy = "ask them to add CN=Test root to tlsClientCA";
        // In the handshake, whose refusal comes later with TLS 1.3.
        for versions in [Terms::ONLY_TLS13, Terms::ONLY_TLS12] {
            patient.partner_on(Terms { versions, clients: Some(&other), http2: true }).await;
            patient.examined(&[]).fails(23, "rejects our client certificate", remedy).leaves_out(&[27, 28, 29, 30], 23);
        }
        // After it, as nginx does.
        patient.partner_on(Terms::default()).await;
        for page in ["No required SSL certificate was sent", "The SSL certificate error"] {
            let page = format!("<html><head><title>400 {page}</title></head><body>nginx</body></html>");
            patient.partner_answers("api-version", Reply::status(400, "text/html", page));
            patient.examined(&[]).fails(23, "its ingress answers 400", remedy);
        }
        // And as Ferrule does.
        let partner = Folder::init(ferrule(), &patient.world, "strict.example", SMALL_LIMITS).unwrap();
        fs::write(partner.path("federation-ca.pem"), other).unwrap();
        let served = partner.serve().unwrap();
        patient.world.publish(partner.domain(), &served.backend().infra, served.backend().federation);
        patient
            .examined(&["strict.example"])
            .is([(23, "fail"), (26, "fail")])
            .says(23, "400 authentication-failure", remedy)
            .leaves_out(&[27, 28, 29, 30], 23);
    });
}

#[test]
fn a_root_in_our_own_chain_is_no_step_for_others() {
    run(async {
        let patient = Patient::not_started().await;
        let shown = patient.world.certificates().issue(Specimen::Depth(2), patient.infra().as_str()).unwrap();
        let chain = shown.chain + &patient.world.certificates().root_pem();
        patient.write("federation", &Credentials { chain, key: shown.key });
        let mut patient = patient.started();
        let examined = patient.examined(&[]);
        examined.is_well();
        let told = "ours has 1 intermediate, for which they need a depth of 2";
        assert!(examined.to_string().contains(told), "{examined}");
        let other = World::new().await.unwrap().certificates().root_pem();
        patient.partner_on(Terms { versions: Terms::ONLY_TLS12, clients: Some(&other), ..Terms::default() }).await;
        patient.examined(&[]).fails(23, "rejects our client certificate", "our chain needs 2");
    });
}

#[test]
fn one_with_a_longer_chain_than_we_allow() {
    run(async {
        let mut patient = Patient::new().await;
        patient.partner_with(Specimen::Depth(2)).await;
        patient.examined(&[]).is_well();
        patient.partner_with(Specimen::Depth(3)).await;
        patient.examined(&[]).fails(
            24,
            "leaf has 2 intermediates; tls.verify_depth is 2, needs 3",
            "Set `federation.verify_depth` (tls.verify_depth) to 3",
        );
        patient.configure("verify_depth = 3");
        patient.examined(&[]).is_well();
    });
}

#[test]
fn one_whose_ca_may_not_issue_for_calls_to_us() {
    run(async {
        let mut patient = Patient::new().await;
        let (authority, certificate) = servers_only(patient.partner.infra.as_str());
        let roots = fs::read_to_string(patient.folder.path("federation-ca.pem")).unwrap() + &authority;
        fs::write(patient.folder.path("federation-ca.pem"), roots).unwrap();
        patient.partner.certificate = certificate;
        patient.partner_on(Terms::default()).await;
        patient.examined(&[]).fails(
            25,
            "outgoing works, incoming fails",
            "Ask its operator for a CA that may issue for both directions",
        );
    });
}

/// A root, as PEM, and a certificate that an intermediate CA issued which may issue for servers alone.
fn servers_only(name: &str) -> (String, testkit::Credentials) {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose as Usage, IsCa, Issuer, KeyPair};
    let authority = |usages: &[Usage], name: &str| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.extended_key_usages = usages.to_vec();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        (params, KeyPair::generate().unwrap())
    };
    let (root, root_key) = authority(&[], "Root of servers");
    let (lower, lower_key) = authority(&[Usage::ServerAuth], "For servers");
    let root_pem = root.self_signed(&root_key).unwrap().pem();
    let lower_pem = lower.signed_by(&lower_key, &Issuer::from_params(&root, &root_key)).unwrap().pem();
    let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
    leaf.extended_key_usages = vec![Usage::ServerAuth, Usage::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let leaf_pem = leaf.signed_by(&key, &Issuer::from_params(&lower, &lower_key)).unwrap().pem();
    (root_pem, testkit::Credentials { chain: leaf_pem + &lower_pem, key: key.serialize_pem() })
}

#[test]
fn one_that_is_not_allowed() {
    run(async {
        let mut patient = Patient::new().await;
        let partner = patient.partner.domain.clone();
        patient.stop();
        let listed = format!("[[federation.remotes]]\ndomain = \"{partner}\"");
        patient.edit(&listed, "");
        let mut patient = patient.started();
        let told = format!("{partner} is not allowed here");
        let allow = format!("Allow it with `ferrule federation allow {partner}`");
        patient.examined(&[partner.as_str()]).fails(26, &told, &allow);
        // The remedy is one.
        let allowed = patient.folder.command(&["federation", "allow", partner.as_str()]).unwrap();
        assert!(allowed.status.success(), "{}", allowed.stderr);
        patient.examined(&[partner.as_str()]).is_well();
        patient.examined(&[]).is_well();
        patient.stop();
        patient.edit("allowDynamic", "allowNone");
        let patient = patient.started();
        patient.examined(&[partner.as_str()]).fails(26, "allowNone", "Set `federation.strategy` to allowDynamic");
    });
}

#[test]
fn one_that_does_not_allow_us() {
    run(async {
        let patient = Patient::new().await;
        // A Ferrule.
        let partner = Folder::init(ferrule(), &patient.world, "aloof.example", SMALL_LIMITS).unwrap();
        let served = partner.serve().unwrap();
        patient.world.publish(partner.domain(), &served.backend().infra, served.backend().federation);
        let allowed = patient.folder.command(&["federation", "allow", "aloof.example"]).unwrap();
        assert!(allowed.status.success(), "{}", allowed.stderr);
        let remedy = "with Ferrule: `ferrule federation allow patient.example`";
        let there = Examined::of(patient.folder.command(&["doctor", "--json", "aloof.example"]).unwrap());
        there.fails(27, "aloof.example answered federation-denied", remedy).leaves_out(&[28, 29, 30], 27);
        // The remedy is one.
        let allowed = partner.command(&["federation", "allow", "patient.example"]).unwrap();
        assert!(allowed.status.success(), "{}", allowed.stderr);
        patient.examined(&["aloof.example"]).is_well();
    });
}
