//! What operators are told about their own certificates.

use tls::{
    Contexts, Role, Warning,
    issue::{Issued, LeafRequest, Usage},
};
use types::Domain;

use crate::support::{leaf, now, past, root, roots};

fn warnings(server: &Issued, client: &Issued) -> Vec<Warning> {
    let infra: Domain = "federator.a.example".parse().unwrap();
    let (server, client) = (server.identity(Role::Server).unwrap(), client.identity(Role::Client).unwrap());
    Contexts::new(1, server, client, roots(&[&root("root")])).unwrap().warnings(&infra, now())
}

#[test]
fn one_certificate_for_both() {
    let ca = root("root");
    let one = |request: &LeafRequest| {
        let issued = ca.issue(request).unwrap();
        warnings(&issued, &issued)
    };
    assert_eq!(one(&leaf("federator.a.example")), []);
    assert_eq!(one(&leaf("*.a.example")), []);
    assert_eq!(one(&LeafRequest { usage: Usage::Unrestricted, ..leaf("federator.a.example") }), []);
    let wrong = one(&leaf("federator.b.example"));
    assert!(
        matches!(&wrong[..], [Warning::OtherName { role: Role::Client, names, .. }] if names == &["federator.b.example"])
    );
    let text = wrong[0].to_string();
    assert!(text.contains("federator.b.example") && text.contains("federator.a.example"), "{text}");
    assert_eq!(
        one(&LeafRequest { usage: Usage::Server, ..leaf("federator.a.example") }),
        [Warning::Purpose { role: Role::Client, lacks: "clientAuth" }]
    );
    assert_eq!(
        one(&LeafRequest { usage: Usage::Client, ..leaf("federator.a.example") }),
        [Warning::Purpose { role: Role::Server, lacks: "serverAuth" }]
    );
    let late = one(&LeafRequest { validity: past(), ..leaf("federator.a.example") });
    assert!(matches!(&late[..], [Warning::NotValidNow { .. }]));
}

#[test]
fn one_certificate_each() {
    let ca = root("root");
    let with = |usage| ca.issue(&LeafRequest { usage, ..leaf("federator.a.example") }).unwrap();
    assert_eq!(warnings(&with(Usage::Server), &with(Usage::Client)), []);
    assert_eq!(
        warnings(&with(Usage::Client), &with(Usage::Server)),
        [
            Warning::Purpose { role: Role::Client, lacks: "clientAuth" },
            Warning::Purpose { role: Role::Server, lacks: "serverAuth" },
        ]
    );
    let cn_only =
        LeafRequest { dns_names: Vec::new(), common_name: Some("federator.a.example".into()), ..leaf("x.example") };
    let cn_only = ca.issue(&cn_only).unwrap();
    assert!(matches!(&warnings(&cn_only, &cn_only)[..], [Warning::OtherName { role: Role::Server, .. }]));
}
