//! Checks 13 to 20: what is shown to others.

use std::fs;

use testkit::{
    Credentials, Specimen,
    peer::{Manner, Reply, Terms, script},
};
use tls::issue::KeyType;

use super::patient::{Patient, demanding, openssl, well};
use crate::support::run;

/// The certificates of a chain, each as PEM.
fn pieces(chain: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----\n";
    chain.split_inclusive(END).filter(|piece| piece.ends_with(END)).map(str::to_owned).collect()
}

#[test]
fn a_chain_with_a_gap_or_out_of_order() {
    run(async {
        let patient = Patient::not_started().await;
        let three = patient.world.certificates().issue(Specimen::Depth(3), patient.infra().as_str()).unwrap();
        let [leaf, lower, upper] = pieces(&three.chain).try_into().unwrap();
        for (chain, verdict, told) in [
            (vec![&leaf, &lower, &upper], None, ""),
            (vec![&leaf], Some("warn"), "Test intermediate 2, which is not known here"),
            (vec![&leaf, &lower], Some("warn"), "Test intermediate 1, which is not known here"),
            (vec![&leaf, &upper], Some("fail"), "intermediate certificate missing or out of order"),
            (vec![&leaf, &upper, &lower], Some("fail"), "intermediate certificate missing or out of order"),
        ] {
            let chain = chain.into_iter().map(String::as_str).collect::<String>();
            patient.write("federation", &Credentials { chain, key: three.key.clone() });
            let served = patient.folder.serve().unwrap();
            let examined = patient.examined(&[]);
            let remedy = "leaf first, each followed by its issuer";
            match verdict {
                None => drop(examined.is_well()),
                Some("warn") => drop(examined.warns(13, told, remedy)),
                Some(_) => drop(examined.fails(13, told, remedy)),
            }
            served.stop().unwrap();
        }
        patient.certify("federation", Specimen::SelfSigned);
        let _served = patient.folder.serve().unwrap();
        patient.examined(&[]).warns(13, "signed itself", "Get a certificate from a CA");
    });
}

#[test]
fn a_certificate_for_another_name() {
    run(async {
        let patient = Patient::not_started().await;
        let other = patient.world.certificates().issue(Specimen::Good, "federator.elsewhere.example").unwrap();
        patient.certify("client", Specimen::Good);
        patient.configure("client_certificate = \"client.pem\"\nclient_key = \"client-key.pem\"");
        patient.write("federation", &other);
        let mut patient = patient.started();
        let told = format!("{} is not in the SAN", patient.infra());
        let remedy = "Get a certificate with the infrastructure domain as a subject alternative name";
        patient.examined(&[]).fails(14, &told, remedy);
        // One certificate for both, which partners will not believe either.
        patient.stop();
        patient.configure("");
        let patient = patient.started();
        patient.examined(&[]).is([(14, "fail"), (28, "fail")]).says(
            28,
            "none of our SRV targets is in the SAN",
            "Make the SRV record's target and a subject alternative",
        );
    });
}

#[test]
fn a_certificate_out_of_date() {
    run(async {
        for (specimen, verdict, told, remedy) in [
            (Specimen::Expired, "fail", "expired on", "Renew the certificate"),
            (Specimen::NotYetValid, "fail", "is not valid before", "Look at the clock"),
            (Specimen::Ends(2), "fail", "expires in 2 days", "Renew the certificate"),
            (Specimen::Ends(20), "warn", "expires in 20 days", "Renew the certificate"),
        ] {
            let examined = Patient::with(specimen).await.examined(&[]);
            match verdict {
                "fail" => drop(examined.fails(15, told, remedy)),
                _ => drop(examined.warns(15, told, remedy)),
            }
        }
        Patient::with(Specimen::Ends(21)).await.examined(&[]).is_well();
    });
}

#[test]
fn a_key_of_another_certificate() {
    run(async {
        let patient = Patient::new().await;
        let other = patient.world.certificates().issue(Specimen::Good, patient.infra().as_str()).unwrap();
        fs::write(patient.folder.path("federation-key.pem"), other.key).unwrap();
        patient
            .examined(&[])
            .fails(
                16,
                "Private key does not belong to certificate",
                "Put the key that the certificate was requested with",
            )
            .leaves_out(&[23, 27, 28, 29, 30], 16);
    });
}

#[test]
fn a_certificate_that_may_not_be_used_so() {
    run(async {
        // None starts with it; one that runs goes on with what it had.
        let patient = Patient::new().await;
        patient.certify("federation", Specimen::WithoutClientAuth);
        patient.examined(&[]).fails(
            17,
            "lacks TLS Web Client Authentication: partners will reject our calls",
            "set `federation.client_certificate` and `federation.client_key`",
        );
        Patient::with(Specimen::WithoutServerAuth).await.examined(&[]).fails(
            17,
            "lacks TLS Web Server Authentication",
            "Get a certificate for TLS Web Server Authentication",
        );
        // One each, the wrong way round and the right one.
        let patient = Patient::not_started().await;
        patient.configure("client_certificate = \"client.pem\"\nclient_key = \"client-key.pem\"");
        patient.certify("federation", Specimen::WithoutClientAuth);
        patient.certify("client", Specimen::WithoutServerAuth);
        let patient = patient.started();
        patient.examined(&[]).is_well();
    });
}

