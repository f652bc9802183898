//! Looking after a store: dumps, backups, checks.

use std::{
    cell::Cell,
    fs,
    io::{BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use store::{
    Catalogue, Commit, CommitId, Json, NewBody, NewEntry, OpenError, Options, Place, Store,
    dump::DumpError,
    upkeep::{Existing, Loaded, Restored, Standing, UpkeepError, Verdict, load, restore},
};
use types::{Clock, ManualClock, SeededRng, Timestamp};
use uuid::Uuid;

use crate::bench::{
    BEFORE, BEHIND, BYTES, Bench, COUNT, ITEM, Kind, LARGE, LIST, OWED, STREAM, THING, all, domain, entry, rounds,
};

pub fn tables() -> Catalogue {
    Catalogue::new()
        .with(&THING)
        .with(&ITEM)
        .with(&BEFORE)
        .with(&BEHIND)
        .with(&COUNT)
        .with(&BYTES)
        .with(&LARGE)
        .with(&LIST)
        .with(&STREAM)
        .with(&OWED)
}

/// Something of everything: aggregates with many commits and with none left, rows that expire, JSON and bytes, plain rows
/// with and without an aggregate, logs with own and shared bodies, one of them trimmed.
pub async fn furnish(bench: &Bench) {
    let key = |text: &str, n: u16| (text.to_owned(), n);
    for round in 0..12_u64 {
        bench
            .set(round % 3, |c| {
                c.put(&ITEM, &key("item\0\u{1f980}", round as u16), &format!("\"quoted\" {round}\n\u{e9}"));
                c.put(&COUNT, &(), &Json(round));
                c.put(&BYTES, &(round as u32), &Bytes::from(vec![round as u8; 300]))
                    .expires(bench.clock.now() + Duration::from_secs(500 + round));
                c.effect_put(&LIST, &(round % 2), &round, &format!("line {round}"));
                c.append(&STREAM, &round, entry(format!("stream {round}")));
                c.append(&OWED, &(round % 2), entry(format!("owed {round}")));
            })
            .await;
    }
    bench
        .set(7, |c| {
            c.put(&LARGE, &1, &Bytes::from((0..20_000_u32).map(|n| (n * 7) as u8).collect::<Vec<_>>()));
            c.delete(&COUNT, &());
        })
        .await;
    let shared = bench
        .sure(|| {
            let mut c = Commit::free();
            let (one, two) = (c.body(Bytes::from_static(b"shared body")), c.body(Bytes::from(vec![0; 5000])));
            for log in 0..6 {
                let body = if log % 2 == 0 { one } else { two };
                c.append(&STREAM, &log, NewEntry { body: NewBody::Shared(body), ..entry("shares") });
            }
            c.append(&OWED, &0, NewEntry { body: NewBody::Inline(Bytes::from_static(b"\0own\xff")), ..entry("own") });
            c.effect_put(&LIST, &9, &9, &"free".to_owned());
            c
        })
        .await;
    let owed = bench.owed(1);
    owed.trim(all(&owed).await[2].0).await.unwrap();
    assert_eq!(shared.appended.len(), 7);
}

pub fn folder_of(bench: &Bench) -> PathBuf {
    bench.folder.as_ref().unwrap().path().to_owned()
}

pub fn nothing() -> impl FnMut(u64, u64) {
    |_, _| ()
}

pub fn dumped(folder: &Path) -> Vec<u8> {
    Standing::in_folder(folder).unwrap().dump(Vec::new(), &tables(), &mut nothing()).unwrap()
}

pub fn checked(folder: &Path) -> Verdict {
    Standing::in_folder(folder).unwrap().check(&tables(), &mut nothing())
}

pub fn loaded(dump: &[u8], folder: &Path) -> Result<Loaded, UpkeepError> {
    load(dump, folder, &domain(), NOW, &mut |_| ())
}

pub fn back_up(folder: &Path, to: &Path) -> Result<Verdict, UpkeepError> {
    Standing::in_folder(folder)?.backup(to, &tables(), &mut nothing(), &mut nothing())
}

pub fn put_back(backup: &Path, folder: &Path, existing: Existing) -> Result<Restored, UpkeepError> {
    restore(backup, folder, &domain(), &tables(), existing, NOW, &mut nothing())
}

pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

static SEED: AtomicU64 = AtomicU64::new(1_000);

pub fn open_at(folder: &Path, clock: &Arc<ManualClock>) -> Store {
    let mut options = Options::new(Place::Folder(folder.to_owned()), domain());
    options.clock = Arc::clone(clock) as Arc<dyn Clock>;
    // Each opening has randomness of its own, so that commits are not taken for repetitions.
    options.rng = Arc::new(SeededRng::new(SEED.fetch_add(1, Ordering::Relaxed)));
    Store::open(options).unwrap()
}

#[tokio::test]
async fn dump_equal_after_convert() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let named = CommitId(Uuid::from_u128(77));
    let commit = || {
        let mut c = Commit::at(THING.of(&2)).id(named);
        c.put(&COUNT, &(), &Json(77));
        c
    };
    let version = bench.store.commit(commit()).await.unwrap().version;
    bench.store.close().await;
    let dump = dumped(&folder_of(&bench));
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("made");
    assert_eq!(loaded(&dump, &folder).unwrap(), Loaded { left_out: None });
    assert!(dumped(&folder) == dump, "the dump of what was loaded is the same, byte by byte");
    let (verdict, before) = (checked(&folder), checked(&folder_of(&bench)));
    assert_eq!((&verdict.problems, verdict.counts), (&Vec::new(), before.counts));
    assert!(verdict.counts.entries > 15 && verdict.counts.bodies == 2, "{verdict:?}");

    // What matters to those who use it is the same too.
    let (old, new) = (open_at(&folder_of(&bench), &bench.clock), open_at(&folder, &bench.clock));
    for thing in [0, 1, 2, 7] {
        let (old, new) = (old.view(THING.of(&thing)).await.unwrap(), new.view(THING.of(&thing)).await.unwrap());
        assert_eq!(old.version(), new.version());
        let both = (old.all(&BYTES).await.unwrap(), new.all(&BYTES).await.unwrap());
        assert_eq!(format!("{:?}", both.0), format!("{:?}", both.1), "values, versions, expiry");
    }
    for log in 0..12 {
        let logs = [&old, &new].map(|store| [store.log(&STREAM, &log), store.log(&OWED, &log)]);
        for (old, new) in logs[0].iter().zip(&logs[1]) {
            assert_eq!(old.read_after(None, 100).await, new.read_after(None, 100).await);
        }
    }
    let again = new.commit(commit()).await.unwrap();
    assert!(again.repeated && again.version == version, "its heads know their commits");
    let mut c = Commit::at(THING.of(&2));
    c.put(&COUNT, &(), &Json(78));
    assert!(new.commit(c).await.unwrap().version > version);
    // Entries expire and share as before.
    bench.clock.advance(Duration::from_secs(100_000));
    let report = new.housekeep(Duration::from_secs(60)).await;
    assert!(report.entries > 15 && report.bodies == 2 && report.rows >= 12, "{report:?}");
    new.close().await;
    assert_eq!(checked(&folder).problems, []);
}

#[tokio::test]
async fn dump_equal_after_convert_of_very_many_rows() {
    let rows = rounds(100_000).min(1_000_000);
    let bench = Bench::new(Kind::File);
    let mut commits = tokio::task::JoinSet::new();
    for commit in 0..rows / 500 {
        let mut c = Commit::at(THING.of(&(commit as u64)));
        for row in 0..400_u32 {
            c.put(&BYTES, &row, &Bytes::from(format!("a row of some bytes {row}")));
        }
        for row in 0..100 {
            c.effect_put(&LIST, &row, &(commit as u64), &"a plain row".to_owned());
        }
        let store = bench.store.with_deadline(Duration::from_secs(600));
        commits.spawn(async move { store.commit(c).await.unwrap() });
    }
    commits.join_all().await;
    bench.store.close().await;
    let place = tempfile::tempdir().unwrap();
    let dump = |folder: &Path, name: &str| {
        let file = place.path().join(name);
        let to = BufWriter::new(fs::File::create(&file).unwrap());
        Standing::in_folder(folder).unwrap().dump(to, &tables(), &mut nothing()).unwrap().flush().unwrap();
        file
    };
    let first = dump(&folder_of(&bench), "first");
    let folder = place.path().join("folder");
    let from = BufReader::new(fs::File::open(&first).unwrap());
    load(from, &folder, &domain(), NOW, &mut |_| ()).unwrap();
    let second = dump(&folder, "second");
    let verdict = checked(&folder);
    assert_eq!((verdict.problems, verdict.counts.rows + verdict.counts.plain), (Vec::new(), rows as u64));
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap());
}

