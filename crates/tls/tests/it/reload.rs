//! Files that change: scenario 18 of `federation.md` §12.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;
use tls::{
    Check, KeyFiles, Problem, Reloader, Role, RootSources, Sources, TlsError, Warning,
    issue::{Authority, Issued, LeafRequest, Usage},
};

use crate::support::{leaf, now, root};

/// A folder with `cert.pem`, `key.pem` and `ca.pem`.
fn fill(folder: &Path, ca: &Authority) -> Issued {
    fs::create_dir_all(folder).unwrap();
    let issued = ca.issue(&leaf("a.example")).unwrap();
    fs::write(folder.join("cert.pem"), issued.chain_pem()).unwrap();
    fs::write(folder.join("key.pem"), issued.key_pem()).unwrap();
    fs::write(folder.join("ca.pem"), ca.certificate_pem()).unwrap();
    issued
}

fn sources(folder: &Path) -> Sources {
    let files = KeyFiles { certificate: folder.join("cert.pem"), key: folder.join("key.pem") };
    let roots = RootSources { files: vec![folder.join("ca.pem")], system: false };
    Sources { server: files.clone(), client: files, roots }
}

/// Which of these certificates is in use, by the leaf; and it is in use for both roles.
fn shows(reloader: &Reloader, issued: &Issued) {
    let contexts = reloader.handle().contexts();
    assert_eq!(contexts.client.chain(), issued.chain());
    assert_eq!(contexts.server.chain(), issued.chain());
}

struct Fixture {
    _temp: TempDir,
    base: PathBuf,
    ca: Authority,
}

impl Fixture {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { base: temp.path().to_owned(), _temp: temp, ca: root("root") }
    }

    fn load(&self, folder: &Path) -> Reloader {
        let reloader = Reloader::load(sources(folder)).unwrap();
        assert_eq!(reloader.handle().contexts().generation, 1);
        assert_eq!(reloader.check_now(), Check::Unchanged);
        reloader
    }
}

#[test]
fn files_overwritten() {
    let fixture = Fixture::new();
    let first = fill(&fixture.base, &fixture.ca);
    let reloader = fixture.load(&fixture.base);
    shows(&reloader, &first);
    let second = fill(&fixture.base, &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &second);
    assert_eq!(reloader.check_now(), Check::Unchanged);
}

#[test]
fn files_replaced_and_then_changed() {
    let fixture = Fixture::new();
    let live = fixture.base.join("live");
    fill(&live, &fixture.ca);
    let reloader = fixture.load(&live);
    let next = fixture.base.join("next");
    let replaced = fill(&next, &fixture.ca);
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        fs::rename(next.join(name), live.join(name)).unwrap();
    }
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &replaced);
    let changed = fill(&live, &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Updated(3));
    shows(&reloader, &changed);
}

#[test]
fn symlinks_swapped() {
    let fixture = Fixture::new();
    let (one, two, live) = (fixture.base.join("one"), fixture.base.join("two"), fixture.base.join("live"));
    fill(&one, &fixture.ca);
    let second = fill(&two, &fixture.ca);
    fs::create_dir(&live).unwrap();
    let names = ["cert.pem", "key.pem", "ca.pem"];
    for name in names {
        symlink(one.join(name), live.join(name)).unwrap();
    }
    let reloader = fixture.load(&live);
    for name in names {
        fs::remove_file(live.join(name)).unwrap();
        symlink(two.join(name), live.join(name)).unwrap();
    }
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &second);
    // What the new link points at changes too.
    let third = fill(&two, &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Updated(3));
    shows(&reloader, &third);
}

#[test]
fn parent_and_grandparent_replaced() {
    let fixture = Fixture::new();
    let live = fixture.base.join("grandparent/parent");
    fill(&live, &fixture.ca);
    let reloader = fixture.load(&live);

    fs::rename(&live, fixture.base.join("old parent")).unwrap();
    let second = fill(&live, &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &second);

    fs::rename(fixture.base.join("grandparent"), fixture.base.join("old grandparent")).unwrap();
    let third = fill(&live, &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Updated(3));
    shows(&reloader, &third);
}

