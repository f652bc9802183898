//! What `ferrule cert` takes.

use std::{fmt, path::PathBuf, str::FromStr};

use backend::init::file;
use clap::{Args, Subcommand};
use tls::issue::Usage;
use types::Domain;

#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// Makes an own federation CA
    Ca(CaArgs),
    /// Makes a key and a request for a certificate, to be signed by any CA
    Request(RequestArgs),
    /// Signs a request by the own CA
    Sign(SignArgs),
    /// Makes a key and a certificate by the own CA
    Issue(IssueArgs),
    /// Renews a certificate by the own CA, once the last third of its time has begun
    Renew(RenewArgs),
    /// Says in words what a certificate is, and what other backends would say to it
    Show(ShowArgs),
}

#[derive(Debug, Args)]
pub struct CaArgs {
    /// The folder to write federation-ca.pem and federation-ca-key.pem into
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The backend domain, for the CA's name
    #[arg(long)]
    pub domain: Domain,
    /// For how many days [default: 3650]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Replaces the CA that is there: every partner needs the new one then
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RequestArgs {
    /// The infrastructure domain: the target of the own SRV record
    #[arg(long)]
    pub infra: Domain,
    /// More names
    #[arg(long = "name")]
    pub names: Vec<Name>,
    /// Where the key is written
    #[arg(long, default_value = file::KEY)]
    pub key: PathBuf,
    /// Takes the key that is there
    #[arg(long, conflicts_with = "force")]
    pub keep_key: bool,
    /// Where the request is written
    #[arg(long, default_value = "federation.csr")]
    pub out: PathBuf,
    /// Replaces the key that is there
    #[arg(long)]
    pub force: bool,
}

/// The own CA.
#[derive(Debug, Args)]
pub struct CaFiles {
    /// The CA's certificate
    #[arg(id = "ca", long = "ca", value_name = "FILE", default_value = file::CA)]
    pub certificate: PathBuf,
    /// The CA's key
    #[arg(id = "ca_key", long = "ca-key", value_name = "FILE", default_value = file::CA_KEY)]
    pub key: PathBuf,
}

/// What a certificate is for.
#[derive(Debug, Args)]
pub struct RoleArgs {
    /// Only for calls by other backends (serverAuth)
    #[arg(long, conflicts_with = "client_only")]
    pub server_only: bool,
    /// Only for calls to other backends (clientAuth)
    #[arg(long)]
    pub client_only: bool,
}

impl RoleArgs {
    pub fn usage(&self) -> Usage {
        match (self.server_only, self.client_only) {
            (true, _) => Usage::Server,
            (_, true) => Usage::Client,
            _ => Usage::Both,
        }
    }
}

#[derive(Debug, Args)]
pub struct SignArgs {
    /// The request
    pub request: PathBuf,
    #[command(flatten)]
    pub ca: CaFiles,
    /// The names to write, instead of those that are asked for
    #[arg(long = "name")]
    pub names: Vec<Name>,
    #[command(flatten)]
    pub roles: RoleArgs,
    /// For how many days [default: 395]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Where the certificate is written
    #[arg(long, default_value = file::CERTIFICATE)]
    pub out: PathBuf,
    /// Replaces the certificate that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct IssueArgs {
    /// The infrastructure domain: the target of the own SRV record
    #[arg(long)]
    pub infra: Domain,
    /// More names
    #[arg(long = "name")]
    pub names: Vec<Name>,
    #[command(flatten)]
    pub ca: CaFiles,
    #[command(flatten)]
    pub roles: RoleArgs,
    /// For how many days [default: 395]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Where the certificate is written
    #[arg(long, default_value = file::CERTIFICATE)]
    pub certificate: PathBuf,
    /// Where its key is written
    #[arg(long, default_value = file::KEY)]
    pub key: PathBuf,
    /// Replaces what is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct RenewArgs {
    /// The certificate
    #[arg(default_value = file::CERTIFICATE)]
    pub certificate: PathBuf,
    /// Its key; the same file where both stand in one [default: NAME-key.pem for NAME.pem]
    #[arg(long)]
    pub key: Option<PathBuf>,
    #[command(flatten)]
    pub ca: CaFiles,
    /// For how many days [default: as many as before]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: Option<u32>,
    /// Keeps the key
    #[arg(long)]
    pub keep_key: bool,
    /// Renews it although most of its time is left
    #[arg(long)]
    pub force: bool,
}

impl RenewArgs {
    /// The key's file. It is named after the certificate's, so that nobody else's key is taken for it.
    pub fn key(&self) -> PathBuf {
        self.key.clone().unwrap_or_else(|| {
            let mut name = self.certificate.file_stem().unwrap_or_default().to_owned();
            name.push("-key.pem");
            self.certificate.with_file_name(name)
        })
    }
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The file with certificates; a key in it is not shown
    pub file: PathBuf,
    /// Judges it as the certificate of this infrastructure domain [default: its first name]
    #[arg(long)]
    pub infra: Option<Domain>,
    /// Judges it as a backend that trusts these CA certificates
    #[arg(long, value_name = "FILE")]
    pub ca: Vec<PathBuf>,
    /// How many signatures that backend lets lie between a CA and the certificate
    #[arg(long, default_value_t = 2)]
    pub verify_depth: u8,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// A name for a certificate: a domain, or all of its hosts.
#[derive(Clone, Debug)]
pub struct Name {
    wildcard: bool,
    domain: Domain,
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, text),
        };
        let domain = name.parse::<Domain>().map_err(|error| error.to_string())?;
        Ok(Self { wildcard, domain })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.wildcard { "*." } else { "" })?;
        self.domain.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_certificates() {
        for (text, good) in [
            ("federator.a.example", true),
            ("*.a.example", true),
            ("a.*.example", false),
            ("*", false),
            ("", false),
            ("https://a.example", false),
        ] {
            let name = text.parse::<Name>();
            assert_eq!(name.is_ok(), good, "{text}");
            assert!(name.is_ok_and(|name| name.to_string() == text) || !good);
        }
    }
}