#[tokio::test]
async fn a_dump_that_is_not_whole_leaves_no_store() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let dump = dumped(&folder_of(&bench));
    let text = String::from_utf8(dump.clone()).unwrap();
    let line = |of: &str| text.lines().find(|line| line.starts_with(of)).unwrap();
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data");
    let refused = |dump: &str| {
        let refused = loaded(dump.as_bytes(), &folder).expect_err("it is not whole");
        let left: Vec<_> = fs::read_dir(&folder).into_iter().flatten().map(|file| file.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "lock"), "{left:?}");
        refused
    };
    let cut = refused(&text[..text.len() * 2 / 3]);
    assert!(matches!(cut, UpkeepError::Dump(DumpError::Cut { lines }) if lines > 10), "{cut}");
    assert!(matches!(refused(&text.replacen("line 3", "line 4", 1)), UpkeepError::Dump(DumpError::Damaged)));
    let (head, row) = (line("{\"head\""), line("{\"plain\""));
    let node = text.split("\"node\":\"").nth(1).unwrap().split('"').next().unwrap();
    let (entry, body) = (line("{\"entry\""), line("{\"body\""));
    for (changed, told) in [
        (text.replacen(head, &format!("{head}\n{head}"), 1), "it is there twice"),
        (text.replacen(row, &format!("{row}\n{row}"), 1), "it is there twice"),
        (text.replacen(entry, &format!("{entry}\n{entry}"), 1), "not above that before it"),
        (text.replacen(&format!("{body}\n"), "", 1), "a body that is not there"),
        (text.replacen("\"ceiling\":1", "\"ceiling\":0", 1), "line 1 of the dump: this is not a dump"),
        (text.replacen("\"ceiling\":18", "\"ceiling\":17", 1), "newer than the ceiling of the clock"),
        (text.replacen(node, &node.replace(|digit| digit != '0', "1"), 1), "an embedded store has one"),
    ] {
        assert!(changed != text);
        let refused = refused(&changed).to_string();
        assert!(refused.contains(told), "{refused}");
    }
    let other = load(&dump[..], &folder, &"b.example".parse().unwrap(), NOW, &mut |_| ());
    assert!(matches!(other, Err(UpkeepError::Open(OpenError::OtherDomain { .. }))));
    // A store with nothing in it may be there; one with something may not.
    drop(open_at(&folder, &bench.clock));
    assert_eq!(loaded(&dump, &folder).unwrap(), Loaded { left_out: None });
    assert!(dumped(&folder) == dump);
    assert!(matches!(loaded(&dump, &folder), Err(UpkeepError::HoldsStore(_))));
    assert!(dumped(&folder) == dump);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_of_one_moment_and_hinders_nobody() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    // So much that it is copied in several steps.
    for large in 10..13 {
        let bytes = Bytes::from(vec![large; 5 << 20]);
        bench
            .set(1, |c| {
                c.put(&LARGE, &large, &bytes);
            })
            .await;
    }
    let folder = folder_of(&bench);
    let before = dumped(&folder);
    let place = tempfile::tempdir().unwrap();
    let to = place.path().join("backup.sqlite");
    // Whoever works with the store writes while the backup is being made, in each of its parts.
    let standing = Standing::in_folder(&folder).unwrap();
    let mut written = 0;
    let mut write = |_, _| {
        if written == 6 {
            return;
        }
        let mut c = Commit::at(THING.of(&1));
        c.put(&COUNT, &(), &Json(1000 + written));
        c.put(&LARGE, &2, &Bytes::from(vec![written as u8; 3 << 20]));
        c.append(&OWED, &1, entry("meanwhile"));
        let begun = std::time::Instant::now();
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(bench.store.commit(c))).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4));
        written += 1;
    };
    // While the copy is looked at, the log of the store can begin anew. It is tried more than once, as the store may be
    // folding its log at the same instant; a snapshot held by those who look would be in the way of every attempt.
    let mut free = false;
    let mut begin_anew = |_, _| {
        let database = bench.database().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while !free && std::time::Instant::now() < deadline {
            let busy = database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
            free = busy == 0;
        }
    };
    let verdict = standing.backup(&to, &tables(), &mut write, &mut begin_anew).unwrap();
    assert!(free, "the log cannot begin anew");
    assert!(verdict.is_good() && written > 2, "{written} commits while it was copied");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "nothing else is left");
    let backup = Standing::of_file(&to).unwrap();
    assert!(backup.dump(Vec::new(), &tables(), &mut nothing()).unwrap() == before, "of the moment it was begun");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(bench.count(1).await, Some(999 + written));
    // Nothing is overwritten, and what another is at is left alone.
    let contents = fs::read(&to).unwrap();
    assert!(matches!(back_up(&folder, &to), Err(UpkeepError::Exists(file)) if file == to));
    assert!(fs::read(&to).unwrap() == contents);
    let next = place.path().join("next.sqlite");
    let partial = place.path().join("next.sqlite.partial");
    let held = fs::File::create(&partial).unwrap();
    held.lock().unwrap();
    assert!(matches!(back_up(&folder, &next), Err(UpkeepError::BeingWritten(file)) if file == partial));
    drop(held);
    fs::write(&partial, "what somebody left who was interrupted").unwrap();
    assert!(back_up(&folder, &next).unwrap().is_good());
    assert!(next.exists() && !partial.exists());
    // What gets the name while the backup is being made is left alone, and so is what a link leads to.
    let (late, precious) = (place.path().join("late.sqlite"), place.path().join("precious"));
    let mut appears = |_, _| fs::write(&late, "another's").unwrap();
    let standing = Standing::in_folder(&folder).unwrap();
    let refused = standing.backup(&late, &tables(), &mut appears, &mut nothing()).unwrap_err();
    assert!(matches!(refused, UpkeepError::Exists(file) if file == late));
    assert_eq!(fs::read(&late).unwrap(), b"another's");
    assert!(!place.path().join("late.sqlite.partial").exists());
    fs::write(&precious, "precious").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&precious, place.path().join("led.sqlite.partial")).unwrap();
    #[cfg(unix)]
    back_up(&folder, &place.path().join("led.sqlite")).unwrap_err();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

