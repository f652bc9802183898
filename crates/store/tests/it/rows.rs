//! Reading rows.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    time::Duration,
};

use bytes::Bytes;
use store::{Aggregate, Commit, CommitError, Dir, Guarded, Life, Size, Version};
use types::{Clock, Rng, SeededRng, Timestamp};

use crate::bench::{BEFORE, BEHIND, Bench, ITEM, LARGE, LIST, THING, rounds};

type Key = (String, u16);

fn random_key(rng: &SeededRng) -> Key {
    let letters = ["", "a", "b", "ab", "a\0", "\0", "ä", "z"];
    let word: String = (0..rng.below(3)).map(|_| letters[rng.below(8) as usize]).collect();
    (word, [0, 1, 255, 256, u16::MAX][rng.below(5) as usize])
}

/// Who wants the first rows gets them all, however short the pages are.
pub async fn first_is_whole(bench: Bench) {
    const ROWS: u64 = 60;
    bench
        .set(1, |c| {
            for key in 0..ROWS {
                c.effect_put(&LIST, &1, &key, &key.to_string());
            }
        })
        .await;
    let rows = bench.store.plain(&LIST, &1);
    for most in (0..2 * ROWS).chain([1000, u64::MAX]) {
        let found = rows.first(usize::try_from(most).unwrap()).await.unwrap();
        let keys: Vec<u64> = found.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, (0..ROWS.min(most)).collect::<Vec<_>>());
    }
}

pub async fn order_of_rows(bench: Bench) {
    let rng = SeededRng::new(1);
    let mut model: BTreeMap<Key, String> = BTreeMap::new();
    for n in 0..80 {
        model.insert(random_key(&rng), n.to_string());
    }
    bench
        .set(1, |c| {
            for (key, value) in &model {
                c.put(&ITEM, key, value);
                c.put(&BEFORE, key, &"another table".to_owned());
                c.put(&BEHIND, key, &"another table".to_owned());
            }
        })
        .await;
    bench
        .set(2, |c| {
            c.put(&ITEM, &("a".to_owned(), 7), &"another aggregate".to_owned());
        })
        .await;
    let rows = bench.store.peek(THING.of(&1));
    for _ in 0..rounds(60) {
        let (a, b) = (random_key(&rng), random_key(&rng));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let bound = |key: Key, n| match n {
            0 => Bound::Included(key),
            1 => Bound::Excluded(key),
            _ => Bound::Unbounded,
        };
        let bounds = (bound(low.clone(), rng.below(3)), bound(high.clone(), rng.below(3)));
        if low == high && matches!(bounds, (Bound::Excluded(_), Bound::Excluded(_))) {
            // The standard map panics at this range; the store has no rows in it.
            let page = rows.range(&ITEM, bounds, Dir::Forward, 10, None).await.unwrap();
            assert!(page.rows.is_empty() && page.next.is_none());
            continue;
        }
        let mut wanted: Vec<Key> = model.range(bounds.clone()).map(|(key, _)| key.clone()).collect();
        let dir = if rng.below(2) == 0 { Dir::Forward } else { Dir::Reverse };
        if dir == Dir::Reverse {
            wanted.reverse();
        }
        let limit = 1 + rng.below(30) as usize;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = rows.range(&ITEM, bounds.clone(), dir, limit, after.as_ref()).await.unwrap();
            assert!(page.rows.len() <= limit);
            for (key, row) in page.rows {
                assert_eq!(model[&key], row.value);
                found.push(key);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "{bounds:?} {dir:?} {limit}");
    }
    let words: BTreeSet<_> = model.keys().map(|(word, _)| word.clone()).collect();
    for word in words {
        let wanted: Vec<_> = model.keys().filter(|key| key.0 == word).cloned().collect();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = rows.prefix(&ITEM, &word, Dir::Forward, 3, after.as_ref()).await.unwrap();
            found.extend(page.rows.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, wanted, "{word:?}");
    }
    assert_eq!(rows.all(&ITEM).await.unwrap().len(), model.len());
}

