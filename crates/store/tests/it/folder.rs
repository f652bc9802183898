//! What concerns a data folder: who may open it, and what damage does.

use std::{path::Path, process::Command, sync::Arc};

use bytes::Bytes;
use store::{
    Commit, Json, NewBody, NewEntry, OpenError, Options, Place, ReadError, Store,
    upkeep::{Existing, Standing, UpkeepError, restore},
};
use types::SeededRng;

use crate::{
    bench::{Bench, COUNT, ITEM, Kind, LIST, OWED, THING, domain, entry, free},
    upkeep::tables,
};

/// Opens a folder that is free, or will be: a process that another test starts has copies of the locks of this one until
/// it has become another program.
fn open(folder: &Path, domain: types::Domain) -> Result<Store, OpenError> {
    free(|| open_once(folder, domain.clone()))
}

fn open_once(folder: &Path, domain: types::Domain) -> Result<Store, OpenError> {
    let mut options = Options::new(Place::Folder(folder.to_owned()), domain);
    options.rng = Arc::new(SeededRng::new(7));
    Store::open(options)
}

fn change(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("store.sqlite")).unwrap().execute_batch(sql).unwrap();
}

#[tokio::test]
async fn second_process_is_refused() {
    const FOLDER: &str = "FERRULE_TEST_LOCKED_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        // The second process.
        let refused = open_once(Path::new(&folder), domain()).expect_err("the first process has it");
        let OpenError::InUse { folder: named } = &refused else { panic!("{refused}") };
        assert_eq!(named, Path::new(&folder));
        assert!(refused.to_string().contains(&*folder.to_string_lossy()));
        return;
    }
    let bench = Bench::new(Kind::File);
    let folder = bench.folder.as_ref().unwrap().path();
    let second = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "folder::second_process_is_refused"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stdout);
    assert!(second.status.success() && said.contains("1 passed"), "{said}");
    assert!(matches!(open_once(folder, domain()), Err(OpenError::InUse { .. })), "nor a second store of this process");
    bench
        .set(1, |c| {
            c.put(&COUNT, &(), &Json(1));
        })
        .await;
    bench.store.close().await;
    let again = open(folder, domain()).expect("closed is free, though handles are left");
    assert_eq!(again.peek(THING.of(&1)).get(&COUNT, &()).await.unwrap().unwrap().value.0, 1);
}

