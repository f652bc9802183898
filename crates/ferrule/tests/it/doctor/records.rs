//! Checks 8 to 10: the own records.

use hickory_proto::rr::{Name, RData, Record, rdata};
use lab::dns::Service;
use testkit::{
    Specimen, TTL, Trouble,
    peer::{ForeignBackend, Terms, script},
    process::Reserved,
};

use super::patient::{Patient, demanding, well};
use crate::support::run;

#[test]
fn no_record() {
    run(async {
        let patient = Patient::new().await;
        let own = patient.folder.domain().clone();
        patient.publish_all(600, &[]);
        let port = patient.federation().port();
        let remedy =
            format!("Publish `_wire-server-federator._tcp.{own}. 600 IN SRV 0 10 {port} {}.`", patient.infra());
        patient
            .examined(&[])
            .fails(8, &format!("No SRV record _wire-server-federator._tcp.{own}"), &remedy)
            .leaves_out(&[9, 10, 28, 29, 30], 8);
        patient.world.dns().trouble(&own, Trouble::NullTarget);
        patient.examined(&[]).fails(8, "not offered", &remedy);
        for trouble in [Trouble::ServFail, Trouble::Garbage, Trouble::Silent] {
            patient.world.dns().trouble(&own, trouble);
            patient.examined(&[]).fails(8, "cannot be looked up", "Look at the name server of the zone");
        }
    });
}

#[test]
fn weights_and_lifetimes_that_nobody_should_have() {
    run(async {
        let patient = Patient::new().await;
        patient.publish(|service| service.weight = 0);
        patient.examined(&[]).warns(9, "SRV weight 0", "Set the weight of the SRV record to 10");
        for ttl in [5, 604_800] {
            patient.publish_all(ttl, &[patient.service()]);
            patient.examined(&[]).warns(9, &format!("SRV TTL {ttl}"), "Set the TTL of the SRV record to 600");
        }
        // Whoever remembers a record counts its TTL down: what is left of it is no fault.
        let own = patient.folder.domain();
        patient.world.dns().trouble(own, Trouble::Remembered);
        patient.publish_all(5, &[patient.service()]);
        patient.examined(&[]).is_well();
        patient.publish_all(604_800, &[patient.service()]);
        patient.examined(&[]).warns(9, "SRV TTL 604800", "Set the TTL of the SRV record to 600");
        patient.world.dns().heal(own);
        // Several records with weights are well.
        let second = Service { weight: 30, ..patient.service() };
        patient.publish_all(600, &[patient.service(), second]);
        patient.examined(&[]).is_well();
    });
}

#[test]
fn several_targets_of_which_one_is_dead() {
    run(async {
        let patient = Patient::new().await;
        let dead = Reserved::new().unwrap();
        let second = Service { priority: 1, port: dead.address.port(), ..patient.service() };
        patient.publish_all(600, &[patient.service(), second]);
        patient.examined(&[]).fails(9, &dead.address.port().to_string(), "Open the port in the firewall");
    });
}

#[test]
fn a_target_whose_port_is_closed() {
    run(async {
        let patient = Patient::new().await;
        let dead = Reserved::new().unwrap();
        patient.publish(|service| service.port = dead.address.port());
        patient.examined(&[]).fails(9, "cannot be reached", "Open the port in the firewall");
    });
}

#[test]
fn a_target_that_is_an_address_or_an_alias() {
    run(async {
        let patient = Patient::new().await;
        let dns = patient.world.dns().truth();
        let name = |text: &str| Name::from_ascii(text).unwrap();
        let port = patient.federation().port();
        let own = name(&format!("_wire-server-federator._tcp.{}.", patient.folder.domain()));
        let infra = patient.infra();
        let to =
            |target: &str| Record::from_rdata(own.clone(), 600, RData::SRV(rdata::SRV::new(0, 10, port, name(target))));
        dns.publish(vec![to(&format!("{infra}.")), to("127.0.0.1.")]);
        patient.examined(&[]).fails(9, "SRV target 127.0.0.1 is an IP address", "Give the address a name");
        dns.publish(vec![to(&format!("{infra}."))]);
        patient.examined(&[]).is_well();

        let real: types::Domain = "real.infra-patient.example".parse().unwrap();
        dns.publish_addresses(&infra, TTL, &[]);
        dns.publish_addresses(&real, TTL, &[patient.federation().ip()]);
        let alias = RData::CNAME(rdata::CNAME(name(&format!("{real}."))));
        dns.publish(vec![Record::from_rdata(name(&format!("{infra}.")), 600, alias)]);
        patient.examined(&[]).fails(9, &format!("is an alias (CNAME) of {real}"), "an A or AAAA record of its own");
    });
}

