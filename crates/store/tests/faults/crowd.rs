//! Many at once.

use std::sync::Arc;

use store::{Commit, CommitError};
use tempfile::TempDir;
use tokio::sync::Barrier;

use crate::{
    ledger::{self, COUNT, THING},
    rounds,
};

const WRITERS: u64 = 64;

/// Of 64 who want to write one row first, exactly one does, each time.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_have_one_winner() {
    let folder = TempDir::new().unwrap();
    let (store, _) = ledger::open_free(folder.path(), 0);
    let rounds = rounds(1000) as u64;
    let barrier = Arc::new(Barrier::new(usize::try_from(WRITERS).unwrap()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, barrier) = (store.clone(), Arc::clone(&barrier));
        writers.spawn(async move {
            let mut won = Vec::new();
            for round in 0..rounds {
                // Every other round by what the row was, the others by what the whole aggregate was.
                let view = store.view(THING.of(&round)).await.unwrap();
                barrier.wait().await;
                let mut commit = if round % 2 == 0 { Commit::on(&view) } else { Commit::at(THING.of(&round)) };
                commit.expect_absent(&COUNT, &());
                commit.put(&COUNT, &(), &store::Json(writer));
                match store.commit(commit).await {
                    Ok(_) => won.push(round),
                    Err(CommitError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (writer, won)
        });
    }
    let mut winners = vec![Vec::new(); usize::try_from(rounds).unwrap()];
    for (writer, won) in writers.join_all().await {
        for round in won {
            winners[usize::try_from(round).unwrap()].push(writer);
        }
    }
    for (round, winners) in (0..).zip(winners) {
        let view = store.view(THING.of(&round)).await.unwrap();
        let there = view.get(&COUNT, &()).await.unwrap().unwrap().value.0;
        assert_eq!(winners, [there], "round {round}");
    }
}
