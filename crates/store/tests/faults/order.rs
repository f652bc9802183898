//! What a power cut would leave: no acknowledgement goes out before the disk was told to keep what it acknowledges, and the
//! names by which it is found. A kill proves nothing about that; the order of the system calls does.

use std::{ffi::OsStr, path::Path, process::Command};

use tempfile::TempDir;

use crate::{
    child::{self, How, Writer},
    ledger::{self, Acknowledged},
    trace::{Act, Unsure, acts, traced},
    upkeeps::{Does, Stores},
};

/// The database, its log and the counter: what a folder is opened by.
const FILES: [&str; 3] = ["store.sqlite", "store.sqlite-wal", "commits"];

/// So many acknowledgements, each after what it acknowledges was written to SQLite's log and the thread that wrote it had
/// that synced. That another thread syncs the log, to copy it, is no merit of the writer's.
fn acknowledged_in_order(acts: &[Act]) -> Result<usize, String> {
    let is_log = |file: &Path| file.ends_with("store.sqlite-wal");
    let (mut logged, mut synced, mut acknowledgements) = (None, false, 0);
    for act in acts {
        match act {
            Act::Wrote { thread, file } if is_log(file) => (logged, synced) = (Some(*thread), false),
            Act::Synced { thread, file } if is_log(file) => synced |= logged == Some(*thread),
            Act::Acknowledged => {
                if logged.take().is_none() {
                    return Err(format!("acknowledgement {acknowledgements}: nothing was written for it"));
                }
                if !synced {
                    return Err(format!(
                        "acknowledgement {acknowledgements} went out before its commit was on the disk"
                    ));
                }
                acknowledgements += 1;
            }
            _ => {}
        }
    }
    Ok(acknowledgements)
}

/// When the first acknowledgement goes out, everything by which it is found has its name on the disk.
fn names_before_acknowledgements(acts: &[Act], data: &Path) -> Result<(), String> {
    let mut unsure = Unsure::default();
    for act in acts {
        unsure.see(act);
        if *act != Act::Acknowledged {
            continue;
        }
        let counts = |name: &&Path| {
            let file = name.file_name().and_then(OsStr::to_str).unwrap_or_default();
            data.starts_with(name) || (name.parent() == Some(data) && FILES.contains(&file))
        };
        if let Some(name) = unsure.names().find(counts) {
            return Err(format!("{} may be gone after a power cut", name.display()));
        }
    }
    Ok(())
}

/// One writer and nothing else that is written, so that between two acknowledgements there is exactly one commit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace: run by the stage `faults`"]
async fn acknowledged_after_its_sync() {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    // The folder is made, and the one it is in.
    let data = folder.path().join("deep").join("data");
    let mut acknowledged = Acknowledged::default();
    let mut writer =
        Writer::of(&mut traced(&child::command(&data, How { writers: 1, quiet: true, ..How::default() }), &trace));
    writer.hear(300, &mut acknowledged);
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", writer.id())).unwrap();
    // strace ends with what it traces.
    assert!(Command::new("kill").args(["-KILL", child.trim()]).status().unwrap().success());
    writer.ended(&mut acknowledged);

    let acts = acts(&std::fs::read_to_string(&trace).unwrap());
    let acknowledgements = acknowledged_in_order(&acts).unwrap();
    assert!(acknowledgements >= 250, "{acknowledgements}");
    for name in FILES {
        assert!(acts.contains(&Act::Made(data.join(name))), "{name} is made in the trace");
    }
    names_before_acknowledgements(&acts, &data).unwrap();
    let (store, _) = ledger::open_free(&data, 0);
    ledger::verify(&store, &acknowledged).await;
}

