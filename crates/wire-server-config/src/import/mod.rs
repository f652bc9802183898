//! Makes a configuration of Ferrule of the values of wire-server's charts.
//!
//! Understood are the options by which federation is configured in `wire-server`, `nginx-ingress-services` and
//! `federator`, under their older and their newer names (`admin-and-deploy.md` §1), together with the few others that
//! a backend shares with wire-server: names, token keys, log level. Values of all charts may stand in one map: no two
//! options of theirs have the same path and another meaning.

mod asked;
mod certificates;
mod draft;
mod names;
mod policy;
mod switch;
mod toml_text;
mod various;

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    limits,
    options::{Options, Problem},
    values::Values,
};
pub use asked::{Spelling, callers_ca, spelling};
use draft::Draft;

/// What became of the values.
#[derive(Debug)]
pub struct Imported {
    /// The text of `ferrule.toml`. It names the files beside it.
    pub config: String,
    /// The files beside it.
    pub files: Vec<File>,
    /// What became what.
    pub became: Vec<Became>,
    /// What works differently from wire-server, or wants to be done by hand.
    pub warnings: Vec<String>,
    /// The options that were passed over, since Ferrule has no use for them.
    pub unused: Vec<String>,
}

impl Imported {
    /// Whether the values had the keys that sign access tokens. Without them new ones are to be made.
    pub fn has_token_keys(&self) -> bool {
        self.files.iter().any(|file| file.name == file::TOKENS_PRIVATE)
    }
}

/// The names of the files beside `ferrule.toml`.
pub mod file {
    /// The certificate shown to other backends, with its intermediates.
    pub const CERTIFICATE: &str = "federation.pem";
    /// Its key.
    pub const KEY: &str = "federation-key.pem";
    /// The certificate for calls to others.
    pub const CLIENT_CERTIFICATE: &str = "federation-client.pem";
    /// Its key.
    pub const CLIENT_KEY: &str = "federation-client-key.pem";
    /// The CA certificates of the ingress.
    pub const INWARD_CA: &str = "tls-client-ca.pem";
    /// The CA certificates of the federator.
    pub const OUTWARD_CA: &str = "remote-ca.pem";
    /// The keys that sign access tokens.
    pub const TOKENS_PRIVATE: &str = "zauth-private.txt";
    /// The keys that verify them.
    pub const TOKENS_PUBLIC: &str = "zauth-public.txt";
}

/// A file beside the configuration.
pub struct File {
    /// Its name, one of [`mod@file`].
    pub name: &'static str,
    /// What it holds.
    pub contents: Zeroizing<String>,
    /// Whether only its owner may read it.
    pub secret: bool,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("name", &self.name).field("secret", &self.secret).finish_non_exhaustive()
    }
}

/// What became of one option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Became {
    /// The option, or several that say the same.
    pub options: Vec<String>,
    /// What it became, in words.
    pub what: String,
}

impl fmt::Display for Became {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.options.join(", "), self.what)
    }
}

/// Makes a configuration of values.
///
/// # Errors
/// What is missing, wrong or contradicts itself, all of it, in an operator's words and by the paths of the options.
pub fn import(values: &Values) -> Result<Imported, Vec<Problem>> {
    let options = Options::of(&values.0);
    let mut draft = Draft::default();
    let federating = switch::federating(&options, &mut draft);
    names::domain(&options, &mut draft);
    various::edge(&options, &mut draft);
    various::token_keys(&options, &mut draft);
    various::log(&options, &mut draft);
    // What federation needs is missed only where it is on; asked it is anyway, so that it counts as known.
    let dormant = Options::of(&values.0);
    let asked = if federating { &options } else { &dormant };
    let mut federation = Draft::default();
    names::infra(asked, &mut federation);
    certificates::own(asked, &mut federation);
    certificates::trusted(asked, &mut federation);
    policy::policy(asked, &mut federation);
    various::outward(asked, &mut federation);
    if federating {
        draft.append(federation);
    } else {
        options.adopt(dormant);
        if federation.touched() {
            draft.warn("federation is off by these values: their certificates, CAs and allow list were not taken over");
        }
    }
    let (mut unused, problems) = options.finish();
    if !problems.is_empty() {
        return Err(problems);
    }
    let more = unused.len().saturating_sub(limits::UNUSED_NAMED);
    unused.truncate(limits::UNUSED_NAMED);
    if more > 0 {
        unused.push(format!("and {more} more"));
    }
    Ok(draft.finish(unused))
}

#[cfg(test)]
mod tests;
