//! Backups that are put back.

use std::{fs, path::Path, sync::Arc, time::Duration};

use store::{
    Commit, EntryId, Json, OpenError, Options, Place, Store,
    upkeep::{Existing, Restored, Standing, UpkeepError},
};
use types::Clock;

use crate::{
    bench::{Bench, COUNT, Kind, OWED, THING, domain, entry},
    upkeep::{NOW, back_up, dumped, folder_of, furnish, loaded, nothing, open_at, put_back, records, tables},
};

#[tokio::test]
async fn after_a_restore_ids_rise_and_cursors_from_the_lost_time_are_recognised() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let known = bench.owed(0).newest().await.unwrap().unwrap();
    back_up(&folder, &backup).unwrap();
    // What comes after the backup is acknowledged, seen by a client, and lost. The clock ran ahead meanwhile.
    bench.clock.advance(Duration::from_secs(3600));
    let lost = bench.set(0, |c| c.append(&OWED, &0, entry("lost"))).await;
    let (lost_version, lost_id) = (lost.version, lost.appended[0].id);
    bench.clock.set(NOW + Duration::from_secs(60));
    assert!(matches!(put_back(&backup, &folder, Existing::KeepAside), Err(UpkeepError::Open(OpenError::InUse { .. }))));
    bench.store.close().await;
    assert!(matches!(put_back(&backup, &folder, Existing::Refuse), Err(UpkeepError::HoldsStore(_))));
    let Restored { aside: Some(aside) } = put_back(&backup, &folder, Existing::KeepAside).unwrap() else {
        panic!("there was a store");
    };
    let kept = open_at(&aside, &bench.clock);
    assert!(kept.log(&OWED, &0).get(lost_id).await.unwrap().is_some(), "the old store is kept whole");
    kept.close().await;

    let store = open_at(&folder, &bench.clock);
    let log = store.log(&OWED, &0);
    assert_eq!(log.get(lost_id).await.unwrap(), None);
    let after = log.read_after(Some(lost_id), 10).await.unwrap();
    assert!(after.lost && after.entries.is_empty(), "{after:?}");
    assert!(!log.read_after(Some(known), 10).await.unwrap().lost, "an older one has lost nothing that it had");
    let mut c = Commit::at(THING.of(&0));
    c.append(&OWED, &0, entry("new"));
    let new = store.commit(c).await.unwrap();
    assert!(new.version > lost_version && new.appended[0].id > lost_id, "though the clock is behind");
    let after = log.read_after(Some(lost_id), 10).await.unwrap();
    assert!(after.lost && after.entries.len() == 1, "whoever comes with it misses nothing that is new");
    assert!(!log.read_after(Some(new.appended[0].id), 10).await.unwrap().lost);
    store.close().await;
    // That survives restarts, dumps and another restore.
    let told = async |folder: &Path| {
        let store = open_at(folder, &bench.clock);
        let told = store.log(&OWED, &0).read_after(Some(lost_id), 10).await.unwrap().lost;
        store.close().await;
        told
    };
    assert!(told(&folder).await);
    let moved = place.path().join("moved");
    loaded(&dumped(&folder), &moved).unwrap();
    assert!(told(&moved).await);
    let second = place.path().join("second");
    back_up(&moved, &second).unwrap();
    let fresh = place.path().join("fresh");
    assert_eq!(put_back(&second, &fresh, Existing::Refuse).unwrap(), Restored { aside: None });
    assert!(told(&fresh).await);
    let store = open_at(&fresh, &bench.clock);
    bench.clock.advance(Duration::from_secs(5));
    let mut c = Commit::at(THING.of(&0));
    c.append(&OWED, &0, entry("newer"));
    let newer = store.commit(c).await.unwrap().appended[0].id;
    assert!(newer > new.appended[0].id, "{newer} {}", new.appended[0].id);
    assert!(!store.log(&OWED, &0).read_after(Some(newer), 1).await.unwrap().lost);
}

/// A cursor that the store itself keeps stands behind entries that are gone; the commit that wrote it is newer than they.
#[tokio::test]
async fn the_stores_own_cursors_are_not_from_a_lost_time() {
    let bench = Bench::new(Kind::File);
    let cursor: EntryId = bench.set(1, |c| c.append(&OWED, &1, entry("drained"))).await.appended[0].id;
    bench.owed(1).trim(cursor).await.unwrap();
    bench
        .set(2, |c| {
            c.put(&COUNT, &(), &Json(1));
        })
        .await;
    bench.store.close().await;
    let folder = folder_of(&bench);
    let backup = folder.join("backup");
    back_up(&folder, &backup).unwrap();
    put_back(&backup, &folder, Existing::KeepAside).unwrap();
    let store = open_at(&folder, &bench.clock);
    assert!(!store.log(&OWED, &1).read_after(Some(cursor), 1).await.unwrap().lost);
}

