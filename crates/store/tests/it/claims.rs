//! Unique names.

use store::{
    ClaimKind, Commit, CommitError, Guarded, Names, ReadError, Rows, Size, Store, TakeError, UpdateError, limits,
};

use crate::{
    bench::{Bench, THING, rounds},
    killed::killed,
    unsure::{Fate, unsure},
};

const NAME: Guarded<(), String> = Guarded::new(40, "name", &THING, Size::Row);
const HANDLE: ClaimKind<u64, ByName> = ClaimKind::new(40, "handle", THING, ByName);

#[derive(Debug)]
struct ByName;

impl Names for ByName {
    async fn names(&self, owner: &Rows, text: &str) -> Result<bool, ReadError> {
        Ok(owner.get(&NAME, &()).await?.is_some_and(|row| row.value == text))
    }
}

#[derive(Debug, PartialEq)]
enum NotTaken {
    Conflict,
    Other,
    Taken,
    Unavailable,
}

/// What a component does: open the own aggregate, take the name, name it in the own row, give up the old name.
async fn rename(store: &Store, me: u64, text: &str) -> Result<(), NotTaken> {
    let mine = store.view(THING.of(&me)).await.map_err(|_| NotTaken::Other)?;
    let old = mine.get(&NAME, &()).await.map_err(|_| NotTaken::Other)?;
    match store.claim(&HANDLE, text).take(&mine).await {
        Ok(()) => {}
        Err(TakeError::Taken | TakeError::Contended) => return Err(NotTaken::Taken),
        Err(TakeError::Commit(_) | TakeError::Read(_)) => return Err(NotTaken::Other),
    }
    let mut c = Commit::on(&mine);
    c.put(&NAME, &(), &text.to_owned());
    match store.commit(c).await {
        Ok(_) => {}
        Err(CommitError::Conflict) => return Err(NotTaken::Conflict),
        Err(_) => return Err(NotTaken::Other),
    }
    if let Some(old) = old.filter(|old| old.value != text) {
        let _ = store.claim(&HANDLE, old.value).leave(&me).await;
    }
    Ok(())
}

async fn named(store: &Store, ids: std::ops::Range<u64>, text: &str) -> Vec<u64> {
    let mut owners = Vec::new();
    for id in ids {
        if ByName.names(&store.peek(THING.of(&id)), text).await.unwrap() {
            owners.push(id);
        }
    }
    owners
}

pub async fn claim_one_owner(bench: Bench) {
    race(&bench).await;
    interrupted(&bench).await;
    unsure_at_each_step(&bench).await;
    paused(&bench).await;
    touched_from_nothing(&bench).await;
}

/// Many at once: exactly one gets the name.
async fn race(bench: &Bench) {
    for round in 0..rounds(3) as u64 {
        let text = format!("race {round}");
        let ids = 1000 * (round + 1)..1000 * (round + 1) + 12;
        let mut rivals = tokio::task::JoinSet::new();
        for id in ids.clone() {
            let (store, text) = (bench.store.clone(), text.clone());
            rivals.spawn(async move {
                // Losing the own commit to a rival's touch, or to chance, means to begin again.
                loop {
                    match rename(&store, id, &text).await {
                        Err(NotTaken::Conflict) => {}
                        done => return (id, done),
                    }
                }
            });
        }
        let done = rivals.join_all().await;
        let winners: Vec<u64> = done.iter().filter(|(_, done)| done.is_ok()).map(|(id, _)| *id).collect();
        assert!(done.iter().all(|(_, done)| matches!(done, Ok(()) | Err(NotTaken::Taken))), "{done:?}");
        assert_eq!(named(&bench.store, ids, &text).await, winners);
        assert!(winners.len() <= 1);
        if winners.is_empty() {
            // All of them met at the claim five times in a row; then somebody gets it who comes alone.
            bench.clock.advance(limits::CLAIM_GRACE);
            settle(&bench.store, 1000 * (round + 1), &text).await.unwrap();
        }
    }
}

