//! A federator of its own that starts anew: nobody's search fails meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use testkit::World;
use tokio::{task::JoinSet, time::sleep};

use super::scene::until;
use crate::support::{Pair, run};

/// Slow enough for the limit of requests of one user.
const PACE: Duration = Duration::from_millis(60);

#[test]
fn searches_wait_while_the_federator_starts_anew() {
    run(async {
        let world = World::new().await.unwrap();
        let mut a = Pair::start(&world, "a.example", "").await.unwrap();
        let b = Pair::start(&world, "b.example", "").await.unwrap();
        a.allow(b.folder.domain()).await;
        b.allow(a.folder.domain()).await;
        let (found, enough) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let mut searching = JoinSet::new();
        for name in ["anna", "berta", "clara", "dora"] {
            let (client, remote) = (a.client(name).await, b.folder.domain().clone());
            let (found, enough) = (Arc::clone(&found), Arc::clone(&enough));
            searching.spawn(async move {
                while !enough.load(Ordering::Relaxed) {
                    client.search("bob", &remote).await.unwrap().expect_status(200);
                    found.fetch_add(1, Ordering::Relaxed);
                    sleep(PACE).await;
                }
            });
        }
        let more = async |count: usize| {
            let before = found.load(Ordering::Relaxed);
            until("more searches", async || found.load(Ordering::Relaxed) >= before + count).await;
        };
        for _ in 0..2 {
            more(20).await;
            let status = a.federated.child().terminate().unwrap();
            assert!(status.success(), "{}", a.federated.log());
            // Somebody asks while nobody is there.
            sleep(PACE * 5).await;
            a.federated = a.federator.run(&a.federator.path("federator.toml"), &[]).unwrap();
        }
        more(20).await;
        enough.store(true, Ordering::Relaxed);
        searching.join_all().await;
    });
}
