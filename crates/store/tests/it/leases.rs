//! Leases: one holder at a time, whatever clocks and pauses do.

use std::{sync::Arc, time::Duration};

use store::{
    Commit, CommitError, Contender, Feed, Guarded, Held, Json, LeaseError, LeaseKind, Look, Size, Store,
    limits::{DEADLINE, LEASE},
};
use types::{Clock, ManualClock, SeededRng, Timestamp};

use crate::bench::{Bench, Kind, THING, entry};

const LEASE_OF: LeaseKind<u64> = LeaseKind::new(15, "lease", &THING);
const CURSOR: Guarded<(), Json<u64>> = Guarded::new(16, "cursor", &THING, Size::Row);

async fn held(mut contender: Contender) -> Held {
    match contender.look().await.unwrap() {
        Look::Held(held) => held,
        Look::Busy(_) => panic!("another has it"),
    }
}

async fn busy(mut contender: Contender) -> (Duration, Contender) {
    match contender.look().await.unwrap() {
        Look::Busy(again) => (again, contender),
        Look::Held(_) => panic!("it was another's"),
    }
}

fn moved_to(n: u64) -> impl FnOnce(&mut Commit) {
    move |commit| {
        commit.put(&CURSOR, &(), &Json(n));
    }
}

async fn cursor(bench: &Bench) -> Option<u64> {
    bench.view(1).await.get(&CURSOR, &()).await.unwrap().map(|row| row.value.0)
}

/// Takes a lease over that is not renewed, as one who looks at it for long enough.
async fn taken_over(bench: &Bench, contender: Contender) -> Held {
    let (_, contender) = busy(contender).await;
    bench.clock.advance(LEASE * 2);
    held(contender).await
}

/// A paused holder cannot move the cursor after a successor.
pub async fn lease_fenced(bench: Bench) {
    let mut first = held(bench.store.contend(&LEASE_OF, &1)).await;
    first.renew(moved_to(1)).await.unwrap();
    let before = first.fence();

    // He is paused; another comes, looks, and waits.
    let mut second = taken_over(&bench, bench.store.contend(&LEASE_OF, &1)).await;
    assert!(second.fence() > before);
    assert!(!first.is_held(), "he sees himself that his time is over");
    second.renew(moved_to(2)).await.unwrap();

    let appended = |commit: &mut Commit| commit.append(&crate::bench::OWED, &1, entry("sent twice"));
    assert_eq!(first.renew(appended).await.unwrap_err(), LeaseError::Lost);
    assert_eq!(first.renew(moved_to(1)).await.unwrap_err(), LeaseError::Lost);
    assert_eq!(cursor(&bench).await, Some(2));
    assert_eq!(bench.texts(&bench.owed(1)).await, [""; 0]);

    // Giving up what is not his harms nobody.
    first.release().await.unwrap();
    second.renew(moved_to(3)).await.unwrap();
    second.release().await.unwrap();
    let third = held(bench.store.contend(&LEASE_OF, &1)).await;
    assert!(third.is_held() && third.left() <= LEASE - DEADLINE);
    assert_eq!(cursor(&bench).await, Some(3), "the cursor outlives the lease");
    reopened(bench, third).await;
}

/// Nobody is left who could hold a lease when a store is opened that one process has for itself.
async fn reopened(bench: Bench, held_before: Held) {
    if !bench.kind.is_in_folder() {
        return;
    }
    drop(held_before);
    let bench = bench.reopened();
    held(bench.store.contend(&LEASE_OF, &1)).await;
}

/// A conflict about another row that the same commit expected is told as such, and the lease stays.
pub async fn conflict_elsewhere_is_not_lost(bench: Bench) {
    let mut held = held(bench.store.contend(&LEASE_OF, &1)).await;
    held.renew(moved_to(1)).await.unwrap();
    let absent = |commit: &mut Commit| commit.expect_absent(&CURSOR, &());
    assert_eq!(held.renew(absent).await.unwrap_err(), LeaseError::Commit(CommitError::Conflict));
    assert!(held.is_held());
    held.renew(moved_to(2)).await.unwrap();
    assert_eq!(cursor(&bench).await, Some(2));
}

/// Of many who want it one has it, and it changes hands only when he is silent.
pub async fn lease_one_holder(bench: Bench) {
    let mut first = held(bench.store.contend(&LEASE_OF, &1)).await;
    let mut others = Vec::new();
    for _ in 0..8 {
        others.push(busy(bench.store.contend(&LEASE_OF, &1)).await.1);
    }
    // He renews: nobody else gets it, however long it takes.
    for n in 0..6 {
        bench.clock.advance(LEASE / 2);
        first.renew(moved_to(n)).await.unwrap();
        let mut again = Vec::new();
        for other in others {
            again.push(busy(other).await.1);
        }
        others = again;
    }
    // He does not any more: all look at the same time, and one gets it.
    bench.clock.advance(LEASE * 2);
    let looks = others.into_iter().map(|mut other| tokio::spawn(async move { other.look().await }));
    let mut winners = 0;
    for look in looks.collect::<Vec<_>>() {
        winners += usize::from(matches!(look.await.unwrap().unwrap(), Look::Held(_)));
    }
    // A loose store may refuse the only commit that could win; then nobody has it yet.
    assert!(winners == 1 || (bench.kind == Kind::Loose && winners == 0), "{winners}");
}

/// Clocks an hour apart: takeover neither early nor never.
pub async fn lease_without_wall_clock(bench: Bench) {
    let now = bench.clock.now();
    for (seed, apart) in [(91, -3600), (92, 0), (93, 3600)] {
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(now.seconds() + apart)));
        let theirs = with_clock(&bench.store, &clock, seed);
        let mine = held(bench.store.contend(&LEASE_OF, &7)).await;
        let (again, contender) = busy(theirs.contend(&LEASE_OF, &7)).await;
        assert!(again <= LEASE);
        // A little before twice the time it is still the holder's.
        clock.advance(LEASE * 2 - Duration::from_millis(1));
        let (again, contender) = busy(contender).await;
        assert!(again <= Duration::from_millis(1), "{again:?}");
        // Their wall clock is set back; that is nobody's business.
        clock.set(Timestamp::from_seconds(now.seconds() - 86_400));
        clock.advance(Duration::from_millis(1));
        let successor = held(contender).await;
        assert!(successor.fence() > mine.fence());
        successor.release().await.unwrap();
    }
}

/// The same store on a machine with another clock.
fn with_clock(store: &Store, clock: &Arc<ManualClock>, seed: u64) -> Store {
    let mut engine = None;
    let _same = store.wrapped(|inner| Arc::clone(engine.insert(inner)));
    // Its own, or its commits would be taken for those of another with the same ids.
    let rng = Arc::new(SeededRng::new(seed));
    Store::over(engine.unwrap(), Feed::default(), Arc::clone(clock) as Arc<dyn Clock>, rng)
}
