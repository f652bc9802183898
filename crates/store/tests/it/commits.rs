//! Commits of one aggregate.

use std::sync::Arc;

use store::{Commit, CommitError, Json, ReadError, Version};
use types::{Rng, SeededRng, Timestamp};

use crate::bench::{Bench, COUNT, ITEM, LIST, OWED, THING, begin_and_leave, entry, rounds};

const ROWS: u16 = 40;

fn round(commit: &mut Commit, n: u64) {
    for row in 0..ROWS {
        commit.put(&ITEM, &("row".to_owned(), row), &n.to_string());
    }
}

pub async fn commit_all_or_nothing(bench: Bench) {
    bench.set(1, |c| round(c, 0)).await;
    let store = bench.store.clone();
    let writer = tokio::spawn(async move {
        for n in 1..=rounds(40) as u64 {
            let mut c = Commit::at(THING.of(&1));
            round(&mut c, n);
            store.commit(c).await.unwrap();
        }
    });
    let mut whole = 0;
    while !writer.is_finished() || whole == 0 {
        let view = bench.view(1).await;
        let rows = view.all(&ITEM).await.unwrap();
        // Pages may straddle a commit; then the view is stale and says so.
        if bench.store.commit(Commit::on(&view)).await.is_ok() {
            whole += 1;
            assert_eq!(rows.len(), usize::from(ROWS));
            assert!(rows.iter().all(|(_, row)| row.value == rows[0].1.value), "one commit's rows");
        }
    }
    writer.await.unwrap();
    // The process ends in the middle of commits.
    let mut bench = bench;
    for n in 0..rounds(10) as u64 {
        for other in 0..3 {
            let mut c = Commit::at(THING.of(&1));
            round(&mut c, 1000 + n * 3 + other);
            begin_and_leave(bench.store.commit(c)).await;
        }
        bench = bench.reopened();
        let view = bench.view(1).await;
        let rows = view.all(&ITEM).await.unwrap();
        if bench.store.commit(Commit::on(&view)).await.is_ok() {
            assert!(rows.iter().all(|(_, row)| row.value == rows[0].1.value), "one commit's rows");
        }
    }
}

pub async fn unchanged_sees_phantoms(bench: Bench) {
    let key = ("phantom".to_owned(), 1);
    let others: [&dyn Fn(&mut Commit); 5] = [
        &|c| {
            c.put(&ITEM, &key, &"new".to_owned());
        },
        &|c| {
            c.put(&ITEM, &key, &"changed".to_owned());
        },
        &|c| c.delete(&ITEM, &key),
        &|c| {
            c.effect_put(&LIST, &1, &1, &"only an effect".to_owned());
        },
        &|_| {},
    ];
    for other in others {
        let view = bench.view(1).await;
        bench.set(1, other).await;
        let mut mine = Commit::on(&view);
        mine.put(&COUNT, &(), &Json(1));
        assert_eq!(bench.store.commit(mine).await, Err(CommitError::Conflict));
    }
    // A change elsewhere is none here.
    let view = bench.view(1).await;
    bench
        .set(2, |c| {
            c.put(&COUNT, &(), &Json(1));
        })
        .await;
    bench.sure(|| Commit::on(&view)).await;
}

pub async fn row_expectation_local(bench: Bench) {
    let (mine, other) = (("mine".to_owned(), 1), ("other".to_owned(), 1));
    let first = bench
        .set(1, |c| {
            c.put(&ITEM, &mine, &"0".to_owned());
        })
        .await;
    let change_mine = |version: Version, value: &str| {
        let mut c = Commit::at(THING.of(&1));
        c.expect(&ITEM, &mine, version);
        c.put(&ITEM, &mine, &value.to_owned());
        c
    };
    bench
        .set(1, |c| {
            c.put(&ITEM, &other, &"1".to_owned());
        })
        .await;
    bench.set(1, |c| c.delete(&ITEM, &other)).await;
    let second = bench.sure(|| change_mine(first.version, "1")).await;
    assert_eq!(bench.store.commit(change_mine(first.version, "2")).await, Err(CommitError::Conflict));
    bench.set(1, |c| c.delete(&ITEM, &mine)).await;
    assert_eq!(bench.store.commit(change_mine(second.version, "3")).await, Err(CommitError::Conflict));
    let mut c = Commit::at(THING.of(&1));
    c.expect_absent(&ITEM, &mine);
    bench.store.commit(c).await.unwrap();
}

