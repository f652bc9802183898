//! Backends in good health, and the forms of the report.

use std::{fs, path::PathBuf};

use testkit::process::{self, Child, DevPlan, Reserved};

use super::{examined::Examined, patient::Patient};
use crate::support::{ferrule, run};

#[test]
fn every_backend_of_dev_is_well() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let plan = DevPlan {
            backends: vec!["a.example".into(), "b.example".into(), "c.example".into()],
            data: Some(folder.path().to_owned()),
            arguments: vec![],
            ..DevPlan::default()
        };
        let dev = process::Dev::start(ferrule(), &plan).unwrap();
        for backend in &dev.ready().backends {
            let config = folder.path().join(backend.domain.as_str()).join("ferrule.toml");
            let config = config.display().to_string();
            let examined = Examined::of(process::run(ferrule(), ["doctor", "--json", "--config", &config]).unwrap());
            examined.is_well();
            assert_eq!(examined.report()["partners"].as_array().unwrap().len(), 2, "{examined}");
        }
        dev.stop().unwrap();
    });
}

#[test]
fn the_backends_of_the_demonstration_are_well() {
    let mut demo = Child::start(ferrule(), ["demo"]).unwrap();
    let certificate = "/a.example/federation.pem";
    let printed = demo.until("the commands to try", |demo| {
        demo.output().0.split_whitespace().find_map(|word| word.strip_suffix(certificate).map(PathBuf::from))
    });
    let folder = printed.unwrap();
    let examined = |domain: &str| {
        let config = folder.join(domain).join("ferrule.toml").display().to_string();
        Examined::of(process::run(ferrule(), ["doctor", "--json", "--config", &config]).unwrap())
    };
    examined("a.example").is_well();
    examined("b.example").is_well();
    // Whom b.example does not allow, which is what the demonstration shows.
    examined("c.example").fails(27, "b.example answered federation-denied", "to allow c.example");
    assert!(demo.interrupt().unwrap().success());
}

#[test]
fn a_report_for_people_says_the_same() {
    run(async {
        let mut patient = Patient::new().await;
        let well = patient.folder.command(&["doctor"]).unwrap();
        assert!(
            well.status.success() && well.stdout.contains("27 passed, 0 warned, 0 failed, 0 skipped"),
            "{}",
            well.stdout
        );
        assert!(well.stdout.contains(&format!("Partner {}", patient.partner.domain)), "{}", well.stdout);
        patient.publish(|service| service.weight = 0);
        let warned = patient.folder.command(&["doctor"]).unwrap();
        assert_eq!(warned.status.code(), Some(1), "{}", warned.stdout);
        for part in [
            "   9  warn  SRV record well-formed: SRV weight 0",
            "what to do: Set the weight",
            "option: federation.infra",
        ] {
            assert!(warned.stdout.contains(part), "{part}: {}", warned.stdout);
        }
        let dead = Reserved::new().unwrap();
        patient.publish_partner(dead.address);
        let failed = patient.folder.command(&["doctor"]).unwrap();
        assert_eq!(failed.status.code(), Some(2), "{}", failed.stdout);
        assert!(failed.stdout.contains("  22  skip  its certificate trusted: depends on 21"), "{}", failed.stdout);
        // A backend that does not run is looked at as far as its files and DNS go.
        patient.stop();
        let examined = patient.examined(&[]);
        examined.is([(9, "fail"), (21, "fail")]);
        assert!(fs::exists(patient.folder.path("data")).unwrap());
    });
}
