//! Entries stand where they came, and are moved to their logs later. Nobody sees the difference.
//!
//! That every promise holds wherever entries stand is seen by the contract, which is run with all of them fresh, with none,
//! and with some. Here is what happens at the border.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use store::{
    Commit, EntryId, Log, NewBody, NewEntry, Options, Place, Store, limits,
    upkeep::{Existing, Standing, Stats, restore},
};
use types::{Clock, ManualClock, Timestamp};

use crate::{
    bench::{Bench, Kind, MEMORY, OWED, STREAM, TTL, all, domain, entry, eventually, free, text},
    upkeep::{furnish, tables},
};

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

fn open_in(place: Place, clock: &Arc<ManualClock>, fresh: usize) -> Store {
    free(|| {
        let mut options = Options::new(place.clone(), domain());
        options.clock = Arc::clone(clock) as Arc<dyn Clock>;
        options.fresh = fresh;
        Store::open(options)
    })
    .unwrap()
}

/// How many entries stay fresh in the stores of these tests.
const STAY: usize = 40;

/// A store in memory in which that many entries stay fresh.
fn small() -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW));
    (open_in(Place::Memory, &clock, STAY), clock)
}

/// Entries in `log` and in `fresh`.
fn places(folder: &Path) -> (u64, u64) {
    let database = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
    let count = |table: &str| {
        database.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap() as u64
    };
    (count("log"), count("fresh"))
}

/// Moves all entries of a folder's store, which nobody has open.
pub async fn move_all(folder: &Path, clock: &Arc<ManualClock>) {
    let store = open_in(Place::Folder(folder.to_owned()), clock, 0);
    eventually("they are moved", async || places(folder).1 == 0).await;
    store.close().await;
}

fn dump_of(standing: &Standing) -> Vec<u8> {
    standing.dump(Vec::new(), &tables(), &mut |_, _| ()).unwrap()
}

/// A dump without its first line, which tells of the clock too, and the last, which sums up.
fn records(standing: &Standing) -> Vec<String> {
    let dump = text(&dump_of(standing));
    let lines: Vec<_> = dump.lines().map(str::to_owned).collect();
    lines[1..lines.len() - 1].to_vec()
}

fn standing(folder: &Path) -> Standing {
    Standing::in_folder(folder).unwrap()
}

/// What the writer has moved when it answers: it looks after each commit, before it goes on.
async fn after_the_move(store: &Store) {
    store.housekeep(Duration::from_secs(60)).await;
}

/// One entry after another, named by their numbers. Those before `border` are moved, and the others stay fresh.
async fn append(store: &Store, kind: &store::LogKind<u64>, numbers: std::ops::Range<u64>, border: u64) -> Vec<EntryId> {
    let mut ids = Vec::new();
    for n in numbers.start..=numbers.end {
        if n == border {
            move_so_far(store).await;
        }
        if n < numbers.end {
            let mut c = Commit::free();
            c.append(kind, &1, entry(n.to_string()));
            // Neighbours on both sides.
            c.append(&OWED, &0, entry("before"));
            c.append(&OWED, &2, entry("behind"));
            ids.push(store.commit(c).await.unwrap().appended[0].id);
        }
    }
    ids
}

/// Appends so many entries of another log that everything is moved.
async fn move_so_far(store: &Store) {
    let mut c = Commit::free();
    for _ in 0..=STAY {
        c.append(&OWED, &9, entry("padding"));
    }
    store.commit(c).await.unwrap();
    after_the_move(store).await;
}

/// Moves the first fresh entries as a round does that is not over yet. Nobody has the store open.
pub fn move_first(folder: &Path, entries: u64) {
    let database = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
    let first = format!("no IN (SELECT no FROM fresh ORDER BY no LIMIT {entries})");
    let moved =
        format!("INSERT INTO log SELECT pos, tick, key, meta, body, body_ref, expires, crc FROM fresh WHERE {first}");
    database.execute_batch(&format!("BEGIN; {moved}; DELETE FROM fresh WHERE {first}; COMMIT")).unwrap();
}

