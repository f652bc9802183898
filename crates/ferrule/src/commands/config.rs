//! `ferrule config`.

pub mod import_helm;
pub mod nginx;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use backend::config;

use crate::output;

/// Prints the configuration in force. Secrets stand in files of their own, so only their places are shown.
pub fn show(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    let text = toml::to_string_pretty(&config).context("writing the configuration as TOML")?;
    output::line(format_args!("{}", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says whether a backend could start, as far as that can be told beforehand.
pub fn check(file: &Path) -> Result<ExitCode> {
    let config = config::load(file, std::env::vars_os())?;
    let warnings = backend::check(&config)?;
    for warning in &warnings {
        output::line(format_args!("warning: {warning}"))?;
    }
    let certificates = if config.federating().is_some() { ", certificates" } else { "" };
    output::line(format_args!(
        "{} is good for {}: options, token keys{certificates}, data folder and log level were checked\n\
         not checked: whether the ports are free, what the data folder holds, and DNS",
        file.display(),
        config.domain
    ))?;
    Ok(ExitCode::SUCCESS)
}
