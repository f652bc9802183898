//! Stores that are damaged, or hold what a release does not know: checks, and dumps of what is sound.

use std::{fs, path::Path, time::Duration};

use store::{
    Aggregate, Commit, Guarded, Json, Life, LogKind, Plain, Size,
    upkeep::{Existing, Loaded, Problem, Standing, UpkeepError},
};

use crate::{
    bench::{Bench, COUNT, Kind, OWED, THING, entry},
    upkeep::{back_up, checked, dumped, folder_of, furnish, loaded, nothing, open_at, put_back, records, tables},
};

#[tokio::test]
async fn a_damaged_store_makes_no_backup() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    bench
        .database()
        .unwrap()
        .execute_batch("UPDATE plain SET json = '\"forged\"' WHERE version = (SELECT max(version) FROM plain)")
        .unwrap();
    let to = folder.join("backup");
    let Err(UpkeepError::Damaged { problems: 1, first, file }) = back_up(&folder, &to) else { panic!("it is damaged") };
    assert_eq!((first.table.as_str(), file), ("list", folder.join("store.sqlite")));
    assert!(!to.exists() && !folder.join("backup.partial").exists());
}

/// What is damaged is left out and named, and what had no more sense without it; the rest is as sound as ever.
#[tokio::test]
async fn a_salvage_leaves_out_what_is_damaged() {
    for moved in [0, 11, 1000] {
        let bench = Bench::new(Kind::File);
        furnish(&bench).await;
        bench.store.close().await;
        crate::fresh::move_first(&folder_of(&bench), moved);
        salvaged_around_damage(&bench).await;
    }
}