#[test]
fn kubernetes_mount_swapped() {
    // cert.pem -> ..data/cert.pem, ..data -> ..2026_1; the kubelet renames a new link over `..data`.
    let fixture = Fixture::new();
    let base = &fixture.base;
    fill(&base.join("..2026_1"), &fixture.ca);
    symlink("..2026_1", base.join("..data")).unwrap();
    for name in ["cert.pem", "key.pem", "ca.pem"] {
        symlink(Path::new("..data").join(name), base.join(name)).unwrap();
    }
    let reloader = fixture.load(base);
    let second = fill(&base.join("..2026_2"), &fixture.ca);
    assert_eq!(reloader.check_now(), Check::Unchanged, "the new folder is not in use yet");
    symlink("..2026_2", base.join("..data_tmp")).unwrap();
    fs::rename(base.join("..data_tmp"), base.join("..data")).unwrap();
    fs::remove_dir_all(base.join("..2026_1")).unwrap();
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &second);
}

#[test]
fn a_folder_of_roots_as_kubernetes_mounts_it() {
    let fixture = Fixture::new();
    let base = &fixture.base;
    fill(&base.join("keys"), &fixture.ca);
    let (mount, one, two, three) = (base.join("cas"), root("one"), root("two"), root("three"));
    let data = mount.join("..2026_1");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("bundle.crt"), format!("{}{}", one.certificate_pem(), two.certificate_pem())).unwrap();
    fs::write(data.join("README"), "no certificate here").unwrap();
    symlink("..2026_1", mount.join("..data")).unwrap();
    for name in ["bundle.crt", "README"] {
        symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
    }
    let mut sources = sources(&base.join("keys"));
    sources.roots.files = vec![mount.clone(), base.join("keys/ca.pem"), mount.join("bundle.crt")];
    let reloader = Reloader::load(sources).unwrap();
    assert_eq!(reloader.handle().contexts().roots.len(), 3, "each certificate counts once");
    fs::write(mount.join("another.pem"), three.certificate_pem()).unwrap();
    assert_eq!(reloader.check_now(), Check::Updated(2));
    assert_eq!(reloader.handle().contexts().roots.len(), 4);
    fs::remove_file(mount.join("another.pem")).unwrap();
    assert_eq!(reloader.check_now(), Check::Updated(3));
    assert_eq!(reloader.handle().contexts().roots.len(), 3);
}

#[test]
fn what_cannot_be_used_leaves_the_old_in_place() {
    let fixture = Fixture::new();
    let live = &fixture.base;
    let first = fill(live, &fixture.ca);
    let reloader = fixture.load(live);
    let other = fixture.ca.issue(&leaf("a.example")).unwrap();
    let failed = |expected: &str| {
        match reloader.check_now() {
            Check::Failed(error) => assert_eq!(error.name(), expected, "{error}"),
            other => panic!("{expected}: {other:?}"),
        }
        assert_eq!(reloader.check_now(), Check::Unchanged, "a fault is told once");
        shows(&reloader, &first);
        assert_eq!(reloader.handle().contexts().generation, 1);
    };
    fs::write(live.join("cert.pem"), "garbage").unwrap();
    failed("InvalidServerCertificate");
    fs::write(live.join("cert.pem"), &first.chain_pem()[..200]).unwrap();
    failed("InvalidServerCertificate");
    fs::write(live.join("cert.pem"), other.chain_pem()).unwrap();
    failed("CertificateAndPrivateKeyDoNotMatch");
    fs::write(live.join("key.pem"), "").unwrap();
    failed("InvalidServerPrivateKey");
    fs::remove_file(live.join("key.pem")).unwrap();
    failed("InvalidServerPrivateKey");
    fs::write(live.join("key.pem"), other.key_pem()).unwrap();
    fs::write(live.join("ca.pem"), "").unwrap();
    failed("InvalidCAStore");
    fs::remove_file(live.join("ca.pem")).unwrap();
    failed("InvalidCAStore");
    assert_eq!(reloader.reload().unwrap_err().name(), "InvalidCAStore");
    // Once everything is right again, it is used.
    fs::write(live.join("ca.pem"), fixture.ca.certificate_pem()).unwrap();
    assert_eq!(reloader.check_now(), Check::Updated(2));
    shows(&reloader, &other);
}

