//! What an answer to a commit means.

use std::time::Duration;

use bytes::Bytes;
use store::{
    Commit, CommitError, CommitId, Guarded, Json, NewBody, NewEntry, ReadError, Reason, Size, UpdateError, limits,
};
use uuid::Uuid;

use crate::bench::{BYTES, Bench, COUNT, ITEM, Kind, LARGE, LIST, OWED, THING, begin_and_leave, entry, eventually};

/// A commit that leaves traces everywhere.
fn traces(mut commit: Commit) -> Commit {
    commit.put(&ITEM, &("trace".to_owned(), 1), &"x".to_owned());
    commit.put(&LARGE, &1, &Bytes::from(vec![1; 100_000]));
    commit.delete(&COUNT, &());
    commit.effect_put(&LIST, &1, &1, &"x".to_owned());
    commit.effect_delete(&LIST, &1, &2);
    commit.append(&OWED, &1, entry("x"));
    commit
}

async fn prepared(bench: &Bench) {
    bench
        .set(1, |c| {
            c.put(&COUNT, &(), &Json(1));
            c.effect_put(&LIST, &1, &2, &"stays".to_owned());
        })
        .await;
}

async fn untouched(bench: &Bench, version: store::Version) {
    let view = bench.view(1).await;
    assert_eq!(view.version(), version);
    assert_eq!(view.get(&ITEM, &("trace".to_owned(), 1)).await.unwrap(), None);
    assert_eq!(view.get(&LARGE, &1).await.unwrap(), None);
    assert_eq!(bench.count(1).await, Some(1));
    assert_eq!(bench.listed(1, 1).await, None);
    assert_eq!(bench.listed(1, 2).await.as_deref(), Some("stays"));
    assert_eq!(bench.owed(1).newest().await.unwrap(), None);
}

pub async fn conflict_changes_nothing(bench: Bench) {
    let stale = bench.view(1).await;
    prepared(&bench).await;
    let version = bench.view(1).await.version();
    assert_eq!(bench.store.commit(traces(Commit::on(&stale))).await, Err(CommitError::Conflict));
    let mut at = Commit::at(THING.of(&1));
    at.expect_absent(&COUNT, &());
    assert_eq!(bench.store.commit(traces(at)).await, Err(CommitError::Conflict));
    untouched(&bench, version).await;
    drop(stale);
    bench.store.housekeep(Duration::from_secs(60)).await;
    untouched(&bench.reopened(), version).await;
}

pub async fn unavailable_changes_nothing(bench: Bench) {
    prepared(&bench).await;
    let version = bench.view(1).await.version();
    let unavailable = Err(CommitError::Unavailable { retry_after: limits::RETRY_AFTER });
    let hurried = bench.store.with_deadline(Duration::ZERO);
    assert_eq!(hurried.commit(traces(Commit::at(THING.of(&1)))).await, unavailable);
    untouched(&bench, version).await;
    if let Some(foreign) = bench.database() {
        // A shell holds the database for writing.
        foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
        let commits = [1, 2].map(|_| bench.store.commit(traces(Commit::at(THING.of(&1)))));
        let [a, b] = commits;
        let (a, b) = tokio::join!(a, b);
        assert_eq!((a, b), (unavailable.clone(), unavailable.clone()));
        foreign.execute_batch("ROLLBACK").unwrap();
        untouched(&bench, version).await;
        // A commit that fails in the middle, as with a full disk, is rolled back, and the others of its group go on.
        foreign
            .execute_batch(
                "CREATE TRIGGER full BEFORE INSERT ON fresh WHEN NEW.meta = CAST('guilty' AS BLOB)
                 BEGIN SELECT RAISE(ABORT, 'as if the disk were full'); END",
            )
            .unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..20 {
            let store = bench.store.clone();
            tasks.spawn(async move {
                let mut c = Commit::at(THING.of(&(100 + n)));
                c.put(&COUNT, &(), &Json(n));
                c.append(&OWED, &(100 + n), entry(if n == 7 { "guilty" } else { "innocent" }));
                (n, store.commit(c).await.is_ok())
            });
        }
        for (n, done) in tasks.join_all().await {
            assert_eq!(done, n != 7, "{n}");
            assert_eq!(bench.count(100 + n).await, done.then_some(n));
        }
        foreign.execute_batch("DROP TRIGGER full").unwrap();
    }
    drop(hurried);
    let bench = bench.reopened();
    untouched(&bench, version).await;
    bench.store.close().await;
    assert_eq!(bench.store.commit(traces(Commit::at(THING.of(&1)))).await, unavailable);
    let read = bench.store.view(THING.of(&1)).await.err();
    assert_eq!(read, Some(ReadError::Unavailable { retry_after: limits::RETRY_AFTER }));
}

