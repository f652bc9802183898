//! The disk fails at one step of a commit.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use rusqlite::{Connection, Error, ffi};
use store::{
    Commit, CommitError, CommitId, Json, NewBody, NewEntry, Options, Place, Store,
    faults::{Faults, Point},
    limits,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::ledger::{self, COUNT, OWED, THING};

const UNAVAILABLE: CommitError = CommitError::Unavailable { retry_after: limits::RETRY_AFTER };

fn open(folder: &Path, at: impl Fn(Point, &Connection) -> Result<(), Error> + Send + Sync + 'static) -> Store {
    let mut options = Options::new(Place::Folder(folder.to_owned()), "a.example".parse().unwrap());
    options.faults = Faults::new(at);
    Store::open(options).unwrap()
}

fn broken() -> Result<(), Error> {
    Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None))
}

/// One on each of some aggregates, and one without: with luck they are of one group.
fn commits(round: u64) -> Vec<Commit> {
    let entry = || NewEntry { meta: Bytes::from(round.to_string()), ..NewEntry::default() };
    let mut commits: Vec<_> = (0..6_u64)
        .map(|thing| {
            let mut commit = Commit::at(THING.of(&thing)).id(CommitId(Uuid::from_u64_pair(round, thing)));
            commit.put(&COUNT, &(), &Json(round));
            commit.append(&OWED, &thing, entry());
            commit
        })
        .collect();
    let mut free = Commit::free();
    free.append(&OWED, &6, entry());
    commits.push(free);
    commits
}

async fn all(store: &Store, commits: Vec<Commit>) -> Vec<Result<store::Committed, CommitError>> {
    let mut tasks = tokio::task::JoinSet::new();
    for commit in commits {
        let store = store.clone();
        tasks.spawn(async move { store.commit(commit).await });
    }
    tasks.join_all().await
}

async fn rounds_there(store: &Store) -> Vec<Vec<String>> {
    let mut there = Vec::new();
    for thing in 0..7 {
        let entries = store.log(&OWED, &thing).read_after(None, 1000).await.unwrap().entries;
        there.push(entries.iter().map(|(_, entry)| String::from_utf8(entry.meta.to_vec()).unwrap()).collect());
    }
    there
}

/// Whatever `COMMIT` says, the answer is what happened: the store looks, for commits without an aggregate as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_commit_is_decided() {
    const NOTHING: u8 = 0;
    const NOT_DONE: u8 = 1;
    const DONE: u8 = 2;
    const NOT_TO_BE_SEEN: u8 = 3;
    let folder = TempDir::new().unwrap();
    let mode = Arc::new(AtomicU8::new(NOTHING));
    let store = open(folder.path(), {
        let mode = Arc::clone(&mode);
        move |point, _| match (mode.load(Ordering::SeqCst), point) {
            (NOT_DONE, Point::Committing) | (DONE, Point::Committed) => broken(),
            (NOT_TO_BE_SEEN, Point::Committed | Point::Fencing) => broken(),
            _ => Ok(()),
        }
    });
    for done in all(&store, commits(1)).await {
        done.unwrap();
    }
    let before = rounds_there(&store).await;

    mode.store(NOT_DONE, Ordering::SeqCst);
    for done in all(&store, commits(2)).await {
        assert_eq!(done, Err(UNAVAILABLE), "a definite no");
    }
    assert_eq!(rounds_there(&store).await, before);

    mode.store(DONE, Ordering::SeqCst);
    for done in all(&store, commits(3)).await {
        let done = done.unwrap();
        let appended = &done.appended[0];
        let log = store.log(&OWED, &appended.log.id::<u64>().unwrap());
        assert_eq!(log.newest().await.unwrap(), Some(appended.id), "it is there under the id that was told");
        assert_eq!(log.get(appended.id).await.unwrap().unwrap().meta, "3");
    }

    mode.store(NOT_TO_BE_SEEN, Ordering::SeqCst);
    for done in all(&store, commits(4)).await {
        assert!(matches!(done, Err(CommitError::OutcomeUnknown { .. })), "{done:?}");
    }
    mode.store(NOTHING, Ordering::SeqCst);
    let mut again = commits(4);
    again.pop();
    for done in all(&store, again).await {
        assert_eq!(done.unwrap().appended.len(), 1, "sent again it is known");
    }
    let wanted = |rounds: &[&str]| rounds.iter().map(|round| (*round).to_owned()).collect::<Vec<_>>();
    for there in &rounds_there(&store).await {
        assert_eq!(*there, wanted(&["1", "3", "4"]), "each once");
    }
    drop(store);
    let (store, _) = ledger::open_free(folder.path(), 0);
    for there in &rounds_there(&store).await {
        assert_eq!(*there, wanted(&["1", "3", "4"]));
    }
}

