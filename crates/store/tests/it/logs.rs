//! Logs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use store::{Appended, Commit, Committed, EntryId, NewBody, NewEntry, Store};
use types::{Clock, Rng, SeededRng, Timestamp};

use crate::bench::{Bench, MEMORY, OWED, STREAM, THING, TTL, all, entry, rounds, text};

fn one(log: u64, what: impl Into<String>) -> Commit {
    let mut c = Commit::free();
    c.append(&OWED, &log, entry(what));
    c
}

pub async fn appends_of_one_commit_in_order(bench: Bench) {
    let mut c = Commit::at(THING.of(&1));
    for n in 0..90_u64 {
        c.append(&OWED, &(n % 3), entry(n.to_string()));
    }
    let done = bench.store.commit(c).await.unwrap();
    assert_eq!(done.appended.len(), 90);
    for log in 0..3_u64 {
        let wanted: Vec<_> = (0..90).filter(|n| n % 3 == log).map(|n: u64| n.to_string()).collect();
        assert_eq!(bench.texts(&bench.owed(log)).await, wanted);
        let mine: Vec<&Appended> = done.appended.iter().filter(|a| a.log == OWED.of(&log)).collect();
        assert_eq!(mine.iter().map(|a| text(&a.entry.meta)).collect::<Vec<_>>(), wanted);
        assert!(mine.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!(mine[0].log.id::<u64>().unwrap(), log);
    }
}

/// Writers append to one log while page readers, live chains, and readers who begin at an id that was just announced
/// follow it. Whatever was acknowledged reaches each of them.
pub async fn no_skip(bench: Bench) {
    const WRITERS: u64 = 4;
    let each = rounds(60) as u64;
    let over = Arc::new(AtomicBool::new(false));
    let log = bench.owed(1);
    let rng = Arc::new(SeededRng::new(5));
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (log, over, rng) = (log.clone(), Arc::clone(&over), Arc::clone(&rng));
        readers.spawn(async move {
            let (mut cursor, mut seen) = (None, BTreeSet::new());
            loop {
                let last = over.load(Ordering::SeqCst);
                let batch = log.read_after(cursor, 1 + rng.below(20) as usize).await.unwrap();
                cursor = batch.next;
                seen.extend(batch.entries.iter().map(|(_, entry)| text(&entry.meta)));
                if last && !batch.more {
                    return seen;
                }
            }
        });
    }
    let mut watch = bench.store.watch(&OWED);
    let (live, over_live) = (log.clone(), Arc::clone(&over));
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let (register, registered) = tokio::sync::oneshot::channel();
    readers.spawn(async move {
        // The chain of a socket: told of (id, prev) it sends, or reads what lies between.
        let (mut cursor, mut seen) = (live.newest().await.unwrap(), BTreeSet::new());
        register.send(()).unwrap();
        loop {
            let told = tokio::select! {
                biased;
                told = watch.next() => told,
                _ = stopped.wait_for(|stop| *stop) => None,
            };
            let Some(told) = told else {
                assert!(over_live.load(Ordering::SeqCst));
                return seen;
            };
            if cursor.is_some_and(|cursor| told.id <= cursor) {
                continue;
            }
            if told.prev <= cursor {
                seen.insert(text(&told.entry.meta));
            } else {
                loop {
                    let batch = live.read_after(cursor, 1000).await.unwrap();
                    let upto = batch.entries.iter().take_while(|(id, _)| *id <= told.id);
                    seen.extend(upto.map(|(_, entry)| text(&entry.meta)));
                    cursor = batch.next;
                    if !batch.more || cursor >= Some(told.id) {
                        break;
                    }
                }
            }
            cursor = Some(told.id);
        }
    });
    registered.await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, log) = (bench.store.clone(), log.clone());
        writers.spawn(async move {
            let (mut own, mut since) = (BTreeSet::new(), None);
            for n in 0..each {
                let done = store.commit(one(1, format!("{writer} {n}"))).await.unwrap();
                own.insert(format!("{writer} {n}"));
                // A client that got this id live a moment ago asks for what came after the one before it.
                if let Some(since) = since {
                    let batch = log.read_after(Some(since), 1000).await.unwrap();
                    let key = &done.appended[0].entry.key;
                    assert!(batch.more || batch.entries.iter().any(|(_, entry)| entry.key == *key));
                }
                since = Some(done.appended[0].id);
            }
            own
        });
    }
    let acknowledged: BTreeSet<String> = writers.join_all().await.into_iter().flatten().collect();
    assert_eq!(acknowledged.len() as u64, WRITERS * each);
    over.store(true, Ordering::SeqCst);
    stop.send(true).unwrap();
    for seen in readers.join_all().await {
        let missing: Vec<_> = acknowledged.difference(&seen).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

pub async fn ack_order(bench: Bench) {
    let time = Arc::new(AtomicU64::new(0));
    let tick = |time: &AtomicU64| time.fetch_add(1, Ordering::SeqCst);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, time, clock) = (bench.store.clone(), Arc::clone(&time), Arc::clone(&bench.clock));
        tasks.spawn(async move {
            let mut done = Vec::new();
            for n in 0..rounds(20) {
                if n % 7 == 0 {
                    clock.set(clock.now() - Duration::from_secs(60));
                }
                let begun = tick(&time);
                let id = store.commit(one(1, "x")).await.unwrap().appended[0].id;
                done.push((begun, tick(&time), id));
            }
            done
        });
    }
    let mut done: Vec<(u64, u64, EntryId)> = tasks.join_all().await.into_iter().flatten().collect();
    let bench = bench.reopened();
    for _ in 0..3 {
        bench.clock.set(bench.clock.now() - Duration::from_secs(60));
        let begun = tick(&time);
        let id = bench.store.commit(one(1, "x")).await.unwrap().appended[0].id;
        done.push((begun, tick(&time), id));
    }
    for (_, acknowledged, earlier) in &done {
        for (begun, _, later) in &done {
            assert!(acknowledged > begun || earlier < later);
        }
    }
}

