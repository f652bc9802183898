//! BIND, with one zone that changes, and Unbound.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::process::{Child, scratch};
use types::Domain;

/// The zone that is served.
const ZONE: &str = "example";

/// The zone that is configured but cannot be loaded: every question is answered with SERVFAIL.
pub const BROKEN_ZONE: &str = "broken";

/// For how long absence may be remembered, by the zone's SOA record.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(3);

/// `named`, the authority for `example.`.
pub struct Named {
    process: Child,
    folder: TempDir,
    address: SocketAddr,
    serial: u32,
    records: BTreeMap<String, Vec<String>>,
}

/// A question for SRV records that BIND was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Whether it came by TCP.
    pub tcp: bool,
}

impl Named {
    /// Starts it with an empty zone.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix_in("named-", scratch())?;
        let address = free_address()?;
        let place = folder.path().display();
        let config = format!(
            r#"
options {{
    directory "{place}";
    pid-file none;
    lock-file none;
    session-keyfile none;
    managed-keys-directory "{place}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
    notify no;
    querylog yes;
}};
controls {{ }};
zone "{ZONE}" {{ type primary; file "{ZONE}.zone"; }};
zone "{BROKEN_ZONE}" {{ type primary; file "there is no such file"; }};
"#,
            port = address.port(),
        );
        fs::write(folder.path().join("named.conf"), config)?;
        let config = folder.path().join("named.conf").display().to_string();
        let mut named = {
            let (serial, records) = (1, BTreeMap::new());
            write_zone(folder.path(), serial, &records)?;
            // In the foreground, with everything it logs on standard error.
            let process = Child::start(Path::new("named"), ["-g", "-c", &config])?;
            Self { process, folder, address, serial, records }
        };
        named.wait_for("BIND to run", |log| log.contains("all zones loaded") && log.ends_with("running\n"))?;
        Ok(named)
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts records in the place of those that `what` named before, and waits until BIND serves them. Each is a line of
    /// a zone file.
    pub fn publish(&mut self, what: &str, lines: impl IntoIterator<Item = String>) -> Result<()> {
        self.records.insert(what.to_owned(), lines.into_iter().collect());
        self.serial += 1;
        write_zone(self.folder.path(), self.serial, &self.records)?;
        let hang_up = Command::new("kill").args(["-HUP", &self.process.pid().to_string()]).status()?;
        ensure!(hang_up.success(), "BIND cannot be told to reload");
        let loaded = format!("zone {ZONE}/IN: loaded serial {}\n", self.serial);
        self.wait_for("the new zone", |log| log.contains(&loaded))
    }

    /// The questions for the SRV records of a domain, in the order in which they came.
    pub fn asked(&self, domain: &Domain) -> Vec<Question> {
        let about = format!(" query: {} IN SRV ", service(domain));
        let log = self.process.output().1;
        log.lines().filter_map(|line| line.split_once(&about)).map(|(_, how)| Question { tcp: is_tcp(how) }).collect()
    }

    fn wait_for(&mut self, what: &str, seen: impl Fn(&str) -> bool) -> Result<()> {
        self.process.until(what, |process| seen(&process.output().1).then_some(()))
    }
}

/// `-ET(0)D (127.0.0.1)`: the flags of a query, `T` for TCP.
fn is_tcp(how: &str) -> bool {
    how.split_whitespace().next().is_some_and(|flags| flags.contains('T'))
}

/// Unbound, a resolver between the backend and BIND that keeps answers for their TTL.
pub struct Unbound {
    _process: Child,
    _folder: TempDir,
    address: SocketAddr,
}

impl Unbound {
    /// Starts one that asks `authority` for everything in the zone.
    pub fn start(authority: SocketAddr) -> Result<Self> {
        let folder = TempDir::with_prefix_in("unbound-", scratch())?;
        let address = free_address()?;
        let place = folder.path().display();
        let config = format!(
            r#"
server:
    verbosity: 1
    interface: 127.0.0.1
    port: {port}
    directory: "{place}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    do-not-query-localhost: no
    module-config: "iterator"
    num-threads: 1
remote-control:
    control-enable: no
stub-zone:
    name: "{ZONE}."
    stub-addr: {at}@{at_port}
"#,
            port = address.port(),
            at = authority.ip(),
            at_port = authority.port(),
        );
        fs::write(folder.path().join("unbound.conf"), config)?;
        let config = folder.path().join("unbound.conf").display().to_string();
        let mut process = Child::start(Path::new("unbound"), ["-d", "-c", &config])?;
        process.until("Unbound to run", |process| process.output().1.contains("start of service").then_some(()))?;
        Ok(Self { _process: process, _folder: folder, address })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The line of an SRV record.
pub fn srv(domain: &Domain, ttl: Duration, priority: u16, target: &Domain, port: u16) -> String {
    format!("{}. {} IN SRV {priority} 5 {port} {target}.", service(domain), ttl.as_secs())
}

/// The line of an A record for loopback.
pub fn a(host: &Domain, ttl: Duration) -> String {
    format!("{host}. {} IN A 127.0.0.1", ttl.as_secs())
}

/// The name of a domain's SRV record, without trailing dot.
pub fn service(domain: &Domain) -> String {
    format!("_wire-server-federator._tcp.{domain}")
}

fn write_zone(folder: &Path, serial: u32, records: &BTreeMap<String, Vec<String>>) -> Result<()> {
    let negative = NEGATIVE_TTL.as_secs();
    let mut text = format!(
        "{ZONE}. {negative} IN SOA ns.{ZONE}. hostmaster.{ZONE}. {serial} 3600 600 86400 {negative}\n\
         {ZONE}. 600 IN NS ns.{ZONE}.\nns.{ZONE}. 600 IN A 127.0.0.1\n"
    );
    for line in records.values().flatten() {
        text.push_str(line);
        text.push('\n');
    }
    // In one step: BIND must not read half of it.
    let (new, zone) = (folder.join("new.zone"), folder.join(format!("{ZONE}.zone")));
    fs::write(&new, text)?;
    fs::rename(new, zone).context("the zone")
}

/// An address of loopback whose port is free for UDP and TCP at this moment: name servers cannot be told to take any.
fn free_address() -> Result<SocketAddr> {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = tcp.local_addr()?;
        if UdpSocket::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free")
}
