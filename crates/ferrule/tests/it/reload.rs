//! Scenario 18: certificates are replaced while the backend runs.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::json;
use testkit::{
    Credentials, Specimen, World,
    peer::{Caller, ForeignBackend, Reply, Shown, after_versions},
    recording::{RecordingBackend, RecordingPlan},
};
use tls::{Check, KeyFiles, Reloader, RootSources, Sources};

use crate::support::{Network, SMALL_LIMITS, run};

/// The first DNS name that the ingress shows beside the one that it is called by: the mark of a certificate.
async fn shown_by(caller: &Caller) -> Vec<String> {
    let stream = caller.tls().await.unwrap();
    let (_, session) = stream.get_ref();
    let leaf = &session.peer_certificates().unwrap()[0];
    tls::Certificate::parse(leaf).unwrap().names()
}

struct Files {
    world: World,
    root: tempfile::TempDir,
}

impl Files {
    /// A certificate for the infrastructure domain; every one has a key of its own.
    fn certificate(&self, infra: &str) -> Credentials {
        self.world.certificates().issue(Specimen::Good, infra).unwrap()
    }

    fn write(&self, folder: &Path, credentials: &Credentials) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("tls.crt"), &credentials.chain).unwrap();
        fs::write(folder.join("tls.key"), &credentials.key).unwrap();
        fs::write(folder.join("ca.crt"), self.world.certificates().root_pem()).unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }
}

