//! Measures Ferrule beside nginx, and beside itself: `cargo run --release -p bench -- federation`; and its store beside
//! SQLite: `cargo run --release -p bench -- store`. What comes out is Markdown for `docs/performance.md`.

mod caller;
mod component;
mod ground;
mod load;
mod machine;
mod messenger;
mod parts;
mod peers;
mod plan;
mod proc;
mod servers;
mod stats;
mod store;
mod table;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand, ValueEnum};

use crate::{parts::Bench, plan::Plan, servers::Programs};

#[derive(Parser)]
#[command(about = "Measures Ferrule beside nginx, and beside itself")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls between backends: CPU, latency, memory, and what bad neighbours cost.
    Federation(Federation),
    /// The store: commits, reads, expiry and reopening, beside bare SQLite.
    Store {
        /// Few and short rounds.
        #[arg(long)]
        quick: bool,
    },
    /// For the bench itself: a process that writes until it is killed.
    #[command(hide = true)]
    StoreWriter {
        /// The data folder.
        folder: PathBuf,
    },
    /// For the bench itself: a backend that calls.
    #[command(hide = true)]
    Caller {
        /// Its plan.
        plan: PathBuf,
    },
    /// For the bench itself: a component behind a proxy.
    #[command(hide = true)]
    Component {
        /// Where it listens.
        address: SocketAddr,
    },
    /// For the bench itself: remotes, good and bad.
    #[command(hide = true)]
    Peers {
        /// Their plan.
        plan: PathBuf,
    },
}

#[derive(clap::Args)]
struct Federation {
    /// Few and short rounds: under two minutes instead of under ten.
    #[arg(long)]
    quick: bool,
    /// Only these parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// How many rounds, instead of what the plan says.
    #[arg(long)]
    rounds: Option<usize>,
    /// The program to measure; without it `ferrule` beside this program.
    #[arg(long)]
    ferrule: Option<PathBuf>,
    /// nginx.
    #[arg(long, default_value = "nginx")]
    nginx: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Calls of other backends on connections that stand.
    Inward,
    /// New connections.
    Connections,
    /// Calls to other backends.
    Outward,
    /// Memory and start.
    Size,
    /// What bad remotes cost the others.
    Neighbours,
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let ran = tokio::runtime::Runtime::new().context("starting").and_then(|runtime| {
        runtime.block_on(async {
            match command {
                Command::Federation(options) => federation(options).await,
                Command::Store { quick } => {
                    store::run(if quick { store::Plan::QUICK } else { store::Plan::FULL }).await
                }
                Command::StoreWriter { folder } => store::write_until_killed(&folder).await,
                Command::Caller { plan } => caller::run(&plan).await,
                Command::Component { address } => component::run(address).await,
                Command::Peers { plan } => peers::run(&plan).await,
            }
        })
    });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn federation(options: Federation) -> Result<()> {
    let beside = || Ok(std::env::current_exe()?.with_file_name("ferrule"));
    let ferrule = options.ferrule.map_or_else(beside, anyhow::Ok)?;
    ensure!(ferrule.exists(), "there is no {}; `cargo build --release -p ferrule` makes it", ferrule.display());
    let ferrule = std::path::absolute(ferrule)?;
    let mut plan = if options.quick { Plan::QUICK } else { Plan::FULL };
    if let Some(rounds) = options.rounds {
        ensure!(rounds > 0, "there must be a round");
        (plan.rounds, plan.neighbour_rounds) = (rounds, rounds);
    }
    let bench = Bench { programs: Programs { ferrule, nginx: options.nginx }, plan };
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);

    let command: Vec<String> = std::env::args().skip(1).collect();
    println!("`bench {}`, {}", command.join(" "), machine::description());
    println!("Load average at the begin: {}. {}", machine::load(), servers::versions(&bench.programs)?);
    println!("Each figure is the median of the rounds, with the least and the most.\n");
    if wanted(Part::Inward) {
        parts::inward(&bench).await?;
    }
    if wanted(Part::Connections) {
        parts::connections(&bench).await?;
    }
    if wanted(Part::Outward) {
        parts::outward(&bench).await?;
    }
    if wanted(Part::Size) {
        parts::size(&bench).await?;
    }
    if wanted(Part::Neighbours) {
        parts::neighbours(&bench).await?;
    }
    println!("Load average at the end: {}.", machine::load());
    Ok(())
}
