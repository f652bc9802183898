//! `ferrule dev`: throwaway federated backends.

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal, stderr},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use lab::{Lab, Plan, ReadyFile};

use super::{DevArgs, runtime::Ending};
use crate::output;

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
    let ending = Ending::watch()?;
    let spinner = super::demo::progress("starting the backends");
    // A start goes on to its end even if nobody wants it any more: only what stands can be taken down whole.
    let lab = Lab::start(plan).await;
    spinner.finish_and_clear();
    let lab = lab?;
    if ending.is_asked() {
        lab.stop().await;
        return Ok(ending.interrupted());
    }
    let ready = lab.ready_file();
    output::line(format_args!("{}", serde_json::to_string(&ready)?))?;
    if let Some(file) = &args.ready_file {
        ready.write(file).with_context(|| format!("writing {}", file.display()))?;
    }
    if stderr().is_terminal() {
        output::note(&table(ready));
    }
    ending.asked().await;
    // Before the backends, so that nobody is sent to one that is gone.
    let removed = args.ready_file.as_deref().map_or(Ok(()), remove);
    tokio::select! {
        () = lab.stop() => {}
        () = ending.asked_again() => {}
    }
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

/// What somebody at a terminal wants to know.
fn table(ready: &ReadyFile) -> String {
    let mut rows = vec![["backend", "clients", "internal", "other backends"].map(str::to_owned)];
    for b in &ready.backends {
        rows.push([b.domain.to_string(), b.api.clone(), b.internal.clone(), b.federation.to_string()]);
    }
    for p in &ready.peers {
        rows.push([p.domain.to_string(), "runs elsewhere".into(), String::new(), p.federation.to_string()]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let mut text = String::new();
    for [domain, api, internal, federation] in &rows {
        let [w0, w1, w2] = widths;
        let _ = writeln!(text, "{domain:w0$}  {api:w1$}  {internal:w2$}  {federation}");
    }
    let _ = write!(text, "name server {}, CA {}\nThey run until Ctrl-C.", ready.dns, ready.ca.display());
    text
}

fn duplicate<'a>(domains: impl Iterator<Item = &'a types::Domain>) -> Option<&'a types::Domain> {
    let mut seen = std::collections::HashSet::new();
    domains.into_iter().find(|domain| !seen.insert(*domain))
}
