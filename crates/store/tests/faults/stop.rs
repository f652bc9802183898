//! A process that stands still in the middle of its work.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use store::OpenError;
use tempfile::TempDir;

use crate::{
    child::{How, Writer},
    ledger::{self, Acknowledged},
};

fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}

/// Stopped in mid-commit and woken again, it goes on as if nothing had been; nobody else gets at its folder meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_woken() {
    let folder = TempDir::new().unwrap();
    let (stops, pause) = match std::env::var_os("FERRULE_TEST_LONG") {
        Some(_) => (2, Duration::from_secs(60)),
        None => (5, Duration::from_millis(500)),
    };
    let mut all = Acknowledged::default();
    let mut writer = Writer::start(folder.path(), How::default());
    for _ in 0..stops {
        writer.hear(40, &mut all);
        signal(writer.id(), "-STOP");
        let until = Instant::now() + pause;
        while Instant::now() < until {
            let refused = ledger::open(folder.path(), 0).unwrap_err();
            assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
            tokio::time::sleep(pause / 10).await;
        }
        signal(writer.id(), "-CONT");
        writer.hear(40, &mut all);
    }
    writer.kill(&mut all);
    let (store, _) = ledger::open_free(folder.path(), 0);
    ledger::verify(&store, &all).await;
}
