//! Backends of a laboratory are in good health, and one that denies another is found out.

use backend::{Surroundings, config};
use doctor::{Report, Subject, Verdict, examine};
use lab::{Lab, Plan};
use types::{Domain, FederationStrategy};

async fn lab(strategy: FederationStrategy) -> Lab {
    let domains: Vec<Domain> = ["a.example", "b.example"].map(|domain| domain.parse().unwrap()).to_vec();
    Lab::start(Plan::of(&domains, &[], strategy)).await.unwrap()
}

async fn examined(lab: &Lab, domain: &str, partners: &[&str]) -> Report {
    let file = lab.backend(domain).unwrap().config();
    let subject = Subject {
        config: config::load_either(&file, std::iter::empty()),
        helm: None,
        partners: partners.iter().map(|partner| partner.parse().unwrap()).collect(),
        from_outside: None,
        surroundings: Surroundings::default(),
    };
    examine(subject, &()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_of_a_laboratory_is_in_good_health() {
    let lab = lab(FederationStrategy::AllowDynamic).await;
    for (domain, other) in [("a.example", "b.example"), ("b.example", "a.example")] {
        let report = examined(&lab, domain, &[]).await;
        assert_eq!(report.exit_status(), 0, "{}", report.text(|_, word| word.to_owned()));
        assert_eq!(report.partners, [other.parse::<Domain>().unwrap()]);
        assert_eq!(report.counts.pass, doctor::CHECKS.len(), "{}", report.text(|_, word| word.to_owned()));
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_allowed_is_told_so_on_both_sides() {
    let lab = lab(FederationStrategy::AllowNone).await;
    let report = examined(&lab, "a.example", &["b.example", "nobody.example"]).await;
    let found = |id, partner| report.finding(id, Some(partner)).unwrap();
    for id in [26, 27] {
        let finding = found(id, "b.example");
        assert_eq!(finding.verdict, Verdict::Fail, "{finding:?}");
        assert!(finding.remedy.as_ref().unwrap().contains("allow"), "{finding:?}");
    }
    for id in [28, 29, 30] {
        assert_eq!(found(id, "b.example").depends_on, Some(27));
    }
    assert_eq!(found(21, "nobody.example").verdict, Verdict::Fail);
    for id in [22, 23, 24, 25, 27, 28, 29, 30] {
        assert_eq!(found(id, "nobody.example").depends_on, Some(21), "{id}");
    }
    assert_eq!(report.exit_status(), 2);
    lab.stop().await;
}
