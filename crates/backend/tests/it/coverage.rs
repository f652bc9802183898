//! `docs/coverage.md` is what declarations and components make of it.

use std::{env, fs, path::PathBuf};

#[test]
fn coverage_is_up_to_date() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "coverage.md"].iter().collect();
    let made = web::coverage::markdown(&brig::rpcs());
    if env::var_os("FERRULE_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/coverage.md is not what declarations and components say; write it anew with\n\
         FERRULE_BLESS=1 cargo test -p backend coverage"
    );
}

/// One that is answered and not declared would be missing in the table without a word.
#[test]
fn what_is_answered_is_declared() {
    let answered = brig::rpcs();
    assert!(!answered.is_empty());
    for rpc in answered {
        assert!(federation_api::rpcs().contains(&rpc), "{rpc:?}");
    }
}