/// The lines of a dump but for the first and the last, which tell of the clock.
pub fn records(dump: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> = dump.split(|byte| *byte == b'\n').collect();
    lines[1..lines.len() - 2].to_vec()
}

#[tokio::test]
async fn everything_is_counted() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let stats = Standing::in_folder(&folder_of(&bench)).unwrap().stats(&tables()).unwrap();
    let table = |name: &str| stats.guarded.iter().find(|table| table.table == name).unwrap();
    assert_eq!((table("item").rows, table("count").rows, table("(heads of aggregates)").rows), (12, 3, 4));
    assert_eq!((table("large").rows, table("large").bytes), (1, 20_013));
    assert_eq!((stats.plain.len(), stats.plain[0].rows), (1, 13));
    let log = |kind: &str| stats.logs.iter().find(|log| log.kind == kind).unwrap();
    assert_eq!((log("stream").logs, log("stream").entries, log("stream").longest), (12, 18, 2));
    assert_eq!((log("owed").logs, log("owed").entries), (2, 10));
    assert_eq!((stats.bodies.rows, stats.bodies.bytes), (2, 5011));
    assert!(stats.wal_bytes > 0 && stats.domain == "a.example" && stats.format == 2);
}

/// What somebody may do to the lines of a dump.
#[derive(Clone, Debug)]
enum Change {
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    /// One bit of one line.
    Flip(Index, Index, u8),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<Index>().prop_map(Change::Drop),
        any::<Index>().prop_map(Change::Repeat),
        any::<(Index, Index)>().prop_map(|(one, other)| Change::Swap(one, other)),
        (any::<Index>(), any::<Index>(), 0..8_u8).prop_map(|(line, byte, bit)| Change::Flip(line, byte, bit)),
    ]
}