async fn texts(log: &Log) -> Vec<String> {
    all(log).await.into_iter().map(|(_, _, text)| text).collect()
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// Everything is the same before, while and after entries are moved: what a dump says, what is counted, and what a check
/// finds.
#[tokio::test]
async fn a_dump_is_equal_before_and_after_moving() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = bench.folder.as_ref().unwrap().path();
    bench.store.close().await;
    let (kept, (older, newer)) = (records(&standing(folder)), places(folder));
    assert!(older == 0 && newer > 20, "{older} {newer}");
    let stats = |folder: &Path| -> Stats { standing(folder).stats(&tables()).unwrap() };
    let counted = stats(folder);
    for moved in [0, 1, 7, newer - 3, newer] {
        move_first(folder, moved - places(folder).0);
        let store = open_in(Place::Folder(folder.to_owned()), &bench.clock, limits::FRESH);
        // With a process at work, and without.
        assert_eq!(records(&standing(folder)), kept, "{moved} moved");
        store.close().await;
        let dump = dump_of(&standing(folder));
        assert_eq!(records(&standing(folder)), kept, "{moved} moved");
        assert_eq!(places(folder), (moved, newer - moved));
        let verdict = standing(folder).check(&tables(), &mut |_, _| ());
        assert_eq!((verdict.problems, verdict.counts.entries), (Vec::new(), newer), "{moved} moved");
        let now = stats(folder);
        assert_eq!(
            (now.logs, now.bodies, now.plain),
            (counted.logs.clone(), counted.bodies.clone(), counted.plain.clone())
        );
        let place = tempfile::tempdir().unwrap();
        let backup = place.path().join("backup");
        standing(folder).backup(&backup, &tables(), &mut |_, _| (), &mut |_, _| ()).unwrap();
        assert!(dump_of(&Standing::of_file(&backup).unwrap()) == dump);
    }
}

/// The same, as the writer moves them.
#[tokio::test]
async fn what_the_writer_moves_stays_the_same() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = bench.folder.as_ref().unwrap().path();
    bench.store.close().await;
    let (kept, (_, newer)) = (records(&standing(folder)), places(folder));
    drop(open_in(Place::Folder(folder.to_owned()), &bench.clock, newer as usize));
    assert_eq!(places(folder), (0, newer), "so many may stay");
    move_all(folder, &bench.clock).await;
    assert_eq!(places(folder), (newer, 0));
    assert_eq!(records(&standing(folder)), kept);
    assert_eq!(standing(folder).check(&tables(), &mut |_, _| ()).problems, []);
}

/// The border at each place of a log: pages in both directions, cursors, single entries, and what comes before what is new.
#[tokio::test]
async fn pages_and_cursors_cross_the_border() {
    const MANY: u64 = 7;
    for border in 0..=MANY {
        let (store, _) = small();
        let ids = append(&store, &OWED, 0..MANY, border).await;
        let log = store.log(&OWED, &1);
        for at in 0..MANY as usize {
            for page in 1..=MANY as usize {
                let after = log.read_after(Some(ids[at]), page).await.unwrap();
                let wanted: Vec<_> = ids[at + 1..].iter().take(page).copied().collect();
                assert_eq!(after.entries.iter().map(|(id, _)| *id).collect::<Vec<_>>(), wanted, "{border} {at} {page}");
                assert_eq!(after.more, ids.len() - at - 1 > page, "{border} {at} {page}");
                let before = log.read_before(Some(ids[at]), page).await.unwrap();
                let wanted: Vec<_> = ids[..at].iter().rev().take(page).copied().collect();
                assert_eq!(
                    before.entries.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
                    wanted,
                    "{border} {at} {page}"
                );
                assert_eq!(before.more, at > page, "{border} {at} {page}");
            }
            assert_eq!(text(&log.get(ids[at]).await.unwrap().unwrap().meta), at.to_string());
            let between = EntryId::new(ids[at].tick(), 0);
            assert_eq!(log.get(between).await.unwrap(), None);
            assert_eq!(log.read_after(Some(between), 1).await.unwrap().entries[0].0, ids[at]);
        }
        assert_eq!(log.newest().await.unwrap(), ids.last().copied());
        let mut c = Commit::free();
        c.append(&OWED, &1, entry("next"));
        let next = store.commit(c).await.unwrap().appended[0].clone();
        assert_eq!(next.prev, ids.last().copied());
        assert_eq!(texts(&store.log(&OWED, &0)).await.len(), MANY as usize, "its neighbours are whole");
        assert_eq!(texts(&store.log(&OWED, &2)).await.len(), MANY as usize);
    }
}

