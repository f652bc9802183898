//! `ferrule doctor`: what keeps this backend and others apart.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use backend::{Surroundings, config};
use doctor::{Progress, Subject, Verdict, examine};
use http::Uri;
use indicatif::ProgressBar;
use lab::ReadyFile;
use owo_colors::OwoColorize;

use super::{ConfigFile, DoctorArgs, config::import_helm::merged};
use crate::output::{self, Styles};

/// The exit status where nothing could be examined; smaller ones speak of what was.
pub const UNABLE: u8 = 3;

/// Examines the backend and its partners; the exit status is 0 if all is well, 1 with warnings, 2 with failures, and
/// [`UNABLE`].
pub async fn run(args: DoctorArgs) -> Result<ExitCode> {
    Ok(examined(args).await.unwrap_or_else(|error| {
        output::error(&error);
        UNABLE.into()
    }))
}

/// Reads the value of `--from-outside`: an address as clients have it.
pub fn public_address(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match (url.scheme_str(), url.host()) {
        (Some("https" | "http"), Some(host)) if !host.is_empty() => Ok(url),
        _ => Err("expected a URL such as `https://nginz-https.example.com`".into()),
    }
}

async fn examined(args: DoctorArgs) -> Result<ExitCode> {
    let file = match &args.ready_file {
        Some(ready) => of_laboratory(ready, args.backend.as_ref())?,
        None => args.config.unwrap_or_else(configured),
    };
    let subject = Subject {
        config: config::load_either(&file, std::env::vars_os()),
        helm: (!args.helm.is_empty()).then(|| merged(&args.helm).map_err(|error| format!("{error:#}"))),
        partners: args.domains,
        from_outside: args.from_outside,
        surroundings: Surroundings::default(),
    };
    let spinner = Spinner(super::demo::progress("examining"));
    let report = examine(subject, &spinner).await;
    spinner.0.finish_and_clear();
    if args.json {
        output::line(format_args!("{}", serde_json::to_string(&report)?))?;
    } else {
        let styles = Styles::of_stdout();
        let paint = |verdict, word: &str| match verdict {
            Verdict::Pass => word.style(styles.good).to_string(),
            Verdict::Warn => word.style(styles.strong).to_string(),
            Verdict::Fail => word.style(styles.bad).to_string(),
            Verdict::Skip => word.style(styles.faint).to_string(),
        };
        output::line(format_args!("{}", report.text(paint)))?;
    }
    Ok(ExitCode::from(report.exit_status()))
}

/// The file that the environment names, or the default.
fn configured() -> PathBuf {
    let named = std::env::var_os(ConfigFile::VARIABLE).filter(|name| !name.is_empty());
    named.map_or_else(|| ConfigFile::DEFAULT.into(), PathBuf::from)
}

/// The configuration of a backend of a laboratory, the first one where none is named.
fn of_laboratory(ready: &Path, backend: Option<&types::Domain>) -> Result<PathBuf> {
    let read = ReadyFile::read(ready).with_context(|| format!("reading {}", ready.display()))?;
    let found = match backend {
        Some(domain) => read.backend(domain.as_str()),
        None => read.backends.first(),
    };
    let named = backend.map_or_else(|| "a backend".to_owned(), ToString::to_string);
    Ok(found.with_context(|| format!("there is no {named} in {}", ready.display()))?.config())
}

/// What is being done, on standard error and on a terminal only.
struct Spinner(ProgressBar);

impl Progress for Spinner {
    fn begins(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }
}
