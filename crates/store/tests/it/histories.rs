//! Histories: what a store answers to any sequence of operations is what a plain model of the contract answers, and what
//! many writers did at once is a chain.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use store::{Commit, CommitError, Store, Version, View};
use tokio::{runtime::Handle, sync::Mutex, task::block_in_place};
use types::{Clock, Rng, SeededRng, Timestamp};

use crate::bench::{Bench, ITEM, Kind, LIST, OWED, STREAM, THING, TTL, entry, rounds, text};

/// What a commit does to a row.
#[derive(Clone, Debug)]
enum Write {
    Delete,
    Put(u8),
    PutFor(u8, u16),
}

/// What a commit expects.
#[derive(Clone, Debug)]
enum Expect {
    /// The aggregate as it is now.
    Fresh,
    /// The aggregate as it was when it was last looked at.
    Stale,
    /// That a row has the version it has now, or is absent now.
    Row(u8),
    /// That a row has the version that it had once, or that another has.
    WrongRow(u8),
    /// Nothing.
    Nothing,
}

#[derive(Clone, Debug)]
enum Op {
    Advance(u16),
    Commit { of: u64, expect: Expect, rows: Vec<(u8, Write)>, effects: Vec<(u8, Option<u8>)>, appends: Vec<bool> },
    Housekeep,
    Look(u64),
    Reopen,
    Trim(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let write = prop_oneof![
        1 => Just(Write::Delete),
        2 => any::<u8>().prop_map(Write::Put),
        2 => (any::<u8>(), 0..9000_u16).prop_map(|(value, ms)| Write::PutFor(value, ms)),
    ];
    let expect = prop_oneof![
        4 => Just(Expect::Fresh),
        1 => Just(Expect::Stale),
        2 => (0..4_u8).prop_map(Expect::Row),
        1 => (0..4_u8).prop_map(Expect::WrongRow),
        2 => Just(Expect::Nothing),
    ];
    let rows = prop::collection::vec((0..4_u8, write), 0..4);
    let effects = prop::collection::vec((0..4_u8, prop::option::of(any::<u8>())), 0..3);
    let commit = (0..2_u64, expect, rows, effects, prop::collection::vec(any::<bool>(), 0..3));
    prop_oneof![
        12 => commit.prop_map(|(of, expect, rows, effects, appends)| Op::Commit { of, expect, rows, effects, appends }),
        3 => (0..40_000_u16).prop_map(Op::Advance),
        2 => (0..2_u64).prop_map(Op::Look),
        1 => Just(Op::Housekeep),
        1 => Just(Op::Reopen),
        1 => (0..4_u8).prop_map(Op::Trim),
    ]
}

#[derive(Clone, Debug, PartialEq)]
struct Held {
    value: String,
    version: Version,
    expires: Option<Timestamp>,
}

/// An aggregate, as the contract has it.
#[derive(Clone, Debug, Default)]
struct Thing {
    version: Version,
    rows: BTreeMap<u8, Held>,
}

impl Thing {
    fn row(&self, key: u8, now: Timestamp) -> Option<&Held> {
        self.rows.get(&key).filter(|row| row.expires.is_none_or(|at| at > now))
    }
}

#[derive(Default)]
struct Model {
    things: [Thing; 2],
    list: BTreeMap<(u64, u8), String>,
    /// Texts with what expires, by log: one that does and one that does not.
    logs: [Vec<(String, Option<Timestamp>)>; 2],
    looked: [Option<View>; 2],
    texts: usize,
}

fn key(key: u8) -> (String, u16) {
    (format!("k{key}"), u16::from(key))
}

/// One history on a store of its own.
struct History {
    bench: Bench,
    model: Model,
}

impl History {
    async fn play(mut self, ops: Vec<Op>) -> Result<(), TestCaseError> {
        for op in ops {
            match op {
                Op::Advance(ms) => self.bench.clock.advance(Duration::from_millis(u64::from(ms))),
                Op::Commit { of, expect, rows, effects, appends } => {
                    self.commit(of, expect, &rows, &effects, &appends).await?;
                }
                Op::Housekeep => drop(self.bench.store.housekeep(Duration::from_secs(10)).await),
                Op::Look(of) => self.model.looked[of as usize] = Some(self.bench.view(of).await),
                Op::Reopen => {
                    self.model.looked = [None, None];
                    self.bench = self.bench.reopened();
                }
                Op::Trim(to) => self.trim(to).await,
            }
            self.compare().await?;
        }
        Ok(())
    }