#[cfg(unix)]
#[tokio::test]
async fn what_it_makes_is_for_its_owner_alone() {
    use std::{fs, os::unix::fs::PermissionsExt};

    let outer = tempfile::tempdir().unwrap();
    let open_to_all = outer.path().join("there before");
    fs::create_dir(&open_to_all).unwrap();
    fs::set_permissions(&open_to_all, fs::Permissions::from_mode(0o755)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [open_to_all, outer.path().join("made")] {
        let store = open(&folder, domain()).unwrap();
        let mut commit = Commit::at(THING.of(&1));
        commit.put(&COUNT, &(), &Json(1));
        store.commit(commit).await.unwrap();
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.iter().any(|file| file.to_string_lossy().ends_with("-wal")), "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
        store.close().await;
    }
    assert_eq!(mode(&outer.path().join("made")), 0o700);
}

#[tokio::test]
async fn refuses_other_domain() {
    let bench = Bench::new(Kind::File);
    bench.store.close().await;
    let folder = bench.folder.as_ref().unwrap().path();
    let refused = open(folder, "b.example".parse().unwrap()).expect_err("it belongs to a.example");
    assert!(
        matches!(&refused, OpenError::OtherDomain { stored, asked } if stored == "a.example" && asked.as_str() == "b.example")
    );
    assert!(open(folder, domain()).is_ok(), "refusing changed nothing");
}

#[tokio::test]
async fn refuses_newer_format() {
    let bench = Bench::new(Kind::File);
    bench.store.close().await;
    let folder = bench.folder.as_ref().unwrap().path();
    change(folder, "UPDATE meta SET v = v + 1 WHERE k = 'format'");
    let refused = open(folder, "b.example".parse().unwrap()).expect_err("it is newer, whatever else it is");
    assert!(matches!(refused, OpenError::NewerFormat { found, known } if found == known + 1));
    change(folder, "UPDATE meta SET v = v - 1 WHERE k = 'format'");
    assert!(open(folder, domain()).is_ok());
}

#[tokio::test]
async fn refuses_what_is_no_store() {
    for content in [&b"SQLite format 3\0 but not really, and so on and so on"[..], &[0xff; 5000]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("store.sqlite"), content).unwrap();
        assert!(matches!(open(folder.path(), domain()), Err(OpenError::Damaged { .. })));
        assert_eq!(std::fs::read(folder.path().join("store.sqlite")).unwrap(), content);
    }
    let folder = tempfile::tempdir().unwrap();
    change(folder.path(), "CREATE TABLE foreign_table(x)");
    let refused = open(folder.path(), domain()).expect_err("another program's");
    assert!(matches!(&refused, OpenError::Damaged { reason, .. } if reason.contains("meta")), "{refused}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(matches!(open(&file, domain()), Err(OpenError::Io { .. })));
}

/// Turns one bit of the file, at a mark that occurs once.
fn turn_bit(folder: &Path, mark: &str) {
    let file = folder.join("store.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    let at: Vec<_> =
        bytes.windows(mark.len()).enumerate().filter(|(_, w)| *w == mark.as_bytes()).map(|(at, _)| at).collect();
    assert_eq!(at.len(), 1, "{mark}");
    bytes[at[0] + 2] ^= 4;
    std::fs::write(&file, bytes).unwrap();
}

#[tokio::test]
async fn corrupt_is_named() {
    let bench = Bench::new(Kind::File);
    let marked = |mark: &str| ("key".to_owned(), mark.len() as u16);
    bench
        .set(1, |c| {
            c.put(&ITEM, &marked("before"), &"fine".to_owned());
            c.put(&ITEM, &marked("guarded"), &"MARK-GUARDED".to_owned());
            c.put(&ITEM, &marked("behind it"), &"fine".to_owned());
            c.effect_put(&LIST, &1, &1, &"fine".to_owned());
            c.effect_put(&LIST, &1, &2, &"MARK-PLAIN".to_owned());
        })
        .await;
    let mut c = Commit::free();
    let body = c.body(Bytes::from_static(b"MARK-BODY"));
    c.append(&OWED, &1, entry("fine"));
    c.append(&OWED, &1, entry("MARK-ENTRY"));
    c.append(&OWED, &1, NewEntry { body: NewBody::Shared(body), ..entry("shares") });
    c.append(&OWED, &2, entry("fine"));
    let appended = bench.store.commit(c).await.unwrap().appended;
    let Bench { store, folder, .. } = bench;
    store.close().await;
    let folder = folder.unwrap();
    for mark in ["MARK-GUARDED", "MARK-PLAIN", "MARK-BODY", "MARK-ENTRY"] {
        turn_bit(folder.path(), mark);
    }
    let store = open(folder.path(), domain()).unwrap();
    let rows = store.view(THING.of(&1)).await.unwrap();
    let get = async |mark: &str| rows.get(&ITEM, &marked(mark)).await.map(|row| row.map(|row| row.value));
    assert_eq!(get("before").await, Ok(Some("fine".to_owned())));
    assert_eq!(get("behind it").await, Ok(Some("fine".to_owned())));
    let Err(ReadError::Corrupt { table: "item", key }) = get("guarded").await else { panic!("the damage is seen") };
    assert!(key.contains(&hex("key")), "{key}");
    // A range delivers what comes before the damage, then names it.
    let Err(ReadError::Corrupt { table: "item", key: again }) = rows.all(&ITEM).await else { panic!("it is in there") };
    assert_eq!(again, key);
    let page = rows.range(&ITEM, .., store::Dir::Reverse, 10, None).await.unwrap();
    assert_eq!((page.rows.len(), page.next.is_some()), (1, true));
    let plain = store.plain(&LIST, &1);
    assert!(plain.get(&1).await.unwrap().is_some());
    assert!(matches!(plain.get(&2).await, Err(ReadError::Corrupt { table: "list", .. })));
    let log = store.log(&OWED, &1);
    for (at, wanted) in [(0, true), (1, false), (2, false)] {
        match log.get(appended[at].id).await {
            Ok(found) => assert!(wanted && found.is_some(), "{at}"),
            Err(ReadError::Corrupt { table: "owed", key }) => {
                assert!(!wanted && key.contains(&appended[at].id.to_string()), "{key}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(log.read_after(None, 10).await.unwrap().entries.len(), 1);
    assert!(store.log(&OWED, &2).get(appended[3].id).await.unwrap().is_some());
    // An expectation that has to read the row says so too; writing over it mends it.
    let mut c = Commit::on(&rows);
    c.expect_absent(&ITEM, &marked("guarded"));
    assert!(matches!(store.commit(c).await, Err(store::CommitError::Corrupt { table: "item", .. })));
    let mut c = Commit::on(&rows);
    c.put(&ITEM, &marked("guarded"), &"mended".to_owned());
    store.commit(c).await.unwrap();
    assert_eq!(get("guarded").await, Ok(Some("mended".to_owned())));
    store.close().await;
    // Damage to SQLite's own pages is an error as well, not a panic.
    let file = folder.path().join("store.sqlite");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..100].fill(0xa5);
    }
    std::fs::write(&file, bytes).unwrap();
    match open(folder.path(), domain()) {
        Err(OpenError::Damaged { .. }) => {}
        Err(error) => panic!("{error}"),
        Ok(store) => assert!(matches!(store.view(THING.of(&1)).await, Err(ReadError::Corrupt { table: "thing", .. }))),
    }
}

/// Commits, each on an aggregate of its own, and a process that ends without closing the store.
fn committed_and_killed(folder: &Path, commits: u64) {
    const FOLDER: &str = "FERRULE_TEST_COMMITTED_FOLDER";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let store = open(Path::new(&folder), domain()).unwrap();
            for id in 0..commits {
                let mut commit = Commit::at(THING.of(&id));
                commit.put(&COUNT, &(), &Json(id));
                commit.append(&OWED, &1, entry(id.to_string()));
                store.commit(commit).await.unwrap();
            }
            std::process::abort();
        });
    }
    let killed = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "folder::commits_that_are_lost_are_told", "--nocapture"])
        .env(FOLDER, folder)
        .output()
        .unwrap();
    assert!(!killed.status.success());
}