async fn salvaged_around_damage(bench: &Bench) {
    let folder = folder_of(bench);
    let whole = dumped(&folder);
    let salvaged = |folder: &Path| {
        let mut told = Vec::new();
        let mut tell = |problem: &Problem| told.push(problem.to_string());
        let standing = Standing::in_folder(folder).unwrap();
        let (dump, count) = standing.salvage(Vec::new(), &tables(), &mut tell, &mut nothing()).unwrap();
        assert_eq!(count, told.len() as u64);
        (dump, told)
    };
    // Of a store that is whole everything is in it.
    let (dump, told) = salvaged(&folder);
    assert!(told.is_empty() && records(&dump) == records(&whole), "{told:?}");
    let first = |dump: &[u8]| String::from_utf8(dump.split(|byte| *byte == b'\n').next().unwrap().to_vec()).unwrap();
    assert!(first(&dump).contains("\"salvage\":true") && !first(&whole).contains("salvage"));
    bench
        .database()
        .unwrap()
        .execute_batch(
            "UPDATE plain SET json = '\"forged\"' WHERE no = 1;
             UPDATE rows SET bin = x'0102' WHERE key = x'00' AND agg = x'00010000000000000001';
             UPDATE rows SET json = '7' WHERE key = x'000c' AND agg = x'00010000000000000002';
             UPDATE body SET crc = crc + 1 WHERE no = 1;
             DELETE FROM log_name WHERE no = (SELECT max(no) FROM log_name);
             UPDATE meta SET v = 5 WHERE k = 'clock_ceiling'",
        )
        .unwrap();
    let (dump, told) = salvaged(&folder);
    let named = |what: &[&str]| told.iter().filter(|told| what.iter().all(|what| told.contains(what))).count();
    assert_eq!(named(&["list at", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["thing at 00010000000000000001", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["count at 00010000000000000002", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["body at 1", "checksum"]), 1, "{told:?}");
    assert_eq!(named(&["stream at", "a body that is not there"]), 3, "{told:?}");
    assert_eq!(named(&["log at log", "1 entry of a log without a name"]), 1, "{told:?}");
    assert_eq!(told.len(), 8, "{told:?}");
    let place = tempfile::tempdir().unwrap();
    assert_eq!(loaded(&dump, place.path()).unwrap(), Loaded { left_out: Some(8) });
    assert_eq!(checked(place.path()).problems, []);
    let store = open_at(place.path(), &bench.clock);
    let view = store.view(THING.of(&1)).await.unwrap();
    let newest = view.get(&COUNT, &()).await.unwrap().unwrap().version;
    assert_eq!(view.version(), newest, "a head that was lost is as new as its rows");
    let mut c = Commit::on(&view);
    c.put(&COUNT, &(), &Json(1));
    assert!(store.commit(c).await.unwrap().version > newest);
    store.close().await;
    assert_eq!(checked(place.path()).problems, []);
}

/// A dump does not leave out without a word what it cannot come by.
#[tokio::test]
async fn entries_of_no_log_are_not_left_out_in_silence() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let named = "DELETE FROM log_name WHERE no = (SELECT min(pos >> 32) FROM fresh)";
    bench.database().unwrap().execute_batch(named).unwrap();
    let dumped = Standing::in_folder(&folder_of(&bench)).unwrap().dump(Vec::new(), &tables(), &mut nothing());
    assert!(matches!(dumped, Err(UpkeepError::Damaged { .. })), "{}", dumped.is_ok());
}

#[tokio::test]
async fn a_check_names_what_is_wrong() {
    for entries in ["fresh", "log"] {
        let bench = Bench::new(Kind::File);
        furnish(&bench).await;
        bench.store.close().await;
        if entries == "log" {
            crate::fresh::move_all(&folder_of(&bench), &bench.clock).await;
        }
        named_by_a_check(&bench, entries);
    }
}

/// What a newer release of the same format has beside.
const NEWER: Aggregate<u64> = Aggregate::new(97, "newer", Life::Kept);
const NEWER_ROW: Guarded<u64, Json<u64>> = Guarded::new(97, "newer-row", &NEWER, Size::Row);
const NEWER_OF_THING: Guarded<u64, Json<u64>> = Guarded::new(98, "newer-of-thing", &THING, Size::Row);
const NEWER_LIST: Plain<u64, u64, Json<u64>> = Plain::new(99, "newer-list");
const NEWER_LOG: LogKind<u64> = LogKind::new(97, "newer-log", None, Duration::ZERO, Duration::from_secs(1));

/// Who goes back to an older release still has backups and dumps, with all that a newer one wrote.
#[tokio::test]
async fn tables_of_a_newer_release_are_no_damage() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    for aggregate in 0..2 {
        let mut c = Commit::at(NEWER.of(&aggregate));
        c.put(&NEWER_ROW, &1, &Json(1));
        c.put(&NEWER_ROW, &2, &Json(2));
        c.effect_put(&NEWER_LIST, &1, &aggregate, &Json(3));
        c.append(&NEWER_LOG, &1, entry("newer"));
        bench.store.commit(c).await.unwrap();
    }
    bench
        .set(1, |c| {
            c.put(&NEWER_OF_THING, &1, &Json(4));
        })
        .await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    let verdict = checked(&folder);
    assert_eq!(verdict.problems, []);
    let unknown =
        [("aggregate 97", 2), ("guarded table 97", 4), ("guarded table 98", 1), ("log 97", 2), ("plain table 99", 2)];
    let unknown: Vec<_> = unknown.into_iter().map(|(table, rows)| (table.to_owned(), rows)).collect();
    assert_eq!(verdict.unknown.clone().into_iter().collect::<Vec<_>>(), unknown);
    assert_eq!(verdict.unknown_rows(), 11);
    // All of it is backed up, restored, dumped and loaded.
    let place = tempfile::tempdir().unwrap();
    let (backup, restored, moved) = {
        let at = |name| place.path().join(name);
        (at("backup"), at("restored"), at("moved"))
    };
    assert_eq!(back_up(&folder, &backup).unwrap().unknown, verdict.unknown);
    put_back(&backup, &restored, Existing::Refuse).unwrap();
    let dump = dumped(&folder);
    loaded(&dump, &moved).unwrap();
    assert!(dumped(&moved) == dump);
    for folder in [restored, moved] {
        assert_eq!(checked(&folder).unknown, verdict.unknown);
        let store = open_at(&folder, &bench.clock);
        let view = store.view(NEWER.of(&1)).await.unwrap();
        assert_eq!(view.get(&NEWER_ROW, &2).await.unwrap().unwrap().value.0, 2);
        assert_eq!(store.log(&NEWER_LOG, &1).read_after(None, 9).await.unwrap().entries.len(), 2);
        store.close().await;
        // It is looked at for damage like any other.
        let damaged = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
        damaged.execute_batch("UPDATE rows SET json = '7' WHERE substr(key, 1, 2) = x'0062'").unwrap();
        let problems = checked(&folder).problems;
        assert!(matches!(&problems[..], [one] if one.table == "guarded table 98"), "{problems:?}");
    }
}

/// `entries`: the table in which all entries are.
fn named_by_a_check(bench: &Bench, entries: &str) {
    let folder = folder_of(bench);
    assert_eq!(checked(&folder).problems, []);
    let whole = fs::read(folder.join("store.sqlite")).unwrap();
    let wrong = |sql: &str| {
        fs::write(folder.join("store.sqlite"), &whole).unwrap();
        bench.database().unwrap().execute_batch(&sql.replace("entries", entries)).unwrap();
        let problems = checked(&folder).problems;
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let thing = "0000000000000001";
    for (sql, told) in [
        (
            "UPDATE rows SET json = '1' WHERE key = x'000c' AND agg = x'00010000000000000001'",
            vec!["count at", thing, "checksum"],
        ),
        ("UPDATE plain SET expires = 5 WHERE no = 1", vec!["list at", "checksum"]),
        ("UPDATE plain SET agg = x'00110000000000000001' WHERE no = 1", vec!["plain table 17 at", "checksum"]),
        ("UPDATE rows SET key = x'0063' WHERE key = x'000c'", vec!["guarded table 99 at", "checksum"]),
        (
            "UPDATE rows SET agg = x'00020000000000000001' WHERE agg = x'00010000000000000001'",
            vec!["aggregate 2 at", "checksum"],
        ),
        ("DELETE FROM rows WHERE key = x'00'", vec!["thing at", thing, "the aggregate has no head"]),
        ("UPDATE rows SET bin = x'0102' WHERE key = x'00'", vec!["thing at", "checksum"]),
        (
            "UPDATE entries SET tick = tick + 100000000 WHERE pos = (SELECT min(pos) FROM entries)",
            vec!["stream at", "checksum"],
        ),
        ("DELETE FROM body WHERE no = 1", vec!["stream at", "its body is not there"]),
        ("UPDATE body SET bytes = x'00' WHERE no = 2", vec!["body at 2", "checksum"]),
        ("INSERT INTO body(no, bytes, crc) VALUES (9, x'', 0)", vec!["body at 9", "no entry has it"]),
        ("DELETE FROM log_name WHERE no = 1", vec![": 2 entries belong to no log"]),
        ("UPDATE meta SET v = 5 WHERE k = 'clock_ceiling'", vec!["meta at clock_ceiling", "below what was handed out"]),
        ("UPDATE log_name SET name = x'00090000000000000001' WHERE no = 1", vec!["log 9 at", "checksum"]),
    ] {
        let problems = wrong(sql);
        for told in told {
            assert!(problems.contains(told), "{sql}: {told} is not told: {problems}");
        }
    }
    // Pages of SQLite itself: found, named, and nothing panics. The rest is looked at all the same.
    fs::write(folder.join("store.sqlite"), &whole).unwrap();
    let leaf = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf' LIMIT 1";
    let page: u32 = bench.database().unwrap().query_row(leaf, [entries], |row| row.get(0)).unwrap();
    let at = (page as usize - 1) * 4096;
    let mut bytes = whole.clone();
    bytes[at..at + 100].fill(0xa5);
    fs::write(folder.join("store.sqlite"), bytes).unwrap();
    let verdict = checked(&folder);
    let told = format!("page {page}");
    let named = |problem: &Problem| problem.table == "database" && problem.what.contains(&told);
    assert!(verdict.problems.iter().any(named), "{verdict:?}");
    assert!(verdict.counts.rows > 12 && verdict.counts.plain == 13, "{verdict:?}");
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[(page * 4096).max(100)..page * 4096 + 2000].fill(0x5a);
        fs::write(folder.join("store.sqlite"), bytes).unwrap();
        let standing = Standing::in_folder(&folder);
        let verdict = standing.map(|standing| standing.check(&tables(), &mut nothing()));
        assert!(!verdict.is_ok_and(|verdict| verdict.is_good()), "page {page}");
    }
    // Everything at once is no more than can be told.
    let everything = "UPDATE rows SET crc = crc + 1; UPDATE plain SET crc = crc + 1; UPDATE entries SET crc = crc + 1";
    assert!(wrong(everything).lines().count() > 30);
}

/// Changes a byte of the database, at a place that is found in it.
fn turn(folder: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let file = folder.join("store.sqlite");
    let mut bytes = fs::read(&file).unwrap();
    change(&mut bytes);
    fs::write(&file, bytes).unwrap();
}

/// What a salvage leaves out, and the store that it is loaded into.
fn loaded_salvage(folder: &Path, to: &Path) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |problem: &Problem| told.push(problem.to_string());
    let (dump, count) =
        Standing::in_folder(folder).unwrap().salvage(Vec::new(), &tables(), &mut tell, &mut nothing()).unwrap();
    assert_eq!(loaded(&dump, to).unwrap(), Loaded { left_out: Some(count) });
    assert_eq!(checked(to).problems, []);
    told
}