async fn settle(store: &Store, id: u64, text: &str) -> Result<(), NotTaken> {
    for _ in 0..50 {
        match rename(store, id, text).await {
            Err(NotTaken::Conflict) => {}
            done => return done,
        }
    }
    panic!("nobody else is there");
}

/// Killed at every step, before or after it was done; then a rival comes, at once and after the grace.
async fn interrupted(bench: &Bench) {
    let mut id = 100_000;
    for after in [false, true] {
        for kill_at in 0..16 {
            let (me, rival, text) = (id, id + 1, format!("name {id}"));
            id += 2;
            settle(&bench.store, me, &format!("old {me}")).await.unwrap();
            let first = rename(&killed(&bench.store, kill_at, after), me, &text).await;
            let before = named(&bench.store, me..rival + 1, &text).await;
            assert!(before.is_empty() || before == [me]);
            let at_once = settle(&bench.store, rival, &text).await;
            bench.clock.advance(limits::CLAIM_GRACE);
            let later = settle(&bench.store, rival, &text).await;
            let owners = named(&bench.store, me..rival + 1, &text).await;
            assert_eq!(owners.len(), 1, "killed at {kill_at}: never two, and not lost to all");
            assert_eq!(owners == [me], before == [me], "who has it keeps it, who has not does not stand in the way");
            assert!(first.is_err() || owners == [me]);
            assert!(later.is_ok() == (owners == [rival]) && (at_once.is_err() || later.is_ok()));
            assert_eq!(bench.store.claim(&HANDLE, text).owner().await.unwrap(), owners.first().copied());
        }
    }
}

/// Nobody tells what became of one commit on the way (the touch of the former owner, the claim, the own row), once or
/// for as long as it is asked. The answer is a definite one all the same, and who was told that he has the name has it.
async fn unsure_at_each_step(bench: &Bench) {
    let mut id = 400_000;
    for fate in [Fate::Done, Fate::Lost] {
        for step in 0..3 {
            for stubborn in [false, true] {
                let (former, me, rival, text) = (id, id + 1, id + 2, format!("unsure {id}"));
                id += 3;
                // There is a former owner to be touched.
                take(bench, &text, &bench.view(former).await).await;
                bench.clock.advance(limits::CLAIM_GRACE);
                let commits = std::sync::Mutex::new(Vec::new());
                let store = unsure(&bench.store, move |_, commit| {
                    let mut commits = commits.lock().unwrap();
                    let known = commits.iter().position(|id| *id == commit.id);
                    let nth = known.unwrap_or(commits.len());
                    if known.is_none() {
                        commits.push(commit.id);
                    }
                    if nth == step && (stubborn || known.is_none()) { fate } else { Fate::Told }
                });
                let told = renamed_by_update(&store, me, &text).await;
                let named = named(&bench.store, former..rival + 1, &text).await;
                match told {
                    Ok(()) => assert_eq!(named, [me], "step {step}"),
                    Err(UpdateError::Decide(NotTaken::Unavailable)) => assert!(stubborn && named.is_empty()),
                    // Of the own row alone nobody can say more. What was done of it is there.
                    Err(UpdateError::Commit(CommitError::OutcomeUnknown { .. })) => assert!(stubborn && step == 2),
                    Err(error) => panic!("{error:?} at step {step}"),
                }
                bench.clock.advance(limits::CLAIM_GRACE);
                let later = settle(&bench.store, rival, &text).await;
                let owners = self::named(&bench.store, former..rival + 1, &text).await;
                assert_eq!(owners, if named.is_empty() { [rival] } else { [me] });
                assert_eq!(later.is_ok(), named.is_empty());
            }
        }
    }
}

async fn renamed_by_update(store: &Store, me: u64, text: &str) -> Result<(), UpdateError<NotTaken>> {
    store
        .update(THING.of(&me), |mine| async move {
            match store.claim(&HANDLE, text).take(&mine).await {
                Ok(()) => {}
                Err(TakeError::Taken | TakeError::Contended) => return Err(NotTaken::Taken),
                Err(TakeError::Commit(CommitError::Unavailable { .. })) => return Err(NotTaken::Unavailable),
                Err(TakeError::Commit(_) | TakeError::Read(_)) => return Err(NotTaken::Other),
            }
            let mut c = Commit::on(&mine);
            c.put(&NAME, &(), &text.to_owned());
            Ok((c, ()))
        })
        .await
}