/// Trimming ends before, at and behind the border, and removes nothing else; what comes later goes on.
#[tokio::test]
async fn trimming_ends_on_either_side() {
    const MANY: u64 = 7;
    for border in 0..=MANY {
        for upto in 0..MANY {
            let (store, _) = small();
            let ids = append(&store, &OWED, 0..MANY, border).await;
            let log = store.log(&OWED, &1);
            log.trim(ids[upto as usize]).await.unwrap();
            assert_eq!(texts(&log).await, numbers(upto + 1..MANY), "{border} {upto}");
            assert!(!log.read_after(None, 1).await.unwrap().lost);
            let more = append(&store, &OWED, MANY..MANY + 2, border + 2).await;
            assert_eq!(texts(&log).await, numbers(upto + 1..MANY + 2), "{border} {upto}");
            log.trim(more[0]).await.unwrap();
            assert_eq!(texts(&log).await, numbers(MANY + 1..MANY + 2), "{border} {upto}");
            for beside in [0, 2] {
                assert_eq!(texts(&store.log(&OWED, &beside)).await.len(), MANY as usize + 2, "{border} {upto}");
            }
        }
    }
}

/// Entries expire on both sides of the border: absent at once, told as lost, removed later and no others.
#[tokio::test]
async fn expiry_on_either_side() {
    for border in 0..=8 {
        let (store, clock) = small();
        let early = append(&store, &STREAM, 0..4, border).await;
        clock.advance(TTL / 2);
        let late = append(&store, &STREAM, 4..8, border).await;
        clock.advance(TTL / 2 + Duration::from_millis(1));
        let log = store.log(&STREAM, &1);
        for _ in 0..2 {
            assert_eq!(texts(&log).await, numbers(4..8), "{border}");
            assert!(
                log.read_after(None, 3).await.unwrap().lost && log.read_after(Some(early[2]), 3).await.unwrap().lost
            );
            assert!(!log.read_after(Some(early[3]), 3).await.unwrap().lost, "{border}");
            assert_eq!(log.get(early[3]).await.unwrap(), None);
            let backwards = log.read_before(Some(late[1]), 9).await.unwrap();
            assert_eq!(backwards.entries.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [late[0]], "{border}");
            assert_eq!(store.housekeep(Duration::from_secs(60)).await.entries, 0, "remembered beyond its expiry");
        }
        clock.advance(MEMORY);
        assert_eq!(store.housekeep(Duration::from_secs(60)).await.entries, 4, "{border}");
        clock.advance(TTL);
        let report = store.housekeep(Duration::from_secs(60)).await;
        assert_eq!((report.entries, report.logs, report.more), (4, 1, false), "{border}");
        let new = append(&store, &STREAM, 8..9, border).await;
        assert_eq!(texts(&log).await, numbers(8..9), "{border}");
        assert!(new[0] > late[3]);
        assert_eq!(texts(&store.log(&OWED, &0)).await.len(), 9, "{border}");
    }
}