    async fn commit(
        &mut self,
        of: u64,
        expect: Expect,
        rows: &[(u8, Write)],
        effects: &[(u8, Option<u8>)],
        appends: &[bool],
    ) -> Result<(), TestCaseError> {
        let now = self.bench.clock.now();
        let thing = self.model.things[of as usize].clone();
        let version_of = |row: u8| thing.row(row, now).map_or(Version::NEVER, |row| row.version);
        let (mut commit, holds) = match expect {
            Expect::Fresh => (Commit::on(&self.bench.view(of).await), true),
            Expect::Stale => match &self.model.looked[of as usize] {
                Some(view) => (Commit::on(view), view.version() == thing.version),
                None => return Ok(()),
            },
            Expect::Nothing => (Commit::at(THING.of(&of)), true),
            Expect::Row(row) => {
                let mut commit = Commit::at(THING.of(&of));
                commit.expect(&ITEM, &key(row), version_of(row));
                (commit, true)
            }
            Expect::WrongRow(row) => {
                let wrong = Version::from_micros(version_of(row).micros() + 1);
                let mut commit = Commit::at(THING.of(&of));
                commit.expect(&ITEM, &key(row), wrong);
                (commit, false)
            }
        };
        let mut after = thing.clone();
        let rows: BTreeMap<_, _> = rows.iter().cloned().collect();
        for (row, write) in &rows {
            let (value, expires) = match write {
                Write::Delete => {
                    commit.delete(&ITEM, &key(*row));
                    after.rows.remove(row);
                    continue;
                }
                Write::Put(value) => (value.to_string(), None),
                Write::PutFor(value, ms) => (value.to_string(), Some(now + Duration::from_millis(u64::from(*ms)))),
            };
            let put = commit.put(&ITEM, &key(*row), &value);
            if let Some(at) = expires {
                put.expires(at);
            }
            after.rows.insert(*row, Held { value, version: Version::NEVER, expires });
        }
        let effects: BTreeMap<_, _> = effects.iter().copied().collect();
        for (row, value) in &effects {
            match value {
                Some(value) => drop(commit.effect_put(&LIST, &of, &u64::from(*row), &value.to_string())),
                None => commit.effect_delete(&LIST, &of, &u64::from(*row)),
            }
        }
        let texts: Vec<_> =
            appends.iter().enumerate().map(|(n, log)| (*log, format!("{}", self.model.texts + n))).collect();
        self.model.texts += texts.len();
        for (expiring, text) in &texts {
            commit.append(if *expiring { &STREAM } else { &OWED }, &1, entry(text.clone()));
        }
        match self.bench.store.commit(commit).await {
            Ok(done) => {
                prop_assert!(holds, "what it expected was not so");
                prop_assert!(done.version > thing.version, "versions rise");
                prop_assert_eq!(done.appended.len(), texts.len());
                after.version = done.version;
                for row in rows.keys() {
                    if let Some(held) = after.rows.get_mut(row) {
                        held.version = done.version;
                    }
                }
                self.model.things[of as usize] = after;
                for (row, value) in effects {
                    match value {
                        Some(value) => drop(self.model.list.insert((of, row), value.to_string())),
                        None => drop(self.model.list.remove(&(of, row))),
                    }
                }
                // An entry expires by the time of its id, which is not the clock's.
                for ((expiring, text), appended) in texts.into_iter().zip(done.appended) {
                    let expires = appended.entry.expires;
                    prop_assert!(expires.is_some_and(|at| at >= now + TTL) == expiring);
                    self.model.logs[usize::from(expiring)].push((text, expires));
                }
            }
            // A loose store refuses a few without reason.
            Err(CommitError::Conflict) => prop_assert!(!holds || self.bench.kind == Kind::Loose),
            Err(error) => prop_assert!(false, "{error}"),
        }
        Ok(())
    }

