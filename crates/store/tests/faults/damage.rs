//! Files that are damaged anywhere.

use std::{fs, path::Path};

use store::{
    Catalogue, Commit, Guarded, Json, OpenError, ReadError, Size, Store,
    upkeep::{self, Problem, Standing, UpkeepError},
};
use tempfile::TempDir;
use types::{Rng, SeededRng};

use crate::{
    ledger::{self, COUNT, OWED, SHOWN, THING},
    rounds, upkeeps,
};

const THINGS: u64 = 40;
const RAISED: u64 = 3;
/// Most of the file, so that most bits that turn are in values.
const NOTE: Guarded<(), String> = Guarded::new(2, "note", &THING, Size::Row);

fn note(thing: u64) -> String {
    format!("{thing:0600}")
}

fn tables() -> Catalogue {
    upkeeps::tables().with(&NOTE)
}

/// What reading everything came to.
#[derive(Default)]
struct Read {
    right: usize,
    /// Not there, though it was written.
    missing: usize,
    /// Damage that was named.
    named: usize,
}

impl Read {
    fn add<T: PartialEq + std::fmt::Debug>(&mut self, read: Result<Option<T>, ReadError>, wanted: T, tables: &[&str]) {
        match read {
            Ok(Some(found)) => {
                assert_eq!(found, wanted, "what is damaged is never shown as right");
                self.right += 1;
            }
            Ok(None) => self.missing += 1,
            Err(ReadError::Corrupt { table, key }) => {
                assert!(tables.contains(&table) && !key.is_empty(), "{table} {key}");
                self.named += 1;
            }
            Err(ReadError::Unavailable { .. }) => self.named += 1,
            Err(error) => panic!("{error}"),
        }
    }

    async fn of(store: &Store) -> Self {
        let mut read = Self::default();
        for thing in 0..THINGS {
            let count = store.peek(THING.of(&thing)).get(&COUNT, &()).await;
            read.add(count.map(|row| row.map(|row| row.value.0)), RAISED, &["count"]);
            let text = store.peek(THING.of(&thing)).get(&NOTE, &()).await;
            read.add(text.map(|row| row.map(|row| row.value)), note(thing), &["note"]);
            let shown = store.plain(&SHOWN, &thing).get(&()).await;
            read.add(shown.map(|row| row.map(|row| row.value.0)), RAISED, &["shown"]);
            let (log, mut cursor) = (store.log(&OWED, &thing), None);
            for n in 1..=RAISED {
                let next = log.read_after(cursor, 1).await.map(|batch| {
                    cursor = batch.next.or(cursor);
                    batch.entries.into_iter().next().map(|(_, entry)| entry.meta.to_vec())
                });
                // After one that is gone comes another: it is found missing by what it says.
                let next = next.map(|meta| meta.filter(|meta| *meta == n.to_string().into_bytes()));
                read.add(next, n.to_string().into_bytes(), &["owed"]);
            }
            // Opening says so too.
            if let Err(error) = store.view(THING.of(&thing)).await {
                assert!(matches!(error, ReadError::Corrupt { table: "thing", .. } | ReadError::Unavailable { .. }));
            }
        }
        read
    }
}

async fn furnished(folder: &Path) {
    let (store, _) = ledger::open_free(folder, 0);
    for _ in 0..RAISED {
        for thing in 0..THINGS {
            ledger::raise(&store, thing).await.unwrap();
        }
    }
    for thing in 0..THINGS {
        let mut commit = Commit::at(THING.of(&thing));
        commit.put(&NOTE, &(), &note(thing));
        store.commit(commit).await.unwrap();
    }
    store.close().await;
}

