//! `ferrule doctor`: a backend and a partner in good health, of which each fixture breaks exactly one thing.

mod command;
mod configuration;
mod examined;
mod healthy;
mod labels;
mod own_tls;
mod partner;
mod patient;
mod processes;
mod records;

use doctor::CHECKS;

/// A check that no fixture breaks could pass for ever.
#[test]
fn every_check_is_broken_by_a_fixture() {
    let sources = [
        include_str!("configuration.rs"),
        include_str!("labels.rs"),
        include_str!("own_tls.rs"),
        include_str!("partner.rs"),
        include_str!("processes.rs"),
        include_str!("records.rs"),
    ]
    // However long lines were broken.
    .map(|source| source.split_whitespace().collect::<String>());
    for check in &CHECKS {
        let broken = [format!(".fails({},", check.id), format!(".warns({},", check.id)];
        let found = sources.iter().any(|source| broken.iter().any(|text| source.contains(text)));
        assert!(found, "no fixture breaks check {} ({})", check.id, check.title);
    }
}
