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
    Aggregate, Catalogue, Commit, CommitId, EntryId, Guarded, Json, Life, LogKind, NewBody, NewEntry, OpenError,
    Options, Place, Plain, Size, Store,
    dump::DumpError,
    upkeep::{Existing, Loaded, Problem, Restored, Standing, UpkeepError, Verdict, load, restore},
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

fn folder_of(bench: &Bench) -> PathBuf {
    bench.folder.as_ref().unwrap().path().to_owned()
}

fn nothing() -> impl FnMut(u64, u64) {
    |_, _| ()
}

fn dumped(folder: &Path) -> Vec<u8> {
    Standing::in_folder(folder).unwrap().dump(Vec::new(), &tables(), &mut nothing()).unwrap()
}

fn checked(folder: &Path) -> Verdict {
    Standing::in_folder(folder).unwrap().check(&tables(), &mut nothing())
}

fn loaded(dump: &[u8], folder: &Path) -> Result<Loaded, UpkeepError> {
    load(dump, folder, &domain(), NOW, &mut |_| ())
}

fn back_up(folder: &Path, to: &Path) -> Result<Verdict, UpkeepError> {
    Standing::in_folder(folder)?.backup(to, &tables(), &mut nothing(), &mut nothing())
}

fn put_back(backup: &Path, folder: &Path, existing: Existing) -> Result<Restored, UpkeepError> {
    restore(backup, folder, &domain(), &tables(), existing, NOW, &mut nothing())
}

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

static SEED: AtomicU64 = AtomicU64::new(1_000);

fn open_at(folder: &Path, clock: &Arc<ManualClock>) -> Store {
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

#[tokio::test]
async fn a_damaged_store_makes_no_backup() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    bench
        .database()
        .unwrap()
        .execute_batch("UPDATE plain SET json = '\"forged\"' WHERE version = (SELECT max(version) FROM plain)")
        .unwrap();
    let to = folder.join("backup");
    let Err(UpkeepError::Damaged { problems: 1, first, file }) = back_up(&folder, &to) else { panic!("it is damaged") };
    assert_eq!((first.table.as_str(), file), ("list", folder.join("store.sqlite")));
    assert!(!to.exists() && !folder.join("backup.partial").exists());
}

/// What is damaged is left out and named, and what had no more sense without it; the rest is as sound as ever.
#[tokio::test]
async fn a_salvage_leaves_out_what_is_damaged() {
    for moved in [0, 11, 1000] {
        let bench = Bench::new(Kind::File);
        furnish(&bench).await;
        bench.store.close().await;
        crate::fresh::move_first(&folder_of(&bench), moved);
        salvaged_around_damage(&bench).await;
    }
}

