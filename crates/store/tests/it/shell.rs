//! What an operator sees who opens the database in a shell.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use store::{
    Aggregate, Catalogue, Commit, CommitError, Guarded, Json, Life, LogKind, NewBody, NewEntry, OpenError, Options,
    Place, Plain, Reason, Size, Store,
};
use types::{ManualClock, Timestamp, UserId};
use uuid::Uuid;

const USER: Aggregate<UserId> = Aggregate::new(1, "user", Life::Kept);
const CLIENT: Guarded<(u64, String), Json<u32>> = Guarded::new(1, "user-client", &USER, Size::Row);
const OTHER: Guarded<u64, Json<u32>> = Guarded::new(2, "other", &USER, Size::Row);
const BY_MODEL: Plain<String, UserId, Json<u32>> = Plain::new(1, "by model");
const STREAM: LogKind<UserId> = LogKind::new(1, "log", None, Duration::ZERO, Duration::from_secs(60));

fn tables() -> Catalogue {
    Catalogue::new().with(&USER).with(&CLIENT).with(&BY_MODEL).with(&STREAM)
}

fn open(folder: &Path, tables: Option<Catalogue>) -> Result<Store, OpenError> {
    let mut options = Options::new(Place::Folder(folder.to_owned()), "a.example".parse().unwrap());
    options.clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    options.tables = tables;
    Store::open(options)
}

/// The rows of a query, columns joined by bars as the shell of SQLite does.
fn ask(folder: &Path, sql: &str) -> Vec<String> {
    let conn = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
    let mut statement = conn.prepare(sql).unwrap();
    let columns = statement.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let text = |at| match row.get_ref(at)? {
            rusqlite::types::ValueRef::Null => Ok(String::new()),
            rusqlite::types::ValueRef::Integer(number) => Ok(number.to_string()),
            rusqlite::types::ValueRef::Real(number) => Ok(number.to_string()),
            rusqlite::types::ValueRef::Text(bytes) | rusqlite::types::ValueRef::Blob(bytes) => {
                Ok::<_, rusqlite::Error>(String::from_utf8_lossy(bytes).into_owned())
            }
        };
        Ok((0..columns).map(text).collect::<Result<Vec<_>, _>>()?.join("|"))
    };
    statement.query_map([], line).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Those of components; the store's own are about jobs.
fn views(folder: &Path) -> Vec<String> {
    ask(folder, "SELECT name FROM sqlite_schema WHERE type = 'view' AND name NOT LIKE 'job%' ORDER BY name")
}

#[tokio::test]
async fn declared_tables_are_shown_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let store = open(folder, Some(tables())).unwrap();
    let (alice, bob) = (UserId(Uuid::from_u128(0xa11ce)), UserId(Uuid::from_u128(0xb0b)));
    for (user, model) in [(alice, "phone"), (bob, "desk")] {
        let mut commit = Commit::at(USER.of(&user));
        commit.put(&CLIENT, &(7, model.to_owned()), &Json(1)).expires(Timestamp::from_seconds(1_900_000_000));
        commit.effect_put(&BY_MODEL, &model.to_owned(), &user, &Json(2));
        let body = NewBody::Inline(Bytes::from_static(b"hello"));
        commit.append(&STREAM, &user, NewEntry { key: None, meta: model.to_owned().into(), body });
        store.commit(commit).await.unwrap();
    }
    let (alice, bob) = (alice.to_string(), bob.to_string());
    assert_eq!(views(folder), ["_log", "by_model", "user_client"]);
    assert_eq!(
        ask(folder, "SELECT user, key_1, key_2, json, written, expires FROM user_client ORDER BY user"),
        // By the bytes of the ids.
        [
            format!("{bob}|7|desk|1|2027-01-15 08:00:00|2030-03-17 17:46:40"),
            format!("{alice}|7|phone|1|2027-01-15 08:00:00|2030-03-17 17:46:40"),
        ]
    );
    assert_eq!(ask(folder, "SELECT part, key, json FROM by_model WHERE part = 'phone'"), [format!("phone|{alice}|2")]);
    assert_eq!(
        ask(folder, &format!("SELECT log, appended, meta, body FROM _log WHERE log = '{bob}'")),
        [format!("{bob}|2027-01-15 08:00:00|desk|hello")]
    );
    store.close().await;

    // Another release: one table more, one fewer, one with other keys. Who knows no tables leaves the views alone.
    const MODELS: Plain<u64, u64, Json<u32>> = Plain::new(1, "by model");
    drop(open(folder, None).unwrap());
    assert_eq!(views(folder), ["_log", "by_model", "user_client"]);
    let newer = Catalogue::new().with(&USER).with(&CLIENT).with(&OTHER).with(&MODELS);
    drop(open(folder, Some(newer)).unwrap());
    assert_eq!(views(folder), ["by_model", "other", "user_client"]);
    assert_eq!(ask(folder, "SELECT count(*) FROM other"), ["0"]);
    assert_eq!(ask(folder, "SELECT count(*) FROM by_model"), ["2"]);
}