/// There is one node here; its clock jumps by 500 ms and more instead.
pub async fn ids_are_uuid1(bench: Bench) {
    let mut bench = bench;
    let mut last: HashMap<u64, EntryId> = HashMap::new();
    for n in 0..6 {
        for log in [1, 2, 1] {
            let done = bench.store.commit(one(log, "x")).await.unwrap();
            let id = done.appended[0].id;
            let uuid = id.uuid();
            assert_eq!(uuid.get_version_num(), 1);
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
            assert_eq!(EntryId::from_uuid(uuid), Some(id));
            assert!(last.insert(log, id).is_none_or(|before| before < id), "also above all ids before a restart");
        }
        let back = Duration::from_millis(500 * n);
        bench.clock.set(bench.clock.now() - back);
        bench = bench.reopened();
    }
    // The time of an id is that of the clock, once the clock has caught up.
    bench.clock.advance(Duration::from_secs(100));
    let done = bench.store.commit(one(1, "x")).await.unwrap();
    assert_eq!(done.appended[0].id.time(), bench.clock.now());
}

pub async fn double_has_same_key(bench: Bench) {
    let bench = bench.looser(|loose| loose.doubles(1000));
    for n in 0..20 {
        let mut c = one(1, format!("{n}"));
        c.append(&OWED, &1, NewEntry { key: Some(Bytes::from(format!("key {n}"))), ..entry("own key") });
        bench.store.commit(c).await.unwrap();
    }
    let log = bench.owed(1);
    let (mut cursor, mut contents) = (None, BTreeMap::new());
    loop {
        let batch = log.read_after(cursor, 7).await.unwrap();
        let keys: HashSet<_> = batch.entries.iter().map(|(_, entry)| entry.key.clone()).collect();
        assert_eq!(keys.len(), batch.entries.len(), "a page returns a key once");
        for (_, entry) in batch.entries {
            let content = (entry.meta.clone(), entry.body.clone());
            assert_eq!(contents.entry(entry.key).or_insert_with(|| content.clone()), &content);
        }
        cursor = batch.next;
        if !batch.more {
            break;
        }
    }
    assert_eq!(contents.len(), 40);
    assert_eq!(contents[&Bytes::from_static(b"key 3")].0, "own key");
    let doubled = all(&log).await.len() > 40;
    // SQLite alone never doubles; the loose store does, which shows that the page above had something to hide.
    assert!(!doubled || bench.kind == crate::bench::Kind::Loose);
}

