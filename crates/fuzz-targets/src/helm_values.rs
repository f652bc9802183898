//! Helm values of wire-server's charts.

use wire_server_config::{
    import::{Imported, import},
    values::Values,
};

/// One or more files of values, with `\n---\n` between them, the later ones put over the earlier. Whatever they say, it
/// can be imported or the problems can be named; what is imported can be read, and nothing quotes a key or certificate.
pub fn helm_values(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut merged = Values::default();
    for file in text.split("\n---\n") {
        let Ok(values) = Values::read(file) else { return };
        merged.put_over(values);
    }
    match import(&merged) {
        Ok(imported) => is_sound(&imported),
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                quotes_no_pem(&problem.to_string());
            }
        }
    }
}

/// What was made is TOML that names its files, and keys are in files for their owner alone.
fn is_sound(imported: &Imported) {
    let config: toml::Table = imported.config.parse().expect("a configuration that can be read");
    assert!(config.contains_key("domain"), "a configuration without a domain");
    for file in &imported.files {
        let holds_key = file.contents.contains("PRIVATE KEY-----");
        assert!(file.secret || !holds_key, "{}: a key that everybody can read", file.name);
    }
    quotes_no_pem(&imported.config);
    imported.became.iter().for_each(|became| quotes_no_pem(&became.to_string()));
    imported.warnings.iter().for_each(|warning| quotes_no_pem(warning));
}

/// The armour of PEM begins every text that was pasted; our own words on it have no dashes before them.
fn quotes_no_pem(words: &str) {
    assert!(!words.contains("-----BEGIN "), "a text of PEM stands in: {words}");
}
