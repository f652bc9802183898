//! nginx, as the ingress that operators have.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
};

use anyhow::Result;
use tempfile::TempDir;

use super::{Child, Reserved, scratch};

/// A running nginx that listens on a port of loopback.
pub struct Nginx {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    _place: TempDir,
    _port: Reserved,
}

impl Nginx {
    /// Starts one with what `http` says shall stand in `http { … }`, for the address at which to listen; when this
    /// returns, it listens.
    ///
    /// # Errors
    /// There is no nginx, or it does not like its configuration.
    pub fn start(http: impl FnOnce(SocketAddr) -> String) -> Result<Self> {
        let port = Reserved::new()?;
        let place = TempDir::with_prefix_in("nginx-", scratch())?;
        let at = |name: &str| place.path().join(name).display().to_string();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("    {kind}_temp_path {};\n", at(kind)))
            .concat();
        // One process: what is killed leaves no worker behind.
        let config = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr info;\nevents {{ worker_connections 256; }}\n\
             http {{\n{temporary}    access_log off;\n{}\n}}\n",
            at("pid"),
            http(port.address),
        );
        let file = place.path().join("nginx.conf");
        fs::write(&file, config)?;
        let prefix = format!("{}/", place.path().display());
        let arguments = ["-p", &prefix, "-c", &file.display().to_string()].map(str::to_owned);
        let mut child = Child::start(&program(), arguments)?;
        // It says nothing when it listens.
        child.until("a connection", |_| TcpStream::connect(port.address).ok())?;
        Ok(Self { address: port.address, child, _place: place, _port: port })
    }

    /// The program.
    pub fn program() -> PathBuf {
        program()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.child.output().1
    }
}

/// Where Debian has it, which is not in everybody's path.
fn program() -> PathBuf {
    let sbin = Path::new("/usr/sbin/nginx");
    if sbin.exists() { sbin.to_owned() } else { "nginx".into() }
}
