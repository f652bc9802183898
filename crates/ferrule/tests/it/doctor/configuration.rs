//! Checks 1 to 5: identity and configuration.

use std::fs;

use testkit::{
    peer::{Terms, script},
    process::Reserved,
};

use super::{
    examined::Examined,
    patient::{Patient, well},
};
use crate::support::{ferrule, run};

#[test]
fn a_file_that_is_not_there_or_makes_no_sense() {
    run(async {
        let patient = Patient::not_started().await;
        let missing = testkit::process::run(ferrule(), ["doctor", "--json", "--config", "/nonexistent/ferrule.toml"]);
        let rest: Vec<u8> = (2..=20).filter(|id| doctor::Check::numbered(*id).is_some()).collect();
        Examined::of(missing.unwrap())
            .fails(1, "/nonexistent/ferrule.toml", "`ferrule init` writes one")
            .leaves_out(&rest, 1);
        patient.edit("[federation]", "[federated]");
        patient.examined(&[]).fails(1, "federated", "Correct the configuration").leaves_out(&rest, 1);
    });
}

#[test]
fn another_domain_than_the_data_was_made_for() {
    run(async {
        let mut patient = Patient::new().await;
        patient.edit("domain = \"patient.example\"", "domain = \"after.example\"");
        let after = "after.example".parse().unwrap();
        patient.world.dns().truth().publish_services(&after, testkit::TTL, &[patient.service()]);
        patient.examined(&[]).fails(1, "data was created for patient.example", "Set `domain` back");
        // The same where the data are elsewhere, and only the backend that runs can say.
        let socket = patient.folder.path("data").join("internal.sock");
        patient.edit("listen = \"unix\"", &format!("listen = \"unix:{}\"", socket.display()));
        patient.edit("[accounts]", "data = \"elsewhere\"\n[accounts]");
        patient.examined(&[]).fails(1, "the backend that runs is patient.example", "Point `--config`");
        // And where it does not run, data that cannot be read.
        patient.stop();
        fs::write(patient.folder.path("elsewhere"), "no folder").unwrap();
        let ingress = patient.ingress(Terms::default(), script(super::patient::demanding)).await;
        patient.world.dns().truth().publish_services(
            &after,
            testkit::TTL,
            &[lab::dns::Service { port: ingress.address().port(), ..patient.service() }],
        );
        patient.examined(&[]).fails(1, "the data folder cannot be read", "as the user that the backend runs as");
    });
}

