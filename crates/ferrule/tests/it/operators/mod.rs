//! `docs/operators.md`, typed: every block of the page is carried out, in the order of the page, on machines of their own.
//!
//! Needs root on Linux, `named`, `dig`, `nginx`, `curl`, `openssl`: run by `./test operators`. What the page's commands
//! cannot do in a test (a package manager, systemd, a cluster) is done by programs of the same names in `stand-ins`; each
//! says why, and refuses what it does not know.

mod machines;
mod page;

use std::{fmt::Write, fs, path::Path, time::Instant};

use self::{
    machines::Machines,
    page::{Seat, Shown, Step, What},
};

/// The machines of the page, with their addresses.
const MACHINES: [(&str, &str); 4] = [
    ("example.com", "192.0.2.10"),
    ("partner.example", "198.51.100.20"),
    ("example.org", "203.0.113.30"),
    (ADMIN, "10.0.0.9"),
];

const ZONES: [&str; 3] = ["example.com", "partner.example", "example.org"];

/// From here the cluster of a wire-server is looked after.
const ADMIN: &str = "admin.example.net";

/// That wire-server: its ingress, and two pods. The folder `wire-server` says what runs there.
const CLUSTER: [(&str, &str); 3] = [("example.net", "203.0.113.40"), ("brig", "10.0.0.2"), ("federator", "10.0.0.3")];

/// The names of its services, which all machines have in `/etc/hosts`.
const SERVICES: &str = "10.0.0.2 brig galley cargohold\n10.0.0.3 federator\n10.0.0.4 nginz\n";

const CLUSTER_ZONE: &str = "example.net";

const CLUSTER_RECORDS: &str = "_wire-server-federator._tcp.example.net. 600 IN SRV 0 10 443 federator.wire.example.net.
federator.wire.example.net. 600 IN A 203.0.113.40
";

fn the_page() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators.md");
    fs::read_to_string(file).expect("the page is there")
}

#[test]
fn every_block_of_the_page_can_be_carried_out() {
    let steps = page::steps(&the_page()).expect("the page");
    for Step { line, what } in &steps {
        let machines: Vec<&str> = match what {
            What::File { machine, .. } => vec![machine],
            What::Shell { places, .. } => places.iter().map(|seat| seat.machine.as_str()).collect(),
            What::Zone { zone, .. } => {
                assert!(ZONES.contains(&zone.as_str()), "line {line}: there is no zone {zone}");
                Vec::new()
            }
        };
        for machine in machines {
            assert!(MACHINES.iter().any(|(name, _)| *name == machine), "line {line}: there is no machine {machine}");
        }
    }
    assert!(steps.len() > 10, "{} blocks", steps.len());
}

#[test]
#[ignore = "needs root, named, dig and nginx; ./test operators runs it"]
fn every_command_of_the_page() {
    let all = [&MACHINES[..], &CLUSTER].concat();
    let zones = [&ZONES[..], &[CLUSTER_ZONE]].concat();
    let mut machines = Machines::new(&all, &zones, SERVICES).expect("machines");
    let mut cluster = false;
    for Step { line, what } in page::steps(&the_page()).expect("the page") {
        if !cluster && at_cluster(&what) {
            cluster = true;
            wire_server(&mut machines).expect("a wire-server");
        }
        let begun = Instant::now();
        let done = match what {
            What::File { machine, path, text } => machines.write(&machine, &path, &text).map_err(|e| format!("{e:#}")),
            What::Shell { places, script, shown } => {
                places.iter().try_for_each(|seat| typed(&mut machines, seat, &script, shown.as_ref()))
            }
            What::Zone { zone, records } => machines.publish(&zone, &records).map_err(|e| format!("{e:#}")),
        };
        if let Err(problem) = done {
            panic!("docs/operators.md, line {line}: {problem}");
        }
        eprintln!("line {line}: done in {:?}", begun.elapsed());
    }
}

fn at_cluster(what: &What) -> bool {
    matches!(what, What::Shell { places, .. } if places.iter().any(|seat| seat.machine == ADMIN))
}

/// Lets a wire-server federate with the partner, as it did long before the page comes to it.
fn wire_server(machines: &mut Machines) -> anyhow::Result<()> {
    machines.publish(CLUSTER_ZONE, CLUSTER_RECORDS)?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operators/wire-server");
    for (machine, script) in [
        ("brig", "brig"),
        ("federator", "federator"),
        ("example.net", "ingress"),
        ("partner.example", "partner"),
        (ADMIN, "admin"),
    ] {
        let seat = Seat { user: "root".into(), machine: machine.into() };
        let ended = machines.type_at(&seat, &folder.join(script).display().to_string())?;
        anyhow::ensure!(ended.status.success(), "{seat}: {}", ended.stdout);
    }
    Ok(())
}

/// Types a block, and compares what is shown.
fn typed(machines: &mut Machines, seat: &Seat, script: &str, shown: Option<&Shown>) -> Result<(), String> {
    let ended = machines.type_at(seat, script).map_err(|error| format!("{error:#}"))?;
    let printed = ended.stdout + &ended.stderr;
    eprintln!("--- {seat}\n{script}---\n{printed}");
    let expected = shown.map_or(0, |shown| shown.status);
    let mut problem = String::new();
    if ended.status.code() != Some(expected) {
        let _ = writeln!(problem, "at {seat}, it ended with {}, not with {expected}", ended.status);
    } else if shown.is_some_and(|shown| !shown.is(&printed)) {
        let _ = writeln!(problem, "at {seat}, something else is shown than the page says");
    }
    if problem.is_empty() { Ok(()) } else { Err(problem) }
}