pub async fn repeat_of_commit_id_is_done_once(bench: Bench) {
    let view = bench.view(1).await;
    let commit = || {
        let mut c = Commit::on(&view).id(CommitId(Uuid::from_u128(42)));
        c.put(&COUNT, &(), &Json(42));
        c.effect_put(&LIST, &1, &1, &"42".to_owned());
        c.append(&OWED, &1, entry("42"));
        c.append(&OWED, &2, entry("42"));
        c
    };
    let first = bench.sure(commit).await;
    assert!(!first.repeated);
    for others in 0..limits::RECENT as u64 {
        let again = bench.sure(commit).await;
        assert!(again.repeated);
        assert_eq!(again.version, first.version);
        let keys = |done: &store::Committed| done.appended.iter().map(|a| a.entry.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&again), keys(&first));
        assert_eq!(bench.texts(&bench.owed(1)).await, ["42"]);
        assert_eq!(bench.count(1).await, Some(if others == 0 { 42 } else { others }));
        bench
            .set(1, |c| {
                c.put(&COUNT, &(), &Json(others + 1));
            })
            .await;
    }
    let view = bench.view(1).await;
    assert_eq!(bench.store.commit(commit()).await, Err(CommitError::Conflict), "eight commits later it is forgotten");
    assert_eq!(bench.view(1).await.version(), view.version());
}

/// A caller that goes away does not know what became of its commit; neither does one that a loose store tells so, nor one
/// whose database was held by somebody else past the deadline, or failed at the very end.
pub async fn unknown_is_resolved(bench: Bench) {
    let bench = bench.looser(|loose| loose.unknowns(400));
    for n in 1..=20_u64 {
        let commit = || {
            let mut c = Commit::at(THING.of(&1)).id(CommitId(Uuid::from_u128(u128::from(n))));
            c.put(&COUNT, &(), &Json(n));
            c.append(&OWED, &1, entry(n.to_string()));
            c
        };
        begin_and_leave(bench.store.commit(commit())).await;
        let mut tries = 0;
        while let Err(error) = bench.store.commit(commit()).await {
            assert_eq!(error, CommitError::OutcomeUnknown { id: CommitId(Uuid::from_u128(u128::from(n))) });
            tries += 1;
            assert!(tries < 50 && bench.kind == Kind::Loose);
        }
        assert_eq!(bench.count(1).await, Some(n));
        // Also when the store itself sends it again.
        bumped(&bench, n).await;
    }
    let wanted: Vec<_> = (1..=20).map(|n: u64| n.to_string()).collect();
    assert_eq!(bench.texts(&bench.owed(1)).await, wanted);
    if let Some(foreign) = bench.database() {
        held_past_the_deadline(&bench, &foreign).await;
        failing_at_the_end(&bench, &foreign).await;
    }
}