#[test]
fn a_bad_start_says_which_file() {
    let fixture = Fixture::new();
    let live = &fixture.base;
    fill(live, &fixture.ca);
    let good = sources(live);
    let missing = live.join("missing.pem");
    let at = missing.display().to_string();
    let with = |change: &dyn Fn(&mut Sources)| {
        let mut sources = good.clone();
        change(&mut sources);
        Reloader::load(sources).unwrap_err()
    };
    for (error, name) in [
        (with(&|s| s.client.certificate = missing.clone()), "InvalidClientCertificate"),
        (with(&|s| s.client.key = missing.clone()), "InvalidClientPrivateKey"),
        (with(&|s| s.server.certificate = missing.clone()), "InvalidServerCertificate"),
        (with(&|s| s.server.key = missing.clone()), "InvalidServerPrivateKey"),
        (with(&|s| s.roots.files = vec![missing.clone()]), "InvalidCAStore"),
    ] {
        assert_eq!(error.name(), name);
        assert!(error.to_string().contains(&at), "{error}");
    }
    let nothing = with(&|s| s.roots.files.clear());
    assert_eq!(nothing.name(), "InvalidCAStore");
    let empty = live.join("empty");
    fs::create_dir(&empty).unwrap();
    assert!(matches!(with(&|s| s.roots.files = vec![empty.clone()]), TlsError::InvalidCAStore { .. }));
    let huge = live.join("huge.pem");
    fs::File::create(&huge).unwrap().set_len(tls::MAX_PEM_FILE + 1).unwrap();
    assert!(with(&|s| s.roots.files = vec![huge.clone()]).to_string().contains("larger"));
}

#[test]
fn reload_makes_a_new_generation_even_without_a_change() {
    let fixture = Fixture::new();
    fill(&fixture.base, &fixture.ca);
    let reloader = fixture.load(&fixture.base);
    assert_eq!(reloader.reload(), Ok(2));
    assert_eq!(reloader.reload(), Ok(3));
}

#[test]
fn a_stand_in_is_shown_until_the_certificate_is_there() {
    let fixture = Fixture::new();
    let stand_in = fixture.ca.issue(&leaf("stand-in.example")).unwrap();
    let awaited = fixture.base.join("awaited.pem");
    let both = KeyFiles { certificate: awaited.clone(), key: awaited.clone() };
    fill(&fixture.base, &fixture.ca);
    let shared = Sources { server: both.clone(), client: both.clone(), ..sources(&fixture.base) };
    let own = Sources { server: both, ..sources(&fixture.base) };
    assert!(Reloader::load(shared.clone()).is_err(), "without a stand-in it is missed");
    let identity = || stand_in.identity(Role::Server).unwrap();
    let mut broken = own.clone();
    broken.client.key = fixture.base.join("not-there.pem");
    assert!(Reloader::awaiting(broken, identity()).is_err(), "only the awaited file may be missing");
    let shared_sources = shared.clone();
    let [shared, own] = [shared, own].map(|sources| Reloader::awaiting(sources, identity()).unwrap());
    shows(&shared, &stand_in);
    assert_eq!(own.handle().contexts().server.chain(), stand_in.chain());
    assert_ne!(own.handle().contexts().client.chain(), stand_in.chain());
    // What it says is nothing to warn of; what stands beside it is.
    let elsewhere = "elsewhere.example".parse().unwrap();
    let warnings = |reloader: &Reloader| reloader.handle().contexts().warnings(&elsewhere, now());
    assert_eq!(warnings(&shared), []);
    assert!(matches!(&warnings(&own)[..], [Warning::OtherName { role: Role::Client, .. }]), "{:?}", warnings(&own));
    let stands_in = |reloader: &Reloader| {
        let contexts = reloader.handle().contexts();
        [contexts.server.stands_in(), contexts.client.stands_in()]
    };
    assert_eq!([stands_in(&shared), stands_in(&own)], [[true, true], [true, false]]);
    // What is configured beside it is taken up meanwhile.
    fs::write(fixture.base.join("ca.pem"), root("another").certificate_pem()).unwrap();
    assert_eq!(shared.check_now(), Check::Updated(2));
    shows(&shared, &stand_in);
    let arrived = fixture.ca.issue(&leaf("a.example")).unwrap();
    fs::write(&awaited, format!("{}{}", arrived.chain_pem(), arrived.key_pem())).unwrap();
    assert_eq!(shared.check_now(), Check::Updated(3));
    shows(&shared, &arrived);
    assert_eq!(stands_in(&shared), [false, false]);
    assert_eq!(warnings(&shared).len(), 1);
    // From then on it is missed like any other, and what was there stays.
    let started_after = Reloader::awaiting(shared_sources, identity()).unwrap();
    fs::remove_file(&awaited).unwrap();
    for reloader in [shared, started_after] {
        let Check::Failed(error) = reloader.check_now() else { panic!("a file is missing") };
        assert_eq!(error.name(), "InvalidServerCertificate", "{error}");
        assert!(reloader.reload().is_err());
        shows(&reloader, &arrived);
    }
}

