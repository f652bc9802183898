//! Backups, restores and loads that are killed: at every step, and at any instant.

use std::{
    fs,
    io::BufReader,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use store::{
    Catalogue, Commit, NewBody, NewEntry, OpenError,
    upkeep::{self, Existing, Standing, UpkeepError},
};
use tempfile::TempDir;
use types::{Clock as _, Rng, SystemClock, SystemRng};

use crate::{
    ledger::{self, ALL, COUNT, OWED, SHOWN, THING},
    rounds,
};

const WHAT: &str = "FERRULE_TEST_WHAT";
const FOLDER: &str = "FERRULE_TEST_FOLDER";
const FILE: &str = "FERRULE_TEST_FILE";

/// `SIGABRT` and `SIGKILL`.
const ABORTED: i32 = 6;
const KILLED: i32 = 9;

pub fn tables() -> Catalogue {
    Catalogue::new().with(&THING).with(&COUNT).with(&SHOWN).with(&OWED).with(&ALL)
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Backup,
    Dump,
    Load,
    Restore,
}

impl Does {
    /// Does it with a data folder and a backup or dump.
    pub fn run(self, folder: &Path, file: &Path) -> Result<(), UpkeepError> {
        let (domain, now) = ("a.example".parse().unwrap(), SystemClock.now());
        match self {
            Self::Backup => {
                let standing = Standing::in_folder(folder)?;
                standing.backup(file, &tables(), &mut |_, _| (), &mut |_, _| ()).map(drop)
            }
            Self::Dump => Standing::in_folder(folder)?.dump_to(file, &tables(), &mut |_, _| ()),
            Self::Load => {
                let dump = BufReader::new(fs::File::open(file).unwrap());
                upkeep::load(dump, folder, &domain, now, &mut |_| ()).map(drop)
            }
            Self::Restore => {
                let existing = Existing::KeepAside;
                upkeep::restore(file, folder, &domain, &tables(), existing, now, &mut |_, _| ()).map(drop)
            }
        }
    }

    /// Whether it makes a file of a store, and not a store of a file.
    pub fn makes_file(self) -> bool {
        matches!(self, Self::Backup | Self::Dump)
    }

    /// This program, as a process that does it.
    pub fn command(self, folder: &Path, file: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "upkeeps::does_it", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(WHAT, format!("{self:?}")).env(FOLDER, folder).env(FILE, file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// A process that dies at the `nth` step; `false` if it comes to its end before.
    fn dies(self, folder: &Path, file: &Path, nth: u64) -> bool {
        let ended = self.command(folder, file).env("FERRULE_DIE_AT", format!("upkeep={nth}")).status().unwrap();
        assert!(ended.success() || ended.signal() == Some(ABORTED), "{self:?}, {nth}: {ended}");
        !ended.success()
    }

    /// A process that is killed after a while; `false` if it comes to its end before.
    fn is_killed(self, folder: &Path, file: &Path, after: Duration) -> bool {
        let mut process = self.command(folder, file).spawn().unwrap();
        std::thread::sleep(after);
        process.kill().unwrap();
        let ended = process.wait().unwrap();
        assert!(ended.success() || ended.signal() == Some(KILLED), "{self:?}, {after:?}: {ended}");
        !ended.success()
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn does_it() {
    let (Some(what), Some(folder), Some(file)) =
        (std::env::var_os(WHAT), std::env::var_os(FOLDER), std::env::var_os(FILE))
    else {
        return;
    };
    let does =
        [Does::Backup, Does::Dump, Does::Load, Does::Restore].into_iter().find(|does| what == *format!("{does:?}"));
    does.unwrap().run(Path::new(&folder), Path::new(&file)).unwrap();
}

/// Two stores to be told apart.
pub struct Stores {
    place: TempDir,
    /// What the one that was there holds.
    old: Vec<Vec<u8>>,
    /// What the other one holds, of which there are a backup and a dump.
    new: Vec<Vec<u8>>,
}

impl Stores {
    /// With so many bodies of 50 kB.
    pub async fn with(bodies: u64) -> Self {
        let place = TempDir::new().unwrap();
        let (old, new) = (place.path().join("old"), place.path().join("new"));
        for (folder, text) in [(&old, "old"), (&new, "new")] {
            // What was written first is in the database, the rest in SQLite's log, as a process that was killed leaves it.
            let (store, _) = ledger::open_free(&place.path().join("work"), 0);
            ledger::tell_all(&store, text).await.unwrap();
            store.close().await;
            let (store, _) = ledger::open_free(&place.path().join("work"), 0);
            for thing in 0..5 {
                ledger::raise(&store, thing).await.unwrap();
            }
            ledger::tell_all(&store, text).await.unwrap();
            for log in 0..bodies {
                let mut commit = Commit::free();
                let body = NewBody::Inline(bytes::Bytes::from(vec![7; 50_000]));
                commit.append(&OWED, &(100 + log % 20), NewEntry { body, ..NewEntry::default() });
                store.commit(commit).await.unwrap();
            }
            copy_store(&place.path().join("work"), folder);
            drop(store);
            fs::remove_dir_all(place.path().join("work")).unwrap();
        }
        let standing = Standing::in_folder(&new).unwrap();
        standing.dump_to(&place.path().join("dump"), &tables(), &mut |_, _| ()).unwrap();
        Does::Backup.run(&new, &place.path().join("backup")).unwrap();
        let (old, new) = (records(&old).unwrap(), records(&new).unwrap());
        assert!(old != new);
        // One that was made, killed, and holds nothing.
        let (store, _) = ledger::open_free(&place.path().join("work"), 0);
        copy_store(&place.path().join("work"), &place.path().join("empty"));
        drop(store);
        Self { place, old, new }
    }

    /// A fresh folder with the old store, or with one in which nothing is.
    pub fn folder(&self, does: Does) -> TempDir {
        let folder = TempDir::new().unwrap();
        self.put(does, &folder.path().join("data"));
        folder
    }

    /// Makes that folder.
    pub fn put(&self, does: Does, data: &Path) {
        let from = if does == Does::Load { "empty" } else { "old" };
        copy_store(&self.place.path().join(from), data);
    }

    /// What was put into a folder is there, or what was there before, and all of it.
    pub fn assert_there(&self, does: Does, data: &Path, new: bool) {
        assert_eq!(self.left(does, data), if new { Left::New } else { Left::Old }, "{does:?}");
    }

    pub fn file(&self, does: Does) -> PathBuf {
        self.place.path().join(if does == Does::Load { "dump" } else { "backup" })
    }
}

/// The files of a store whose process was killed.
fn copy_store(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for name in ["store.sqlite", "store.sqlite-wal", "commits"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// The lines of a store's dump but for the first and the last, which tell of the clock.
fn records(folder: &Path) -> Result<Vec<Vec<u8>>, UpkeepError> {
    lines(&Standing::in_folder(folder)?)
}

fn lines(standing: &Standing) -> Result<Vec<Vec<u8>>, UpkeepError> {
    let dump = standing.dump(Vec::new(), &tables(), &mut |_, _| ())?;
    let lines: Vec<_> = dump.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    Ok(lines[1..lines.len() - 2].to_vec())
}

/// What a process left that was putting something into a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Left {
    Old,
    Interrupted,
    New,
}

impl Stores {
    /// Looks at it: all of the old, all of the new, or nothing that anybody could take for one of them.
    fn left(&self, does: Does, data: &Path) -> Left {
        let old = if does == Does::Load { &Vec::new() } else { &self.old };
        match ledger::open(data, 0) {
            Ok(store) => {
                drop(store);
                let held = records(data).unwrap();
                assert!(held == *old || held == self.new, "{does:?}: a mix of {} lines", held.len());
                let left = if held == self.new { Left::New } else { Left::Old };
                assert!(
                    left == Left::Old || does == Does::Load || self.keeps_old(data),
                    "the old one is not kept whole"
                );
                left
            }
            Err(OpenError::HalfRestored { .. }) => {
                let told = records(data);
                assert!(matches!(told, Err(UpkeepError::Open(OpenError::HalfRestored { .. }))), "{told:?}");
                Left::Interrupted
            }
            Err(error) => panic!("{does:?}: {error}"),
        }
    }

    /// Whether the old store is beside the new one, in one piece, and nothing else.
    fn keeps_old(&self, data: &Path) -> bool {
        let found = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
        let aside: Vec<_> = found.filter(|path| path.is_dir()).collect();
        matches!(&aside[..], [aside] if records(aside).is_ok_and(|held| held == self.old))
    }

    /// Does it again, to its end.
    fn again(&self, does: Does, data: &Path) {
        does.run(data, &self.file(does)).unwrap();
        let left = self.left(does, data);
        assert_eq!(left, Left::New);
    }
}

/// Killed at each step, and once more at some step when it is done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_or_load_dies_at_every_step() {
    let stores = Stores::with(0).await;
    let rng = SystemRng;
    for does in [Does::Restore, Does::Load] {
        let (mut seen, mut steps, file) = (Vec::new(), 0, stores.file(does));
        for nth in 1.. {
            let folder = stores.folder(does);
            let data = folder.path().join("data");
            if !does.dies(&data, &file, nth) {
                assert_eq!(stores.left(does, &data), Left::New);
                break;
            }
            steps = nth;
            seen.push(stores.left(does, &data));
            if seen.last() == Some(&Left::New) && does == Does::Load {
                continue;
            }
            if seen.last() == Some(&Left::Interrupted) {
                for nth in [1 + rng.below(10), 5 + rng.below(10)] {
                    does.dies(&data, &file, nth);
                    if stores.left(does, &data) != Left::Interrupted {
                        break;
                    }
                }
            }
            if stores.left(does, &data) != Left::New {
                stores.again(does, &data);
            }
        }
        assert!(steps >= 12, "{does:?}: {steps}");
        assert!(seen.is_sorted(), "first the old, then neither, then the new: {seen:?}");
        seen.dedup();
        assert_eq!(seen, [Left::Old, Left::Interrupted, Left::New], "{does:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_or_load_is_killed_at_any_instant() {
    let stores = Stores::with(60).await;
    let rng = SystemRng;
    for does in [Does::Restore, Does::Load] {
        let (file, folder) = (stores.file(does), stores.folder(does));
        let begun = Instant::now();
        assert!(does.command(&folder.path().join("data"), &file).status().unwrap().success());
        let whole = u64::try_from(begun.elapsed().as_micros()).unwrap();
        let (mut killed, mut done) = (0, 0);
        // Not all come too late, however fast the machine is by now.
        while done < rounds(12) || killed <= rounds(12) / 3 {
            done += 1;
            assert!(done < 20 * rounds(12), "{killed} of {done}");
            let folder = stores.folder(does);
            let data = folder.path().join("data");
            killed += usize::from(does.is_killed(&data, &file, Duration::from_micros(rng.below(whole))));
            if stores.left(does, &data) != Left::New {
                stores.again(does, &data);
            }
        }
    }
}

/// A backup whose maker dies has its name only if it is whole, and the next one is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_dies_at_every_step_and_any_instant() {
    let looked_at = |stores: &Stores, folder: &Path| {
        let (data, to) = (folder.join("data"), folder.join("backup"));
        let there = to.exists();
        if there {
            let standing = Standing::of_file(&to).unwrap();
            assert!(standing.check(&tables(), &mut |_, _| ()).is_good() && lines(&standing).unwrap() == stores.old);
        }
        let next = if there { folder.join("next") } else { to };
        Does::Backup.run(&data, &next).unwrap();
        assert!(lines(&Standing::of_file(&next).unwrap()).unwrap() == stores.old);
        assert!(records(&data).unwrap() == stores.old);
        there
    };
    let stores = Stores::with(0).await;
    let mut seen = Vec::new();
    for nth in 1.. {
        let folder = stores.folder(Does::Backup);
        if !Does::Backup.dies(&folder.path().join("data"), &folder.path().join("backup"), nth) {
            break;
        }
        seen.push(looked_at(&stores, folder.path()));
    }
    assert!(seen.len() >= 6 && seen.is_sorted() && !seen[0] && seen[seen.len() - 1], "{seen:?}");

    let (stores, rng) = (Stores::with(60).await, SystemRng);
    let folder = stores.folder(Does::Backup);
    let begun = Instant::now();
    let made = Does::Backup.command(&folder.path().join("data"), &folder.path().join("backup")).status().unwrap();
    let whole = u64::try_from(begun.elapsed().as_micros()).unwrap();
    assert!(made.success() && looked_at(&stores, folder.path()));
    for _ in 0..rounds(12) {
        let folder = stores.folder(Does::Backup);
        let (data, to) = (folder.path().join("data"), folder.path().join("backup"));
        Does::Backup.is_killed(&data, &to, Duration::from_micros(rng.below(whole)));
        looked_at(&stores, folder.path());
    }
}
