//! `ferrule dev`: throwaway federated backends.

use std::{fs, io, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use lab::{Lab, Plan};

use super::{DevArgs, runtime};

/// Starts the backends, says where they are, and stays until it is asked to end.
pub async fn run(args: DevArgs) -> Result<ExitCode> {
    backend::logging::to_stderr("warn")?;
    // Before anything else: whoever waits for the file must not find one of an earlier laboratory.
    if let Some(file) = &args.ready_file {
        remove(file)?;
    }
    let peers: Vec<_> = args.peers.into_iter().map(|p| p.0).collect();
    let mut plan = Plan::of(&args.backends, &peers, args.strategy.into());
    plan.data = args.data;
    plan.ttl = Duration::from_secs(args.ttl.into());
    if let Some(twice) = duplicate(plan.backends.iter().map(|b| &b.domain).chain(peers.iter().map(|p| &p.domain))) {
        bail!("{twice} is named twice");
    }
    let spinner = super::demo::progress("starting the backends");
    let lab = Lab::start(plan).await?;
    spinner.finish_and_clear();
    let ready = lab.ready_file();
    println!("{}", serde_json::to_string(&ready)?);
    if let Some(file) = &args.ready_file {
        ready.write(file).with_context(|| format!("writing {}", file.display()))?;
    }
    runtime::end_requested().await;
    // Before the backends, so that nobody is sent to one that is gone.
    let removed = args.ready_file.as_deref().map_or(Ok(()), remove);
    lab.stop().await;
    removed?;
    Ok(ExitCode::SUCCESS)
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn duplicate<'a>(domains: impl Iterator<Item = &'a types::Domain>) -> Option<&'a types::Domain> {
    let mut seen = std::collections::HashSet::new();
    domains.into_iter().find(|domain| !seen.insert(*domain))
}
