//! `ferrule serve` in a folder of its own, with everything around it in the test's hands: its name server, its CA, its
//! limits.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;
use types::Domain;

use super::{Backend, Child, run, scratch};
use crate::{Specimen, World, http1::Internal};

/// The folder of a backend: configuration, keys, data.
pub struct Folder {
    program: PathBuf,
    domain: Domain,
    infra: Domain,
    place: TempDir,
}

impl Folder {
    /// Runs `program init`, and leaves everything as it is.
    ///
    /// # Errors
    /// The program fails.
    pub fn init_only(program: &Path, domain: &str) -> Result<Self> {
        let domain: Domain = domain.parse()?;
        let infra: Domain = format!("federator.infra-{domain}").parse()?;
        let place = TempDir::with_prefix_in("serve-", scratch())?;
        let folder = place.path().display().to_string();
        let ended = run(program, ["init", "--domain", domain.as_str(), "--infra", infra.as_str(), &folder])?;
        ensure!(ended.status.success(), "init failed: {}", ended.stderr);
        Ok(Self { program: program.to_owned(), domain, infra, place })
    }

    /// Runs `program init`, and replaces the configuration it wrote by one for a laboratory: the certificates and the
    /// name server are those of `world`, ports are free ones, and `limits` (lines of TOML) stand in
    /// `[federation.limits]`.
    ///
    /// # Errors
    /// The program fails, or a file cannot be written.
    pub fn init(program: &Path, world: &World, domain: &str, limits: &str) -> Result<Self> {
        Self::init_with_dns(program, world, world.dns().address(), domain, limits)
    }

    /// The same with another name server.
    ///
    /// # Errors
    /// The program fails, or a file cannot be written.
    pub fn init_with_dns(program: &Path, world: &World, dns: SocketAddr, domain: &str, limits: &str) -> Result<Self> {
        let this = Self::init_only(program, domain)?;
        let identity = world.certificates().issue(Specimen::Good, this.infra.as_str())?;
        fs::write(this.path("federation.pem"), identity.chain)?;
        fs::write(this.path("federation-key.pem"), identity.key)?;
        fs::write(this.path("federation-ca.pem"), world.certificates().root_pem())?;
        this.configure(&format!(
            r#"
[federation]
infra = "{}"
listen = "127.0.0.1:0"
certificate = "federation.pem"
key = "federation-key.pem"
ca = ["federation-ca.pem"]
dns = "{dns}"
strategy = "allowDynamic"
[federation.limits]
{limits}
"#,
            this.infra,
        ))?;
        Ok(this)
    }

    /// Writes the configuration: a laboratory's edge, accounts and log, and this.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, rest: &str) -> Result<()> {
        let text = format!(
            r#"
domain = "{}"
[accounts]
cookie_insecure = true
password_memory = 1024
password_passes = 1
[edge]
listen = "127.0.0.1:0"
[internal]
listen = "unix"
[log]
level = "info"
format = "json"
{rest}"#,
            self.domain
        );
        fs::write(self.config(), text).context("writing the configuration")
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path("ferrule.toml")
    }

    /// The folder itself.
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// The backend domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Starts `program serve` in it and waits until it is ready.
    ///
    /// # Errors
    /// It ends or takes too long.
    pub fn serve(&self) -> Result<Served> {
        self.ready(self.start()?)
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// It ends or takes too long.
    pub fn serve_in(&self, environment: &[(&str, &str)]) -> Result<Served> {
        let config = self.config().display().to_string();
        self.ready(Child::start_in(environment, &self.program, ["serve", "--config", &config])?)
    }

    fn ready(&self, mut child: Child) -> Result<Served> {
        let line = child.until("the line that says ready", |child| {
            let (stdout, stderr) = child.output();
            stdout.lines().chain(stderr.lines()).find_map(ready_line)
        })?;
        let field = |name: &str| line[name].as_str().map(str::to_owned);
        let federation: SocketAddr = match field("federation") {
            Some(address) => address.parse().context("the federation listener")?,
            None => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        let internal = field("internal").context("the internal listener")?;
        let edge = field("edge").context("the public edge")?;
        let backend = Backend {
            domain: self.domain.clone(),
            infra: self.infra.clone(),
            api: format!("http://{edge}"),
            internal: Internal::One(internal),
            federation,
        };
        Ok(Served { backend, child })
    }

    /// Starts `program serve` in it and does not wait.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self) -> Result<Child> {
        Child::start(&self.program, ["serve", "--config", &self.config().display().to_string()])
    }

    /// Runs another command of the program with this configuration to its end.
    ///
    /// # Errors
    /// It cannot be started or does not end.
    pub fn command(&self, arguments: &[&str]) -> Result<super::Ended> {
        let config = self.config().display().to_string();
        let mut all: Vec<&str> = arguments.to_vec();
        all.extend(["--config", &config]);
        run(&self.program, all)
    }
}

/// The fields of the line, if it is the one that says that everything listens.
pub(super) fn ready_line(line: &str) -> Option<Value> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    (fields["message"] == "ready").then(|| fields.clone())
}

/// A running `ferrule serve`.
pub struct Served {
    backend: Backend,
    child: Child,
}

impl Served {
    /// Where it is.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// The process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.child.output().1
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()
    }

    /// Asks it to end and waits.
    ///
    /// # Errors
    /// It does not end, or not with success.
    pub fn stop(mut self) -> Result<()> {
        let status = self.child.terminate()?;
        if !status.success() {
            bail!("the backend ended with {status}:\n{}", self.child.output().1);
        }
        Ok(())
    }
}