async fn salvaged_around_damage(bench: &Bench) {
    let folder = folder_of(bench);
    let whole = dumped(&folder);
    let salvaged = |folder: &Path| {
        let mut told = Vec::new();
        let mut tell = |problem: &Problem| told.push(problem.to_string());
        let standing = Standing::in_folder(folder).unwrap();
        let (dump, count) = standing.salvage(Vec::new(), &tables(), &mut tell, &mut nothing()).unwrap();
        assert_eq!(count, told.len() as u64);
        (dump, told)
    };
    // Of a store that is whole everything is in it.
    let (dump, told) = salvaged(&folder);
    assert!(told.is_empty() && records(&dump) == records(&whole), "{told:?}");
    let first = |dump: &[u8]| String::from_utf8(dump.split(|byte| *byte == b'\n').next().unwrap().to_vec()).unwrap();
    assert!(first(&dump).contains("\"salvage\":true") && !first(&whole).contains("salvage"));
    bench
        .database()
        .unwrap()
        .execute_batch(
            "UPDATE plain SET json = '\"forged\"' WHERE no = 1;
             UPDATE rows SET bin = x'0102' WHERE key = x'00' AND agg = x'00010000000000000001';
             UPDATE rows SET json = '7' WHERE key = x'000c' AND agg = x'00010000000000000002';
             UPDATE body SET crc = crc + 1 WHERE no = 1;
             DELETE FROM log_name WHERE no = (SELECT max(no) FROM log_name);
             UPDATE meta SET v = 5 WHERE k = 'clock_ceiling'",
        )
        .unwrap();
    let (dump, told) = salvaged(&folder);
    let named = |what: &[&str]| told.iter().filter(|told| what.iter().all(|what| told.contains(what))).count();
    assert_eq!(named(&["list at", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["thing at 00010000000000000001", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["count at 00010000000000000002", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["body at 1", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["stream at", "a body that is not there"]), 3, "{told:?}");
    assert_eq!(named(&["log at log", "1 entry of a log without a name"]), 1, "{told:?}");
    assert_eq!(told.len(), 8, "{told:?}");
    let place = tempfile::tempdir().unwrap();
    assert_eq!(loaded(&dump, place.path()).unwrap(), Loaded { left_out: Some(8) });
    assert_eq!(checked(place.path()).problems, []);
    let store = open_at(place.path(), &bench.clock);
    let view = store.view(THING.of(&1)).await.unwrap();
    let newest = view.get(&COUNT, &()).await.unwrap().unwrap().version;
    assert_eq!(view.version(), newest, "a head that was lost is as new as its rows");
    let mut c = Commit::on(&view);
    c.put(&COUNT, &(), &Json(1));
    assert!(store.commit(c).await.unwrap().version > newest);
    store.close().await;
    assert_eq!(checked(place.path()).problems, []);
}

/// A dump does not leave out without a word what it cannot come by.
#[tokio::test]
async fn entries_of_no_log_are_not_left_out_in_silence() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let named = "DELETE FROM log_name WHERE no = (SELECT min(pos >> 32) FROM fresh)";
    bench.database().unwrap().execute_batch(named).unwrap();
    let dumped = Standing::in_folder(&folder_of(&bench)).unwrap().dump(Vec::new(), &tables(), &mut nothing());
    assert!(matches!(dumped, Err(UpkeepError::Damaged { .. })), "{}", dumped.is_ok());
}

#[tokio::test]
async fn after_a_restore_ids_rise_and_cursors_from_the_lost_time_are_recognised() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let known = bench.owed(0).newest().await.unwrap().unwrap();
    back_up(&folder, &backup).unwrap();
    // What comes after the backup is acknowledged, seen by a client, and lost. The clock ran ahead meanwhile.
    bench.clock.advance(Duration::from_secs(3600));
    let lost = bench.set(0, |c| c.append(&OWED, &0, entry("lost"))).await;
    let (lost_version, lost_id) = (lost.version, lost.appended[0].id);
    bench.clock.set(NOW + Duration::from_secs(60));
    assert!(matches!(put_back(&backup, &folder, Existing::KeepAside), Err(UpkeepError::Open(OpenError::InUse { .. }))));
    bench.store.close().await;
    assert!(matches!(put_back(&backup, &folder, Existing::Refuse), Err(UpkeepError::HoldsStore(_))));
    let Restored { aside: Some(aside) } = put_back(&backup, &folder, Existing::KeepAside).unwrap() else {
        panic!("there was a store");
    };
    let kept = open_at(&aside, &bench.clock);
    assert!(kept.log(&OWED, &0).get(lost_id).await.unwrap().is_some(), "the old store is kept whole");
    kept.close().await;

    let store = open_at(&folder, &bench.clock);
    let log = store.log(&OWED, &0);
    assert_eq!(log.get(lost_id).await.unwrap(), None);
    let after = log.read_after(Some(lost_id), 10).await.unwrap();
    assert!(after.lost && after.entries.is_empty(), "{after:?}");
    assert!(!log.read_after(Some(known), 10).await.unwrap().lost, "an older one has lost nothing that it had");
    let mut c = Commit::at(THING.of(&0));
    c.append(&OWED, &0, entry("new"));
    let new = store.commit(c).await.unwrap();
    assert!(new.version > lost_version && new.appended[0].id > lost_id, "though the clock is behind");
    let after = log.read_after(Some(lost_id), 10).await.unwrap();
    assert!(after.lost && after.entries.len() == 1, "whoever comes with it misses nothing that is new");
    assert!(!log.read_after(Some(new.appended[0].id), 10).await.unwrap().lost);
    store.close().await;
    // That survives restarts, dumps and another restore.
    let told = async |folder: &Path| {
        let store = open_at(folder, &bench.clock);
        let told = store.log(&OWED, &0).read_after(Some(lost_id), 10).await.unwrap().lost;
        store.close().await;
        told
    };
    assert!(told(&folder).await);
    let moved = place.path().join("moved");
    loaded(&dumped(&folder), &moved).unwrap();
    assert!(told(&moved).await);
    let second = place.path().join("second");
    back_up(&moved, &second).unwrap();
    let fresh = place.path().join("fresh");
    assert_eq!(put_back(&second, &fresh, Existing::Refuse).unwrap(), Restored { aside: None });
    assert!(told(&fresh).await);
    let store = open_at(&fresh, &bench.clock);
    bench.clock.advance(Duration::from_secs(5));
    let mut c = Commit::at(THING.of(&0));
    c.append(&OWED, &0, entry("newer"));
    let newer = store.commit(c).await.unwrap().appended[0].id;
    assert!(newer > new.appended[0].id, "{newer} {}", new.appended[0].id);
    assert!(!store.log(&OWED, &0).read_after(Some(newer), 1).await.unwrap().lost);
}

/// A cursor that the store itself keeps stands behind entries that are gone; the commit that wrote it is newer than they.
#[tokio::test]
async fn the_stores_own_cursors_are_not_from_a_lost_time() {
    let bench = Bench::new(Kind::File);
    let cursor: EntryId = bench.set(1, |c| c.append(&OWED, &1, entry("drained"))).await.appended[0].id;
    bench.owed(1).trim(cursor).await.unwrap();
    bench
        .set(2, |c| {
            c.put(&COUNT, &(), &Json(1));
        })
        .await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    let backup = folder.join("backup");
    back_up(&folder, &backup).unwrap();
    put_back(&backup, &folder, Existing::KeepAside).unwrap();
    let store = open_at(&folder, &bench.clock);
    assert!(!store.log(&OWED, &1).read_after(Some(cursor), 1).await.unwrap().lost);
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_told_and_can_be_done_again() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let backup = folder.join("backup");
    back_up(&folder, &backup).unwrap();
    bench.store.close().await;
    let backed_up = Standing::of_file(&backup).unwrap();
    let before = backed_up.dump(Vec::new(), &tables(), &mut nothing()).unwrap();
    // Interrupted after the old one was moved.
    fs::write(folder.join("store.sqlite.incoming"), "half").unwrap();
    fs::rename(folder.join("store.sqlite"), folder.join("elsewhere")).unwrap();
    // Its log is another database's now: what is in it must not get into what is restored.
    let killed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/format-1-killed");
    fs::copy(killed.join("store.sqlite-wal"), folder.join("store.sqlite-wal")).unwrap();
    let mut options = Options::new(Place::Folder(folder.clone()), domain());
    options.clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let refused = Store::open(options.clone()).expect_err("nobody knows what is there");
    assert!(matches!(&refused, OpenError::HalfRestored { folder: named } if *named == folder), "{refused}");
    assert!(!folder.join("store.sqlite").exists(), "no new store was made");
    put_back(&backup, &folder, Existing::Refuse).unwrap();
    assert!(dumped(&folder) == before);
    // Interrupted before that, nothing has happened.
    fs::write(folder.join("store.sqlite.copying"), "half").unwrap();
    Store::open(options).unwrap().close().await;
    put_back(&backup, &folder, Existing::KeepAside).unwrap();
    assert!(!folder.join("store.sqlite.copying").exists());
    // One that was killed has all that it holds in its log, and is kept with that.
    for name in ["store.sqlite", "store.sqlite-wal"] {
        fs::copy(killed.join(name), folder.join(name)).unwrap();
    }
    let held = dumped(&folder);
    let Restored { aside: Some(aside) } = put_back(&backup, &folder, Existing::KeepAside).unwrap() else {
        panic!("there was a store");
    };
    assert!(held.len() > 600 && dumped(&aside) == held);
    assert!(records(&dumped(&folder)) == records(&before));
}

/// The lines of a dump but for the first and the last, which tell of the clock.
fn records(dump: &[u8]) -> Vec<&[u8]> {
    let lines: Vec<&[u8]> = dump.split(|byte| *byte == b'\n').collect();
    lines[1..lines.len() - 2].to_vec()
}

#[tokio::test]
async fn what_cannot_be_restored_touches_nothing() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    back_up(&folder, &backup).unwrap();
    bench.store.close().await;
    let before = dumped(&folder);
    let change = |name: &str, sql: &str| {
        let changed = place.path().join(name);
        fs::copy(&backup, &changed).unwrap();
        rusqlite::Connection::open(&changed).unwrap().execute_batch(sql).unwrap();
        put_back(&changed, &folder, Existing::KeepAside).expect_err("it cannot be restored")
    };
    let newer = change("newer", "UPDATE meta SET v = v + 1 WHERE k = 'format'");
    assert!(matches!(newer, UpkeepError::Open(OpenError::NewerFormat { .. })), "{newer}");
    let other = change("other", "UPDATE meta SET v = 'b.example' WHERE k = 'domain'");
    assert!(matches!(other, UpkeepError::Open(OpenError::OtherDomain { .. })), "{other}");
    let damaged = change("damaged", "DELETE FROM body");
    assert!(matches!(damaged, UpkeepError::Damaged { problems: 6, .. }), "{damaged}");
    let foreign = change("foreign", "DROP TABLE meta");
    assert!(matches!(foreign, UpkeepError::Open(OpenError::Damaged { .. })), "{foreign}");
    let text = place.path().join("text");
    fs::write(&text, "no database at all, but long enough to have a header if it were one").unwrap();
    let refused = put_back(&text, &folder, Existing::KeepAside);
    assert!(matches!(refused, Err(UpkeepError::Open(OpenError::Damaged { .. }))), "{refused:?}");
    let missing = put_back(&place.path().join("missing"), &folder, Existing::KeepAside);
    assert!(matches!(missing, Err(UpkeepError::NoStore(_))));
    assert!(dumped(&folder) == before);
    assert!(fs::read_dir(&folder).unwrap().all(|file| !file.unwrap().file_name().to_string_lossy().contains("before")));
}

#[tokio::test]
async fn a_check_names_what_is_wrong() {
    for entries in ["fresh", "log"] {
        let bench = Bench::new(Kind::File);
        furnish(&bench).await;
        bench.store.close().await;
        if entries == "log" {
            crate::fresh::move_all(&folder_of(&bench), &bench.clock).await;
        }
        named_by_a_check(&bench, entries);
    }
}

/// `entries`: the table in which all entries are.
fn named_by_a_check(bench: &Bench, entries: &str) {
    let folder = folder_of(bench);
    assert_eq!(checked(&folder).problems, []);
    let whole = fs::read(folder.join("store.sqlite")).unwrap();
    let wrong = |sql: &str| {
        fs::write(folder.join("store.sqlite"), &whole).unwrap();
        bench.database().unwrap().execute_batch(&sql.replace("entries", entries)).unwrap();
        let problems = checked(&folder).problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let thing = "0000000000000001";
    for (sql, told) in [
        (
            "UPDATE rows SET json = '1' WHERE key = x'000c' AND agg = x'00010000000000000001'",
            vec!["count at", thing, "checksum"],
        ),
        ("UPDATE plain SET expires = 5 WHERE no = 1", vec!["list at", "checksum"]),
        ("UPDATE plain SET agg = x'00110000000000000001' WHERE no = 1", vec!["plain table 17 at", "checksum"]),
        ("UPDATE rows SET key = x'0063' WHERE key = x'000c'", vec!["guarded table 99 at", "checksum"]),
        (
            "UPDATE rows SET agg = x'00020000000000000001' WHERE agg = x'00010000000000000001'",
            vec!["aggregate 2 at", "checksum"],
        ),
        ("DELETE FROM rows WHERE key = x'00'", vec!["thing at", thing, "the aggregate has no head"]),
        ("UPDATE rows SET bin = x'0102' WHERE key = x'00'", vec!["thing at", "checksum"]),
        (
            "UPDATE entries SET tick = tick + 100000000 WHERE pos = (SELECT min(pos) FROM entries)",
            vec!["stream at", "checksum"],
        ),
        ("DELETE FROM body WHERE no = 1", vec!["stream at", "its body is not there"]),
        ("UPDATE body SET bytes = x'00' WHERE no = 2", vec!["body at 2", "checksum"]),
        ("INSERT INTO body(no, bytes, crc) VALUES (9, x'', 0)", vec!["body at 9", "no entry has it"]),
        ("DELETE FROM log_name WHERE no = 1", vec![": 2 entries belong to no log"]),
        ("UPDATE meta SET v = 5 WHERE k = 'clock_ceiling'", vec!["meta at clock_ceiling", "below what was handed out"]),
        ("UPDATE log_name SET name = x'00090000000000000001' WHERE no = 1", vec!["log 9 at", "checksum"]),
    ] {
        let problems = wrong(sql);
        for told in told {
            assert!(problems.contains(told), "{sql}: {told} is not told: {problems}");
        }
    }
    // Pages of SQLite itself: found, named, and nothing panics. The rest is looked at all the same.
    fs::write(folder.join("store.sqlite"), &whole).unwrap();
    let leaf = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' LIMIT 1";
    let page: u32 = bench.database().unwrap().query_row(leaf, [entries], |row| row.get(0)).unwrap();
    let at = (page as usize - 1) * 4096;
    let mut bytes = whole.clone();
    bytes[at..at + 100].fill(0xa5);
    fs::write(folder.join("store.sqlite"), bytes).unwrap();
    let verdict = checked(&folder);
    let told = format!("page {page}");
    let named = |problem: &Problem| problem.table == "database" && problem.what.contains(&told);
    assert!(verdict.problems.iter().any(named), "{verdict:?}");
    assert!(verdict.counts.rows > 12 && verdict.counts.plain == 13, "{verdict:?}");
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[(page * 4096).max(100)..page * 4096 + 2000].fill(0x5a);
        fs::write(folder.join("store.sqlite"), bytes).unwrap();
        let standing = Standing::in_folder(&folder);
        let verdict = standing.map(|standing| standing.check(&tables(), &mut nothing()));
        assert!(!verdict.is_ok_and(|verdict| verdict.is_good()), "page {page}");
    }
    // Everything at once is no more than can be told.
    let everything = "UPDATE rows SET crc = crc + 1; UPDATE plain SET crc = crc + 1; UPDATE entries SET crc = crc + 1";
    assert!(wrong(everything).lines().count() > 30);
}

/// What a newer release of the same format has beside.
const NEWER: Aggregate<u64> = Aggregate::new(97, "newer", Life::Kept);
const NEWER_ROW: Guarded<u64, Json<u64>> = Guarded::new(97, "newer-row", &NEWER, Size::Row);
const NEWER_OF_THING: Guarded<u64, Json<u64>> = Guarded::new(98, "newer-of-thing", &THING, Size::Row);
const NEWER_LIST: Plain<u64, u64, Json<u64>> = Plain::new(99, "newer-list");
const NEWER_LOG: LogKind<u64> = LogKind::new(97, "newer-log", None, Duration::ZERO, Duration::from_secs(1));

/// Who goes back to an older release still has backups and dumps, with all that a newer one wrote.
#[tokio::test]
async fn tables_of_a_newer_release_are_no_damage() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    for aggregate in 0..2 {
        let mut c = Commit::at(NEWER.of(&aggregate));
        c.put(&NEWER_ROW, &1, &Json(1));
        c.put(&NEWER_ROW, &2, &Json(2));
        c.effect_put(&NEWER_LIST, &1, &aggregate, &Json(3));
        c.append(&NEWER_LOG, &1, entry("newer"));
        bench.store.commit(c).await.unwrap();
    }
    bench
        .set(1, |c| {
            c.put(&NEWER_OF_THING, &1, &Json(4));
        })
        .await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    let verdict = checked(&folder);
    assert_eq!(verdict.problems, []);
    let unknown =
        [("aggregate 97", 2), ("guarded table 97", 4), ("guarded table 98", 1), ("log 97", 2), ("plain table 99", 2)];
    let unknown: Vec<_> = unknown.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect();
    assert_eq!(verdict.unknown.clone().into_iter().collect::<Vec<_>>(), unknown);
    assert_eq!(verdict.unknown_rows(), 11);
    // All of it is backed up, restored, dumped and loaded.
    let place = tempfile::tempdir().unwrap();
    let (backup, restored, moved) = {
        let at = |name| place.path().join(name);
        (at("backup"), at("restored"), at("moved"))
    };
    assert_eq!(back_up(&folder, &backup).unwrap().unknown, verdict.unknown);
    put_back(&backup, &restored, Existing::Refuse).unwrap();
    let dump = dumped(&folder);
    loaded(&dump, &moved).unwrap();
    assert!(dumped(&moved) == dump);
    for folder in [restored, moved] {
        assert_eq!(checked(&folder).unknown, verdict.unknown);
        let store = open_at(&folder, &bench.clock);
        let view = store.view(NEWER.of(&1)).await.unwrap();
        assert_eq!(view.get(&NEWER_ROW, &2).await.unwrap().unwrap().value.0, 2);
        assert_eq!(store.log(&NEWER_LOG, &1).read_after(None, 9).await.unwrap().entries.len(), 2);
        store.close().await;
        // It is looked at for damage like any other.
        let damaged = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
        damaged.execute_batch("UPDATE rows SET json = '7' WHERE substr(key, 1, 2) = x'0062'").unwrap();
        let problems = checked(&folder).problems;
        assert!(matches!(&problems[..], [one] if one.table == "guarded table 98"), "{problems:?}");
    }
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
