//! `ferrule federator` in a folder of its own.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use types::Domain;

use super::{Child, scratch, served::ready_line};
use crate::{Specimen, World};

/// The folder of a stand-alone federator: its configuration, and certificates of a world.
pub struct FederatorFolder {
    program: PathBuf,
    domain: Domain,
    infra: Domain,
    place: TempDir,
}

impl FederatorFolder {
    /// Writes `leaf.pem`, `leaf-key.pem` and `ca.pem`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(program: &Path, world: &World, domain: &Domain) -> Result<Self> {
        let infra: Domain = format!("federator.infra-{domain}").parse()?;
        let place = TempDir::with_prefix_in("federator-", scratch())?;
        let this = Self { program: program.to_owned(), domain: domain.clone(), infra, place };
        let identity = world.certificates().issue(Specimen::Good, this.infra.as_str())?;
        fs::write(this.path("leaf.pem"), identity.chain)?;
        fs::write(this.path("leaf-key.pem"), identity.key)?;
        fs::write(this.path("ca.pem"), world.certificates().root_pem())?;
        Ok(this)
    }

    /// The backend domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The infrastructure domain: the name in the certificate.
    pub fn infra(&self) -> &Domain {
        &self.infra
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }

    /// Starts `program federator` with that configuration file and these arguments, and waits until it is ready.
    ///
    /// # Errors
    /// It ends or takes too long.
    pub fn run(&self, config: &Path, arguments: &[&str]) -> Result<Federated> {
        self.run_in(&[], config, arguments)
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// It ends or takes too long.
    pub fn run_in(&self, environment: &[(&str, &str)], config: &Path, arguments: &[&str]) -> Result<Federated> {
        // Its log is read by machines here, whatever the file says of it.
        let log = [("FERRULE_LOG__FORMAT", "json"), ("FERRULE_LOG__LEVEL", "info")];
        let environment = [&log[..], environment].concat();
        let config = config.display().to_string();
        let mut all = vec!["federator", "--config", &config];
        all.extend(arguments);
        let mut child = Child::start_in(&environment, &self.program, all)?;
        let line = child.until("the line that says ready", |child| child.output().1.lines().find_map(ready_line))?;
        let field = |name: &str| line[name].as_str().map(str::parse::<SocketAddr>).transpose();
        let outward = field("outward")?.context("the outward listener")?;
        Ok(Federated { outward, ingress: field("ingress")?, behind_proxy: field("behind_proxy")?, child })
    }
}

/// A running `ferrule federator`.
pub struct Federated {
    /// Where components ask for calls to others.
    pub outward: SocketAddr,
    /// Its own ingress.
    pub ingress: Option<SocketAddr>,
    /// Where an ingress in front passes calls on.
    pub behind_proxy: Option<SocketAddr>,
    child: Child,
}

impl Federated {
    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.child.output().1
    }

    /// The lines that it logged so far.
    pub fn lines(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// It does not end, or not with success.
    pub fn stop(mut self) -> Result<()> {
        let status = self.child.terminate()?;
        if !status.success() {
            bail!("the federator ended with {status}:\n{}", self.child.output().1);
        }
        Ok(())
    }
}

/// An address whose port nobody else gets, for somebody who starts later and listens there.
pub struct Reserved {
    /// The address.
    pub address: SocketAddr,
    /// Bound, and not listening: only who asks for just this port gets it.
    _held: TcpSocket,
}

impl Reserved {
    /// A port of loopback.
    ///
    /// # Errors
    /// None is free.
    pub fn new() -> Result<Self> {
        let held = TcpSocket::new_v4()?;
        held.set_reuseaddr(true)?;
        held.bind(([127, 0, 0, 1], 0).into())?;
        Ok(Self { address: held.local_addr()?, _held: held })
    }
}
