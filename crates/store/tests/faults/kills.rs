//! Killed by the system at any instant, and by itself at every step.

use std::{os::unix::process::ExitStatusExt as _, path::Path, time::Duration};

use tempfile::TempDir;
use types::{Rng, SystemRng};

use crate::{
    child::{How, Writer},
    ledger::{self, Acknowledged},
    rounds,
};

/// `SIGABRT`: a process that came to the step where it was to die.
const ABORTED: i32 = 6;

/// The steps of the thread that writes, in their order.
const STEPS: [&str; 10] = [
    "begun",
    "written",
    "committing",
    "committed",
    "counted",
    "answered",
    "removed",
    "merged",
    "checkpointing",
    "checkpointed",
];

/// What reopening may cost: 100 ms, and 20 ms for each megabyte of the log. Five times as much, as a machine may be busy.
fn may_take(log: u64) -> Duration {
    (Duration::from_millis(100) + Duration::from_millis(20).mul_f64(log as f64 / 1e6)) * 5
}

/// Opens the store again, in time, and finds everything as it must be.
async fn reopened(folder: &Path, acknowledged: &Acknowledged) {
    let log = std::fs::metadata(folder.join("store.sqlite-wal")).map_or(0, |file| file.len());
    let (store, took) = ledger::open_free(folder, 0);
    assert!(took < may_take(log), "{took:?} with a log of {log} bytes");
    ledger::verify(&store, acknowledged).await;
    // What is written next comes after everything that was ever told, whatever clock that was told by.
    let (_, next) = ledger::raise(&store, 0).await.unwrap();
    assert!(next.version > acknowledged.version, "versions rise");
    assert!(next.appended[0].id.tick() > acknowledged.tick, "ids rise");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant() {
    let rng = SystemRng;
    let mut commits = 0;
    let mut folder = TempDir::new().unwrap();
    let mut all = Acknowledged::default();
    for round in 0..rounds(200) {
        // Old folders are large, and most kills should meet a small one, where more happens.
        if round % 20 == 0 {
            (folder, all) = (TempDir::new().unwrap(), Acknowledged::default());
        }
        // Every tenth has a clock that is an hour off.
        let clock_ahead = [0, -3600, 3600][if round % 10 == 9 { 1 + round / 10 % 2 } else { 0 }];
        let mut writer = Writer::start(folder.path(), How { clock_ahead, ..How::default() });
        let mut heard = Acknowledged::default();
        // In the midst of opening now and then, otherwise after some work.
        let lines = usize::try_from(rng.below(60)).unwrap();
        if round % 7 != 6 {
            writer.hear(lines, &mut heard);
        }
        tokio::time::sleep(Duration::from_micros(rng.below(5000))).await;
        writer.kill(&mut heard);
        commits += heard.told.len() + usize::try_from(heard.counts.values().sum::<u64>()).unwrap();
        all.add(heard);
        reopened(folder.path(), &all).await;
    }
    assert!(commits > rounds(200), "the processes came to write: {commits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_at_every_step() {
    for step in STEPS {
        let folder = TempDir::new().unwrap();
        let mut all = Acknowledged::default();
        for nth in [1, 2, 3, 7, 20] {
            let mut heard = Acknowledged::default();
            let ended = Writer::dying(folder.path(), step, nth).ended(&mut heard);
            assert_eq!(ended.signal(), Some(ABORTED), "{step}, {nth}: {ended}");
            all.add(heard);
            reopened(folder.path(), &all).await;
        }
    }
}
