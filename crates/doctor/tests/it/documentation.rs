//! `docs/doctor.md` is what the checks make of it.

use std::{env, fs, path::PathBuf};

#[test]
fn documentation_is_up_to_date() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "doctor.md"].iter().collect();
    let made = doctor::documentation();
    if env::var_os("FERRULE_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/doctor.md is not what the checks say; write it anew with FERRULE_BLESS=1 cargo test -p doctor documentation"
    );
}
