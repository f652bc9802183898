//! A folder for what this run of the tests writes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// The folder of this run. What runs that have ended left behind is removed by the next one, so that the output of a
/// failed run can be looked at until then.
///
/// # Panics
/// The folder for temporary files cannot be written to.
pub fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<PathBuf> = OnceLock::new();
    SCRATCH.get_or_init(|| {
        let all = std::env::temp_dir().join("ferrule-tests");
        let own = all.join(std::process::id().to_string());
        fs::create_dir_all(&own).expect("the folder for temporary files can be written to");
        for old in fs::read_dir(&all).into_iter().flatten().flatten() {
            let pid = old.file_name();
            if !Path::new("/proc").join(&pid).exists() {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        own
    })
}
