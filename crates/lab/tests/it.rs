//! A laboratory that does not come into being leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking, its helpers too")]

use std::{collections::BTreeSet, fs, net::SocketAddr, path::Path};

use brig::tables::REMOTES;
use lab::{Lab, Plan};
use store::{Commit, Guarded, Json, OpenError, Options, Place, Size, Store};
use types::{Domain, FederationStrategy};

/// The list of remotes, with rows that brig cannot read.
const REMOTE: Guarded<Domain, Json<u8>> = Guarded::new(260, "remote", &REMOTES, Size::Row);

const DOMAINS: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

fn plan(data: &Path) -> Plan {
    let domains = DOMAINS.map(|domain| domain.parse().unwrap());
    Plan { data: Some(data.to_owned()), ..Plan::of(&domains, &[], FederationStrategy::AllowDynamic) }
}

fn store(data: &Path, domain: &str) -> Result<Store, OpenError> {
    Store::open(Options::new(Place::Folder(data.join(domain)), domain.parse().unwrap()))
}

/// Where this process listens, as far as the system tells.
fn listeners() -> BTreeSet<SocketAddr> {
    let own: BTreeSet<String> = fs::read_dir("/proc/self/fd")
        .into_iter()
        .flatten()
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let listening = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        // The state 0A is LISTEN.
        if columns[3] != "0A" || !own.contains(columns[9]) {
            return None;
        }
        let (ip, port) = columns[1].split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
    });
    listening.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backend_that_does_not_start_takes_all_along() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();

    // It fails late: with its listeners bound, and when the others have got as far as that.
    let broken = store(data, DOMAINS[1]).unwrap();
    let list = REMOTES.of(&());
    let mut commit = Commit::at(list.clone());
    commit.put(&REMOTE, &"x.example".parse().unwrap(), &Json(7));
    broken.commit(commit).await.unwrap();
    broken.close().await;
    let error = Lab::start(plan(data)).await.err().expect("one of them cannot start");
    assert!(format!("{error:#}").contains("starting b.example: reading the federation policy"), "{error:#}");
    assert_eq!(listeners(), BTreeSet::new());
    for domain in DOMAINS {
        assert!(store(data, domain).is_ok(), "the folder of {domain} is free");
    }

    // Mended, it starts in the same place, and then there is something to be seen.
    let mended = store(data, DOMAINS[1]).unwrap();
    let mut commit = Commit::at(list);
    commit.delete(&REMOTE, &"x.example".parse().unwrap());
    mended.commit(commit).await.unwrap();
    mended.close().await;
    let lab = Lab::start(plan(data)).await.unwrap();
    if cfg!(target_os = "linux") {
        assert!(listeners().contains(&lab.backend(DOMAINS[0]).unwrap().federation));
    }
    assert!(matches!(store(data, DOMAINS[0]), Err(OpenError::InUse { .. })));
    lab.stop().await;
    assert_eq!(listeners(), BTreeSet::new());
}