#[tokio::test]
async fn a_restore_that_was_interrupted_is_told_and_can_be_done_again() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let backup = folder.join("backup");
    back_up(&folder, &backup).unwrap();
    bench.store.close().await;
    let backed_up = Standing::of_file(&backup).unwrap();
    let before = backed_up.dump(Vec::new(), &tables(), &mut nothing()).unwrap();
    // Interrupted after the old one was moved.
    fs::write(folder.join("store.sqlite.incoming"), "half").unwrap();
    fs::rename(folder.join("store.sqlite"), folder.join("elsewhere")).unwrap();
    // Its log is another database's now: what is in it must not get into what is restored.
    let killed = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/format-1-killed");
    fs::copy(killed.join("store.sqlite-wal"), folder.join("store.sqlite-wal")).unwrap();
    let mut options = Options::new(Place::Folder(folder.clone()), domain());
    options.clock = Arc::clone(&bench.clock) as Arc<dyn Clock>;
    let refused = Store::open(options.clone()).expect_err("nobody knows what is there");
    assert!(matches!(&refused, OpenError::HalfRestored { folder: named } if *named == folder), "{refused}");
    assert!(!folder.join("store.sqlite").exists(), "no new store was made");
    put_back(&backup, &folder, Existing::Refuse).unwrap();
    assert!(dumped(&folder) == before);
    // Interrupted before that, nothing has happened.
    fs::write(folder.join("store.sqlite.copying"), "half").unwrap();
    Store::open(options).unwrap().close().await;
    put_back(&backup, &folder, Existing::KeepAside).unwrap();
    assert!(!folder.join("store.sqlite.copying").exists());
    // One that was killed has all that it holds in its log, and is kept with that.
    for name in ["store.sqlite", "store.sqlite-wal"] {
        fs::copy(killed.join(name), folder.join(name)).unwrap();
    }
    let held = dumped(&folder);
    let Restored { aside: Some(aside) } = put_back(&backup, &folder, Existing::KeepAside).unwrap() else {
        panic!("there was a store");
    };
    assert!(held.len() > 600 && dumped(&aside) == held);
    assert!(records(&dumped(&folder)) == records(&before));
}

#[tokio::test]
async fn what_cannot_be_restored_touches_nothing() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    let folder = folder_of(&bench);
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    back_up(&folder, &backup).unwrap();
    bench.store.close().await;
    let before = dumped(&folder);
    let change = |name: &str, sql: &str| {
        let changed = place.path().join(name);
        fs::copy(&backup, &changed).unwrap();
        rusqlite::Connection::open(&changed).unwrap().execute_batch(sql).unwrap();
        put_back(&changed, &folder, Existing::KeepAside).expect_err("it cannot be restored")
    };
    let newer = change("newer", "UPDATE meta SET v = v + 1 WHERE k = 'format'");
    assert!(matches!(newer, UpkeepError::Open(OpenError::NewerFormat { .. })), "{newer}");
    let other = change("other", "UPDATE meta SET v = 'b.example' WHERE k = 'domain'");
    assert!(matches!(other, UpkeepError::Open(OpenError::OtherDomain { .. })), "{other}");
    let damaged = change("damaged", "DELETE FROM body");
    assert!(matches!(damaged, UpkeepError::Damaged { problems: 6, .. }), "{damaged}");
    let foreign = change("foreign", "DROP TABLE meta");
    assert!(matches!(foreign, UpkeepError::Open(OpenError::Damaged { .. })), "{foreign}");
    let text = place.path().join("text");
    fs::write(&text, "no database at all, but long enough to have a header if it were one").unwrap();
    let refused = put_back(&text, &folder, Existing::KeepAside);
    assert!(matches!(refused, Err(UpkeepError::Open(OpenError::Damaged { .. }))), "{refused:?}");
    let missing = put_back(&place.path().join("missing"), &folder, Existing::KeepAside);
    assert!(matches!(missing, Err(UpkeepError::NoStore(_))));
    assert!(dumped(&folder) == before);
    assert!(fs::read_dir(&folder).unwrap().all(|file| !file.unwrap().file_name().to_string_lossy().contains("before")));
}

/// Something is in the way when the old files are half moved: that is told, and it can be done again.
#[tokio::test]
async fn a_restore_that_fails_half_way_says_so_and_can_be_done_again() {
    let bench = Bench::new(Kind::File);
    furnish(&bench).await;
    bench.store.close().await;
    let place = tempfile::tempdir().unwrap();
    let (folder, backup) = (place.path().join("data"), place.path().join("backup"));
    back_up(&folder_of(&bench), &backup).unwrap();
    fs::create_dir_all(folder.join("commits")).unwrap();
    let half = put_back(&backup, &folder, Existing::KeepAside).expect_err("a folder is where the counter was");
    assert!(matches!(&half, UpkeepError::Half { folder: named, .. } if *named == folder), "{half}");
    assert!(half.to_string().contains("do it again"), "{half}");
    assert!(matches!(Standing::in_folder(&folder), Err(UpkeepError::Open(OpenError::HalfRestored { .. }))));
    fs::remove_dir(folder.join("commits")).unwrap();
    put_back(&backup, &folder, Existing::KeepAside).unwrap();
    assert!(dumped(&folder) == dumped(&folder_of(&bench)), "all of the backup");
}
