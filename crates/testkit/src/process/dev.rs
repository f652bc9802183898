//! `ferrule dev`, or whatever backends somebody else has started.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tls::issue::Authority;
use types::{Clock, SystemClock};

use super::{Child, Ready, scratch};
use crate::{Certificates, Specimen};

/// What `ferrule dev` shall start.
#[derive(Clone, Debug, Default)]
pub struct DevPlan {
    /// The backend domains.
    pub backends: Vec<String>,
    /// Foreign backends and their addresses.
    pub peers: Vec<(String, SocketAddr)>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// Where data is kept; without it, nowhere.
    pub data: Option<PathBuf>,
}

/// Running backends that were told of by a ready-file.
pub struct Dev {
    ready: Ready,
    ca_pem: String,
    certificates: Option<Certificates>,
    child: Option<Child>,
    _folder: Option<TempDir>,
}

impl Dev {
    /// The variable with the path of a ready-file of backends that run already.
    pub const BACKENDS: &'static str = "FERRULE_TEST_BACKENDS";

    /// Whether the backends are somebody else's.
    pub fn is_foreign() -> bool {
        std::env::var_os(Self::BACKENDS).is_some()
    }

    /// The backends of the ready-file that [`Dev::BACKENDS`] names; without one, new ones of `program`.
    ///
    /// # Errors
    /// The ready-file cannot be used, or the program does not start.
    pub fn given_or_start(program: &Path, plan: &DevPlan) -> Result<Self> {
        match std::env::var_os(Self::BACKENDS) {
            Some(file) => {
                let ready = Ready::read(Path::new(&file))?;
                Ok(Self { ca_pem: ready.ca_pem()?, ready, certificates: None, child: None, _folder: None })
            }
            None => Self::start(program, plan),
        }
    }

    /// Starts `program dev` and waits until it is ready.
    ///
    /// # Errors
    /// It ends or takes too long.
    pub fn start(program: &Path, plan: &DevPlan) -> Result<Self> {
        let folder = TempDir::with_prefix_in("ready-", scratch())?;
        let file = folder.path().join("ready.json");
        let mut arguments = vec!["dev".to_owned(), "--backends".into(), plan.backends.join(",")];
        arguments.extend(["--ready-file".into(), file.display().to_string()]);
        for (domain, address) in &plan.peers {
            arguments.extend(["--peer".into(), format!("{domain}={address}")]);
        }
        if let Some(data) = &plan.data {
            arguments.extend(["--data".into(), data.display().to_string()]);
        }
        arguments.extend(plan.arguments.iter().cloned());
        let mut child = Child::start(program, &arguments)?;
        let ready = child.until("the ready-file", |_| file.exists().then(|| Ready::read(&file)))??;
        let ca_pem = ready.ca_pem()?;
        let certificates = certificates(&ready, &ca_pem)?;
        Ok(Self { ready, ca_pem, certificates: Some(certificates), child: Some(child), _folder: Some(folder) })
    }

    /// What the ready-file says.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The CA's certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Certificates of the laboratory's CA; its key is there only if the laboratory is our own.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Asks it to end, as Ctrl-C or a supervisor does, and waits.
    ///
    /// # Errors
    /// It is not our own, or does not end with success.
    pub fn stop(mut self) -> Result<()> {
        let status = self.child.as_mut().context("the backends are somebody else's")?.terminate()?;
        ensure!(status.success(), "dev ended with {status}");
        Ok(())
    }

    /// The process, if it is our own.
    pub fn child(&mut self) -> Option<&mut Child> {
        self.child.as_mut()
    }

    /// Its id, if it is our own.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }
}

/// The laboratory keeps the key of its CA beside the certificate.
fn certificates(ready: &Ready, ca_pem: &str) -> Result<Certificates> {
    let key = ready.ca.with_file_name("federation-ca-key.pem");
    let key = fs::read_to_string(&key).with_context(|| key.display().to_string())?;
    let certificates = Certificates::of(Authority::root_from_pem(ca_pem, &key)?, SystemClock.now());
    certificates.issue(Specimen::Good, "probe.example").context("the laboratory's CA issues certificates")?;
    Ok(certificates)
}