/// A record whose head says that it holds nothing is no sound body, and what has it goes with it.
#[tokio::test]
async fn a_salvage_knows_a_body_that_is_no_body() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    turn(&folder, |bytes| {
        let at = bytes.windows(11).position(|here| here == b"shared body").unwrap();
        assert_eq!(bytes[at - 4], 4, "the size of the record's head");
        bytes[at - 4] = 0;
    });
    let place = tempfile::tempdir().unwrap();
    let told = loaded_salvage(&folder, place.path());
    assert_eq!(told.iter().filter(|told| told.contains("body at 1")).count(), 1, "{told:?}");
    assert_eq!(told.iter().filter(|told| told.contains("a body that is not there")).count(), 3, "{told:?}");
}

/// A page that says of itself that it holds less than it does: SQLite reads it without complaint.
#[tokio::test]
async fn a_salvage_misses_what_a_page_hides() {
    for hidden in ["in the midst of a log", "at the end of one"] {
        let bench = Bench::new(Kind::File);
        for _ in 0..300 {
            bench.set(0, |c| c.append(&OWED, &0, entry("one of many"))).await;
        }
        let first = bench.owed(0).read_after(None, 1).await.unwrap().entries[0].0;
        bench.store.close().await;
        let folder = folder_of(&bench);
        crate::fresh::move_first(&folder, 300);
        let root =
            bench
                .database()
                .unwrap()
                .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'log'", [], |row| row.get::<_, isize>(0));
        let root = (root.unwrap().unsigned_abs() - 1) * 4096;
        turn(&folder, |bytes| {
            let number =
                |at: usize, size: usize| bytes[at..at + size].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            assert_eq!(bytes[root], 5, "a page that leads to others");
            // The page of its first cell, or the one behind all cells.
            let page =
                if hidden.starts_with("in") { number(root + number(root + 12, 2), 4) } else { number(root + 8, 4) };
            let cells = (page - 1) * 4096 + 4;
            assert!(bytes[cells - 4] == 13 && bytes[cells] > 3);
            bytes[cells] -= 3;
        });
        let place = tempfile::tempdir().unwrap();
        let told = loaded_salvage(&folder, place.path());
        assert!(!told.is_empty(), "{hidden}");
        let store = open_at(place.path(), &bench.clock);
        let after = store.log(&OWED, &0).read_after(Some(first), 1000).await.unwrap();
        assert!(after.entries.len() == 296 && after.lost, "{hidden}: whoever has read the first entry is told");
        store.close().await;
    }
}