/// A limit of pages is a disk that is full where nothing can be mounted. What fits beside what does not is done.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_pages_and_more_again() {
    let folder = TempDir::new().unwrap();
    let limit = Arc::new(AtomicU32::new(u32::MAX));
    let store = open(folder.path(), {
        let limit = Arc::clone(&limit);
        move |point, conn| {
            if point == Point::Begun {
                let pages: u32 = conn.pragma_query_value(None, "page_count", |row| row.get(0))?;
                let most = limit.load(Ordering::SeqCst);
                conn.pragma_update(None, "max_page_count", pages.saturating_add(most).min(0xffff_fffe))?;
            }
            Ok(())
        }
    });
    let large = |thing: u64| {
        let mut commit = Commit::at(THING.of(&thing));
        commit.put(&COUNT, &(), &Json(1));
        for log in 0..40 {
            let body = NewBody::Inline(Bytes::from(vec![9; 50_000]));
            commit.append(&OWED, &(5000 + log), NewEntry { body, ..NewEntry::default() });
        }
        commit
    };
    let mut acknowledged = 0;
    for round in 0..10 {
        // Each group has so many pages more than there are now: enough for some small ones, not for a large one.
        limit.store(60, Ordering::SeqCst);
        let small = (1..=5_u64).map(|thing| {
            let mut commit = Commit::at(THING.of(&(round * 10 + thing)));
            commit.put(&COUNT, &(), &Json(round));
            commit
        });
        let mut tasks = small.collect::<Vec<_>>();
        tasks.insert(2, large(7777));
        let answers = all(&store, tasks).await;
        let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused, [UNAVAILABLE], "the guilty one alone");
        acknowledged += 5;
        // And none at all for what needs a new page.
        limit.store(0, Ordering::SeqCst);
        assert_eq!(store.commit(large(7777)).await, Err(UNAVAILABLE));
        assert_eq!(store.view(THING.of(&7777)).await.unwrap().version(), store::Version::NEVER);
        limit.store(u32::MAX, Ordering::SeqCst);
        store.commit(large(9000 + round)).await.unwrap();
    }
    drop(store);
    let (store, _) = ledger::open_free(folder.path(), 0);
    let mut there = 0;
    for thing in 0..100 {
        there += usize::from(store.view(THING.of(&thing)).await.unwrap().get(&COUNT, &()).await.unwrap().is_some());
    }
    assert_eq!(there, acknowledged);
}

/// Entries that cannot be moved stay where they came, and are moved when that is possible again.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_moved_is_there() {
    const FRESH: usize = 20;
    let folder = TempDir::new().unwrap();
    let (failing, moved) = (Arc::new(AtomicU8::new(1)), Arc::new(AtomicU32::new(0)));
    let mut options = Options::new(Place::Folder(folder.path().to_owned()), "a.example".parse().unwrap());
    options.fresh = FRESH;
    options.faults = Faults::new({
        let (failing, moved) = (Arc::clone(&failing), Arc::clone(&moved));
        move |point, _| match point {
            Point::Merged if failing.load(Ordering::SeqCst) == 1 => broken(),
            Point::Merged => {
                moved.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
            _ => Ok(()),
        }
    });
    let store = Store::open(options).unwrap();
    let places = || {
        let database = Connection::open(folder.path().join("store.sqlite")).unwrap();
        let count = |table: &str| {
            database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        (count("log"), count("fresh"))
    };
    let mut rounds = 0..12_u64;
    for round in rounds.by_ref().take(8) {
        for done in all(&store, commits(round)).await {
            done.unwrap();
        }
        store.housekeep(std::time::Duration::from_secs(10)).await;
        assert_eq!(places(), (0, 7 * (round as i64 + 1)));
    }
    failing.store(0, Ordering::SeqCst);
    for round in rounds {
        for done in all(&store, commits(round)).await {
            done.unwrap();
        }
    }
    store.housekeep(std::time::Duration::from_secs(10)).await;
    let (older, newer) = places();
    assert!(moved.load(Ordering::SeqCst) > 0 && newer <= FRESH as i64 && older + newer == 12 * 7, "{older} {newer}");
    let wanted: Vec<_> = (0..12).map(|round| round.to_string()).collect();
    for there in rounds_there(&store).await {
        assert_eq!(there, wanted);
    }
}
