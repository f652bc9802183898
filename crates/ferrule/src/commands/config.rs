//! `ferrule config`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use backend::config;

/// Prints the configuration in force. Secrets stand in files of their own, so only their places are shown.
pub fn show(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars())?;
    print!("{}", toml::to_string_pretty(&config).context("writing the configuration as TOML")?);
    Ok(ExitCode::SUCCESS)
}

/// Says whether a backend could start: the file, the token keys, the certificates.
pub fn check(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars())?;
    let warnings = backend::check(&config)?;
    for warning in &warnings {
        println!("warning: {warning}");
    }
    println!("{} is good: a backend for {} can start with it", file.display(), config.domain);
    Ok(ExitCode::SUCCESS)
}