#[test]
fn a_target_without_address() {
    run(async {
        let patient = Patient::new().await;
        patient.world.dns().truth().publish_addresses(&patient.infra(), TTL, &[]);
        let remedy = format!("Publish an A or AAAA record for {}", patient.infra());
        patient.examined(&[]).fails(9, "has no address", &remedy);
    });
}

#[test]
fn a_target_that_is_not_the_infrastructure_domain() {
    run(async {
        // The certificate covers it, so that others believe it.
        let patient = Patient::with(Specimen::ManyNames).await;
        patient.examined(&[]).is_well();
        let other: types::Domain = "name-0.elsewhere.example".parse().unwrap();
        patient.world.dns().truth().publish_addresses(&other, TTL, &[patient.federation().ip()]);
        patient.publish(|service| service.target = other.clone());
        let remedy = format!("Let the SRV record point to {}", patient.infra());
        patient.examined(&[]).fails(10, "SRV points to name-0.elsewhere.example", &remedy);
        let second = Service { target: other, ..patient.service() };
        patient.publish_all(600, &[patient.service(), second]);
        patient.examined(&[]).warns(10, "name-0.elsewhere.example as well", "Let the SRV record point to");
    });
}

#[test]
fn a_first_target_that_is_somebody_else() {
    run(async {
        let patient = Patient::new().await;
        // It demands no certificate, speaks TLS 1.2 only and is nobody's federator.
        let other = patient.world.stranger("other").unwrap();
        let terms = Terms { versions: Terms::ONLY_TLS12, ..Terms::default() };
        let theirs = ForeignBackend::on_terms(terms, &other.certificate, script(well)).await.unwrap();
        patient.world.dns().truth().publish_addresses(&other.infra, TTL, &[theirs.address().ip()]);
        let first = Service { priority: 0, weight: 10, port: theirs.address().port(), target: other.infra.clone() };
        let second = Service { priority: 10, ..patient.service() };
        patient.publish_all(600, &[first.clone(), second]);
        let told = format!("{} as well", other.infra);
        patient.examined(&[]).warns(10, &told, "Let the SRV record point to");
        // What is wrong with ours is seen behind it.
        let ingress = ForeignBackend::on_terms(terms, &patient.certificate(), script(demanding)).await.unwrap();
        let second = Service { priority: 10, port: ingress.address().port(), ..patient.service() };
        patient.publish_all(600, &[first.clone(), second]);
        patient.examined(&[]).is([(10, "warn"), (19, "warn")]).says(
            19,
            "does not speak TLS 1.3",
            "Let the ingress offer",
        );
        // Where none is ours that is said once, and the listener is looked at where it is configured.
        patient.publish_all(600, &[first]);
        let remedy = format!("Let the SRV record point to {}", patient.infra());
        patient.examined(&[]).is([(10, "fail"), (28, "fail")]).says(
            10,
            &format!("SRV points to {}", other.infra),
            &remedy,
        );
    });
}

#[test]
fn a_target_where_somebody_else_answers() {
    run(async {
        let patient = Patient::new().await;
        let other = patient.world.stranger("other").unwrap();
        let _there = patient.ingress_showing(&other.certificate, Terms::default(), script(demanding)).await;
        // That is the wrong place or the wrong certificate, which cannot be told apart from here.
        patient
            .examined(&[])
            .is([(10, "fail"), (14, "fail")])
            .says(10, "is not this backend", "Let the SRV record point to the infrastructure domain")
            .says(14, "is not in the SAN", "Get a certificate with the infrastructure domain");
    });
}