pub async fn versions_rise_never_repeat(bench: Bench) {
    let mut bench = bench;
    let start = types::Clock::now(&*bench.clock);
    let key = ("a".to_owned(), 1);
    let mut last = Version::NEVER;
    assert_eq!(bench.view(1).await.version(), last);
    for (n, back) in [0, 0, 3600, 3600, 7200, 100_000, 0].into_iter().enumerate() {
        bench.clock.set(Timestamp::from_seconds(start.seconds() - back));
        for _ in 0..3 {
            let put = bench
                .set(1, |c| {
                    c.put(&ITEM, &key, &n.to_string());
                })
                .await
                .version;
            assert!(put > last);
            let view = bench.view(1).await;
            assert_eq!(view.version(), put);
            assert_eq!(view.get(&ITEM, &key).await.unwrap().unwrap().version, put);
            let deleted = bench.set(1, |c| c.delete(&ITEM, &key)).await.version;
            assert!(deleted > put);
            last = deleted;
        }
        bench = bench.reopened();
    }
}

/// 64 writers try to move one row from `n` to `n + 1`, half of them expecting the whole aggregate, half the row alone.
pub async fn one_winner(bench: Bench) {
    bench
        .set(1, |c| {
            c.put(&COUNT, &(), &Json(0));
        })
        .await;
    let rng = SeededRng::new(3);
    for n in 0..rounds(12) as u64 {
        let start = Arc::new(tokio::sync::Barrier::new(64));
        let mut rivals = tokio::task::JoinSet::new();
        for rival in 0..64 {
            let (store, start, dawdle) = (bench.store.clone(), Arc::clone(&start), rng.below(3));
            rivals.spawn(async move {
                start.wait().await;
                for _ in 0..dawdle {
                    tokio::task::yield_now().await;
                }
                loop {
                    let view = store.view(THING.of(&1)).await.unwrap();
                    let row = view.get(&COUNT, &()).await.unwrap().unwrap();
                    if row.value.0 != n {
                        return false;
                    }
                    let mut c = if rival % 2 == 0 { Commit::on(&view) } else { Commit::at(THING.of(&1)) };
                    c.expect(&COUNT, &(), row.version);
                    c.put(&COUNT, &(), &Json(n + 1));
                    match store.commit(c).await {
                        Ok(_) => return true,
                        Err(CommitError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        let winners = rivals.join_all().await.into_iter().filter(|won| *won).count();
        assert_eq!(winners, 1, "round {n}");
        assert_eq!(bench.count(1).await, Some(n + 1));
    }
}

/// There is one node, so "by every node" is trivially by every handle.
pub async fn read_your_commit(bench: Bench) {
    let mut tasks = tokio::task::JoinSet::new();
    for id in 0..8_u64 {
        let (store, other) = (bench.store.clone(), bench.store.with_deadline(store::limits::DEADLINE));
        tasks.spawn(async move {
            for n in 0..rounds(10) as u64 {
                let mut c = Commit::at(THING.of(&id));
                c.put(&COUNT, &(), &Json(n));
                c.effect_put(&LIST, &id, &n, &"listed".to_owned());
                c.effect_put(&LIST, &(id + 100), &n, &"listed".to_owned());
                c.append(&OWED, &id, entry("one"));
                let done = store.commit(c).await.unwrap();
                assert!(done.settled);
                let row = other.peek(THING.of(&id)).get(&COUNT, &()).await.unwrap().unwrap();
                assert_eq!((row.value.0, row.version), (n, done.version));
                for part in [id, id + 100] {
                    assert!(other.plain(&LIST, &part).get(&n).await.unwrap().is_some());
                }
                let log = other.log(&OWED, &id);
                assert_eq!(log.get(done.appended[0].id).await.unwrap().as_ref(), Some(&done.appended[0].entry));
                assert!(log.newest().await.unwrap() >= Some(done.appended[0].id));
            }
        });
    }
    tasks.join_all().await;
}

/// Many who change one aggregate at once by the usual way all come through, each once.
pub async fn crowd_comes_through(bench: Bench) {
    const CROWD: u64 = 100;
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let store = bench.store.clone();
        crowd.spawn(async move {
            let counted = store.update(THING.of(&1), |view| async move {
                let before = view.get(&COUNT, &()).await?.map_or(0, |row| row.value.0);
                let mut c = Commit::on(&view);
                c.put(&COUNT, &(), &Json(before + 1));
                Ok::<_, ReadError>((c, ()))
            });
            counted.await
        });
    }
    let done = crowd.join_all().await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(bench.count(1).await, Some(CROWD));
}
