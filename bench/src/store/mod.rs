//! The store beside what it is made of: the disk, and bare transactions of SQLite.

mod bare;
mod disk;
mod ferrule;
mod reopen;
mod writers;

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{
    machine,
    proc::Processes,
    stats::{Spread, short},
    table::Table,
};

pub use reopen::write_until_killed;

use writers::{Load, Measured};

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Rounds in which everything takes its turn.
    pub rounds: usize,
    /// How long one cell of a round lasts.
    pub cell: Duration,
    /// Entries that expire while others write, in all rounds together.
    pub expiring: usize,
}

impl Plan {
    /// About three minutes.
    pub const FULL: Self = Self { rounds: 5, cell: Duration::from_millis(1500), expiring: 250_000 };
    /// Half a minute.
    pub const QUICK: Self = Self { rounds: 3, cell: Duration::from_millis(300), expiring: 60_000 };
}

/// Bytes of a row's value.
const ROW: usize = 100;
/// Writers at a time.
const CROWDS: [usize; 3] = [1, 16, 256];

/// Measures everything and prints it.
///
/// # Errors
/// A disk or SQLite does not do what it should.
pub async fn run(plan: Plan) -> Result<()> {
    let folder = TempDir::with_prefix_in("ferrule-bench-", std::env::current_dir()?).context("making a folder")?;
    println!("Measured {}, on the file system of the checkout.\n", machine::description());
    let raw = commits(plan, folder.path()).await?;
    fan_out(plan, folder.path(), raw).await?;
    reads(plan, folder.path()).await?;
    sweep(plan, folder.path()).await?;
    reopen::measure(plan, folder.path())?;
    println!("Load of the machine at the end: {}.", machine::load());
    Ok(())
}

/// Who commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Ferrule,
    Bare,
    Grouped,
}

impl Who {
    const ALL: [Self; 3] = [Self::Ferrule, Self::Bare, Self::Grouped];

    const fn name(self) -> &'static str {
        match self {
            Self::Ferrule => "Ferrule",
            Self::Bare => "SQLite, a transaction for each",
            Self::Grouped => "SQLite, one transaction for all that wait",
        }
    }

    /// One cell: so many writers, for so long.
    async fn write(self, folder: &Path, writers: usize, plan: Plan) -> Result<Measured> {
        let at = folder.join(format!("{self:?}-{writers}"));
        fs::create_dir_all(&at)?;
        let load = Load { writers, lasts: plan.cell };
        match self {
            Self::Ferrule => ferrule::write(&at, load).await,
            Self::Bare => bare::write_each(&at, load),
            Self::Grouped => bare::write_grouped(&at, load),
        }
    }
}

/// Commits of one row, beside the disk and beside SQLite. Returns how often a second the disk keeps something.
async fn commits(plan: Plan, folder: &Path) -> Result<f64> {
    let mut raw = Vec::new();
    let mut cells = Vec::new();
    for round in 0..plan.rounds {
        raw.push(disk::syncs(folder, plan.cell)?);
        // Each round in another order, so that nobody always comes after the same one.
        for at in 0..Who::ALL.len() {
            let who = Who::ALL[(at + round) % Who::ALL.len()];
            for writers in CROWDS {
                cells.push((who, writers, who.write(folder, writers, plan).await?));
            }
        }
    }
    let syncs = Spread::of(raw.iter().copied()).context("no round")?;
    println!("## (a) Commits of one row\n");
    println!(
        "The disk takes {} appends of 4 KiB with `fdatasync` a second, one after another. A commit replaces a row of {ROW} \
         bytes of the writer's own aggregate, expecting the version that it read; on bare SQLite it reads the version, compares \
         and replaces in a transaction. Both keep their log as safe: `synchronous=FULL`. {} rounds of {:?}. CPU time is of the whole \
         process, those who ask included.\n",
        syncs, plan.rounds, plan.cell
    );
    let mut table = Table::new([
        "who",
        "writers",
        "rows/s",
        "of raw syncs",
        "p50, ms",
        "p99, ms",
        "p99 in syncs",
        "CPU µs a row",
        "CPU of grouped SQLite",
        "written per byte",
    ]);
    for writers in CROWDS {
        let of = |who: Who| -> Vec<&Measured> {
            cells.iter().filter(|(w, n, _)| *w == who && *n == writers).map(|(_, _, measured)| measured).collect()
        };
        let cpu = |who: Who| -> Vec<f64> { of(who).iter().map(|m| m.cpu_each()).collect() };
        for who in Who::ALL {
            let of = of(who);
            let rates: Vec<f64> = of.iter().map(|m| m.rate()).collect();
            let spread = |f: &dyn Fn(&Measured) -> f64| {
                Spread::of(of.iter().map(|m| f(m))).map(|s| s.to_string()).unwrap_or_default()
            };
            let p99_in_syncs: Vec<f64> = of.iter().zip(&raw).map(|(m, raw)| m.percentile(0.99) / 1e6 * raw).collect();
            table.row([
                who.name().to_owned(),
                writers.to_string(),
                spread(&Measured::rate),
                Spread::ratio(&rates, &raw).map(|s| s.to_string()).unwrap_or_default(),
                short(Spread::of(of.iter().map(|m| m.percentile(0.5) / 1e3)).map_or(0.0, |s| s.median)),
                short(Spread::of(of.iter().map(|m| m.percentile(0.99) / 1e3)).map_or(0.0, |s| s.median)),
                Spread::of(p99_in_syncs).map(|s| s.to_string()).unwrap_or_default(),
                spread(&Measured::cpu_each),
                Spread::ratio(&cpu(who), &cpu(Who::Grouped)).map(|s| s.to_string()).unwrap_or_default(),
                spread(&|m| m.written_per_byte(ROW)),
            ]);
        }
    }
    println!("{table}");
    Ok(syncs.median)
}

