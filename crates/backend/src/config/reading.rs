//! How tests read configurations.

use std::path::Path;

use super::{Config, from_text};

/// A backend that federates, and nothing else.
pub(super) const FEDERATED: &str = r#"
    domain = "example.com"
    [federation]
    infra = "federator.wire.example.com"
    certificate = "cert.pem"
    key = "key.pem"
    ca = ["ca.pem"]
"#;

/// Reads a text as `ferrule.toml` in `/etc/ferrule`; an error is its words.
pub(super) fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into()));
    from_text(text, Path::new("ferrule.toml"), environment, Path::new("/etc/ferrule")).map_err(|e| e.to_string())
}
