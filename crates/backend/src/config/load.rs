//! From file and environment to a checked configuration.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{Config, check::check, options::is_unset};

/// The prefix of environment variables that override the file: `FERRULE_FEDERATION__VERIFY_DEPTH=3` sets
/// `verify_depth` in `[federation]`.
const PREFIX: &str = "FERRULE_";

/// Variables with the prefix that are not options.
const NOT_OPTIONS: [&str; 2] = ["FERRULE_CONFIG", "FERRULE_LOG"];

/// Prefixes of variables that belong to the test suites.
const NOT_OPTION_PREFIXES: [&str; 2] = ["FERRULE_TEST_", "FERRULE_BLESS"];

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Two options contradict each other, or one has a value that cannot work.
    #[error("{option}: {problem}")]
    Contradiction {
        /// The option.
        option: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// An environment variable does not name an option's place.
    #[error("{0}: the environment variable names no option")]
    Environment(String),
    /// There is no such file.
    #[error("{}: there is no such file; `ferrule init` writes one, `--config FILE` names another", .0.display())]
    Missing(PathBuf),
    /// The name or the value of an environment variable for Ferrule is not UTF-8.
    #[error("{0}: the environment variable is not UTF-8")]
    NotUtf8(String),
    /// Environment variables name an unknown key, or give a value of the wrong type.
    #[error("{}, laid over {}: {message}", variables.join(", "), file.display())]
    Overridden {
        /// The file that they were laid over.
        file: PathBuf,
        /// The variables that are to blame, or all of them where that cannot be told.
        variables: Vec<String>,
        /// What is wrong, as the parser says it.
        message: String,
    },
    /// No TOML, an unknown key, or a value of the wrong type.
    #[error("{}: {message}", file.display())]
    Parse {
        /// The file.
        file: PathBuf,
        /// Where and what, as the parser says it.
        message: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads a configuration file, lays the environment over it, and checks it. Relative paths in it count from the
/// file's folder.
pub fn load(file: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Config, ConfigError> {
    from_text(&text_of(file)?, file, environment, folder_of(file))
}

/// What stands in a file of options.
pub(super) fn text_of(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing(file.to_owned()),
        _ => ConfigError::Read { file: file.to_owned(), source },
    })
}

/// The folder from which relative paths in a file count.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The same from a text; `file` names it in errors.
pub fn from_text(
    text: &str,
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
    folder: &Path,
) -> Result<Config, ConfigError> {
    let mut config: Config = read(text, file, environment)?;
    check(&config)?;
    config.resolve_paths(folder);
    config.take_acme_certificate()?;
    Ok(config)
}

/// Reads options from a text, the environment laid over it.
pub(super) fn read<T: DeserializeOwned>(
    text: &str,
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<T, ConfigError> {
    let parse = |e: toml::de::Error| ConfigError::Parse { file: file.to_owned(), message: e.to_string() };
    let table: Table = toml::from_str(text).map_err(parse)?;
    let variables = overrides(environment)?;
    if variables.is_empty() {
        // From the text, not from the table: messages have line numbers then.
        return toml::from_str(text).map_err(parse);
    }
    let laid_over = overlaid(&table, &variables)?;
    from_table(laid_over).or_else(|message| {
        if from_table::<T>(table.clone()).err().as_ref() == Some(&message) {
            return toml::from_str(text).map_err(parse);
        }
        let variables = guilty::<T>(&table, &variables);
        Err(ConfigError::Overridden { file: file.to_owned(), variables, message })
    })
}

fn from_table<T: DeserializeOwned>(table: Table) -> Result<T, String> {
    table.try_into().map_err(|e: toml::de::Error| e.to_string())
}

/// A variable that sets an option.
struct Variable {
    name: String,
    path: Vec<String>,
    value: String,
}

/// The variables that set options. What is in the environment for others may be in any encoding.
fn overrides(environment: impl Iterator<Item = (OsString, OsString)>) -> Result<Vec<Variable>, ConfigError> {
    let ours = environment.filter(|(name, _)| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    let mut variables = Vec::new();
    for (name, value) in ours {
        let not_utf8 = || ConfigError::NotUtf8(name.to_string_lossy().into_owned());
        let name = name.to_str().ok_or_else(not_utf8)?;
        if let Some(path) = option_path(name) {
            let value = value.into_string().map_err(|_| not_utf8())?;
            variables.push(Variable { name: name.to_owned(), path, value });
        }
    }
    Ok(variables)
}

fn overlaid<'a>(table: &Table, variables: impl IntoIterator<Item = &'a Variable>) -> Result<Table, ConfigError> {
    let mut table = table.clone();
    for Variable { name, path, value } in variables {
        overlay(&mut table, path, value).ok_or_else(|| ConfigError::Environment(name.clone()))?;
    }
    Ok(table)
}

/// The variables that spoil a good file each by itself; all of them where that tells nothing.
fn guilty<T: DeserializeOwned>(table: &Table, variables: &[Variable]) -> Vec<String> {
    let good = |table: Table| from_table::<T>(table).is_ok();
    let spoils = |variable: &&Variable| !overlaid(table, [*variable]).is_ok_and(good);
    let guilty: Vec<&Variable> =
        if good(table.clone()) { variables.iter().filter(spoils).collect() } else { Vec::new() };
    let named = if guilty.is_empty() { variables.iter().collect() } else { guilty };
    named.iter().map(|variable| variable.name.clone()).collect()
}

fn option_path(variable: &str) -> Option<Vec<String>> {
    if NOT_OPTIONS.contains(&variable) || NOT_OPTION_PREFIXES.iter().any(|p| variable.starts_with(p)) {
        return None;
    }
    let rest = variable.strip_prefix(PREFIX)?;
    Some(rest.split("__").map(str::to_ascii_lowercase).collect())
}

/// Sets one option. A value that reads as TOML is taken as such (`3`, `true`, `["a"]`), any other as a text.
fn overlay(table: &mut Table, path: &[String], text: &str) -> Option<()> {
    let (last, sections) = path.split_last()?;
    if path.iter().any(String::is_empty) {
        return None;
    }
    let mut at = table;
    for section in sections {
        at = at.entry(section.clone()).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    let value = toml::from_str::<Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut parsed| if parsed.len() == 1 { parsed.remove("v") } else { None })
        .unwrap_or_else(|| Value::String(text.to_owned()));
    at.insert(last.clone(), value);
    Some(())
}

impl Config {
    fn resolve_paths(&mut self, folder: &Path) {
        let mut resolve = |path: &mut PathBuf| *path = folder.join(&*path);
        resolve(&mut self.data);
        resolve(&mut self.tokens.private_keys);
        resolve(&mut self.tokens.public_keys);
        if let super::Bind::Unix(Some(path)) = &mut self.internal.listen {
            resolve(path);
        }
        if let Some(federation) = &mut self.federation {
            for path in [&mut federation.certificate, &mut federation.key] {
                if !is_unset(path) {
                    resolve(path);
                }
            }
            federation.client_certificate.iter_mut().for_each(&mut resolve);
            federation.client_key.iter_mut().for_each(&mut resolve);
            federation.ca.iter_mut().for_each(&mut resolve);
        }
        if let Some(acme) = &mut self.acme {
            acme.ca.iter_mut().for_each(&mut resolve);
        }
    }
}

#[cfg(test)]
mod tests {
    use types::FederationStrategy;

    use super::*;
    use crate::config::reading::{FEDERATED, read};

    #[test]
    fn defaults_and_relative_paths() {
        let config = read(FEDERATED, &[]).unwrap();
        assert_eq!(config.data, Path::new("/etc/ferrule/data"));
        let federation = config.federation.unwrap();
        assert_eq!(federation.certificate, Path::new("/etc/ferrule/cert.pem"));
        assert_eq!(federation.verify_depth, 2);
        assert_eq!(federation.effective_strategy(), FederationStrategy::AllowDynamic);
        assert_eq!(read("domain = 'example.com'", &[]).unwrap().federation, None);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let error = read("domain = 'example.com'\nfedration = {}", &[]).unwrap_err();
        assert!(error.contains("fedration") && error.contains("ferrule.toml"), "{error}");
        let error = read(&format!("{FEDERATED}\nverify_deph = 3"), &[]).unwrap_err();
        assert!(error.contains("verify_deph"), "{error}");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment = [
            ("FERRULE_FEDERATION__VERIFY_DEPTH", "3"),
            ("FERRULE_FEDERATION__STRATEGY", "allowAll"),
            ("FERRULE_EDGE__ALLOWED_ORIGINS", r#"["https://app.example"]"#),
            ("FERRULE_LOG", "debug"),
            ("FERRULE_TEST_LONG", "1"),
            ("PATH", "/bin"),
        ];
        let config = read(FEDERATED, &environment).unwrap();
        let federation = config.federation.unwrap();
        assert_eq!(federation.verify_depth, 3);
        assert_eq!(federation.strategy, Some(FederationStrategy::AllowAll));
        assert_eq!(config.edge.allowed_origins, ["https://app.example"]);
        let error = read(FEDERATED, &[("FERRULE_FEDERATION__TYPO", "3")]).unwrap_err();
        assert!(error.contains("typo"), "{error}");
    }

    #[test]
    fn the_environment_is_blamed_for_what_it_spoils() {
        let good = ("FERRULE_FEDERATION__VERIFY_DEPTH", "3");
        let error = read(FEDERATED, &[good, ("FERRULE_FOO", "1"), ("FERRULE_LOG__FORMAT", "loud")]).unwrap_err();
        assert!(error.starts_with("FERRULE_FOO, FERRULE_LOG__FORMAT, ") && error.contains("foo"), "{error}");
        let error = read("[log]", &[good, ("FERRULE_DOMAIN", "a.example")]).unwrap_err();
        assert!(error.contains(good.0) && error.contains("FERRULE_DOMAIN"), "{error}");
        let error = read(&format!("{FEDERATED}\nverify_deph = 3"), &[good]).unwrap_err();
        assert!(error.starts_with("ferrule.toml: ") && error.contains("line 9"), "{error}");
    }

    #[test]
    fn an_address_is_asked_for_in_words() {
        for line in ["[edge]\nlisten = 'localhost:8080'", "[internal]\nlisten = 'localhost:8081'"] {
            let error = read(&format!("domain = 'a.example'\n{line}"), &[]).unwrap_err();
            assert!(error.contains("localhost:808") && error.contains("an IP address with a port"), "{error}");
        }
        for line in ["listen = '8443'", "dns = 'ns.example:53'"] {
            let error = read(&format!("{FEDERATED}\n{line}"), &[]).unwrap_err();
            assert!(error.contains("an IP address with a port"), "{error}");
        }
        let config = read(&format!("{FEDERATED}\ndns = '[::1]:53'"), &[]).unwrap();
        assert_eq!(config.federation.unwrap().dns, Some("[::1]:53".parse().unwrap()));
    }
}