pub async fn lost_is_told(bench: Bench) {
    let append = async |what: &str| {
        let mut c = Commit::free();
        c.append(&STREAM, &1, entry(what));
        bench.store.commit(c).await.unwrap().appended[0].clone()
    };
    let log = bench.store.log(&STREAM, &1);
    let (first, second) = (append("1").await, append("2").await);
    assert_eq!(first.entry.expires, Some(first.id.time() + TTL));
    assert!(!log.read_after(None, 10).await.unwrap().lost);
    bench.clock.advance(TTL / 2);
    let third = append("3").await;
    bench.clock.advance(TTL / 2 + Duration::from_millis(1));
    for pass in 0..2 {
        for (cursor, lost) in [(None, true), (Some(first.id), true), (Some(second.id), false), (Some(third.id), false)]
        {
            let batch = log.read_after(cursor, 10).await.unwrap();
            assert_eq!(batch.lost, lost, "{cursor:?} {pass}");
            let texts: Vec<_> = batch.entries.iter().map(|(_, entry)| text(&entry.meta)).collect();
            let left = if cursor == Some(third.id) { vec![] } else { vec!["3"] };
            assert_eq!(texts.into_iter().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>(), left);
        }
        assert_eq!(log.get(second.id).await.unwrap(), None);
        assert_eq!(log.get(third.id).await.unwrap(), Some(third.entry.clone()));
        assert_eq!(log.newest().await.unwrap(), Some(third.id));
        if pass == 0 {
            bench.clock.advance(Duration::from_millis(1));
            assert_eq!(bench.store.housekeep(MEMORY).await.entries, 0, "remembered beyond its expiry");
        }
    }
    bench.clock.advance(MEMORY);
    assert!(bench.store.housekeep(Duration::from_secs(60)).await.entries >= 2);
    assert!(log.read_after(None, 10).await.unwrap().lost, "the third has expired too");
    bench.clock.advance(MEMORY);
    let report = bench.store.housekeep(Duration::from_secs(60)).await;
    assert!(report.entries >= 1 && !report.more);
    assert_eq!(log.newest().await.unwrap(), None);
    let fourth = append("4").await;
    assert!(fourth.id > third.id);
    assert_eq!(log.read_after(Some(third.id), 10).await.unwrap().entries[0].0.max(fourth.id), fourth.id);
}

/// A property of our own: what a consumer trims is not lost, and trimming reaches no further than asked.
pub async fn trimmed_is_not_lost(bench: Bench) {
    let mut ids = Vec::new();
    for n in 0..1200 {
        if n % 400 == 0 {
            bench.store.commit(one(2, "another log")).await.unwrap();
        }
        ids.push(n);
    }
    let mut c = Commit::free();
    for n in &ids {
        c.append(&OWED, &1, entry(n.to_string()));
    }
    let done: Committed = bench.store.commit(c).await.unwrap();
    let log = bench.owed(1);
    log.trim(done.appended[1100].id).await.unwrap();
    let left = bench.texts(&log).await;
    assert_eq!(left.first().map(String::as_str), Some("1101"));
    assert_eq!(left.len(), 99);
    assert!(!log.read_after(None, 10).await.unwrap().lost);
    assert_eq!(log.get(done.appended[5].id).await.unwrap(), None);
    assert_eq!(bench.texts(&bench.owed(2)).await.len(), 3);
    log.trim(done.appended[1199].id).await.unwrap();
    log.trim(done.appended[1199].id).await.unwrap();
    let next = bench.store.commit(one(1, "next")).await.unwrap().appended[0].clone();
    assert!(next.id > done.appended[1199].id);
    assert_eq!(bench.texts(&log).await, ["next"]);
}

/// A property of our own: reading backwards gives what reading forwards gives.
pub async fn backwards(bench: Bench) {
    for n in 0..30 {
        bench.store.commit(one(1, n.to_string())).await.unwrap();
    }
    let log = bench.owed(1);
    let mut forwards: Vec<EntryId> = Vec::new();
    let (mut after, mut before) = (None, None);
    loop {
        let batch = log.read_after(after, 1).await.unwrap();
        forwards.extend(batch.entries.iter().map(|(id, _)| *id));
        after = batch.next;
        if !batch.more {
            break;
        }
    }
    let mut backwards = Vec::new();
    loop {
        let batch = log.read_before(before, 1).await.unwrap();
        backwards.extend(batch.entries.iter().map(|(id, _)| *id));
        before = batch.next;
        if !batch.more {
            break;
        }
    }
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert!(forwards.is_sorted());
    // A cursor need not be the id of an entry.
    let between = EntryId::new(forwards[3].tick(), 0);
    assert_eq!(log.read_after(Some(between), 1).await.unwrap().entries[0].0, forwards[3]);
    assert_eq!(log.read_before(Some(between), 1).await.unwrap().entries[0].0, forwards[2]);
    assert_eq!(log.get(between).await.unwrap(), None);
}