/// Counts up to `n`, by updates that count up by one each.
async fn bumped(bench: &Bench, n: u64) {
    for _ in 0..50 {
        let bump = bench.store.update(THING.of(&2), |view| async move {
            let before = view.get(&COUNT, &()).await?.map_or(0, |row| row.value.0);
            let mut c = Commit::on(&view);
            c.put(&COUNT, &(), &Json(before + 1));
            Ok::<_, ReadError>((c, ()))
        });
        match bump.await {
            Ok(()) => return assert_eq!(bench.count(2).await, Some(n), "once, however often it was sent"),
            // Unknown several times in a row. Nobody else writes here, so looking tells.
            Err(UpdateError::Commit(CommitError::OutcomeUnknown { .. })) if bench.kind == Kind::Loose => {
                if bench.count(2).await == Some(n) {
                    return;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("not fifty times in a row");
}

async fn held_past_the_deadline(bench: &Bench, foreign: &rusqlite::Connection) {
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let commit = || {
        let mut c = Commit::at(THING.of(&3)).id(CommitId(Uuid::from_u128(99)));
        c.put(&COUNT, &(), &Json(3));
        c.append(&OWED, &3, entry("once"));
        c
    };
    let hurried = bench.store.with_deadline(Duration::from_millis(50));
    let late = hurried.commit(commit()).await;
    assert_eq!(late, Err(CommitError::OutcomeUnknown { id: CommitId(Uuid::from_u128(99)) }));
    foreign.execute_batch("ROLLBACK").unwrap();
    bench.store.commit(commit()).await.unwrap();
    assert_eq!(bench.texts(&bench.owed(3)).await, ["once"]);
}

/// A deferred constraint fails when `COMMIT` itself runs, as a failing disk would.
async fn failing_at_the_end(bench: &Bench, foreign: &rusqlite::Connection) {
    foreign
        .execute_batch(
            "CREATE TABLE parent(x INTEGER PRIMARY KEY);
             CREATE TABLE child(x REFERENCES parent(x) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER guilty AFTER INSERT ON fresh WHEN NEW.meta = CAST('guilty' AS BLOB)
             BEGIN INSERT INTO child VALUES (1); END",
        )
        .unwrap();
    let version = bench.view(4).await.version();
    let mut c = Commit::at(THING.of(&4));
    c.put(&COUNT, &(), &Json(4));
    c.append(&OWED, &4, entry("guilty"));
    let refused = bench.store.commit(c).await;
    assert_eq!(refused, Err(CommitError::Unavailable { retry_after: limits::RETRY_AFTER }), "a definite no");
    assert_eq!(bench.view(4).await.version(), version);
    let mut free = Commit::free();
    free.append(&OWED, &4, entry("guilty"));
    let refused = bench.store.commit(free).await;
    assert_eq!(refused, Err(CommitError::Unavailable { retry_after: limits::RETRY_AFTER }), "without an aggregate too");
    foreign.execute_batch("DROP TRIGGER guilty").unwrap();
    bench
        .set(4, |c| {
            c.put(&COUNT, &(), &Json(5));
        })
        .await;
    assert_eq!(bench.owed(4).newest().await.unwrap(), None);
}

/// A property of our own: a commit that makes no sense is refused before it costs anything.
pub async fn mistakes_are_refused(bench: Bench) {
    const OTHER: store::Aggregate<u64> = store::Aggregate::new(2, "other", store::Life::Kept);
    const FOREIGN: Guarded<(), Json<u64>> = Guarded::new(90, "foreign", &OTHER, Size::Row);
    let key = ("a".to_owned(), 1);
    let refused = async |reason, compose: &dyn Fn(&mut Commit), mut commit: Commit| {
        compose(&mut commit);
        assert_eq!(bench.store.commit(commit).await, Err(CommitError::Refused(reason)));
    };
    let on = || Commit::at(THING.of(&1));
    refused(
        Reason::ForeignTable("foreign"),
        &|c| {
            c.put(&FOREIGN, &(), &Json(1));
        },
        on(),
    )
    .await;
    refused(Reason::ForeignTable("foreign"), &|c| c.expect_absent(&FOREIGN, &()), on()).await;
    refused(Reason::NoAggregate("item"), &|c| c.delete(&ITEM, &key), Commit::free()).await;
    let both = |c: &mut Commit| {
        c.put(&ITEM, &key, &"x".to_owned());
        c.delete(&ITEM, &key);
    };
    refused(Reason::PutAndDelete("item"), &both, on()).await;
    let both = |c: &mut Commit| {
        c.effect_delete(&LIST, &1, &1);
        c.effect_put(&LIST, &1, &1, &"x".to_owned()).expires(types::Timestamp::EPOCH);
    };
    refused(Reason::PutAndDelete("list"), &both, on()).await;
    let mut elsewhere = Commit::free();
    let body = elsewhere.body(Bytes::from_static(b"elsewhere"));
    let foreign = |c: &mut Commit| {
        c.append(&OWED, &1, NewEntry { body: NewBody::Shared(body), ..entry("x") });
    };
    refused(Reason::ForeignBody, &foreign, on()).await;
    let read = bench.view(1).await.get(&FOREIGN, &()).await;
    assert_eq!(read, Err(ReadError::Refused(Reason::ForeignTable("foreign"))));
    assert_eq!(bench.view(1).await.version(), store::Version::NEVER);
    // Of two puts of one row the later counts; a commit of nothing does nothing.
    let twice = bench
        .set(1, |c| {
            c.put(&BYTES, &1, &Bytes::from_static(b"first")).expires(types::Timestamp::EPOCH);
            c.put(&BYTES, &1, &Bytes::from_static(b"second"));
        })
        .await;
    let row = bench.view(1).await.get(&BYTES, &1).await.unwrap().unwrap();
    assert_eq!((&row.value[..], row.version, row.expires), (&b"second"[..], twice.version, None));
    let nothing = bench.store.commit(Commit::free()).await.unwrap();
    assert_eq!(nothing.version, store::Version::NEVER);
    eventually("a commit begun goes on when its caller is gone", async || {
        let mut c = Commit::at(THING.of(&7));
        c.put(&COUNT, &(), &Json(7));
        begin_and_leave(bench.store.commit(c)).await;
        bench.count(7).await == Some(7)
    })
    .await;
}
