//! The servers that are measured, as processes of their own.

mod child;
mod component;
mod ferrule;
mod nginx;

use std::{net::SocketAddr, path::PathBuf, process::Command};

use anyhow::{Context, Result};

pub use self::{child::Child, component::Component, nginx::Behind};
use crate::proc::Processes;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Ferrule.
    pub ferrule: PathBuf,
    /// nginx.
    pub nginx: PathBuf,
}

impl Programs {
    /// Whether Ferrule has `federator`.
    fn have_federator(&self) -> Result<bool> {
        let asked = Command::new(&self.ferrule).args(["federator", "--help"]).output();
        Ok(asked.with_context(|| self.ferrule.display().to_string())?.status.success())
    }
}

/// A running server.
pub struct Server {
    /// What the table calls it.
    pub name: &'static str,
    /// Where it takes calls by mutual TLS.
    pub address: SocketAddr,
    /// Itself and the component behind it.
    pub processes: Processes,
    /// Itself alone.
    pub own: Processes,
    _child: Child,
}

/// The versions of the programs, for the head of a report.
///
/// # Errors
/// One cannot be started.
pub fn versions(programs: &Programs) -> Result<String> {
    let nginx =
        Command::new(&programs.nginx).arg("-V").output().with_context(|| programs.nginx.display().to_string())?;
    let nginx = String::from_utf8_lossy(&nginx.stderr).into_owned();
    let line = |start: &str| nginx.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default().to_owned();
    Ok(format!("{}, built with {}.", line("nginx version: "), line("built with ")))
}
