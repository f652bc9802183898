//! Effects and appends follow the chain of their aggregate's commits.

use std::time::Duration;

use store::{Commit, CommitError, CommitId, Json, Version};
use types::{Clock, Timestamp};
use uuid::Uuid;

use crate::bench::{Bench, COUNT, LIST, OWED, THING, begin_and_leave, entry, eventually, rounds};

/// Writers count one row up, each commit touching a plain row and a log; some callers go away in the middle.
async fn count_up(bench: &Bench, writers: usize, each: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let store = bench.store.clone();
        tasks.spawn(async move {
            for n in 0..each {
                loop {
                    let view = store.view(THING.of(&1)).await.unwrap();
                    let next = view.get(&COUNT, &()).await.unwrap().map_or(1, |row| row.value.0 + 1);
                    let mut c = Commit::on(&view);
                    c.put(&COUNT, &(), &Json(next));
                    if next % 3 == 0 {
                        c.effect_delete(&LIST, &1, &1);
                    } else {
                        c.effect_put(&LIST, &1, &1, &next.to_string());
                    }
                    c.append(&OWED, &1, entry(next.to_string()));
                    if (writer + n) % 5 == 0 {
                        begin_and_leave(store.commit(c)).await;
                        break;
                    }
                    match store.commit(c).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
    }
    tasks.join_all().await;
}

pub async fn effects_follow_chain(bench: Bench) {
    let mut bench = bench;
    for _ in 0..rounds(3) {
        count_up(&bench, 6, 10).await;
        bench = bench.reopened();
        // A commit first finishes its predecessor's effects.
        bench.set(1, |_| {}).await;
        let last = bench.count(1).await.unwrap();
        assert_eq!(bench.listed(1, 1).await, (last % 3 != 0).then(|| last.to_string()));
    }
}

pub async fn appends_follow_chain(bench: Bench) {
    count_up(&bench, 6, rounds(20)).await;
    let bench = bench.reopened();
    bench.set(1, |_| {}).await;
    let last = bench.count(1).await.unwrap();
    let wanted: Vec<_> = (1..=last).map(|n| n.to_string()).collect();
    assert_eq!(bench.texts(&bench.owed(1)).await, wanted, "each once, in the order of the commits");
}

/// Repetition on SQLite and above it happens only when a caller sends a commit again.
pub async fn late_put_stays_dead(bench: Bench) {
    let put = || {
        let mut c = Commit::at(THING.of(&1)).id(CommitId(Uuid::from_u128(1)));
        c.effect_put(&LIST, &1, &1, &"late".to_owned());
        c
    };
    bench.store.commit(put()).await.unwrap();
    bench.set(1, |c| c.effect_delete(&LIST, &1, &1)).await;
    assert!(bench.store.commit(put()).await.unwrap().repeated);
    assert_eq!(bench.listed(1, 1).await, None);
    bench.store.housekeep(Duration::from_secs(60)).await;
    let bench = bench.reopened();
    assert!(bench.store.commit(put()).await.unwrap().repeated);
    assert_eq!(bench.listed(1, 1).await, None);
}

pub async fn free_all_or_nothing(bench: Bench) {
    const LOGS: u64 = 2000;
    let mut c = Commit::free();
    for log in 0..LOGS {
        c.append(&OWED, &log, entry("to all"));
    }
    c.effect_put(&LIST, &1, &1, &"too".to_owned());
    begin_and_leave(bench.store.commit(c)).await;
    let bench = bench.reopened();
    let got = async || {
        let mut got = 0;
        for log in 0..LOGS {
            got += u64::from(bench.owed(log).newest().await.unwrap().is_some());
        }
        got
    };
    // Without a restart the commit that was begun goes on.
    eventually("all or none", async || {
        let all = bench.owed(LOGS - 1).newest().await.unwrap().is_some() && bench.listed(1, 1).await.is_some();
        all || bench.kind.is_in_folder()
    })
    .await;
    let all = match bench.listed(1, 1).await {
        Some(_) => LOGS,
        None => 0,
    };
    eventually("all or none", async || got().await == all).await;
}

pub async fn larger_time_wins(bench: Bench) {
    let put = |value: String| {
        let mut c = Commit::free();
        c.effect_put(&LIST, &1, &1, &value);
        c
    };
    for round in 0..rounds(5) {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            let (store, value) = (bench.store.clone(), format!("{round} {n}"));
            let commit = put(value.clone());
            tasks.spawn(async move { (store.commit(commit).await.unwrap().version, value) });
        }
        let (version, value) = tasks.join_all().await.into_iter().max().unwrap();
        let row = bench.store.plain(&LIST, &1).get(&1).await.unwrap().unwrap();
        assert_eq!((row.version, row.value), (version, value));
    }
    // The time is the hybrid one: a clock set back does not make the later write the smaller.
    let mut last = Version::NEVER;
    for n in 0..5 {
        bench.clock.set(bench.clock.now() - Duration::from_secs(3600));
        let done = bench.store.commit(put(n.to_string())).await.unwrap();
        assert!(done.version > last);
        last = done.version;
        assert_eq!(bench.listed(1, 1).await, Some(n.to_string()));
    }
    assert!(bench.clock.now() < Timestamp::from_micros(i64::try_from(last.micros()).unwrap()));
}
