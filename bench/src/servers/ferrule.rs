//! Ferrule, as its users start it.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use anyhow::{Context, Result};
use types::SystemRng;

use super::{Child, Component, Programs, Server};
use crate::{
    ground::{BACKEND, Credentials, Ground, free_address, infra},
    proc::Processes,
};

impl Server {
    /// `ferrule serve`: ingress, federator and brig in one process. `folder` is where its data goes.
    ///
    /// # Errors
    /// It does not start.
    pub fn ferrule(programs: &Programs, ground: &Ground, folder: &str, credentials: &Credentials) -> Result<Self> {
        let folder = ground.folder(folder)?;
        if !folder.join(backend::init::file::TOKENS_PRIVATE).exists() {
            backend::init::token_keys(&folder, &SystemRng)?;
        }
        let address = free_address()?;
        let config = folder.join("ferrule.toml");
        let text = format!(
            r#"domain = "{BACKEND}"
data = "data"
[edge]
listen = "{edge}"
[tokens]
private_keys = "{private}"
public_keys = "{public}"
[federation]
infra = "{infra}"
listen = "{address}"
certificate = "{certificate}"
key = "{key}"
ca = ["{ca}"]
dns = "{dns}"
strategy = "allowAll"
"#,
            edge = free_address()?,
            private = backend::init::file::TOKENS_PRIVATE,
            public = backend::init::file::TOKENS_PUBLIC,
            infra = infra(BACKEND),
            certificate = credentials.certificate.display(),
            key = credentials.key.display(),
            ca = credentials.ca.display(),
            dns = ground.dns(),
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let child = start(programs, "serve", &config, address)?;
        let own = Processes::of([child.id()]);
        Ok(Self { name: "ferrule serve", address, processes: own.clone(), own, _child: child })
    }

    /// `ferrule federator` with its own ingress, in front of the component; `None` where the program has none.
    ///
    /// # Errors
    /// It does not start.
    pub fn federator(
        programs: &Programs,
        ground: &Ground,
        credentials: &Credentials,
        component: &Component,
    ) -> Result<Option<Self>> {
        if !programs.have_federator()? {
            return Ok(None);
        }
        let folder = ground.folder("federator")?;
        let address = free_address()?;
        let config = folder.join("federator.toml");
        let text = format!(
            r#"domain = "{BACKEND}"
dns = "{dns}"
[outward]
listen = "{outward}"
[inward.ingress]
listen = "{address}"
infra = "{infra}"
[components]
brig = "{component}"
[policy]
source = "here"
strategy = "allowAll"
[tls]
certificate = "{certificate}"
key = "{key}"
ca = ["{ca}"]
"#,
            dns = ground.dns(),
            outward = free_address()?,
            infra = infra(BACKEND),
            component = component.address,
            certificate = credentials.certificate.display(),
            key = credentials.key.display(),
            ca = credentials.ca.display(),
        );
        fs::write(&config, text).with_context(|| config.display().to_string())?;
        let child = start(programs, "federator", &config, address)?;
        let own = Processes::of([child.id()]);
        let processes = own.clone().and(&component.processes);
        Ok(Some(Self { name: "ferrule federator → component", address, processes, own, _child: child }))
    }
}

fn start(programs: &Programs, verb: &str, config: &Path, address: SocketAddr) -> Result<Child> {
    let log = config.with_extension("log");
    let mut command = Command::new(&programs.ferrule);
    command.arg(verb).arg("--config").arg(config).current_dir("/");
    let mut child = Child::start(command, &log)?;
    child.wait_for(address, &log)?;
    Ok(child)
}
