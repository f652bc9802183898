//! `docs/coverage.md` is what the declarations make of it.

use std::{env, fs, path::PathBuf};

#[test]
fn coverage_is_up_to_date() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "coverage.md"].iter().collect();
    let made = web::coverage::markdown();
    if env::var_os("FERRULE_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/coverage.md is not what the declarations say; write it anew with\n\
         FERRULE_BLESS=1 cargo test -p web coverage"
    );
}

#[test]
fn rpcs_that_are_called_built_are_declared() {
    for built in web::coverage::RPCS_BUILT {
        let declared = federation_api::rpcs().iter().any(|rpc| format!("{}/{}", rpc.component, rpc.name) == built);
        assert!(declared, "{built}");
    }
}