#[test]
fn helm_values_that_contradict() {
    run(async {
        let patient = Patient::new().await;
        let values = |brig: &str, galley: &str, cargohold: &str| {
            let line = |chart: &str, settings: &str, key: &str, domain: &str| match domain {
                "" => String::new(),
                domain => format!("{chart}: {{config: {{{settings}: {{{key}: {domain}}}}}}}\n"),
            };
            let text = line("brig", "optSettings", "setFederationDomain", brig)
                + &line("galley", "settings", "federationDomain", galley)
                + &line("cargohold", "settings", "federationDomain", cargohold);
            let path = patient.folder.path("values.yaml");
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let own = "patient.example";
        let good = values(own, own, own);
        patient.examined(&["--helm", &good]).is_well();
        let file = values(own, "b.example", own);
        let told = "federationDomain differs: brig patient.example, galley b.example, cargohold patient.example.";
        patient.examined(&["--helm", &file]).fails(2, told, "Set the three values to the same domain");
        // The later file wins.
        let later = patient.folder.path("later.yaml");
        fs::write(&later, "galley: {config: {settings: {federationDomain: patient.example}}}\n").unwrap();
        patient.examined(&["--helm", &file, &later.display().to_string()]).is_well();
        let file = values("b.example", "b.example", "b.example");
        patient.examined(&["--helm", &file]).fails(
            2,
            "federationDomain is b.example in the Helm values",
            "Set `domain`",
        );
        let file = values(own, own, "");
        let remedy = "Set cargohold.config.settings.federationDomain to patient.example as well";
        patient.examined(&["--helm", &file]).warns(2, "not set everywhere", remedy);
        let file = values(own, "'two words'", own);
        patient.examined(&["--helm", &file]).fails(2, "is no domain", "Set the three values to the same domain");
        let file = values("", "", "");
        patient.examined(&["--helm", &file]).fails(2, "is not set", "brig.config.optSettings.setFederationDomain");
        patient.examined(&["--helm", "/nonexistent.yaml"]).fails(2, "/nonexistent.yaml", "Name the files of values");
        fs::write(&later, "[").unwrap();
        patient.examined(&["--helm", &later.display().to_string()]).fails(2, "later.yaml", "Name the files of values");
    });
}

#[test]
fn certificates_that_are_not_there() {
    run(async {
        let patient = Patient::new().await;
        let rest = [13, 14, 15, 16, 17, 18, 19, 20, 22, 23, 24, 25, 27, 28, 29, 30];
        for (file, remedy) in [
            ("federation.pem", "Name a certificate with its key"),
            ("federation-key.pem", "Name a certificate with its key"),
            ("federation-ca.pem", "Put the CA certificates of your partners"),
        ] {
            let path = patient.folder.path(file);
            let good = fs::read(&path).unwrap();
            for bytes in [None, Some("junk")] {
                match bytes {
                    Some(bytes) => fs::write(&path, bytes).unwrap(),
                    None => fs::remove_file(&path).unwrap(),
                }
                patient.examined(&[]).fails(3, file, remedy).leaves_out(&rest, 3);
            }
            fs::write(&path, good).unwrap();
        }
        patient.edit("ca = [\"federation-ca.pem\"]", "ca = []");
        patient
            .examined(&[])
            .fails(3, "federation.ca", "Name a certificate with its key")
            .leaves_out(&[1, 2, 8, 20], 3);
    });
}

#[test]
fn a_certificate_that_the_acme_server_has_not_issued_yet() {
    run(async {
        let patient = Patient::not_started().await;
        let challenges = Reserved::new().unwrap();
        let acme = format!(
            "[acme]\nagree_terms = true\ndirectory = \"https://127.0.0.1:1/directory\"\nhttp_listen = \"{}\"\n[federation]\n",
            challenges.address
        );
        patient.edit("certificate = \"federation.pem\"\nkey = \"federation-key.pem\"\n", "");
        patient.edit("[federation]\n", &acme);
        let patient = patient.started();
        drop(challenges);
        let examined = patient.examined(&[]);
        examined.is([(3, "warn"), (9, "warn")]).says(3, "No certificate yet", "port 80 of every name").says(
            9,
            "refused until there is a certificate",
            "once the first certificate is there",
        );
        examined.leaves_out(&[22, 23, 24, 25, 27, 28, 29, 30], 3);
        assert!(!examined.to_string().contains("Name a certificate"), "{examined}");
        // A file that is there but of no use is another matter.
        let kept = patient.folder.path("data/acme/federation.pem");
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        fs::write(&kept, "junk").unwrap();
        patient.examined(&[]).says(3, "federation.pem", "move it away and start again");
    });
}

#[test]
fn federation_switched_off_needs_nothing() {
    run(async {
        let patient = Patient::not_started().await;
        patient.configure("enabled = false");
        let _served = patient.folder.serve().unwrap();
        fs::remove_file(patient.folder.path("federation.pem")).unwrap();
        let examined = patient.examined(&[]);
        examined.is([]);
        assert_eq!(examined.report()["counts"]["pass"], 4, "{examined}");
    });
}

#[test]
fn an_internal_listener_that_others_can_reach() {
    run(async {
        let patient = Patient::not_started().await;
        patient.edit("listen = \"unix\"", "listen = \"0.0.0.0:0\"");
        let patient = patient.started();
        patient.examined(&[]).fails(5, "other machines can reach", "Bind `internal.listen` to `unix`");
    });
}

#[test]
fn a_proxy_that_passes_the_internal_api_on() {
    run(async {
        let patient = Patient::new().await;
        // A proxy of clients, with TLS and without.
        let proxy = patient.world.stranger("proxy").unwrap();
        let exposing = testkit::peer::ForeignBackend::start(&proxy.certificate, script(well)).await.unwrap();
        let url = format!("https://{}", exposing.address());
        patient.examined(&["--from-outside", &url]).fails(5, "internal API exposed", "Let no proxy pass `/i/` on");
        assert!(exposing.requests().iter().any(|request| request.path == "/i/status"));
        // One that does not is well; one that is away tells nothing.
        let hiding = testkit::peer::ForeignBackend::start(
            &proxy.certificate,
            script(|_| testkit::peer::Reply::error(404, "no-endpoint", "")),
        )
        .await
        .unwrap();
        let url = format!("https://{}/prefix/", hiding.address());
        patient.examined(&["--from-outside", &url]).is_well();
        let nobody = Reserved::new().unwrap();
        let url = format!("https://{}", nobody.address);
        patient.examined(&["--from-outside", &url]).warns(5, "nothing was tried there", "Look whether the URL");
        // The proxy in front of federation.
        let _ingress = patient
            .ingress(
                Terms::default(),
                script(|request| match request.path.as_str() {
                    "/i/status" => testkit::peer::Reply::status(200, "text/plain", ""),
                    _ => super::patient::demanding(request),
                }),
            )
            .await;
        patient.examined(&[]).fails(5, "internal API exposed", "Let no proxy pass `/i/` on");
    });
}
