//! What is left half done is finished in order, by whoever comes next, and what is gone costs nothing.
//!
//! On SQLite a commit is one transaction, so the first two hold trivially: nothing is ever left half done. They are
//! written for engines that apply effects after the commit, as the loose one does.

use std::time::{Duration, Instant};

use store::{Commit, Json, Log};

use crate::bench::{Bench, COUNT, LIST, OWED, THING, begin_and_leave, entry, eventually, rounds};

const LISTED: u64 = 20;

/// A commit that touches many plain rows and a log.
fn touching(commit: &mut Commit, id: u64, text: &str) {
    for key in 0..LISTED {
        commit.effect_put(&LIST, &id, &key, &text.to_owned());
    }
    commit.append(&OWED, &id, entry(text));
}

/// All of the first was done before everything of the second.
async fn assert_second_last(bench: &Bench, id: u64) {
    for key in 0..LISTED {
        assert_eq!(bench.listed(id, key).await.as_deref(), Some("second"));
    }
    assert_eq!(bench.texts(&bench.owed(id)).await, ["first", "second"]);
}

/// A second commit never overtakes its predecessor's effects, though nobody waits for those.
pub async fn help_first(bench: Bench) {
    for id in 5000..5000 + rounds(20) as u64 {
        let mut first = Commit::at(THING.of(&id));
        first.put(&COUNT, &(), &Json(1));
        touching(&mut first, id, "first");
        begin_and_leave(bench.store.commit(first)).await;
        // Its row is there; whether the rest is, nobody knows.
        eventually("it was begun", async || bench.count(id).await == Some(1)).await;
        bench.set(id, |commit| touching(commit, id, "second")).await;
        assert_second_last(&bench, id).await;
        // Nor later.
        bench.store.housekeep(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        assert_second_last(&bench, id).await;
    }
}

/// Sweeping while a slow commit goes on ends in one outcome: all of it once, and nothing after its successor.
pub async fn slow_is_not_dead(bench: Bench) {
    for id in 6000..6000 + rounds(10) as u64 {
        let mut first = Commit::at(THING.of(&id));
        first.put(&COUNT, &(), &Json(1));
        touching(&mut first, id, "first");
        let slow = tokio::spawn({
            let store = bench.store.clone();
            async move { store.commit(first).await }
        });
        while !slow.is_finished() {
            bench.store.housekeep(Duration::from_secs(1)).await;
        }
        slow.await.unwrap().unwrap();
        for key in 0..LISTED {
            assert_eq!(bench.listed(id, key).await.as_deref(), Some("first"));
        }
        bench.store.housekeep(Duration::from_secs(1)).await;
        bench.set(id, |commit| touching(commit, id, "second")).await;
        bench.store.housekeep(Duration::from_secs(1)).await;
        assert_second_last(&bench, id).await;
    }
}

/// Reading a log from which 100 000 entries were drained costs what reading a new one costs.
pub async fn drain_meets_no_tombstones(bench: Bench) {
    const AT_ONCE: u64 = 10_000;
    let append = |log: u64, many: u64| {
        let mut commit = Commit::free();
        for n in 0..many {
            commit.append(&OWED, &log, entry(n.to_string()));
        }
        commit
    };
    let (drained, new) = (bench.owed(1), bench.owed(2));
    let mut cursor = None;
    for _ in 0..10 {
        bench.sure(|| append(1, AT_ONCE)).await;
        loop {
            let batch = drained.read_after(cursor, 1000).await.unwrap();
            if batch.next == cursor {
                break;
            }
            cursor = batch.next;
        }
        drained.trim(cursor.unwrap()).await.unwrap();
    }
    for log in [1, 2] {
        bench.sure(|| append(log, 3)).await;
    }
    assert_eq!(bench.texts(&drained).await, ["0", "1", "2"]);
    // In turns, and the best of many: what stands in the way of a read stands in the way of each.
    let (mut of_drained, mut of_new) = (Duration::MAX, Duration::MAX);
    for _ in 0..300 {
        of_drained = of_drained.min(read(&drained).await);
        of_new = of_new.min(read(&new).await);
    }
    assert!(of_drained < of_new * 10, "{of_drained:?} instead of {of_new:?}");
}

async fn read(log: &Log) -> Duration {
    let began = Instant::now();
    log.read_after(None, 10).await.unwrap();
    began.elapsed()
}
