//! `ferrule store`, beside a backend that runs and without one.

use std::{
    fs,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use testkit::{
    client::{Client, Operator, User},
    process::{Child, Ended, Folder, run as run_program},
};
use tokio::task::JoinSet;

use crate::support::{ferrule, run};

/// The folder of a backend that does not federate.
fn folder(domain: &str) -> Folder {
    let folder = Folder::init_only(ferrule(), domain).unwrap();
    folder.configure("").unwrap();
    folder
}

#[track_caller]
fn done(folder: &Folder, arguments: &[&str]) -> String {
    let ended = folder.command(arguments).unwrap();
    assert!(ended.status.success(), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

#[track_caller]
fn refused(folder: &Folder, arguments: &[&str], status: i32, told: &[&str]) {
    let ended = folder.command(arguments).unwrap();
    assert_eq!(ended.status.code(), Some(status), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    for told in told {
        assert!(ended.stderr.contains(told), "{told} is not told: {}", ended.stderr);
    }
}

/// A command that works on a backup and so needs no configuration.
fn of_backup(arguments: &[&str], backup: &Path) -> Ended {
    let backup = backup.display().to_string();
    run_program(ferrule(), [&["store"], arguments, &["--backup", &backup]].concat()).unwrap()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Changes a database while nobody works with it.
fn change(database: &Path, sql: &str) {
    rusqlite::Connection::open(database).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn what_is_restored_is_as_it_was_backed_up() {
    run(async {
        let folder = folder("restored.example");
        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        let (before, handle) = operator.client_with_handle("Before", "before").await.unwrap();
        let backup = folder.path("backup.sqlite");
        let told = done(&folder, &["store", "backup", &shown(&backup)]);
        assert!(told.contains("restored.example is backed up") && told.contains("aggregates"), "{told}");
        assert!(done(&folder, &["store", "check"]).contains("nothing is wrong"), "beside the backend");
        let after = operator.create_user("After").await.unwrap();
        Client::log_in(operator.edge(), &after).await.unwrap();
        for command in [&["store", "restore", &shown(&backup), "--replace"][..], &["store", "load", &shown(&backup)]] {
            let told: &[&str] = if command[1] == "load" { &["not a dump"] } else { &["is in use by another process"] };
            refused(&folder, command, 1, told);
        }
        served.stop().unwrap();
        refused(&folder, &["store", "restore", &shown(&backup)], 1, &["holds a store already", "--replace"]);
        let told = done(&folder, &["store", "restore", &shown(&backup), "--replace"]);
        let aside = told.lines().find_map(|line| line.split_once("is kept in ")).expect("it is told").1.to_owned();
        assert!(of_backup(&["check"], &Path::new(&aside).join("store.sqlite")).status.success());

        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        let client = Client::log_in(operator.edge(), &before.user).await.unwrap();
        let found = client.by_handle(&handle, &before.user.id.domain).await.unwrap().expect_json();
        assert_eq!(found["qualified_id"], json!(before.user.id));
        assert_eq!(Client::try_log_in(operator.edge(), &after).await.unwrap().status, 403, "it came after the backup");
        let again = operator.create_user("Again").await.unwrap();
        Client::log_in(operator.edge(), &again).await.unwrap();
        served.stop().unwrap();
        assert!(done(&folder, &["store", "check"]).contains("nothing is wrong"));
    });
}

/// Makes users until told to stop, and counts them.
async fn traffic(operator: Operator, stop: Arc<AtomicBool>, made: Arc<AtomicUsize>) -> Vec<User> {
    let mut users = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        users.push(operator.create_user("Busy").await.expect("the backend is not hindered"));
        made.fetch_add(1, Ordering::SeqCst);
    }
    users
}

#[test]
fn a_backup_of_a_busy_backend_holds_all_that_was_acknowledged_before() {
    run(async {
        let folder = folder("busy.example");
        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let early = operator.create_user("Early").await.unwrap();
        let mut writers = JoinSet::new();
        for _ in 0..4 {
            writers.spawn(traffic(operator.clone(), Arc::clone(&stop), Arc::clone(&made)));
        }
        let mut counts = Vec::new();
        for round in 0..3 {
            let before = made.load(Ordering::SeqCst);
            let backup = folder.path(&format!("backup-{round}"));
            let ended = tokio::task::block_in_place(|| folder.command(&["store", "backup", &shown(&backup)])).unwrap();
            assert!(ended.status.success(), "{}", ended.stderr);
            let after = made.load(Ordering::SeqCst);
            assert!(after > before, "users were made meanwhile");
            let stats = of_backup(&["stats", "--json"], &backup);
            let stats: Value = serde_json::from_str(&stats.stdout).unwrap();
            let accounts =
                stats["guarded"].as_array().unwrap().iter().find(|table| table["table"] == "account").unwrap();
            let accounts = accounts["rows"].as_u64().unwrap() as usize;
            // The one from before the traffic, and in each of the writers one that is not counted yet.
            assert!((before + 1..=after + 1 + 4).contains(&accounts), "{before} {accounts} {after}");
            let checked = of_backup(&["check", "--json"], &backup);
            let checked: Value = serde_json::from_str(&checked.stdout).unwrap();
            assert_eq!((&checked["good"], &checked["domain"]), (&json!(true), &json!("busy.example")));
            counts.push(accounts);
        }
        assert!(counts.is_sorted());
        stop.store(true, Ordering::SeqCst);
        writers.join_all().await;
        Client::log_in(operator.edge(), &early).await.unwrap();
        served.stop().unwrap();
    });
}

/// Adds users to a data folder by way of a dump: nobody waits for their passwords.
fn fill(folder: &Folder, users: u128) {
    let dump = folder.path("dump");
    done(folder, &["store", "dump", &shown(&dump)]);
    let text = fs::read_to_string(&dump).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (header, mut reader) = store::dump::Reader::begin(text.as_bytes()).unwrap();
    let account = lines.iter().find(|line| line["row"]["table"] == "account").expect("a user")["row"]["of"].clone();
    let mut writer = store::dump::Writer::begin(fs::File::create(folder.path("larger")).unwrap(), header).unwrap();
    let mut more = Some(users);
    while let Some(record) = reader.next().unwrap() {
        writer.put(&record).unwrap();
        let (is_account, template) = match &record {
            store::dump::Record::Row(row) => {
                (serde_json::to_value(&record).unwrap()["row"]["of"] == account, row.clone())
            }
            _ => continue,
        };
        let Some(users) = is_account.then(|| more.take()).flatten() else { continue };
        for user in 0..users {
            let of = [&template.of[..2], &(user << 8).to_be_bytes()].concat();
            let (version, of) = (template.version, store::dump::Row { of: of.into(), ..template.clone() });
            let head = store::dump::Head { of: of.of.clone(), kind: None, version, recent: Vec::new(), expires: None };
            writer.put(&store::dump::Record::Head(head)).unwrap();
            writer.put(&store::dump::Record::Row(of)).unwrap();
        }
    }
    writer.end().unwrap().flush().unwrap();
    fs::remove_file(folder.path("data/store.sqlite")).unwrap();
    done(folder, &["store", "load", &shown(&folder.path("larger"))]);
}

#[test]
fn kill_9_during_a_backup_leaves_no_half_one() {
    run(async {
        let folder = folder("half.example");
        let served = folder.serve().unwrap();
        let user = Operator::of(served.backend()).unwrap().create_user("Alice").await.unwrap();
        served.stop().unwrap();
        fill(&folder, 30_000);
        let served = folder.serve().unwrap();
        let operator = Operator::of(served.backend()).unwrap();
        Client::log_in(operator.edge(), &user).await.unwrap();
        let backup = folder.path("backup");
        let partial = folder.path("backup.partial");
        let config = shown(&folder.config());
        for part in 0..3_u64 {
            let mut child = Child::start(ferrule(), ["store", "backup", &shown(&backup), "--config", &config]).unwrap();
            // While it is copied, and while the copy is looked at.
            let far = |_: &Child| partial.metadata().ok().filter(|file| file.len() > part * (1 << 20)).map(|_| ());
            child.until("part of a backup", far).unwrap();
            child.kill().unwrap();
            assert!(!backup.exists(), "it has no name before it is whole");
        }
        assert!(partial.exists());
        operator.create_user("Bob").await.unwrap();
        let told = done(&folder, &["store", "backup", &shown(&backup)]);
        assert!(told.contains("30") && !partial.exists(), "{told}");
        assert!(of_backup(&["check"], &backup).status.success());
        refused(&folder, &["store", "backup", &shown(&backup)], 1, &["is there already; nothing is overwritten"]);
        served.stop().unwrap();
    });
}

#[test]
fn a_dump_goes_from_folder_to_folder() {
    run(async {
        let (old, new) = (folder("moved.example"), folder("moved.example"));
        let served = old.serve().unwrap();
        let user = Operator::of(served.backend()).unwrap().create_user("Alice").await.unwrap();
        let dump = old.path("dump");
        let told = done(&old, &["store", "dump", &shown(&dump)]);
        assert!(told.contains("moved.example is dumped"), "beside the backend: {told}");
        served.stop().unwrap();
        // A backend that was started but not used is no hindrance.
        new.serve().unwrap().stop().unwrap();
        done(&new, &["store", "load", &shown(&dump)]);
        assert_eq!(done(&new, &["store", "dump", "-"]), fs::read_to_string(&dump).unwrap());
        refused(&new, &["store", "load", &shown(&dump)], 1, &["holds a store already"]);
        let served = new.serve().unwrap();
        // The keys of tokens are others; the account is the same.
        Client::log_in(Operator::of(served.backend()).unwrap().edge(), &user).await.unwrap();
        refused(&new, &["store", "load", &shown(&dump)], 1, &["is in use by another process"]);
        served.stop().unwrap();

        let text = fs::read_to_string(&dump).unwrap();
        let cut = old.path("cut");
        fs::write(&cut, &text[..text.len() - 10]).unwrap();
        let other = folder("other.example");
        refused(&other, &["store", "load", &shown(&dump)], 1, &["moved.example", "other.example"]);
        let fresh = folder("moved.example");
        refused(&fresh, &["store", "load", &shown(&cut)], 1, &["before its end: it is not whole"]);
        assert!(!fresh.path("data/store.sqlite").exists());
        refused(&fresh, &["store", "load", "/nowhere/dump"], 1, &["/nowhere/dump", "No such file"]);
        refused(&fresh, &["store", "stats"], 1, &["there is no store"]);
    });
}

#[test]
fn a_check_ends_with_what_it_found() {
    let folder = folder("checked.example");
    refused(&folder, &["store", "check"], 2, &["there is no store"]);
    run(async {
        let served = folder.serve().unwrap();
        Operator::of(served.backend()).unwrap().create_user("Alice").await.unwrap();
        served.stop().unwrap();
    });
    let told = done(&folder, &["store", "check"]);
    assert!(told.contains("of checked.example") && told.contains("nothing is wrong"), "{told}");
    let stats = done(&folder, &["store", "stats"]);
    assert!(stats.contains("account") && stats.contains("directory"), "{stats}");
    change(&folder.path("data/store.sqlite"), "UPDATE plain SET crc = crc + 1 WHERE no = 1");
    let ended = folder.command(&["store", "check"]).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("directory at ") && ended.stdout.contains("1 thing is wrong"), "{}", ended.stdout);
    let ended = folder.command(&["store", "check", "--json"]).unwrap();
    let verdict: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &verdict["good"]), (Some(1), &json!(false)));
    assert_eq!(verdict["problems"][0]["table"], "directory");
    let backup = shown(&folder.path("backup"));
    refused(&folder, &["store", "backup", &backup], 1, &["is damaged (1 problem): directory at "]);
    assert!(!Path::new(&backup).exists());
    // The rest can be saved, and a store be made of it.
    let dump = shown(&folder.path("dump"));
    refused(&folder, &["store", "dump", &dump], 1, &["is damaged (1 problem): "]);
    let ended = folder.command(&["store", "dump", "--salvage", &dump]).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("left out: directory at ") && ended.stderr.contains("1 thing was left out"));
    assert!(ended.stdout.contains("what is sound of checked.example is dumped to"), "{}", ended.stdout);
    refused(&folder, &["store", "dump", "--salvage", &dump], 2, &["is there already"]);
    fs::rename(folder.path("data"), folder.path("old")).unwrap();
    let ended = folder.command(&["store", "load", &dump]).unwrap();
    assert!(ended.status.success() && ended.stderr.contains("this is a salvage"), "{}", ended.stderr);
    assert!(done(&folder, &["store", "check"]).contains("nothing is wrong"));
    let ended = folder.command(&["store", "dump", "--salvage", "-"]).unwrap();
    assert!(ended.status.success() && ended.stderr.contains("nothing was left out"), "{}", ended.stderr);
}

#[test]
fn refuses_newer_format() {
    let folder = folder("newer.example");
    folder.serve().unwrap().stop().unwrap();
    change(&folder.path("data/store.sqlite"), "UPDATE meta SET v = v + 1 WHERE k = 'format'");
    let told = ["the store has format 3, this release knows formats up to 2: use a newer release"];
    refused(&folder, &["serve"], 1, &told);
    refused(&folder, &["store", "check"], 2, &told);
    refused(&folder, &["store", "backup", "/tmp/never"], 1, &told);
    change(&folder.path("data/store.sqlite"), "UPDATE meta SET v = v - 1 WHERE k = 'format'");
    folder.serve().unwrap().stop().unwrap();
}

#[test]
fn refuses_other_domain() {
    let folder = folder("mine.example");
    folder.serve().unwrap().stop().unwrap();
    let backup = shown(&folder.path("backup"));
    done(&folder, &["store", "backup", &backup]);
    change(&folder.path("data/store.sqlite"), "UPDATE meta SET v = 'yours.example' WHERE k = 'domain'");
    let told = ["the store belongs to domain yours.example, not to mine.example"];
    refused(&folder, &["serve"], 1, &told);
    refused(&folder, &["store", "check"], 2, &told);
    // The backup is the right one, and what is there is kept.
    let told = done(&folder, &["store", "restore", &backup, "--replace"]);
    assert!(told.contains("mine.example is restored") && !told.contains("yours"), "{told}");
    folder.serve().unwrap().stop().unwrap();
    change(Path::new(&backup), "UPDATE meta SET v = 'yours.example' WHERE k = 'domain'");
    refused(&folder, &["store", "restore", &backup, "--replace"], 1, &["yours.example", "mine.example"]);
}

#[test]
fn an_interrupted_restore_is_told_at_start() {
    let folder = folder("cut.example");
    folder.serve().unwrap().stop().unwrap();
    let backup = shown(&folder.path("backup"));
    done(&folder, &["store", "backup", &backup]);
    fs::rename(folder.path("data/store.sqlite"), folder.path("data/store.sqlite.incoming")).unwrap();
    refused(&folder, &["serve"], 1, &["was interrupted: do it again"]);
    done(&folder, &["store", "restore", &backup]);
    folder.serve().unwrap().stop().unwrap();
}