/// The certificate that a server shows now.
async fn leaf_of(caller: &Caller) -> Vec<u8> {
    let stream = caller.tls().await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn der(credentials: &Credentials) -> Vec<u8> {
    let identity = credentials.identity(tls::Role::Server).unwrap();
    identity.chain()[0].to_vec()
}

#[test]
fn s18_files_replaced_in_every_way_and_a_broken_one_kept_out() {
    run(async {
        let files = Files { world: World::new().await.unwrap(), root: tempfile::tempdir().unwrap() };
        // As Kubernetes mounts a secret: mounted/tls.crt -> ..data/tls.crt, mounted/..data -> ..2026_1.
        let mounted = files.at("parent/mounted");
        let infra = "federator.reload.example";
        let first = files.certificate(infra);
        files.write(&mounted.join("..2026_1"), &first);
        symlink("..2026_1", mounted.join("..data")).unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(format!("..data/{name}"), mounted.join(name)).unwrap();
        }
        let key_files = KeyFiles { certificate: mounted.join("tls.crt"), key: mounted.join("tls.key") };
        let reloader = Reloader::load(Sources {
            server: key_files.clone(),
            client: key_files,
            roots: RootSources { files: vec![mounted.join("ca.crt")], system: false },
        })
        .unwrap();
        let plan = RecordingPlan { contexts: Some(reloader.handle().clone()), ..RecordingPlan::default() };
        let backend = RecordingBackend::start(&files.world, plan).await.unwrap();
        let peer = files.world.stranger("peer").unwrap();
        let server = ForeignBackend::start(
            &peer.certificate,
            after_versions(|_| Reply::json(&json!({"contacts": [], "searchPolicy": "no_search"}))),
        )
        .await
        .unwrap();
        files.world.publish(&peer.domain, &peer.infra, server.address());
        backend.allow(&peer.domain);
        let roots = files.world.certificates().root_pem();
        let caller =
            Caller::new(backend.ingress, &infra.parse().unwrap(), &roots, Shown::Certificate(&peer.certificate))
                .unwrap();
        assert_eq!(leaf_of(&caller).await, der(&first));
        assert_eq!(reloader.check_now(), Check::Unchanged);
        let mut standing = caller.connect().await.unwrap();

        let mut current = der(&first);
        type Way<'a> = Box<dyn Fn(&Credentials) + 'a>;
        let ways: [(&str, Way<'_>); 5] = [
            ("the file is written over", Box::new(|new| files.write(&mounted.join("..2026_1"), new))),
            (
                "the file is replaced by another",
                Box::new(|new| {
                    let aside = files.at("aside");
                    files.write(&aside, new);
                    for name in ["tls.crt", "tls.key"] {
                        fs::rename(aside.join(name), mounted.join("..2026_1").join(name)).unwrap();
                    }
                }),
            ),
            (
                "the link of the mount is swapped",
                Box::new(|new| {
                    files.write(&mounted.join("..2026_2"), new);
                    symlink("..2026_2", mounted.join("..data_tmp")).unwrap();
                    fs::rename(mounted.join("..data_tmp"), mounted.join("..data")).unwrap();
                    fs::remove_dir_all(mounted.join("..2026_1")).unwrap();
                }),
            ),
            (
                "the folder is replaced",
                Box::new(|new| {
                    files.write(&files.at("parent/other"), new);
                    fs::rename(&mounted, files.at("parent/old")).unwrap();
                    fs::rename(files.at("parent/other"), &mounted).unwrap();
                }),
            ),
            (
                "the folder above is replaced",
                Box::new(|new| {
                    files.write(&files.at("uncle/mounted"), new);
                    fs::rename(files.at("parent"), files.at("grave")).unwrap();
                    fs::rename(files.at("uncle"), files.at("parent")).unwrap();
                }),
            ),
        ];
        for (generation, (what, replace)) in (2..).zip(&ways) {
            let new = files.certificate(infra);
            replace(&new);
            assert_eq!(reloader.check_now(), Check::Updated(generation), "{what}");
            assert_eq!(leaf_of(&caller).await, der(&new), "{what}");
            current = der(&new);
        }
        // Each fault leaves what was, and is told once.
        let good = (fs::read(mounted.join("tls.crt")).unwrap(), fs::read(mounted.join("tls.key")).unwrap());
        for (file, bytes) in [("tls.crt", &b"junk"[..]), ("tls.crt", b""), ("tls.key", b"junk"), ("ca.crt", b"junk")] {
            let before = fs::read(mounted.join(file)).unwrap();
            fs::write(mounted.join(file), bytes).unwrap();
            assert!(matches!(reloader.check_now(), Check::Failed(_)), "{file}");
            assert_eq!(reloader.check_now(), Check::Unchanged, "{file}: told once");
            assert_eq!(leaf_of(&caller).await, current, "{file}: the old certificate is shown");
            fs::write(mounted.join(file), before).unwrap();
            assert!(matches!(reloader.check_now(), Check::Updated(_)));
        }
        let stolen = files.certificate(infra);
        fs::write(mounted.join("tls.key"), &stolen.key).unwrap();
        assert!(matches!(reloader.check_now(), Check::Failed(_)), "the key of another certificate");
        fs::write(mounted.join("tls.key"), &good.1).unwrap();
        reloader.check_now();
        // A connection from before all this still works, and calls go out with the new certificate.
        let request = caller.rpc(peer.domain.as_str(), "brig", "api-version", &json!([]));
        standing.send(request).await.unwrap().expect_status(200);
        backend.search(&peer.domain, "bob").await.unwrap().expect_status(200);
        assert_eq!(server.received("search-users").await.unwrap().names, [infra]);
        drop(Arc::new(reloader));
    });
}

#[test]
fn s18_a_running_program_takes_up_a_new_certificate() {
    run(async {
        let network = Network::start(SMALL_LIMITS).await.unwrap();
        let backend = network.served.backend().clone();
        let roots = network.world.certificates().root_pem();
        let caller = Caller::new(backend.federation, &backend.infra, &roots, Shown::Nothing).unwrap();
        assert_eq!(shown_by(&caller).await, [backend.infra.as_str()]);
        let old = leaf_of(&caller).await;
        // A certificate without its key is a broken pair, whether it is there for a moment or for ever.
        let new = network.world.certificates().issue(Specimen::ManyNames, backend.infra.as_str()).unwrap();
        fs::write(network.folder.path("federation.pem"), &new.chain).unwrap();
        until(async || network.served.log().contains("federation setup error")).await;
        assert_eq!(leaf_of(&caller).await, old);
        fs::write(network.folder.path("federation-key.pem"), &new.key).unwrap();
        until(async || leaf_of(&caller).await == der(&new)).await;
        assert!(network.served.log().contains("updating TLS settings"));
    });
}

#[test]
fn s18_a_system_store_that_fails_for_a_while_does_not_keep_a_new_certificate_away() {
    run(async {
        let world = testkit::World::new().await.unwrap();
        let folder = testkit::process::Folder::init(crate::support::ferrule(), &world, "served.example", "").unwrap();
        let config = fs::read_to_string(folder.config()).unwrap();
        fs::write(folder.config(), config.replace("[federation]\n", "[federation]\nsystem_ca = true\n")).unwrap();
        // Where the system's store is, on every system.
        let store = folder.path("system.pem");
        fs::write(&store, world.certificates().root_pem()).unwrap();
        let served = folder.serve_in(&[("SSL_CERT_FILE", &store.display().to_string()), ("SSL_CERT_DIR", "")]).unwrap();
        let backend = served.backend();
        let roots = world.certificates().root_pem();
        let caller = Caller::new(backend.federation, &backend.infra, &roots, Shown::Nothing).unwrap();
        let old = leaf_of(&caller).await;
        // The store is being rewritten while the certificate is renewed.
        fs::write(&store, "").unwrap();
        let new = world.certificates().issue(Specimen::Good, backend.infra.as_str()).unwrap();
        fs::write(folder.path("federation.pem"), &new.chain).unwrap();
        fs::write(folder.path("federation-key.pem"), &new.key).unwrap();
        until(async || served.log().contains("of the system")).await;
        assert_eq!(leaf_of(&caller).await, old);
        fs::write(&store, world.certificates().root_pem()).unwrap();
        until(async || leaf_of(&caller).await == der(&new)).await;
        let told = served.log().lines().filter(|line| line.contains("of the system")).count();
        assert_eq!(told, 1, "a fault is told once");
    });
}

/// Polls: another process gives no signal.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), polling).await.expect("it happens in time");
}