pub async fn prev_is_true(bench: Bench) {
    let acknowledged: Arc<Mutex<Vec<Appended>>> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..6_u64 {
        let (store, acknowledged): (Store, _) = (bench.store.clone(), Arc::clone(&acknowledged));
        tasks.spawn(async move {
            for n in 0..rounds(15) as u64 {
                let mut c = if n % 2 == 0 { Commit::free() } else { Commit::at(THING.of(&writer)) };
                for k in 0..1 + n % 3 {
                    c.append(&OWED, &1, entry(format!("{writer} {n} {k}")));
                }
                let done = store.commit(c).await.unwrap();
                acknowledged.lock().unwrap().extend(done.appended);
            }
        });
    }
    tasks.join_all().await;
    let bench = bench.reopened();
    for _ in 0..3 {
        let done = bench.store.commit(one(1, "after a restart")).await.unwrap();
        acknowledged.lock().unwrap().extend(done.appended);
    }
    let acknowledged = acknowledged.lock().unwrap();
    let ids: BTreeSet<EntryId> = acknowledged.iter().map(|a| a.id).collect();
    for a in acknowledged.iter() {
        let between = ids.range(..a.id).next_back();
        assert!(a.prev < Some(a.id));
        assert!(between.copied() <= a.prev, "{between:?} lies between {:?} and {:?}", a.prev, a.id);
    }
}

pub async fn body_shared_once(bench: Bench) {
    let content = Bytes::from(vec![7; 300_000]);
    let mut c = Commit::free();
    let body = c.body(content.clone());
    let _unused = c.body(Bytes::from_static(b"nobody's"));
    for n in 0..20_u64 {
        let shared = NewEntry { body: NewBody::Shared(body), ..entry(n.to_string()) };
        c.append(&OWED, &(n % 2), shared.clone());
        c.append(&STREAM, &n, shared);
    }
    let own = NewEntry { body: NewBody::Inline(Bytes::from_static(b"own")), ..entry("own") };
    c.append(&OWED, &0, own);
    let done = bench.store.commit(c).await.unwrap();
    let stored = || bench.database().map(|db| db.query_row("SELECT count(*) FROM body", [], |r| r.get::<_, i64>(0)));
    let is_stored = |n: i64| assert!(stored().is_none_or(|stored| stored.unwrap() == n));
    is_stored(1);
    for a in &done.appended {
        let log = if a.log.kind() == "owed" {
            bench.owed(a.log.id().unwrap())
        } else {
            bench.store.log(&STREAM, &a.log.id().unwrap())
        };
        let got = log.get(a.id).await.unwrap().unwrap();
        let wanted = if text(&a.entry.meta) == "own" { Bytes::from_static(b"own") } else { content.clone() };
        assert_eq!(got.body, Some(wanted));
        assert_eq!(got, a.entry);
    }
    // Pages of large bodies end early, and join.
    assert_eq!(all(&bench.owed(1)).await.iter().map(|(_, key, _)| key).collect::<HashSet<_>>().len(), 10);
    bench.clock.advance(TTL + MEMORY + Duration::from_secs(1));
    let report = bench.store.housekeep(Duration::from_secs(60)).await;
    assert!(report.entries >= 20);
    assert_eq!(report.bodies, 0);
    let last_of = |log: u64| done.appended.iter().rev().find(|a| a.log == OWED.of(&log)).unwrap().id;
    bench.owed(0).trim(last_of(0)).await.unwrap();
    is_stored(1);
    assert_eq!(bench.owed(1).get(last_of(1)).await.unwrap().unwrap().body, Some(content));
    bench.owed(1).trim(last_of(1)).await.unwrap();
    is_stored(0);
    assert!(bench.clock.now() > Timestamp::EPOCH);
}