    /// Forgets some of the first entries. Of one that came twice the later copy may stay.
    async fn trim(&mut self, to: u8) {
        let owed = self.bench.owed(1);
        let (mut entries, mut cursor) = (Vec::new(), None);
        // One by one: a page shows a key once.
        loop {
            let batch = owed.read_after(cursor, 1).await.unwrap();
            cursor = batch.next;
            entries.extend(batch.entries.into_iter().map(|(id, entry)| (id, text(&entry.meta))));
            if !batch.more {
                break;
            }
        }
        let Some((upto, _)) = entries.get(usize::from(to)) else { return };
        owed.trim(*upto).await.unwrap();
        // What is left, in the order of the copies that are left.
        let left = entries.split_off(usize::from(to) + 1);
        let place = |text: &String| left.iter().position(|(_, other)| other == text);
        self.model.logs[0].retain(|(text, _)| place(text).is_some());
        self.model.logs[0].sort_by_key(|(text, _)| place(text));
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        let now = self.bench.clock.now();
        for (of, thing) in self.model.things.iter().enumerate() {
            let view = self.bench.view(of as u64).await;
            prop_assert_eq!(view.version(), thing.version);
            let stored = rows(&view).await;
            let wanted = (0..4).filter_map(|row| Some((row, thing.row(row, now)?.clone()))).collect();
            prop_assert_eq!(stored, wanted);
            for row in 0..4 {
                let wanted = self.model.list.get(&(of as u64, row)).cloned();
                prop_assert_eq!(self.bench.listed(of as u64, u64::from(row)).await, wanted);
            }
        }
        for (log, texts) in [(self.bench.owed(1), 0), (self.bench.store.log(&STREAM, &1), 1)] {
            let there = self.model.logs[texts].iter().filter(|(_, expires)| expires.is_none_or(|at| at > now));
            let wanted: Vec<_> = there.map(|(text, _)| text.clone()).collect();
            prop_assert_eq!(self.bench.texts(&log).await, wanted);
        }
        Ok(())
    }
}

async fn rows(view: &View) -> BTreeMap<u8, Held> {
    let all = view.all(&ITEM).await.unwrap().into_iter();
    all.map(|((_, key), row)| {
        (u8::try_from(key).unwrap(), Held { value: row.value, version: row.version, expires: row.expires })
    })
    .collect()
}

/// Any sequence of operations, by one caller.
pub async fn agrees_with_model(bench: Bench) {
    let kind = bench.kind;
    let few = if kind.is_in_folder() { 12 } else { 40 };
    let cases = u32::try_from(rounds(few)).unwrap();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let here = Handle::current();
    let history = prop::collection::vec(op(), 1..40);
    let played = block_in_place(|| {
        runner
            .run(&history, |ops| here.block_on(History { bench: Bench::new(kind), model: Model::default() }.play(ops)))
    });
    if let Err(error) = played {
        panic!("{error}");
    }
}

/// A commit that was done: what its writer saw before, and what he wrote.
struct Done {
    saw: Version,
    rows: BTreeMap<u8, Held>,
    wrote: BTreeMap<u8, Option<String>>,
    version: Version,
    text: String,
}

/// Many writers at once: what was done is one chain, each link of which saw exactly what the one before left.
pub async fn writers_form_a_chain(bench: Bench) {
    let done = Arc::new(Mutex::new(Vec::new()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..6_u64 {
        writers.spawn(write(bench.store.clone(), writer, rounds(25), Arc::clone(&done)));
    }
    writers.join_all().await;
    let mut done = Arc::into_inner(done).unwrap().into_inner();
    done.sort_by_key(|commit| commit.version);
    assert!(done.len() > 20, "some come through: {}", done.len());
    let mut thing = Thing::default();
    for commit in &done {
        assert_eq!(commit.saw, thing.version, "nothing came in between");
        assert_eq!(commit.rows, thing.rows, "it saw what its predecessor left");
        thing.version = commit.version;
        for (row, value) in &commit.wrote {
            match value {
                Some(value) => {
                    let held = Held { value: value.clone(), version: commit.version, expires: None };
                    thing.rows.insert(*row, held);
                }
                None => drop(thing.rows.remove(row)),
            }
        }
    }
    assert_eq!(rows(&bench.view(1).await).await, thing.rows);
    let texts: Vec<_> = done.iter().map(|commit| commit.text.clone()).collect();
    assert_eq!(bench.texts(&bench.owed(1)).await, texts, "the log has the order of the chain, and nothing else");
}

async fn write(store: Store, writer: u64, times: usize, done: Arc<Mutex<Vec<Done>>>) {
    let rng = SeededRng::new(writer);
    for n in 0..times {
        let view = store.view(THING.of(&1)).await.unwrap();
        let seen = rows(&view).await;
        let mut commit = Commit::on(&view);
        let mut wrote = BTreeMap::new();
        for row in 0..4_u8 {
            match rng.below(4) {
                0 => {
                    commit.delete(&ITEM, &key(row));
                    wrote.insert(row, None);
                }
                1 => {
                    let value = format!("{writer}/{n}");
                    commit.put(&ITEM, &key(row), &value);
                    wrote.insert(row, Some(value));
                }
                _ => {}
            }
        }
        let text = format!("{writer}/{n}");
        commit.append(&OWED, &1, entry(text.clone()));
        match store.commit(commit).await {
            Ok(committed) => done.lock().await.push(Done {
                saw: view.version(),
                rows: seen,
                wrote,
                version: committed.version,
                text,
            }),
            Err(CommitError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