pub async fn absent_and_expired_are_one(bench: Bench) {
    let key = ("a".to_owned(), 1);
    let at = bench.clock.now() + Duration::from_secs(10);
    let put = bench
        .set(1, |c| {
            c.put(&ITEM, &key, &"short".to_owned()).expires(at);
            c.effect_put(&LIST, &1, &1, &"short".to_owned()).expires(at);
        })
        .await;
    let seen = async || {
        let view = bench.view(1).await;
        let got = view.get(&ITEM, &key).await.unwrap();
        let listed = bench.listed(1, 1).await;
        assert_eq!(got.is_some(), !view.all(&ITEM).await.unwrap().is_empty());
        assert_eq!(got.is_some(), listed.is_some());
        got.is_some()
    };
    let expecting = |version| {
        let key = key.clone();
        let mut c = Commit::at(THING.of(&1));
        c.expect(&ITEM, &key, version);
        c
    };
    bench.clock.advance(Duration::from_micros(9_999_999));
    assert!(seen().await);
    assert_eq!(bench.store.commit(expecting(Version::NEVER)).await, Err(CommitError::Conflict));
    bench.sure(|| expecting(put.version)).await;
    bench.clock.advance(Duration::from_micros(1));
    for removed in [false, true] {
        if removed {
            let report = bench.store.housekeep(Duration::from_secs(60)).await;
            assert_eq!((report.rows, report.more), (2, false));
        }
        assert!(!seen().await);
        assert_eq!(bench.store.commit(expecting(put.version)).await, Err(CommitError::Conflict));
        bench.sure(|| expecting(Version::NEVER)).await;
    }
    // What is put again without an expiry stays.
    bench
        .set(1, |c| {
            c.put(&ITEM, &key, &"long".to_owned());
        })
        .await;
    bench.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(bench.store.housekeep(Duration::from_secs(60)).await.rows, 0);
    assert!(bench.view(1).await.get(&ITEM, &key).await.unwrap().is_some());
}

/// A property of our own: rows of an ephemeral aggregate live no longer than it says, and days later nothing is left of it;
/// its versions rise all the same.
pub async fn ephemeral_is_forgotten(bench: Bench) {
    const AGE: Duration = Duration::from_secs(600);
    const CODE: Aggregate<u64> = Aggregate::new(50, "code", Life::Ephemeral(AGE));
    const TRIES: Guarded<u8, String> = Guarded::new(50, "tries", &CODE, Size::Row);
    let put = || {
        let mut c = Commit::at(CODE.of(&1));
        c.put(&TRIES, &1, &"no expiry".to_owned());
        c.put(&TRIES, &2, &"too late".to_owned()).expires(bench.clock.now() + AGE * 5);
        c.put(&TRIES, &3, &"earlier".to_owned()).expires(bench.clock.now() + AGE / 2);
        c
    };
    let left = async || {
        let view = bench.store.view(CODE.of(&1)).await.unwrap();
        (view.version(), view.all(&TRIES).await.unwrap().into_iter().map(|(key, _)| key).collect::<Vec<_>>())
    };
    let first = bench.store.commit(put()).await.unwrap().version;
    assert_eq!(left().await, (first, vec![1, 2, 3]));
    bench.clock.advance(AGE / 2);
    assert_eq!(left().await, (first, vec![1, 2]));
    bench.clock.advance(AGE / 2);
    bench.store.housekeep(Duration::from_secs(60)).await;
    assert_eq!(left().await, (first, vec![]), "what was opened on it is still judged by its version");
    bench.clock.advance(store::limits::EPHEMERAL_MEMORY);
    assert_eq!(bench.store.housekeep(Duration::from_secs(60)).await.rows, 1);
    assert_eq!(left().await, (Version::NEVER, vec![]));
    bench.clock.set(Timestamp::EPOCH);
    assert!(bench.store.commit(put()).await.unwrap().version > first);
}

/// That a replaced value leaves nothing behind is trivial where the value stands in its row.
pub async fn large_value(bench: Bench) {
    const SIZE: usize = store::limits::LARGE_VALUE;
    let fill = |n: u8| Bytes::from(vec![n; SIZE]);
    bench
        .set(1, |c| {
            c.put(&LARGE, &1, &fill(1));
        })
        .await;
    let rows = bench.store.peek(THING.of(&1));
    let reader = tokio::spawn(async move {
        let mut highest = 0;
        while highest < 5 {
            let value = rows.get(&LARGE, &1).await.unwrap().expect("it is replaced, never deleted").value;
            assert_eq!(value.len(), SIZE);
            assert!(value.iter().all(|byte| *byte == value[0]), "one value, not a mixture");
            assert!(value[0] >= highest, "and never an older one again");
            highest = value[0];
        }
    });
    for n in 2..=5 {
        bench
            .set(1, |c| {
                c.put(&LARGE, &1, &fill(n));
            })
            .await;
    }
    reader.await.unwrap();
    let page = bench.view(1).await.range(&LARGE, .., Dir::Forward, 10, None).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    assert!(page.next.is_none());
}
