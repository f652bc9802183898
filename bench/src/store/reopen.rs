//! Opening a store whose process was killed.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::{Plan, ferrule};
use crate::{
    stats::{Spread, short},
    table::Table,
};

/// Kills a writing process and opens what it left, several times.
pub fn measure(plan: Plan, folder: &Path) -> Result<()> {
    println!("## (e) Reopening after `kill -9`\n");
    let mut table = Table::new(["SQLite's log, MB", "ms to open"]);
    let mut rows = Vec::new();
    for round in 0..plan.rounds {
        let at = folder.join(format!("killed-{round}"));
        let mut child = Command::new(std::env::current_exe()?)
            .arg("store-writer")
            .arg(&at)
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a process that writes")?;
        // One byte says that it has begun.
        child.stdout.take().context("its output")?.read_exact(&mut [0])?;
        std::thread::sleep(plan.cell / 2 + Duration::from_millis(100) * u32::try_from(round)?);
        child.kill()?;
        child.wait()?;
        let log = std::fs::metadata(at.join("store.sqlite-wal")).map_or(0, |file| file.len());
        let began = Instant::now();
        let store = ferrule::open(&at)?;
        rows.push((log as f64 / 1e6, began.elapsed().as_secs_f64() * 1e3));
        drop(store);
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (log, ms) in &rows {
        table.row([short(*log), short(*ms)]);
    }
    println!("{table}");
    let all = Spread::of(rows.iter().map(|(_, ms)| *ms));
    println!("{} ms in all rounds.\n", all.map(|s| s.to_string()).unwrap_or_default());
    Ok(())
}

/// Writes until it is killed.
///
/// # Errors
/// The store cannot be opened, or does not take a commit.
pub async fn write_until_killed(folder: &Path) -> Result<()> {
    let store = ferrule::open(folder)?;
    println!("!");
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..64 {
        writers.spawn(ferrule::replace(store.clone(), writer, || true));
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    Ok(())
}
