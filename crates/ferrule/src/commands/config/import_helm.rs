//! `ferrule config import-helm`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use backend::{config, init};
use tls::files::{self, Access};
use types::SystemRng;
use wire_server_config::{
    import::{Imported, file, import},
    limits,
    values::Values,
};

use crate::output;

/// Makes a configuration of Helm values, with that folder for data. Everything is judged before anything is written, and
/// nothing is overwritten.
pub fn run(values: &[PathBuf], out: &Path, data: &str) -> Result<ExitCode> {
    let merged = merged(values)?;
    let mut imported = match import(&merged) {
        Ok(imported) => imported,
        Err(problems) => {
            for problem in &problems {
                output::note(&format!("error: {problem}"));
            }
            bail!("nothing was written: {} to be settled in the values", counted(problems.len()));
        }
    };
    // Options without section come before the others.
    let data = toml::Value::from(data);
    imported.config.insert_str(0, &format!("# The folder that holds all data.\ndata = {data}\n\n"));
    let at = out.join(init::file::CONFIG);
    config::from_text(&imported.config, &at, std::iter::empty(), out).context("the values make no configuration")?;
    write(&imported, out)?;
    report(&imported, &at)?;
    Ok(ExitCode::SUCCESS)
}

/// The values of several files, merged as Helm merges them.
///
/// # Errors
/// One cannot be read, or there are too many.
pub fn merged(paths: &[PathBuf]) -> Result<Values> {
    if paths.len() > limits::FILES {
        bail!("at most {} files of values are merged", limits::FILES);
    }
    let mut merged = Values::default();
    for path in paths {
        let size = fs::metadata(path).with_context(|| path.display().to_string())?.len();
        if size > limits::DOCUMENT_BYTES as u64 {
            bail!("{}: the file has {size} bytes; at most {} are read", path.display(), limits::DOCUMENT_BYTES);
        }
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        merged.put_over(Values::read(&text).with_context(|| path.display().to_string())?);
    }
    Ok(merged)
}

fn write(imported: &Imported, out: &Path) -> Result<()> {
    let mut names: Vec<&str> = imported.files.iter().map(|file| file.name).collect();
    names.extend([init::file::CONFIG, file::TOKENS_PRIVATE, file::TOKENS_PUBLIC]);
    if let Some(there) = names.iter().map(|name| out.join(name)).find(|path| fs::symlink_metadata(path).is_ok()) {
        bail!("{} is there already; nothing is overwritten", there.display());
    }
    fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    for file in &imported.files {
        create(&out.join(file.name), file.contents.as_bytes(), file.secret)?;
    }
    if !imported.has_token_keys() {
        init::token_keys(out, &SystemRng)?;
    }
    // Last, so that where it is, everything is.
    create(&out.join(init::file::CONFIG), imported.config.as_bytes(), false)
}

fn create(path: &Path, contents: &[u8], secret: bool) -> Result<()> {
    let access = if secret { Access::Secret } else { Access::Public };
    files::create(path, contents, access).with_context(|| format!("{} cannot be written", path.display()))
}

fn report(imported: &Imported, at: &Path) -> Result<()> {
    output::line(format_args!("What became what:"))?;
    for became in &imported.became {
        output::line(format_args!("  {became}"))?;
    }
    if !imported.has_token_keys() {
        output::line(format_args!("  (none) -> the files {}, {}", file::TOKENS_PRIVATE, file::TOKENS_PUBLIC))?;
    }
    if !imported.warnings.is_empty() {
        output::line(format_args!("\nWhat is different, or to be done:"))?;
        for warning in &imported.warnings {
            output::line(format_args!("  warning: {warning}"))?;
        }
    }
    if !imported.unused.is_empty() {
        output::line(format_args!("\nWhat was passed over, since Ferrule has no such option:"))?;
        for unused in &imported.unused {
            output::line(format_args!("  {unused}"))?;
        }
    }
    output::line(format_args!(
        "\nLook through {at}, and check it:\n  ferrule config check --config {at}",
        at = at.display()
    ))?;
    Ok(())
}

fn counted(problems: usize) -> String {
    if problems == 1 { "one thing is".to_owned() } else { format!("{problems} things are") }
}
