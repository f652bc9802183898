//! `ferrule store`: is the store whole, what is in it, backups and dumps of it.
//!
//! What only reads is read from the file, beside a backend that runs and without asking it: a backup must be possible while
//! it is in trouble. What writes a store needs the data folder for itself.

mod report;

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use backend::config::{self, Config};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use store::{
    Catalogue,
    upkeep::{self, Existing, Problem, Standing, UpkeepError},
};
use types::{Clock, SystemClock};

use super::ConfigFile;
use crate::output;

/// The exit status of a check or a salvage that could not be made.
const UNABLE: u8 = 2;

/// For standard output and input, in the place of a file.
const STANDARD: &str = "-";

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Looks at everything in the store: structure, checksums, order, whether every table is known
    ///
    /// The backend may be running. The exit status is 0 if nothing is wrong, 1 if something is, and 2 if it could not be
    /// looked at.
    Check {
        #[command(flatten)]
        subject: Subject,
        /// Prints one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
    /// Writes everything down as lines of JSON, which any release and any engine can load
    ///
    /// The backend may be running: the dump is of the moment at which it was begun.
    Dump {
        #[command(flatten)]
        subject: Subject,
        /// The file to write, which must not be there; `-` is standard output
        #[arg(value_name = "FILE")]
        to: PathBuf,
        /// Leaves out what is damaged, and names it on standard error
        ///
        /// The exit status is 0 if nothing was left out, 1 if something was, and 2 if there is no dump.
        #[arg(long)]
        salvage: bool,
    },
    /// Makes a store of a dump, in a data folder without one
    ///
    /// The backend must not be running.
    Load {
        #[command(flatten)]
        config: ConfigFile,
        /// The dump; `-` is standard input
        #[arg(value_name = "FILE")]
        from: PathBuf,
    },
    /// Makes a backup: one file, whole and looked at before it gets its name
    ///
    /// The backend may be running, and is not hindered: the backup is of the moment at which it was begun. The
    /// configuration and the keys are not in it.
    Backup {
        #[command(flatten)]
        config: ConfigFile,
        /// The file to write, which must not be there
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
    /// Puts a backup into the data folder
    ///
    /// The backend must not be running. The backup is looked at first.
    Restore {
        #[command(flatten)]
        config: ConfigFile,
        /// The backup
        #[arg(value_name = "FILE")]
        from: PathBuf,
        /// Takes the place of the store that is there, which is kept in a folder beside
        #[arg(long)]
        replace: bool,
    },
    /// Counts rows, entries and bytes
    ///
    /// The backend may be running.
    Stats {
        #[command(flatten)]
        subject: Subject,
        /// Prints one JSON document instead of text
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub struct Subject {
    #[command(flatten)]
    config: ConfigFile,
    /// Looks at a backup, and needs no configuration
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
}

impl Subject {
    fn open(&self) -> Result<Standing> {
        Ok(match &self.backup {
            Some(backup) => Standing::of_file(backup)?,
            None => {
                let config = load(&self.config)?;
                Standing::in_folder(&config.data)?.belonging_to(&config.domain)?
            }
        })
    }
}

/// Carries out one of the commands.
pub fn run(command: StoreCommand) -> Result<ExitCode> {
    let tables = backend::tables();
    match command {
        StoreCommand::Check { subject, json } => check(&subject, &tables, json).or_else(unable),
        StoreCommand::Dump { subject, to, salvage: false } => dump(&subject.open()?, &tables, &to),
        StoreCommand::Dump { subject, to, salvage: true } => salvage(&subject, &tables, &to).or_else(unable),
        StoreCommand::Load { config, from } => load_dump(&load(&config)?, &from),
        StoreCommand::Backup { config, to } => backup(&load(&config)?, &tables, &to),
        StoreCommand::Restore { config, from, replace } => restore(&load(&config)?, &tables, &from, replace),
        StoreCommand::Stats { subject, json } => {
            let stats = subject.open()?.stats(&tables)?;
            if json {
                output::line(format_args!("{}", serde_json::to_string(&stats)?))?;
            } else {
                report::stats(&stats)?;
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn unable(error: anyhow::Error) -> Result<ExitCode> {
    output::error(&error);
    Ok(UNABLE.into())
}

fn load(file: &ConfigFile) -> Result<Config> {
    Ok(config::load(&file.config, std::env::vars_os())?)
}

fn check(subject: &Subject, tables: &Catalogue, json: bool) -> Result<ExitCode> {
    let standing = subject.open()?;
    let bar = Bar::new("looking at everything");
    let verdict = standing.check(tables, &mut |done, of| bar.at(done, of));
    drop(bar);
    if json {
        output::line(format_args!("{}", report::verdict_json(&standing, &verdict)))?;
    } else {
        report::verdict(&standing, &verdict)?;
    }
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn dump(standing: &Standing, tables: &Catalogue, to: &Path) -> Result<ExitCode> {
    let bar = Bar::new("dumping");
    let mut progress = |done, of| bar.at(done, of);
    if to == Path::new(STANDARD) {
        standing.dump(io::BufWriter::new(io::stdout().lock()), tables, &mut progress)?;
        return Ok(ExitCode::SUCCESS);
    }
    standing.dump_to(to, tables, &mut progress)?;
    drop(bar);
    output::line(format_args!("{} is dumped to {}", standing.domain(), to.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn salvage(subject: &Subject, tables: &Catalogue, to: &Path) -> Result<ExitCode> {
    let standing = subject.open()?;
    let bar = Bar::new("saving what is sound");
    let mut told = |problem: &Problem| bar.aside(&format!("left out: {problem}"));
    let mut progress = |done, of| bar.at(done, of);
    let left_out = if to == Path::new(STANDARD) {
        standing.salvage(io::BufWriter::new(io::stdout().lock()), tables, &mut told, &mut progress)?.1
    } else {
        standing.salvage_to(to, tables, &mut told, &mut progress)?
    };
    drop(bar);
    output::note(&format!("{} of {}", report::left_out(left_out), standing.domain()));
    if to != Path::new(STANDARD) {
        output::line(format_args!("what is sound of {} is dumped to {}", standing.domain(), to.display()))?;
    }
    Ok(if left_out == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load_dump(config: &Config, from: &Path) -> Result<ExitCode> {
    let opened = || io::Result::Ok((File::open(from)?, std::fs::metadata(from)?.len()));
    let (file, size): (Box<dyn Read>, u64) = if from == Path::new(STANDARD) {
        (Box::new(io::stdin().lock()), 0)
    } else {
        let (file, size) = opened().with_context(|| format!("{} cannot be read", from.display()))?;
        (Box::new(file), size)
    };
    let bar = Bar::new("loading");
    let (data, domain) = (&config.data, &config.domain);
    let from = BufReader::with_capacity(1 << 16, file);
    let loaded = upkeep::load(from, data, domain, SystemClock.now(), &mut |bytes| bar.at(bytes, size))?;
    drop(bar);
    if let Some(left_out) = loaded.left_out {
        output::note(&format!("warning: this is a salvage of a damaged store: {}", report::left_out(left_out)));
    }
    output::line(format_args!("{domain} is loaded into {}", data.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn backup(config: &Config, tables: &Catalogue, to: &Path) -> Result<ExitCode> {
    let standing = Standing::in_folder(&config.data)?.belonging_to(&config.domain)?;
    let bar = Bar::new("copying");
    let verdict = standing.backup(to, tables, &mut |done, of| bar.at(done, of), &mut |done, of| {
        bar.says("looking at the copy");
        bar.at(done, of);
    })?;
    drop(bar);
    output::line(format_args!(
        "{} is backed up to {}: {}",
        config.domain,
        to.display(),
        report::counts(&verdict.counts)
    ))?;
    if let Some(unknown) = report::unknown(&verdict) {
        output::note(&format!("warning: {unknown}"));
    }
    Ok(ExitCode::SUCCESS)
}

fn restore(config: &Config, tables: &Catalogue, from: &Path, replace: bool) -> Result<ExitCode> {
    let existing = if replace { Existing::KeepAside } else { Existing::Refuse };
    let bar = Bar::new("looking at the backup");
    let (data, domain) = (&config.data, &config.domain);
    let restored =
        upkeep::restore(from, data, domain, tables, existing, SystemClock.now(), &mut |done, of| bar.at(done, of));
    drop(bar);
    let restored = match restored {
        Err(error @ UpkeepError::HoldsStore(_)) => {
            return Err(error).context("--replace puts the backup in its place, and keeps it in a folder beside");
        }
        other => other?,
    };
    output::line(format_args!("{domain} is restored into {}", data.display()))?;
    if let Some(aside) = restored.aside {
        output::line(format_args!("the store that was there is kept in {}", aside.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How far it is, on standard error and on a terminal only. Gone with this.
struct Bar(ProgressBar);

impl Bar {
    fn new(what: &'static str) -> Self {
        let bar = ProgressBar::new(0).with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {eta}") {
            bar.set_style(style);
        }
        Self(bar)
    }

    fn says(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Says something beside it.
    fn aside(&self, text: &str) {
        self.0.suspend(|| output::note(text));
    }

    fn at(&self, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
