//! `ferrule config`.

pub mod import_helm;
pub mod nginx;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use backend::config::{self, Either};

use crate::output;

/// Prints the configuration in force, a backend's or a federator's. Secrets stand in files of their own, so only their places
/// are shown.
pub fn show(file: &Path) -> Result<ExitCode> {
    match config::load_either(file, std::env::vars_os())? {
        Either::Backend(config) => print(toml::to_string_pretty(&config)),
        Either::Federator(config, warnings) => {
            for warning in &warnings {
                output::note(&format!("warning: {warning}"));
            }
            print(toml::to_string_pretty(&config))
        }
    }
}

fn print(written: Result<String, toml::ser::Error>) -> Result<ExitCode> {
    let text = written.context("writing the configuration as TOML")?;
    output::line(format_args!("{}", text.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

/// Says whether a backend or a federator could start, as far as that can be told beforehand.
pub fn check(file: &Path) -> Result<ExitCode> {
    let (warnings, good) = match config::load_either(file, std::env::vars_os())? {
        Either::Backend(config) => {
            let certificates = if config.federating().is_some() { ", certificates" } else { "" };
            let good = format!(
                "{}: options, token keys{certificates}, data folder and log level were checked\n\
                 not checked: whether the ports are free, what the data folder holds, and DNS",
                config.domain
            );
            (backend::check(&config)?, good)
        }
        Either::Federator(config, mut warnings) => {
            warnings.extend(backend::check_federator(&config)?);
            let domain =
                config.domain.as_ref().map_or_else(|| "the domain that brig names".to_owned(), ToString::to_string);
            let good = format!(
                "the federator of {domain}: options, certificates, the policy's file and log level were checked\n\
                 not checked: whether the ports are free, whether components answer, and DNS"
            );
            (warnings, good)
        }
    };
    for warning in &warnings {
        output::line(format_args!("warning: {warning}"))?;
    }
    output::line(format_args!("{} is good for {good}", file.display()))?;
    Ok(ExitCode::SUCCESS)
}