/// The log of SQLite ends early, or is gone: it says nothing, the counter beside it does.
#[tokio::test]
async fn commits_that_are_lost_are_told() {
    const COMMITS: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (log, counter) = (folder.join("store.sqlite-wal"), folder.join("commits"));
    tokio::task::spawn_blocking({
        let folder = folder.to_owned();
        move || committed_and_killed(&folder, COMMITS)
    })
    .await
    .unwrap();
    let whole = std::fs::read(&log).unwrap();
    let database = std::fs::read(folder.join("store.sqlite")).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle] ^= 1;
    let place = tempfile::tempdir().unwrap();
    let good = place.path().join("good");
    Standing::in_folder(folder).unwrap().backup(&good, &tables(), &mut |_, _| (), &mut |_, _| ()).unwrap();
    for (n, wrong) in [&whole[..whole.len() - 1], &damaged, &whole[..middle]].into_iter().enumerate() {
        std::fs::write(&log, wrong).unwrap();
        // A restore in its place keeps it as it is, the rest of its log too.
        let replaced = place.path().join(n.to_string());
        std::fs::create_dir(&replaced).unwrap();
        for file in ["store.sqlite", "store.sqlite-wal", "commits"] {
            std::fs::copy(folder.join(file), replaced.join(file)).unwrap();
        }
        let (now, keep) = (types::Timestamp::from_seconds(1_900_000_000), Existing::KeepAside);
        let restored = restore(&good, &replaced, &domain(), &tables(), keep, now, &mut |_, _| ()).unwrap();
        let aside = restored.aside.unwrap();
        assert_eq!(std::fs::read(aside.join("store.sqlite-wal")).unwrap(), wrong);
        assert!(aside.join("commits").exists() && open(&replaced, domain()).is_ok());
        let refused = open(folder, domain()).expect_err("commits are missing");
        let OpenError::LostCommits { found, counted: COMMITS, .. } = refused else { panic!("{refused}") };
        assert!(found < COMMITS);
        let said = refused.to_string();
        assert!(said.contains(&format!("its last {} commits", COMMITS - found)), "{said}");
        assert!(said.contains("store.sqlite-wal") && said.contains(&counter.display().to_string()), "{said}");
        // A backup or a dump of it would not say that they are missing.
        let backup = folder.join("backup");
        let standing = || Standing::in_folder(folder).unwrap();
        let refused = standing().backup(&backup, &tables(), &mut |_, _| (), &mut |_, _| ()).unwrap_err();
        assert!(matches!(refused, UpkeepError::Open(OpenError::LostCommits { counted: COMMITS, .. })), "{refused}");
        let refused = standing().dump(Vec::new(), &tables(), &mut |_, _| ()).unwrap_err();
        assert!(matches!(refused, UpkeepError::Open(OpenError::LostCommits { counted: COMMITS, .. })), "{refused}");
        assert!(!backup.exists());
        assert_eq!(std::fs::read(&log).unwrap(), wrong, "what is left is left");
        assert_eq!(std::fs::read(folder.join("store.sqlite")).unwrap(), database);
    }
    // With the log put back all is well.
    std::fs::write(&log, &whole).unwrap();
    let store = open(folder, domain()).unwrap();
    assert_eq!(store.log(&OWED, &1).read_after(None, 1000).await.unwrap().entries.len() as u64, COMMITS);
    let newest = store.log(&OWED, &1).newest().await.unwrap();
    store.close().await;
    let counted = std::fs::read_to_string(&counter).unwrap();
    assert!(counted.contains(&format!(" {COMMITS:020} ")), "{counted}");

    // Whoever goes on without them removes the counter. Readers that saw more are told that they lost something.
    std::fs::write(&counter, counted.replace(&format!("{COMMITS:020}"), &format!("{:020}", COMMITS + 5))).unwrap();
    drop(open(folder, domain()).expect("a counter that nobody can read counts for nothing"));
    change(
        folder,
        &format!("DELETE FROM fresh WHERE tick > {}; UPDATE meta SET v = 10 WHERE k = 'commits'", {
            let conn = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
            conn.query_row("SELECT tick FROM fresh ORDER BY pos LIMIT 1 OFFSET 9", [], |row| row.get::<_, i64>(0))
                .unwrap()
        }),
    );
    assert!(matches!(open(folder, domain()), Err(OpenError::LostCommits { found: 10, counted: COMMITS, .. })));
    std::fs::remove_file(&counter).unwrap();
    let store = open(folder, domain()).unwrap();
    let log = store.log(&OWED, &1);
    assert!(log.read_after(newest, 1000).await.unwrap().lost, "a cursor behind all that is left");
    assert!(!log.read_after(log.newest().await.unwrap(), 1000).await.unwrap().lost);
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

/// What was acknowledged is there after the store was only dropped, with all commits of all writers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropping_loses_nothing_acknowledged() {
    let mut bench = Bench::new(Kind::File);
    let mut acknowledged = 0;
    for round in 0..5_u64 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8_u64 {
            let store = bench.store.clone();
            writers.spawn(async move {
                let mut done = 0;
                for n in 0..10 {
                    let mut c = Commit::free();
                    c.append(&OWED, &1, entry(format!("{round} {writer} {n}")));
                    done += usize::from(store.commit(c).await.is_ok());
                }
                done
            });
        }
        acknowledged += writers.join_all().await.into_iter().sum::<usize>();
        bench = bench.reopened();
        assert_eq!(bench.texts(&bench.owed(1)).await.len(), acknowledged);
    }
}
