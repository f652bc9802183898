//! Data folders of every format there has been, in `corpus/`: each release opens them all.

use std::{
    fs,
    io::BufReader,
    path::{Path, PathBuf},
    time::Duration,
};

use store::{
    Commit, Json, Options, Place, Store,
    dump::{Header, Reader, Record},
    upkeep::Standing,
};
use types::Timestamp;

use crate::{
    bench::{Bench, COUNT, Kind, LIST, OWED, THING, all, domain, entry},
    upkeep::{furnish, tables},
};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The dump that lies beside the database.
const DUMP: &str = "dump.jsonl";

fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        // Whoever reads a database makes an empty log beside it.
        let empty = fs::metadata(&file).unwrap().len() == 0;
        if name.starts_with("store.sqlite") && !name.ends_with("-shm") && !empty {
            fs::copy(&file, to.join(name)).unwrap();
        }
    }
}

fn dumped(folder: &Path) -> Vec<u8> {
    Standing::in_folder(folder).unwrap().dump(Vec::new(), &tables(), &mut |_, _| ()).unwrap()
}

fn records(dump: &[u8]) -> (Header, Vec<Record>) {
    let (header, mut reader) = Reader::begin(BufReader::new(dump)).unwrap();
    (header, std::iter::from_fn(|| reader.next().unwrap()).collect())
}

#[tokio::test]
async fn opens_every_old_folder() {
    let mut opened = Vec::new();
    for old in fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        let name = old.file_name().unwrap().to_string_lossy().into_owned();
        let place = tempfile::tempdir().unwrap();
        copy(&old, place.path());
        let open = || Store::open(Options::new(Place::Folder(place.path().to_owned()), domain()));
        let store = open().unwrap_or_else(|error| panic!("{name}: {error}"));
        store.close().await;
        let (then, kept) = records(&fs::read(old.join(DUMP)).unwrap());
        let (now, found) = records(&dumped(place.path()));
        assert!(found == kept, "{name} holds something else than it did");
        assert!(!kept.is_empty());
        assert_eq!((&now.domain, now.node), (&then.domain, then.node), "{name}");
        assert!(now.ceiling >= then.ceiling, "{name}");
        let standing = Standing::in_folder(place.path()).unwrap();
        assert_eq!(standing.check(&tables(), &mut |_, _| ()).problems, [], "{name}");
        // And it can be worked with.
        let store = open().unwrap();
        let before = store.view(THING.of(&1)).await.unwrap();
        let newest = store.log(&OWED, &1).newest().await.unwrap();
        let mut c = Commit::on(&before);
        c.put(&COUNT, &(), &Json(1));
        c.append(&OWED, &1, entry("new"));
        let done = store.commit(c).await.unwrap();
        assert!(done.version > before.version() && Some(done.appended[0].id) > newest, "{name}");
        store.close().await;
        opened.push(name);
    }
    let fresh = Bench::new(Kind::File);
    let newest = Standing::in_folder(fresh.folder.as_ref().unwrap().path()).unwrap().stats(&tables()).unwrap().format;
    for format in 1..=newest {
        for name in [format!("format-{format}"), format!("format-{format}-killed")] {
            assert!(opened.contains(&name), "there is no folder {name}");
        }
    }
}

/// Makes the folders of the format that this release writes. They are never made anew: what a release has written is what
/// others must read.
#[tokio::test]
#[ignore = "makes files of the repository"]
async fn make() {
    // Entries stand in both places.
    let bench = Bench::new(Kind::Mixed);
    furnish(&bench).await;
    moved_and_fresh(&bench).await;
    bench.store.close().await;
    let folder = bench.folder.as_ref().unwrap().path();
    let format = Standing::in_folder(folder).unwrap().stats(&tables()).unwrap().format;
    keep(folder, &format!("format-{format}"));

    // A process that was killed leaves its last commits in SQLite's log alone.
    let killed = Bench::new(Kind::Mixed);
    killed.clock.set(Timestamp::from_seconds(1_800_000_100));
    killed
        .set(1, |c| {
            c.put(&COUNT, &(), &Json(1));
            c.effect_put(&LIST, &1, &1, &"killed".to_owned());
            c.append(&OWED, &1, entry("killed"));
        })
        .await;
    moved_and_fresh(&killed).await;
    assert_eq!(all(&killed.owed(1)).await.len(), 6);
    keep(killed.folder.as_ref().unwrap().path(), &format!("format-{format}-killed"));
    killed.store.close().await;
}

/// So many entries that they are moved, and one behind them.
async fn moved_and_fresh(bench: &Bench) {
    for many in [4, 1] {
        let appended = |c: &mut Commit| (0..many).for_each(|n| c.append(&OWED, &1, entry(format!("{n} of {many}"))));
        bench.set(1, appended).await;
        bench.store.housekeep(Duration::from_secs(10)).await;
    }
}

fn keep(folder: &Path, name: &str) {
    let to = corpus().join(name);
    fs::create_dir_all(corpus()).unwrap();
    fs::create_dir(&to).unwrap_or_else(|error| panic!("{}: {error}", to.display()));
    copy(folder, &to);
    fs::write(to.join(DUMP), dumped(folder)).unwrap();
}