/// Whatever bits turn: nothing panics, nothing wrong is shown, and where anything is not as it was a check says so.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_bits_turn() {
    let whole = TempDir::new().unwrap();
    furnished(whole.path()).await;
    let database = fs::read(whole.path().join("store.sqlite")).unwrap();
    let rng = SeededRng::new(77);
    let below = |bound: usize| usize::try_from(rng.below(bound as u64)).unwrap();
    let (mut named, mut rest, mut refused) = (0, 0, 0);
    let (mut salvaged, mut few, mut lost) = (0, 0, 0);
    for round in 0..rounds(150) {
        let mut bytes = database.clone();
        if round % 5 == 4 {
            // A stretch that some other program has written over.
            let at = below(bytes.len() - 600);
            bytes[at..at + 1 + below(600)].fill_with(|| u8::try_from(rng.below(256)).unwrap());
        } else {
            // A bit, seldom in the first page, where most of them mean that it does not open.
            let at = if round % 25 == 0 { below(4096) } else { 4096 + below(bytes.len() - 4096) };
            bytes[at] ^= 1 << below(8);
        }
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("store.sqlite"), &bytes).unwrap();
        fs::copy(whole.path().join("commits"), folder.path().join("commits")).unwrap();
        let good = Standing::in_folder(folder.path())
            .is_ok_and(|standing| standing.check(&tables(), &mut |_, _| ()).is_good());
        // It takes its time.
        if round % 2 == 0
            && let Some(saved) = Saved::of(folder.path()).await
        {
            assert!(!good || (saved.left_out.is_empty() && saved.read.missing == 0), "round {round}: all is well");
            lost += saved.read.missing;
            salvaged += 1;
            // What one bit or a stretch is in is a page at most, unless it leads to others.
            few += usize::from(saved.read.missing <= 40);
        }
        match ledger::open(folder.path(), 0) {
            Ok(store) => {
                let read = Read::of(&store).await;
                named += read.named;
                rest += read.right;
                assert!(!good || read.missing + read.named == 0, "round {round}: a check found nothing wrong");
                // It goes on being written, or says why not.
                let mut commit = Commit::at(THING.of(&1000));
                commit.put(&COUNT, &(), &Json(1));
                let _ = store.commit(commit).await;
                store.close().await;
            }
            Err(
                OpenError::Damaged { .. }
                | OpenError::Io { .. }
                | OpenError::LostCommits { .. }
                | OpenError::NewerFormat { .. }
                | OpenError::OtherDomain { .. },
            ) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("{salvaged} salvaged, {few} of them with few things missing, {lost} missing in all");
    assert!(few * 10 > salvaged * 9 && salvaged * 20 > rounds(150) * 9, "{few} of {salvaged}");
    println!("{named} named, {rest} right beside them, {refused} not opened");
    assert!(named > 0 && rest > named, "the damage was met, and the rest could be read");
}

/// What is left after a salvage was loaded.
struct Saved {
    left_out: Vec<Problem>,
    read: Read,
}

impl Saved {
    /// `None` where nothing can be opened at all.
    async fn of(folder: &Path) -> Option<Self> {
        let standing = match Standing::in_folder(folder) {
            Ok(standing) => standing,
            Err(UpkeepError::Open(_) | UpkeepError::Sqlite { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        let mut left_out = Vec::new();
        let mut tell = |problem: &Problem| left_out.push(problem.clone());
        let (dump, count) = standing.salvage(Vec::new(), &tables(), &mut tell, &mut |_, _| ()).unwrap();
        assert_eq!(count, left_out.len() as u64);
        let place = TempDir::new().unwrap();
        let (domain, now) = (standing.domain().parse().unwrap(), types::Timestamp::from_seconds(1_800_000_000));
        let loaded = upkeep::load(&dump[..], place.path(), &domain, now, &mut |_| ()).unwrap();
        assert_eq!(loaded.left_out, Some(count));
        let verdict = Standing::in_folder(place.path()).unwrap().check(&tables(), &mut |_, _| ());
        assert_eq!(verdict.problems, [], "what was salvaged is sound");
        let Ok(store) = ledger::open(place.path(), 0) else {
            // The domain itself is damaged.
            assert_ne!(standing.domain(), "a.example");
            return None;
        };
        let read = Read::of(&store).await;
        assert_eq!(read.named, 0);
        assert!(read.missing == 0 || count > 0, "{} are missing without a word", read.missing);
        ledger::raise(&store, 1).await.unwrap();
        store.close().await;
        Some(Self { left_out, read })
    }
}

/// Of a page that is gone only what was on it is missing, unless it led to others and there was no other way to them.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_page_is_gone() {
    let whole = TempDir::new().unwrap();
    furnished(whole.path()).await;
    let database = fs::read(whole.path().join("store.sqlite")).unwrap();
    let kinds = rusqlite::Connection::open(whole.path().join("store.sqlite")).unwrap();
    let mut kinds = kinds.prepare("SELECT name, pagetype, ncell FROM dbstat WHERE pageno = ?1").unwrap();
    let mut lost = Vec::new();
    for page in 1..database.len() / 4096 {
        let mut bytes = database.clone();
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("store.sqlite"), &bytes).unwrap();
        fs::copy(whole.path().join("commits"), folder.path().join("commits")).unwrap();
        let kind = kinds.query_row([page as u32 + 1], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
        });
        let Ok((table, kind, cells)) = kind else { continue };
        let Some(saved) = Saved::of(folder.path()).await else {
            assert!(table.contains("meta") || table.contains("schema"), "{table} {kind}");
            continue;
        };
        let (index, missing) = (table.starts_with("sqlite_autoindex"), saved.read.missing);
        if kind == "leaf" || index {
            let most = if index { 0 } else { usize::try_from(cells).unwrap() };
            // Reading a log on, what comes after one that is gone does not fit either.
            let on_it = match &*table {
                "log_name" => most * 3,
                "log" | "fresh" => most * 3,
                _ => most,
            };
            assert!(missing <= on_it, "{table} {kind} of {cells}: {missing} missing: {:?}", saved.left_out);
        }
        lost.push((table, kind, cells, missing, saved.left_out.len()));
    }
    println!("{lost:?}");
    assert!(lost.iter().any(|(table, .., missing, _)| table == "rows" && *missing > 0));
}