/// One commit that appends to many logs.
async fn fan_out(plan: Plan, folder: &Path, raw: f64) -> Result<()> {
    println!("## (b) One commit with many appends\n");
    println!(
        "Each append is to a log of its own and has a body of 900 bytes, three ciphertexts; the logs are there already.\n"
    );
    let mut table = Table::new(["appends", "ms", "in raw syncs", "CPU µs an append"]);
    for appends in [100, 2000] {
        let times = ferrule::fan_out(&folder.join(format!("fan-out-{appends}")), appends, 4 * plan.rounds).await?;
        let ms: Vec<f64> = times.iter().map(|(time, _)| time.as_secs_f64() * 1e3).collect();
        let cpu: f64 = times.iter().map(|(_, cpu)| cpu.as_secs_f64() * 1e6).sum();
        let syncs = Spread::of(ms.iter().map(|ms| ms / 1e3 * raw));
        table.row([
            appends.to_string(),
            Spread::of(ms).map(|s| s.to_string()).unwrap_or_default(),
            syncs.map(|s| s.to_string()).unwrap_or_default(),
            short(cpu / (times.len() * appends) as f64),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Reads by one reader.
async fn reads(plan: Plan, folder: &Path) -> Result<()> {
    println!("## (c) Reads\n");
    println!(
        "One reader; everything is in memory. On bare SQLite the same question is asked on the same number of rows.\n"
    );
    let mut table = Table::new(["what", "Ferrule, µs", "SQLite, µs", "ratio", "Ferrule, CPU µs", "SQLite, CPU µs"]);
    let ferrule = ferrule::Reader::prepare(&folder.join("reads-ferrule")).await?;
    let bare = bare::Reader::prepare(&folder.join("reads-bare"))?;
    for (what, newest) in [("a row by its key", false), ("the newest 100 entries of a log of 10 000", true)] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            ours.push(ferrule.read(newest, plan.cell / 2).await?);
            theirs.push(bare.read(newest, plan.cell / 2)?);
        }
        let each = |of: &[Measured]| -> Vec<f64> { of.iter().map(|m| 1e6 / m.rate()).collect() };
        let cpu = |of: &[Measured]| Spread::of(of.iter().map(Measured::cpu_each)).map(|s| s.to_string());
        table.row([
            what.to_owned(),
            Spread::of(each(&ours)).map(|s| s.to_string()).unwrap_or_default(),
            Spread::of(each(&theirs)).map(|s| s.to_string()).unwrap_or_default(),
            Spread::ratio(&each(&ours), &each(&theirs)).map(|s| s.to_string()).unwrap_or_default(),
            cpu(&ours).unwrap_or_default(),
            cpu(&theirs).unwrap_or_default(),
        ]);
    }
    println!("{table}");
    Ok(())
}

/// Commits while expired entries are removed, and while none are.
async fn sweep(plan: Plan, folder: &Path) -> Result<()> {
    println!("## (d) Expiry while others write\n");
    let rounds = plan.rounds.max(4);
    let measured = ferrule::sweep(&folder.join("sweep"), rounds, plan.expiring, plan.cell * 2).await?;
    println!(
        "16 writers, in turns: {rounds} rounds of {} expired entries being removed beside them, between two clean runs each. \
         Checkpoints go on in all of them.\n",
        plan.expiring / rounds
    );
    let mut table = Table::new(["", "p50, ms", "p99, ms", "p99.9, ms", "rows/s"]);
    let p999 = |of: &[Measured]| -> Vec<f64> { of.iter().map(|m| m.percentile(0.999) / 1e3).collect() };
    for (name, of) in [("clean", &measured.clean), ("removing", &measured.sweeping), ("clean again", &measured.again)] {
        let spread =
            |f: &dyn Fn(&Measured) -> f64| Spread::of(of.iter().map(f)).map(|s| s.to_string()).unwrap_or_default();
        table.row([
            name.to_owned(),
            spread(&|m| m.percentile(0.5) / 1e3),
            spread(&|m| m.percentile(0.99) / 1e3),
            spread(&|m| m.percentile(0.999) / 1e3),
            spread(&Measured::rate),
        ]);
    }
    println!("{table}");
    let ratio = |above: &[Measured], below: &[Measured]| {
        Spread::ratio(&p999(above), &p999(below)).map(|s| s.to_string()).unwrap_or_default()
    };
    println!(
        "p99.9 while removing is {} of the clean run before it; of two clean runs the second is {} of the first. Removing took \
         {} µs an entry.\n",
        ratio(&measured.sweeping, &measured.clean),
        ratio(&measured.again, &measured.clean),
        short(measured.removing.as_secs_f64() * 1e6 / measured.removed.max(1) as f64)
    );
    Ok(())
}

/// CPU time of this process until now.
fn cpu() -> Result<Duration> {
    Processes::of([std::process::id()]).cpu()
}

/// Bytes that this process had the disk write until now (`proc(5)`, `write_bytes`).
fn written() -> u64 {
    let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0)
}