/// An entry whose position was turned is not written where it stands, but left out or where its id belongs.
#[tokio::test]
async fn a_salvage_writes_entries_in_the_order_of_their_ids() {
    for (moved, turned) in [(4, "pos - 3"), (0, "pos - 3"), (4, "pos + 3"), (4, "pos + (1 << 32)")] {
        let bench = Bench::new(Kind::File);
        for _ in 0..10 {
            bench.set(0, |c| c.append(&OWED, &0, entry("one of many"))).await;
        }
        bench.store.close().await;
        let folder = folder_of(&bench);
        crate::fresh::move_first(&folder, moved);
        let sql = format!(
            "DROP INDEX fresh_pos; UPDATE fresh SET pos = {turned} WHERE no = (SELECT min(no) FROM fresh);
             CREATE INDEX fresh_pos ON fresh(pos)"
        );
        bench.database().unwrap().execute_batch(&sql).unwrap();
        let place = tempfile::tempdir().unwrap();
        let told = loaded_salvage(&folder, place.path());
        assert!(!told.is_empty() || moved > 0, "{moved} {turned}");
        let store = open_at(place.path(), &bench.clock);
        assert!(store.log(&OWED, &0).read_after(None, 100).await.unwrap().entries.len() >= 4, "{moved} {turned}");
        store.close().await;
    }
}