/// The owner of a claim pauses before it names the text, longer than the grace. A rival takes over; the one who paused
/// goes on, and must fail.
async fn paused(bench: &Bench) {
    let (me, rival) = (200_000, 200_001);
    let mine = bench.view(me).await;
    take(bench, "paused", &mine).await;
    assert_eq!(settle(&bench.store, rival, "paused").await, Err(NotTaken::Taken), "someone is at it");
    bench.clock.advance(limits::CLAIM_GRACE);
    settle(&bench.store, rival, "paused").await.unwrap();
    let mut c = Commit::on(&mine);
    c.put(&NAME, &(), &"paused".to_owned());
    assert_eq!(bench.store.commit(c).await, Err(CommitError::Conflict));
    assert_eq!(named(&bench.store, me..rival + 1, "paused").await, [rival]);
}

/// The same, with a rival who took over but has not named it yet either.
async fn touched_from_nothing(bench: &Bench) {
    let (me, rival) = (300_000, 300_001);
    let (mine, theirs) = (bench.view(me).await, bench.view(rival).await);
    take(bench, "both", &mine).await;
    bench.clock.advance(limits::CLAIM_GRACE);
    take(bench, "both", &theirs).await;
    let claimed = |view| {
        let mut c = Commit::on(view);
        c.put(&NAME, &(), &"both".to_owned());
        c
    };
    assert_eq!(bench.store.commit(claimed(&mine)).await, Err(CommitError::Conflict));
    bench.sure(|| claimed(&theirs)).await;
    assert_eq!(bench.store.claim(&HANDLE, "both").owner().await.unwrap(), Some(rival));
}

async fn take(bench: &Bench, text: &str, view: &store::View) {
    while let Err(error) = bench.store.claim(&HANDLE, text).take(view).await {
        assert_eq!(error, TakeError::Contended);
    }
}

pub async fn claim_binds_while_named(bench: Bench) {
    let store = &bench.store;
    let owner = async |text: &str| store.claim(&HANDLE, text).owner().await.unwrap();
    assert_eq!(owner("one").await, None);
    settle(store, 1, "one").await.unwrap();
    assert_eq!(owner("one").await, Some(1));
    assert_eq!(settle(store, 2, "one").await, Err(NotTaken::Taken));
    bench.clock.advance(limits::CLAIM_GRACE * 100);
    assert_eq!(settle(store, 2, "one").await, Err(NotTaken::Taken), "named is taken, however old");
    settle(store, 1, "one").await.unwrap();
    // Having left, the name is free at once.
    settle(store, 1, "two").await.unwrap();
    assert_eq!(owner("one").await, None);
    settle(store, 2, "one").await.unwrap();
    assert_eq!(owner("one").await, Some(2));
    // To leave what belongs to another changes nothing.
    store.claim(&HANDLE, "one").leave(&1).await.unwrap();
    assert_eq!(settle(store, 3, "one").await, Err(NotTaken::Taken));
    // Leaving does not give in to the first conflict.
    take(&bench, "given up", &bench.view(4).await).await;
    let overtaken = unsure(store, |nth, _| if nth == 0 { Fate::Overtaken } else { Fate::Told });
    overtaken.claim(&HANDLE, "given up").leave(&4).await.unwrap();
    settle(store, 5, "given up").await.unwrap();
    // Without leaving, a claim that its owner's row does not name binds for the grace alone.
    bench.set(2, |c| c.delete(&NAME, &())).await;
    assert_eq!(owner("one").await, None);
    assert_eq!(settle(store, 3, "one").await, Err(NotTaken::Taken));
    bench.clock.advance(limits::CLAIM_GRACE);
    settle(store, 3, "one").await.unwrap();
    assert_eq!((owner("one").await, owner("two").await), (Some(3), Some(1)));
}
