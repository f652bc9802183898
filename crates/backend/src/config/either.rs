//! A file of either kind: a backend's, or a stand-alone federator's.

use std::{ffi::OsString, path::Path};

use toml::Table;

use super::{
    Config, ConfigError, FederatorConfig, FederatorOverrides,
    federator::{is_wire_servers, load_federator},
    load::{load, text_of},
};

/// What a file configures.
#[derive(Clone, Debug, PartialEq)]
pub enum Either {
    /// `ferrule serve`.
    Backend(Box<Config>),
    /// `ferrule federator`; beside it warnings in words.
    Federator(Box<FederatorConfig>, Vec<String>),
}

/// Sections that a stand-alone federator has, and a backend has not.
const OF_FEDERATORS: [&str; 4] = ["inward", "outward", "policy", "tls"];

/// Reads a file of the one kind or the other, as [`load`] or [`load_federator`] would: which it is is seen by its sections,
/// or by the name of wire-server's form.
///
/// # Errors
/// [`ConfigError`], in an operator's words.
pub fn load_either(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Either, ConfigError> {
    if is_wire_servers(file) || is_of_federator(&text_of(file)?) {
        let (config, warnings) = load_federator(file, environment, FederatorOverrides::default())?;
        return Ok(Either::Federator(Box::new(config), warnings));
    }
    load(file, environment).map(|config| Either::Backend(Box::new(config)))
}

/// A text that is no TOML counts as a backend's, whose reader says where it is wrong.
fn is_of_federator(text: &str) -> bool {
    toml::from_str::<Table>(text).is_ok_and(|table| OF_FEDERATORS.iter().any(|section| table.contains_key(*section)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_seen_by_sections() {
        for (text, federator) in [
            ("domain = 'a.example'", false),
            ("[components]\nfederator = 'f:8080'", false),
            ("[tls]\nca = []", true),
            ("[inward.ingress]", true),
            ("outward.listen = '0.0.0.0:8080'", true),
            ("[inward", false),
        ] {
            assert_eq!(is_of_federator(text), federator, "{text}");
        }
    }
}