#[test]
fn keys_that_not_everybody_can_use() {
    run(async {
        for (kind, told) in [
            (KeyType::EcdsaP384, "P-384 key: federators built on hs-tls cannot use it"),
            (KeyType::Ed25519, "Ed25519 key: federators built on hs-tls cannot use it"),
            (KeyType::Rsa2048, "3000 bits or more are advised"),
        ] {
            let patient = Patient::with(Specimen::Key(kind)).await;
            patient.examined(&[]).warns(18, told, "Get a certificate with an ECDSA P-256 key");
        }
    });
}

#[test]
fn keys_and_signatures_that_nobody_should_use() {
    run(async {
        let patient = Patient::not_started().await;
        let at = |name: &str| patient.folder.path(name).display().to_string();
        let (leaf, key, ca, ca_key) = (at("made.pem"), at("made-key.pem"), at("old-ca.pem"), at("old-ca-key.pem"));
        let (days, infra) = ("60", patient.infra());
        let extensions = at("extensions");
        let text = format!("subjectAltName=DNS:{infra}\nextendedKeyUsage=serverAuth,clientAuth\n");
        fs::write(&extensions, text).unwrap();
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            &ca_key,
            "-out",
            &ca,
            "-days",
            days,
            "-subj",
            "/CN=Old CA",
        ]);
        let request = at("request.pem");
        let made = |new_key: &[&str], digest: &str| {
            let start = ["req", "-new", "-nodes", "-keyout", &key, "-out", &request, "-subj", "/"];
            openssl(&[start.as_slice(), new_key].concat());
            let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-out", &leaf, "-days", days];
            openssl(&[sign.as_slice(), &["-extfile", &extensions, digest]].concat());
            Credentials { chain: fs::read_to_string(&leaf).unwrap(), key: fs::read_to_string(&key).unwrap() }
        };
        // The CA is known here.
        let known = fs::read_to_string(at("federation-ca.pem")).unwrap() + &fs::read_to_string(&ca).unwrap();
        fs::write(at("federation-ca.pem"), known).unwrap();
        let patient = patient.started();
        patient.examined(&[]).is_well();

        patient.write("federation", &made(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "-sha1"));
        patient.examined(&[]).fails(18, "signed over SHA-1", "Get a certificate that is signed over SHA-256");
        patient.write("federation", &made(&["-newkey", "rsa:1024"], "-sha256"));
        let examined = patient.examined(&[]);
        let remedy = "Get a certificate with an ECDSA P-256 key";
        examined.fails(18, "at least 2048 bits are needed", remedy).leaves_out(&[27, 28, 29, 30], 23);
        patient.write("federation", &made(&["-newkey", "rsa:3072"], "-sha256"));
        patient.examined(&[]).is_well();
    });
}

#[test]
fn an_ingress_that_speaks_otherwise() {
    run(async {
        let patient = Patient::new().await;
        let _keep = patient.ingress(Terms { http2: false, ..Terms::default() }, script(demanding)).await;
        patient.examined(&[]).fails(19, "ALPN h2 not negotiated", "Switch HTTP/2 on at the ingress");
        for (versions, told) in [
            (Terms::ONLY_TLS13, "does not speak TLS 1.2 with ECDHE-*-AES256-GCM-SHA384"),
            (Terms::ONLY_TLS12, "does not speak TLS 1.3"),
        ] {
            let _keep = patient.ingress(Terms { versions, ..Terms::default() }, script(demanding)).await;
            patient.examined(&[]).warns(19, told, "Let the ingress offer TLS 1.2 and 1.3 and HTTP/2");
        }
        let ingress = patient.ingress(Terms::default(), script(demanding)).await;
        patient.examined(&[]).is_well();
        ingress.treat(Manner::NoTls);
        patient.examined(&[]).fails(19, "does not complete a TLS handshake", "Let the ingress offer TLS 1.2 and 1.3");
    });
}

#[test]
fn an_ingress_that_demands_no_certificate() {
    run(async {
        let patient = Patient::new().await;
        let lax = |request: &testkit::peer::Recorded| match request.path.as_str() {
            "/i/status" => Reply::error(404, "no-endpoint", ""),
            _ => well(request),
        };
        let _keep = patient.ingress(Terms::default(), script(lax)).await;
        patient.examined(&[]).fails(20, "without client certificate", "ssl_verify_client on");
        // One that ends the handshake is as good as one that answers 400.
        let roots = patient.world.certificates().root_pem();
        for versions in [Terms::ONLY_TLS13, Terms::ONLY_TLS12, rustls::ALL_VERSIONS] {
            let terms = Terms { clients: Some(&roots), versions, ..Terms::default() };
            let _keep = patient.ingress(terms, script(demanding)).await;
            let examined = patient.examined(&[]);
            let twenty =
                examined.report()["checks"].as_array().unwrap().iter().find(|check| check["id"] == 20).unwrap();
            assert_eq!(twenty["verdict"], "pass", "{examined}");
        }
    });
}
