//! Machines of their own, each with a network address and a file system in which what it writes stays, on one cable: made
//! of namespaces, so that everything on the page can be typed as it stands there, `/etc/ferrule` and port 443 included.
//!
//! That takes root, and Linux. They go when this is dropped, with everything that runs on them.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use testkit::process::{Child, Ended, run, scratch};

use super::page::Seat;
use crate::support::ferrule;

/// The name server that all machines ask, itself one of them.
const NAME_SERVER: &str = "192.0.2.53";

/// The machines.
pub struct Machines {
    place: TempDir,
    world: u32,
    zones: BTreeMap<String, (u32, String)>,
    scripts: u32,
    _cable: Child,
}

impl Machines {
    /// Makes machines of these names with these addresses, and a name server for these zones. `hosts` are lines for
    /// everybody's `/etc/hosts`.
    ///
    /// # Errors
    /// This machine does not let us, or lacks a program.
    pub fn new(machines: &[(&str, &str)], zones: &[&str], hosts: &str) -> Result<Self> {
        let place = TempDir::with_prefix_in("machines-", scratch())?;
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755))?;
        fs::create_dir(place.path().join("layers"))?;
        fs::create_dir(place.path().join("zones"))?;
        fs::write(place.path().join("hosts"), hosts)?;
        strip(ferrule(), &place.path().join("ferrule"))?;
        let namespaces = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"].map(String::from);
        let arguments = namespaces.into_iter().chain([world_script("cable"), shown(place.path())]);
        let mut cable = Child::start(Path::new("unshare"), arguments)?;
        cable.until("the cable", |_| place.path().join("up").exists().then_some(()))?;
        let children = format!("/proc/{0}/task/{0}/children", cable.pid());
        let world = fs::read_to_string(children)?.trim().parse().context("the first process of the machines")?;
        let mut this = Self { place, world, zones: BTreeMap::new(), scripts: 0, _cable: cable };
        for (name, address) in machines.iter().chain(&[("dns", NAME_SERVER)]) {
            let checkout = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
            let made = this.inside(&[&world_script("machine"), &this.place(), name, address, checkout])?;
            ensure!(made.status.success(), "{name} cannot be made: {}{}", made.stdout, made.stderr);
        }
        this.serve(zones)?;
        Ok(this)
    }

    /// Types a script at a machine. What it says on either output is in `stdout`.
    ///
    /// # Errors
    /// It cannot be typed, or does not end.
    pub fn type_at(&mut self, seat: &Seat, script: &str) -> Result<Ended> {
        self.scripts += 1;
        let file = self.place.path().join(format!("script-{}", self.scripts));
        fs::write(&file, script)?;
        let session = world_script("session");
        self.at(&seat.machine, &[&session, &self.place(), &seat.machine, &seat.user, &shown(&file)])
    }

    /// Writes a file on a machine.
    ///
    /// # Errors
    /// There is no such folder on it.
    pub fn write(&mut self, machine: &str, path: &str, text: &str) -> Result<()> {
        let file = self.place.path().join("contents");
        fs::write(&file, text)?;
        // As an editor does: the file keeps its owner.
        let written = self.at(machine, &["sh", "-c", "cat \"$0\" >\"$1\"", &shown(&file), path])?;
        ensure!(written.status.success(), "{path} cannot be written on {machine}: {}", written.stderr);
        Ok(())
    }

    /// Adds records to a zone.
    ///
    /// # Errors
    /// BIND does not like them.
    pub fn publish(&mut self, zone: &str, records: &str) -> Result<()> {
        let (serial, known) = self.zones.get_mut(zone).with_context(|| format!("there is no zone {zone}"))?;
        *serial += 1;
        known.push_str(records);
        self.load(zone)
    }

    /// Serves empty zones.
    fn serve(&mut self, zones: &[&str]) -> Result<()> {
        let place = self.place();
        let mut config = format!(
            "options {{ directory \"{place}\"; pid-file \"{place}/named.pid\"; lock-file none; session-keyfile none; \
             managed-keys-directory \"{place}\"; listen-on {{ {NAME_SERVER}; }}; listen-on-v6 {{ none; }}; \
             recursion no; dnssec-validation no; notify no; }};\ncontrols {{ }};\n"
        );
        for zone in zones {
            config.push_str(&format!("zone \"{zone}\" {{ type primary; file \"zones/{zone}\"; }};\n"));
            self.zones.insert((*zone).to_owned(), (1, String::new()));
            self.write_zone(zone)?;
        }
        fs::write(self.place.path().join("named.conf"), config)?;
        zones.iter().try_for_each(|zone| self.load(zone))
    }

    fn load(&self, zone: &str) -> Result<()> {
        let serial = self.write_zone(zone)?;
        let served = self.at("dns", &[&world_script("nameserver"), &self.place(), zone, &serial.to_string()])?;
        ensure!(served.status.success(), "{zone} is not served: {}{}", served.stdout, served.stderr);
        Ok(())
    }

    fn write_zone(&self, zone: &str) -> Result<u32> {
        let (serial, records) = &self.zones[zone];
        let text = format!(
            "$ORIGIN {zone}.\n@ 1 IN SOA ns hostmaster {serial} 3600 600 86400 1\n@ 600 IN NS ns\n\
             ns 600 IN A {NAME_SERVER}\n{records}"
        );
        fs::write(self.place.path().join("zones").join(zone), text)?;
        Ok(*serial)
    }

    /// Runs a program on a machine.
    fn at(&self, machine: &str, program: &[&str]) -> Result<Ended> {
        let pid = fs::read_to_string(self.place.path().join(format!("{machine}.pid")));
        let Ok(pid) = pid else { bail!("there is no machine {machine}") };
        let enter = ["nsenter", "--target", pid.trim(), "--mount", "--net", "--uts", "--"];
        self.inside(&[&enter[..], program].concat())
    }

    /// Runs a program beside the machines.
    fn inside(&self, program: &[&str]) -> Result<Ended> {
        let world = self.world.to_string();
        let enter = ["--target", &world, "--mount", "--net", "--pid", "--"];
        run(Path::new("nsenter"), enter.iter().chain(program))
    }

    fn place(&self) -> String {
        shown(self.place.path())
    }
}

/// The program without what debuggers need: it is copied to several machines, which live in memory.
fn strip(program: &Path, to: &Path) -> Result<()> {
    let stripped = Command::new("strip").arg("-o").arg(to).arg(program).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(program, to)?;
    }
    Ok(())
}

/// A script of the folder `world`.
fn world_script(name: &str) -> String {
    shown(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/operators/world").join(name))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
