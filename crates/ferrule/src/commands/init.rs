//! `ferrule init`: everything that a first start needs.

use std::process::ExitCode;

use anyhow::{Context, Result};
use backend::init::{Init, write};
use types::{Clock, SystemClock, SystemRng};

use super::InitArgs;
use crate::output;

/// Writes the files and says what is left to do.
pub fn run(args: &InitArgs) -> Result<ExitCode> {
    let infra = match &args.infra {
        Some(infra) => infra.clone(),
        None => format!("federator.wire.{}", args.domain).parse().context("the backend domain is too long")?,
    };
    let init = Init { domain: args.domain.clone(), infra, data: args.data.clone(), now: SystemClock.now() };
    let written = write(&args.folder, &init, &SystemRng)?;
    output::line(format_args!("Written:"))?;
    for (file, what) in &written {
        output::line(format_args!("  {}  {what}", args.folder.join(file).display()))?;
    }
    let Init { domain, infra, .. } = &init;
    // What is in the folder where one is anyway is found without being named.
    let config = match args.folder.as_os_str() == "." {
        true => String::new(),
        false => format!(" --config {}", args.folder.join("ferrule.toml").display()),
    };
    output::line(format_args!(
        "
Put into DNS, so that other backends find this one:
  _wire-server-federator._tcp.{domain}. 600 IN SRV 0 10 8443 {infra}.
  {infra}. 600 IN A <the address of this machine>

Give federation-ca.pem to the backends you federate with, and put theirs into the folder partners. Then start it:
  ferrule serve{config}

While it runs, allow the others:
  ferrule federation allow other.example{config}"
    ))?;
    Ok(ExitCode::SUCCESS)
}
