//! What is being made.

use tls::{issue::certificate_pem, parsed_certificates};
use toml::Value;
use zeroize::Zeroizing;

use super::{Became, File, Imported, toml_text};
use crate::options::{Options, Problem};

/// One option of Ferrule, with the words that stand above it.
pub(super) struct Setting {
    pub section: &'static str,
    pub key: &'static str,
    pub value: Value,
    pub comment: String,
}

#[derive(Default)]
pub(super) struct Draft {
    settings: Vec<Setting>,
    files: Vec<File>,
    became: Vec<Became>,
    warnings: Vec<String>,
}

impl Draft {
    /// Sets an option of Ferrule; `options` are what it was made of.
    pub fn set(&mut self, options: &[&str], section: &'static str, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        let name = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        self.became(options, format!("{name} = {value}"));
        self.settings.push(Setting { section, key, value, comment: options.join(", ") });
    }

    /// Sets an option that comes of no value; `why` stands above it.
    pub fn add(&mut self, section: &'static str, key: &'static str, value: impl Into<Value>, why: &str) {
        self.settings.push(Setting { section, key, value: value.into(), comment: why.to_owned() });
    }

    /// Writes a file of certificates, and of the text those alone: operators paste what their CA sent them, and with it a
    /// key, which everybody could read then.
    pub fn certificates(&mut self, options: &[&str], name: &'static str, text: &str) {
        if text.contains("PRIVATE KEY-----") {
            self.warn(format!("{}: a private key stands in it as well, and was not taken over", options.join(", ")));
        }
        let certificates = parsed_certificates(text.as_bytes()).unwrap_or_default();
        let certificates: String = certificates.iter().map(|(der, _)| certificate_pem(der)).collect();
        self.file(options, name, &certificates, false);
    }

    /// Writes a file.
    pub fn file(&mut self, options: &[&str], name: &'static str, contents: &str, secret: bool) {
        self.became(options, format!("the file {name}"));
        let mut contents = Zeroizing::new(contents.trim().to_owned());
        contents.push('\n');
        self.files.push(File { name, contents, secret });
    }

    pub fn became(&mut self, options: &[&str], what: impl Into<String>) {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        self.became.push(Became { options, what: what.into() });
    }

    pub fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    /// Whether anything was found.
    pub fn touched(&self) -> bool {
        !self.became.is_empty()
    }

    pub fn append(&mut self, mut other: Self) {
        self.settings.append(&mut other.settings);
        self.files.append(&mut other.files);
        self.became.append(&mut other.became);
        self.warnings.append(&mut other.warnings);
    }

    pub fn finish(self, unused: Vec<String>) -> Imported {
        Imported {
            config: toml_text::write(&self.settings),
            files: self.files,
            became: self.became,
            warnings: self.warnings,
            unused,
        }
    }
}

/// The value on which several options agree, with those that are set. Where they do not, that is a problem, which
/// `show` and `remedy` put into words.
pub(super) fn agreed<'p, T: PartialEq>(
    options: &Options<'_>,
    found: Vec<(&'p str, T)>,
    what: &str,
    show: impl Fn(&T) -> String,
    remedy: &str,
) -> Option<(Vec<&'p str>, T)> {
    let paths: Vec<&str> = found.iter().map(|(path, _)| *path).collect();
    if found.iter().any(|(_, value)| *value != found[0].1) {
        let said: Vec<String> = found.iter().map(|(path, value)| format!("{path} is {}", show(value))).collect();
        options.problem(Problem::of(paths, format!("{what}: {}. {remedy}", said.join(", "))));
        return None;
    }
    found.into_iter().next().map(|(_, value)| (paths, value))
}

/// What is set at a path of the federator's chart: alone (`clientCertificateContents`) or as a part of wire-server's
/// (`federator.clientCertificateContents`).
pub(super) fn of_federator<T: PartialEq>(
    options: &Options<'_>,
    [part, alone]: [&'static str; 2],
    read: impl Fn(&str) -> Option<T>,
) -> Option<(&'static str, T)> {
    let found: Vec<_> = [part, alone].into_iter().filter_map(|path| read(path).map(|value| (path, value))).collect();
    let (paths, value) = agreed(
        options,
        found,
        "the values of the federator's own chart and of wire-server's say different things",
        |_| "one value".to_owned(),
        "Leave out the file that is not in use",
    )?;
    Some((paths[0], value))
}