#[test]
fn anothers_sync_is_not_the_writers() {
    let wrote = |thread| Act::Wrote { thread, file: "/d/store.sqlite-wal".into() };
    let synced = |thread| Act::Synced { thread, file: "/d/store.sqlite-wal".into() };
    let database = Act::Synced { thread: 7, file: "/d/store.sqlite".into() };
    let told = || Act::Acknowledged;
    assert_eq!(acknowledged_in_order(&[wrote(7), synced(7), told(), wrote(7), synced(7), told()]), Ok(2));
    for wrong in [
        vec![told()],
        vec![wrote(7), told()],
        vec![wrote(7), database, told()],
        vec![wrote(7), synced(8), told()],
        vec![wrote(7), synced(7), wrote(7), synced(8), told()],
        vec![wrote(7), synced(7), told(), synced(7), told()],
    ] {
        assert!(acknowledged_in_order(&wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_name_that_is_not_synced_is_found() {
    let (made, synced) =
        (|name: &str| Act::Made(name.into()), |file: &str| Act::Synced { thread: 1, file: file.into() });
    let data = Path::new("/p/data");
    let all = [made("/p/data"), synced("/p"), made("/p/data/commits"), synced("/p/data"), Act::Acknowledged];
    assert_eq!(names_before_acknowledgements(&all, data), Ok(()));
    for without in [1, 3] {
        let mut acts = all.to_vec();
        acts.remove(without);
        names_before_acknowledgements(&acts, data).unwrap_err();
    }
    let lock = [made("/p/data/lock"), made("/p/other"), Act::Acknowledged];
    assert_eq!(names_before_acknowledgements(&lock, data), Ok(()), "only what matters");
}

/// What matters of the names that are unsure.
fn unsure_names(unsure: &Unsure) -> Vec<&Path> {
    let matters = |name: &&Path| !name.ends_with("lock") && !name.to_string_lossy().ends_with("-shm");
    unsure.names().filter(matters).collect()
}

/// At no moment would a power cut leave half of the old store, or a new one that is not whole, in a folder that is opened.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace: run by the stage `faults`"]
async fn a_store_is_put_in_its_place_in_order() {
    let stores = Stores::with(0).await;
    for does in [Does::Restore, Does::Load, Does::Backup] {
        let folder = stores.folder(does);
        let (trace, data, backup) =
            (folder.path().join("trace"), folder.path().join("data"), folder.path().join("backup"));
        let (database, incoming) = (data.join("store.sqlite"), data.join("store.sqlite.incoming"));
        let file = if does == Does::Backup { backup.clone() } else { stores.file(does) };
        assert!(traced(&does.command(&data, &file), &trace).status().unwrap().success());
        let (mut unsure, mut removed, mut named) = (Unsure::default(), 0, 0);
        for act in acts(&std::fs::read_to_string(&trace).unwrap()) {
            let unsure_of = unsure_names(&unsure);
            match &act {
                Act::Named { to, .. } if *to == database => {
                    named += 1;
                    assert!(unsure_of.is_empty() && unsure.is_written(&incoming), "{does:?}: {unsure_of:?}");
                }
                Act::Named { from, to, .. } if *to == backup => {
                    named += 1;
                    assert!(unsure.is_written(from), "a backup has its name before it is on the disk");
                }
                Act::Gone(name) | Act::Named { from: name, .. }
                    if does != Does::Backup && name.parent() == Some(&data) && unsure.is_known(&incoming) =>
                {
                    removed += usize::from(*name != incoming);
                    assert!(
                        !unsure_of.contains(&&*incoming),
                        "{name:?} goes before it is sure that nobody opens the folder"
                    );
                }
                _ => {}
            }
            unsure.see(&act);
        }
        let left: Vec<_> = unsure_names(&unsure).into_iter().filter(|name| name.starts_with(folder.path())).collect();
        let left: Vec<_> = left.into_iter().filter(|name| !name.starts_with(&trace)).collect();
        if does != Does::Backup {
            assert!(removed >= 3, "{does:?}: {removed}");
            assert!(left.is_empty(), "{left:?}");
        }
        assert!(named == 1 && !left.contains(&&*backup), "{does:?}: {named}, {left:?}");
    }
}