#[tokio::test]
async fn watching_tells_of_new_generations() {
    let fixture = Fixture::new();
    fill(&fixture.base, &fixture.ca);
    let reloader = Arc::new(fixture.load(&fixture.base));
    let mut generations = reloader.handle().subscribe();
    let watch = tokio::spawn(Arc::clone(&reloader).watch(Duration::from_millis(1)));
    // A check may fall between two of the writes; what counts is that the last state is reached.
    let second = fill(&fixture.base, &fixture.ca);
    while reloader.handle().contexts().client.chain() != second.chain() {
        tokio::time::timeout(Duration::from_secs(30), generations.changed()).await.unwrap().unwrap();
    }
    shows(&reloader, &second);
    watch.abort();
}

#[test]
fn who_insists_on_calls_keeps_the_old_certificate_for_them_and_shows_the_new_one_to_callers() {
    let fixture = Fixture::new();
    let folder = fixture.base.join("secret");
    let good = fill(&folder, &fixture.ca);
    let put = |usage| {
        let issued = fixture.ca.issue(&LeafRequest { usage, ..leaf("a.example") }).unwrap();
        fs::write(folder.join("key.pem"), issued.key_pem()).unwrap();
        fs::write(folder.join("cert.pem"), issued.chain_pem()).unwrap();
        issued
    };
    let reloader = fixture.load(&folder).insisting_on_calls().unwrap();
    let server = put(Usage::Server);
    let Check::Failed(error) = reloader.check_now() else { panic!("it is refused") };
    let contexts = reloader.handle().contexts();
    assert_eq!(contexts.client.chain(), good.chain(), "calls go on with the old one");
    assert_eq!(contexts.server.chain(), server.chain(), "callers are shown the new one");
    assert_eq!(contexts.generation, 2, "and connections are made anew");
    assert!(matches!(error, TlsError::InvalidClientCertificate { problem: Problem::NotForCalls, .. }), "{error}");
    for words in ["useSharedFederatorSecret", "ferrule cert issue --client-only", "cert.pem"] {
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    assert_eq!(reloader.check_now(), Check::Unchanged, "told once");
    assert_eq!(fixture.load(&folder).insisting_on_calls().unwrap_err(), error);
    assert_eq!(reloader.reload().unwrap_err(), error);
    let client = put(Usage::Client);
    assert_eq!(reloader.check_now(), Check::Updated(4));
    shows(&reloader, &client);
}

#[test]
fn what_stands_in_is_no_old_certificate_for_calls() {
    let fixture = Fixture::new();
    fill(&fixture.base, &fixture.ca);
    let stand_in = fixture.ca.issue(&leaf("stand-in.example")).unwrap();
    let awaited = fixture.base.join("awaited.pem");
    let both = KeyFiles { certificate: awaited.clone(), key: awaited.clone() };
    let sources = Sources { server: both.clone(), client: both, ..sources(&fixture.base) };
    let reloader = Reloader::awaiting(sources, stand_in.identity(Role::Server).unwrap()).unwrap();
    let reloader = reloader.insisting_on_calls().unwrap();
    let arrived = fixture.ca.issue(&LeafRequest { usage: Usage::Server, ..leaf("a.example") }).unwrap();
    fs::write(&awaited, format!("{}{}", arrived.chain_pem(), arrived.key_pem())).unwrap();
    assert!(matches!(reloader.check_now(), Check::Failed(_)));
    shows(&reloader, &stand_in);
}