/// A view shows the entries of a log wherever they stand, and one of the first format, which shows half of them, does not stay.
#[tokio::test]
async fn views_show_entries_wherever_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let append = async |fresh: usize, texts: &[&str]| {
        let mut options = Options::new(Place::Folder(folder.to_owned()), "a.example".parse().unwrap());
        (options.tables, options.fresh) = (Some(tables()), fresh);
        let store = Store::open(options).unwrap();
        for text in texts {
            let mut commit = Commit::free();
            let meta = Bytes::copy_from_slice(text.as_bytes());
            commit.append(&STREAM, &UserId(Uuid::nil()), NewEntry { meta, ..NewEntry::default() });
            store.commit(commit).await.unwrap();
            // Moving comes before the writer goes on.
            store.housekeep(Duration::from_secs(1)).await;
        }
        store.close().await;
    };
    append(0, &["older", "old"]).await;
    append(9, &["new", "newer"]).await;
    assert_eq!(ask(folder, "SELECT count(*) FROM fresh"), ["2"]);
    assert_eq!(ask(folder, "SELECT meta FROM _log ORDER BY tick"), ["older", "old", "new", "newer"]);
    let plan =
        ask(folder, "EXPLAIN QUERY PLAN SELECT meta FROM _log WHERE log = '00000000-0000-0000-0000-000000000000'");
    assert!(!plan.iter().any(|step| step.contains("SCAN e") || step.contains("SCAN fresh")), "{plan:?}");

    append(0, &["newest"]).await;
    let conn = rusqlite::Connection::open(folder.join("store.sqlite")).unwrap();
    conn.execute_batch("UPDATE meta SET v = 1 WHERE k = 'format'; DROP VIEW _log; DROP TABLE fresh").unwrap();
    conn.execute_batch("CREATE VIEW _log AS SELECT * FROM log").unwrap();
    drop(conn);
    drop(open(folder, None).unwrap());
    assert_eq!(views(folder), [] as [&str; 0]);
    append(9, &["last"]).await;
    let all = ["older", "old", "new", "newer", "newest", "last"];
    assert_eq!(ask(folder, "SELECT meta FROM _log ORDER BY tick"), all);
}

#[tokio::test]
async fn tables_that_nobody_declared_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Some(tables())).unwrap();
    let mut commit = Commit::at(USER.of(&UserId(Uuid::nil())));
    commit.put(&OTHER, &1, &Json(1));
    assert_eq!(store.commit(commit).await, Err(CommitError::Refused(Reason::Undeclared("other"))));
    assert_eq!(ask(folder.path(), "SELECT count(*) FROM rows"), ["0"]);
    drop(store);
    let twice = tables().and(tables());
    let refused = open(folder.path(), Some(twice)).expect_err("its tables clash");
    assert_eq!(
        refused.to_string(),
        "the tables of this release contradict each other: user and user have the same tag 1"
    );
}