/// A body is kept as long as an entry has it, wherever that stands.
#[tokio::test]
async fn a_body_is_shared_across_the_border() {
    const LOGS: u64 = 6;
    for moved in 0..=LOGS {
        for first in 0..LOGS {
            let bench = Bench::new(Kind::File);
            let folder = bench.folder.as_ref().unwrap().path();
            let mut c = Commit::free();
            let body = c.body(Bytes::from_static(b"shared"));
            for log in 0..LOGS {
                c.append(&OWED, &log, NewEntry { body: NewBody::Shared(body), ..entry("shares") });
            }
            let done = bench.store.commit(c).await.unwrap();
            bench.store.close().await;
            move_first(folder, moved);
            assert_eq!(places(folder), (moved, LOGS - moved));
            let store = open_in(Place::Folder(folder.to_owned()), &bench.clock, limits::FRESH);
            let bodies = || {
                let count = "SELECT count(*) FROM body";
                bench.database().unwrap().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
            };
            for nth in 0..LOGS {
                let log = (first + nth) % LOGS;
                assert_eq!(bodies(), 1, "{moved} {first} {nth}");
                let got = store.log(&OWED, &log).get(done.appended[log as usize].id).await.unwrap().unwrap();
                assert_eq!(got.body.as_deref(), Some(&b"shared"[..]));
                store.log(&OWED, &log).trim(done.appended[log as usize].id).await.unwrap();
            }
            assert_eq!(bodies(), 0, "{moved} {first}");
            store.close().await;
        }
    }
}

/// Whoever reads while entries are moved sees each of them once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_each_entry_once_while_it_moves() {
    const ENTRIES: u64 = 600;
    for fresh in [0, 5, 64] {
        let bench = Bench::new(Kind::File);
        let folder = bench.folder.as_ref().unwrap().path();
        bench.store.close().await;
        let store = open_in(Place::Folder(folder.to_owned()), &bench.clock, fresh);
        let over = Arc::new(AtomicBool::new(false));
        let mut readers = tokio::task::JoinSet::new();
        for reader in 0..2 {
            let (log, over) = (store.log(&OWED, &1), Arc::clone(&over));
            readers.spawn(async move {
                let mut seen = 0;
                loop {
                    let last = over.load(Ordering::SeqCst);
                    let page = match reader {
                        0 => log.read_after(None, 1000).await.unwrap().entries,
                        _ => log.read_before(None, 1000).await.unwrap().entries.into_iter().rev().collect(),
                    };
                    let there: Vec<_> = page.iter().map(|(_, entry)| text(&entry.meta)).collect();
                    assert_eq!(there, numbers(0..there.len() as u64));
                    assert!(there.len() >= seen);
                    seen = there.len();
                    if last {
                        return seen;
                    }
                }
            });
        }
        for n in 0..ENTRIES {
            let mut c = Commit::free();
            c.append(&OWED, &1, entry(n.to_string()));
            c.append(&OWED, &(2 + n % 3), entry("beside"));
            store.commit(c).await.unwrap();
        }
        over.store(true, Ordering::SeqCst);
        assert_eq!(readers.join_all().await, [ENTRIES as usize; 2]);
        after_the_move(&store).await;
        let (older, newer) = places(folder);
        assert!(newer <= fresh as u64 && older + newer == 2 * ENTRIES, "{older} {newer}");
        store.close().await;
        assert_eq!(Standing::in_folder(folder).unwrap().check(&tables(), &mut |_, _| ()).problems, []);
    }
}

