//! A disk that is full.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use store::{Commit, CommitError, Json, upkeep::UpkeepError};
use tempfile::TempDir;

use crate::{
    ledger::{self, Acknowledged, COUNT, THING},
    upkeeps::{Does, Stores},
};

/// A small file system in memory.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where one may not mount.
    fn new(size: &str) -> Option<Self> {
        let at = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(at.path());
        mount.status().ok()?.success().then_some(Self(at))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        self.fill_but(0)
    }

    /// The same but for so many bytes.
    fn fill_but(&self, room: u64) -> PathBuf {
        let filler = self.path().join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        file.set_len(file.metadata().unwrap().len() - room).unwrap();
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// What does not fit is refused by name, what was acknowledged stays, and once there is room again all goes on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small file system: run by the stage `faults`"]
async fn full_and_free_again() {
    let disk = SmallDisk::new("40m").expect("mounting needs root");
    let folder = disk.path().join("data");
    let (store, _) = ledger::open_free(&folder, 0);
    let mut all = Acknowledged::default();
    let (mut thing, mut fitted) = (0, false);
    for round in 0..3 {
        for _ in 0..20 {
            raise(&store, &mut all).await.unwrap();
        }
        let filler = disk.fill();
        // What little room was left in the log's last pages is used up soon.
        let refused = loop {
            match raise(&store, &mut all).await {
                Ok(()) => thing += 1,
                Err(error) => break error,
            }
            assert!(thing < 10_000, "the disk is full");
        };
        assert!(matches!(refused, CommitError::Unavailable { .. }), "{refused}");
        for _ in 0..5 {
            match large(&store, 1000).await {
                Err(refused) => assert!(matches!(refused, CommitError::Unavailable { .. }), "{refused}"),
                // SQLite's log has begun anew meanwhile, and has room of its own.
                Ok(()) => fitted = true,
            }
        }
        ledger::verify(&store, &all).await;
        std::fs::remove_file(filler).unwrap();
        raise(&store, &mut all).await.unwrap();
        large(&store, 2000 + round).await.unwrap();
        ledger::verify(&store, &all).await;
    }
    let there = store.view(THING.of(&1000)).await.unwrap().get(&COUNT, &()).await.unwrap();
    assert_eq!(there.is_some(), fitted, "refused is not done");
    store.close().await;
    drop(store);

    // Opened on a full disk: it reads, or says what is wrong, and is itself again when there is room.
    let filler = disk.fill();
    match ledger::open(&folder, 0) {
        Ok(store) => ledger::verify(&store, &all).await,
        Err(error) => println!("on a full disk: {error}"),
    }
    std::fs::remove_file(filler).unwrap();
    let (store, _) = ledger::open_free(&folder, 0);
    ledger::verify(&store, &all).await;
    raise(&store, &mut all).await.unwrap();
}

/// A backup, a dump, a restore and a load for which there is no room, or only some: refused in an operator's words, with
/// nothing left of them, and what was there as it was.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a small file system: run by the stage `faults`"]
async fn no_room_for_a_copy() {
    let stores = Stores::with(30).await;
    let disk = SmallDisk::new("24m").expect("mounting needs root");
    for does in [Does::Backup, Does::Dump, Does::Restore, Does::Load] {
        let (data, copy) = (disk.path().join("data"), disk.path().join("copy"));
        let mut refused = 0;
        for room in [0, 4, 16, 60, 400, 1500, 12_000] {
            stores.put(does, &data);
            let file = if does.makes_file() { copy.clone() } else { stores.file(does) };
            // Whoever makes a backup or a dump does so beside a backend that runs.
            let running = does.makes_file().then(|| ledger::open_free(&data, 0).0);
            let filler = disk.fill_but(room * 1024);
            let done = does.run(&data, &file);
            if let Err(error) = &done {
                refused += 1;
                let told = error.to_string();
                assert!(
                    matches!(error, UpkeepError::Full(_)) && told.contains("no room left"),
                    "{does:?}, {room}: {error:?}"
                );
                assert_eq!(names(disk.path()), ["data", "filler"], "{does:?}, {room}");
                let begun =
                    names(&data).into_iter().filter(|name| name.contains("copying") || name.contains("incoming"));
                assert_eq!(begun.count(), 0, "{does:?}, {room}: {:?}", names(&data));
            }
            assert!(room < 10_000 || done.is_ok(), "{does:?}: there is room");
            std::fs::remove_file(filler).unwrap();
            if let Some(store) = running {
                large(&store, 1).await.unwrap();
                store.close().await;
            } else {
                stores.assert_there(does, &data, done.is_ok());
            }
            let _ = std::fs::remove_file(&copy);
            std::fs::remove_dir_all(&data).unwrap();
        }
        assert!(refused >= 4, "{does:?}: {refused}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let found = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn raise(store: &store::Store, all: &mut Acknowledged) -> Result<(), CommitError> {
    let (n, done) = ledger::raise(store, 1).await?;
    all.counts.insert(1, n);
    assert!(done.version > all.version);
    all.version = done.version;
    Ok(())
}

/// More than fits between two pages.
async fn large(store: &store::Store, thing: u64) -> Result<(), CommitError> {
    let mut commit = Commit::at(THING.of(&thing));
    commit.put(&COUNT, &(), &Json(1));
    for log in 0..40 {
        let body = bytes::Bytes::from(vec![9; 50_000]);
        let entry = store::NewEntry { body: store::NewBody::Inline(body), ..store::NewEntry::default() };
        commit.append(&ledger::OWED, &(5000 + log), entry);
    }
    store.commit(commit).await.map(drop)
}
