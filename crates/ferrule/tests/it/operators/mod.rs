//! `docs/operators.md`, typed: every block of the page is carried out, in the order of the page, on machines of their own.
//!
//! Needs root on Linux, `named`, `dig`, `nginx`, `curl`, `openssl`: run by `./test operators`. What the page's commands
//! cannot do in a test (a package manager, systemd, a cluster) is done by programs of the same names in `stand-ins`; each
//! says why, and refuses what it does not know.

mod machines;
mod page;
mod scenery;

use std::{fmt::Write, fs, path::Path, time::Instant};

use self::{
    machines::Machines,
    page::{Seat, Shown, Step, What},
};

/// The machines of the page, with their addresses.
const MACHINES: [(&str, &str); 5] = [
    ("example.com", "192.0.2.10"),
    ("partner.example", "198.51.100.20"),
    ("example.org", "203.0.113.30"),
    ("example.edu", "198.51.100.40"),
    (scenery::ADMIN, "10.0.0.9"),
];

const ZONES: [&str; 4] = ["example.com", "partner.example", "example.org", "example.edu"];

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

/// What is not typed as it stands is this list, and nothing else.
#[test]
fn the_programs_that_are_stood_in_for_are_those_that_the_page_names() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operators/stand-ins");
    let page = the_page();
    let intro = &page[..page.find("\n## ").expect("a section")];
    let mut stand_ins = 0;
    for file in fs::read_dir(folder).expect("the folder") {
        let file = file.expect("a file");
        let name = file.file_name().into_string().expect("a name");
        assert!(intro.contains(&format!("`{name}`")), "{name}");
        let text = fs::read_to_string(file.path()).expect("a script");
        let why = text.lines().nth(1).unwrap_or_default();
        assert!(why.starts_with(&format!("# In the place of {name}, since ")), "{name} does not say why: {why}");
        stand_ins += 1;
    }
    assert_eq!(stand_ins, 7);
}

#[test]
#[ignore = "needs root, named, dig and nginx; ./test operators runs it"]
fn every_command_of_the_page() {
    let all = [&MACHINES[..], &scenery::MACHINES].concat();
    let zones = [&ZONES[..], &scenery::ZONES].concat();
    let mut machines = Machines::new(&all, &zones, scenery::HOSTS).expect("machines");
    scenery::lets_encrypt(&mut machines, &MACHINES.map(|(name, _)| name)).expect("an ACME server");
    let mut cluster = false;
    for Step { line, what } in page::steps(&the_page()).expect("the page") {
        if !cluster && scenery::is_at_cluster(&what) {
            cluster = true;
            scenery::wire_server(&mut machines).expect("a wire-server");
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