/// One commit of more entries than are moved at a time, over and over: what stays fresh has an end.
#[tokio::test]
async fn however_much_is_appended_no_more_than_twice_as_much_stays_fresh() {
    const FRESH: usize = 500;
    let bench = Bench::new(Kind::File);
    let folder = bench.folder.as_ref().unwrap().path();
    bench.store.close().await;
    let store = open_in(Place::Folder(folder.to_owned()), &bench.clock, FRESH);
    for _ in 0..4 {
        let mut c = Commit::free();
        for n in 0..3000_u64 {
            c.append(&OWED, &(n % 1000), entry(n.to_string()));
        }
        store.commit(c).await.unwrap();
        after_the_move(&store).await;
        assert!(places(folder).1 <= 2 * FRESH as u64, "{:?}", places(folder));
    }
    // And when nothing comes any more the rest is moved too.
    eventually("all is moved that should be", async || places(folder).1 <= FRESH as u64).await;
    for log in [0, 1, 999] {
        let wanted: Vec<_> = (0..12).map(|nth| (log + nth % 3 * 1000).to_string()).collect();
        assert_eq!(texts(&store.log(&OWED, &log)).await, wanted);
    }
    store.close().await;
}

/// A store of the first format is looked at, dumped, backed up and put back as it is; whoever opens it brings it up.
#[tokio::test]
async fn the_first_format_is_read_as_it_is() {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/format-1");
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("old");
    fs::create_dir(&folder).unwrap();
    fs::copy(old.join("store.sqlite"), folder.join("store.sqlite")).unwrap();
    let bytes = || fs::read(folder.join("store.sqlite")).unwrap();
    let before = bytes();
    let verdict = standing(&folder).check(&tables(), &mut |_, _| ());
    assert!(verdict.is_good() && verdict.counts.entries > 20, "{verdict:?}");
    let stats = standing(&folder).stats(&tables()).unwrap();
    assert!(stats.format == 1 && stats.logs.iter().map(|log| log.entries).sum::<u64>() == verdict.counts.entries);
    let kept = records(&standing(&folder));
    let backup = place.path().join("backup");
    standing(&folder).backup(&backup, &tables(), &mut |_, _| (), &mut |_, _| ()).unwrap();
    assert!(bytes() == before, "nothing is changed");
    let restored = place.path().join("restored");
    restore(&backup, &restored, &domain(), &tables(), Existing::Refuse, NOW, &mut |_, _| ()).unwrap();
    for folder in [&folder, &restored] {
        Store::open(Options::new(Place::Folder(folder.clone()), domain())).unwrap().close().await;
        assert_eq!(standing(folder).stats(&tables()).unwrap().format, 2);
        assert_eq!(records(&standing(folder)), kept);
    }
}

/// What stands in the wrong place, or twice, is named by a check.
#[tokio::test]
async fn entries_in_the_wrong_place_are_named() {
    const COLUMNS: &str = "pos, tick, key, meta, body, body_ref, expires, crc";
    let bench = Bench::new(Kind::File);
    let folder = bench.folder.as_ref().unwrap().path();
    append(&bench.store, &OWED, 0..4, 9).await;
    bench.store.close().await;
    move_all(folder, &bench.clock).await;
    let whole = fs::read(folder.join("store.sqlite")).unwrap();
    let first = "WHERE pos = (SELECT min(pos) FROM log)";
    let last = "WHERE pos = (SELECT max(pos) FROM log)";
    let copy = |which: &str| format!("INSERT INTO fresh({COLUMNS}) SELECT {COLUMNS} FROM log {which}");
    for (sql, told) in [
        (format!("{}; DELETE FROM log {last}", copy(last)), None),
        (copy(last), Some("its id is not above that of the entry before it")),
        (copy(first), Some("its id is not above that of the entry before it")),
        (format!("{}; DELETE FROM log {first}", copy(first)), Some("an entry is not fresh, but one before it is")),
    ] {
        fs::write(folder.join("store.sqlite"), &whole).unwrap();
        bench.database().unwrap().execute_batch(&sql).unwrap();
        let problems = standing(folder).check(&tables(), &mut |_, _| ()).problems;
        let found = problems.iter().any(|problem| Some(&problem.what[..]) == told);
        assert_eq!(found, told.is_some(), "{sql}: {problems:?}");
        assert_eq!(problems.is_empty(), told.is_none(), "{sql}: {problems:?}");
    }
}