/// A dump of these lines with an end that fits to them.
fn ended(lines: &[Vec<u8>]) -> Vec<u8> {
    let mut dump = lines.join(&b'\n');
    dump.push(b'\n');
    let end = format!("{{\"end\":{{\"lines\":{},\"crc32c\":{}}}}}\n", lines.len(), crc32c::crc32c(&dump));
    dump.extend_from_slice(end.as_bytes());
    dump
}

/// A dump that proves to be whole is loaded or refused, whatever stands in it; and what was loaded can be read.
#[test]
fn forged_dumps_are_loaded_or_refused() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dump = runtime.block_on(async {
        let bench = Bench::new(Kind::File);
        furnish(&bench).await;
        bench.store.close().await;
        dumped(&folder_of(&bench))
    });
    let mut whole: Vec<Vec<u8>> = dump.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    whole.truncate(whole.len() - 2);
    assert!(ended(&whole) == dump, "the end is as the store makes it");
    let place = tempfile::tempdir().unwrap();
    let (taken, turned_away) = (Cell::new(0), Cell::new(0));
    let cases = rounds(200) as u32;
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let forged = |changes: Vec<Change>| {
        let mut lines = whole.clone();
        for change in changes {
            match change {
                Change::Drop(line) => drop(lines.remove(line.index(lines.len()))),
                Change::Repeat(line) => {
                    let at = line.index(lines.len());
                    lines.insert(at, lines[at].clone());
                }
                Change::Swap(one, other) => {
                    let len = lines.len();
                    lines.swap(one.index(len), other.index(len));
                }
                Change::Flip(line, byte, bit) => {
                    let at = line.index(lines.len());
                    let byte = byte.index(lines[at].len());
                    lines[at][byte] ^= 1 << bit;
                }
            }
        }
        ended(&lines)
    };
    let tried = runner.run(&prop::collection::vec(change(), 1..3), |changes| {
        let dump = forged(changes);
        let folder = place.path().join("data");
        match loaded(&dump, &folder) {
            Ok(_) => {
                taken.set(taken.get() + 1);
                let _ = checked(&folder);
                prop_assert!(dumped(&folder).len() > dump.len() / 2);
                Store::open(Options::new(Place::Folder(folder.clone()), domain()))
                    .map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))?;
            }
            Err(error) => {
                turned_away.set(turned_away.get() + 1);
                prop_assert!(!matches!(error, UpkeepError::Sqlite { .. } | UpkeepError::Io { .. }), "{error}");
                prop_assert!(!folder.join("store.sqlite").exists());
            }
        }
        let _ = fs::remove_dir_all(&folder);
        Ok(())
    });
    tried.unwrap();
    let (taken, turned_away) = (taken.get(), turned_away.get());
    assert!(taken > 5 && turned_away > 50, "{taken} loaded, {turned_away} refused");
}
