//! What a supervisor is told (sd_notify(3)): a real socket for datagrams in its place.

use std::{path::PathBuf, time::Duration};

use tempfile::TempDir;
use testkit::process::{Child, Folder, scratch};
use tokio::{net::UnixDatagram, time::timeout};

use super::scene::{Alone, Backend};
use crate::support::{ferrule, run};

/// Between two signs of life: half of what the supervisor names.
const WATCHDOG: (&str, &str) = ("WATCHDOG_USEC", "400000");

struct Supervisor {
    socket: UnixDatagram,
    path: PathBuf,
    _folder: TempDir,
}

impl Supervisor {
    fn new() -> Self {
        let folder = TempDir::with_prefix_in("notify-", scratch()).unwrap();
        let path = folder.path().join("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path, _folder: folder }
    }

    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// The next that is told, signs of life aside; and how many of these came before it.
    async fn told(&self) -> (String, usize) {
        let mut signs = 0;
        loop {
            match self.next().await {
                sign if sign == "WATCHDOG=1" => signs += 1,
                told => return (told, signs),
            }
        }
    }

    async fn next(&self) -> String {
        let mut bytes = [0; 512];
        let received = timeout(Duration::from_secs(30), self.socket.recv(&mut bytes)).await;
        let length = received.expect("the supervisor is told in time").unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// From the moment at which everything listens until the end.
    async fn follows(&self, child: &mut Child) {
        let (ready, signs) = self.told().await;
        assert!(ready.starts_with("READY=1\nSTATUS=") && signs == 0, "{ready}");
        for _ in 0..2 {
            assert_eq!(self.next().await, "WATCHDOG=1");
        }
        child.send("-HUP").unwrap();
        let (reloading, _) = self.told().await;
        let micros = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")?.parse::<u64>().ok());
        assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
        // The clock of this machine since it was started, which the supervisor compares with its own.
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let told = micros.expect("the moment of it") as f64 / 1e6;
        assert!((-0.1..30.0).contains(&(uptime - told)), "{told} of {uptime}");
        let (ready, _) = self.told().await;
        assert!(ready.starts_with("READY=1\n"), "{ready}");
        child.send("-TERM").unwrap();
        let (stopping, _) = self.told().await;
        assert!(stopping.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC="), "{stopping}");
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_supervisor_follows_a_backend_from_beginning_to_end() {
    run(async {
        let supervisor = Supervisor::new();
        let mut backend = Backend::start(&[("NOTIFY_SOCKET", &supervisor.path()), WATCHDOG]).await;
        supervisor.follows(backend.served.child()).await;
    });
}

#[test]
fn a_supervisor_follows_a_federator_from_beginning_to_end() {
    run(async {
        let supervisor = Supervisor::new();
        let environment = [("NOTIFY_SOCKET", &*supervisor.path()), WATCHDOG];
        let mut alone = Alone::start(|_| String::new(), &environment).await;
        supervisor.follows(alone.federated.child()).await;
    });
}

#[test]
fn a_process_that_does_not_start_tells_nothing() {
    run(async {
        let supervisor = Supervisor::new();
        let folder = Folder::init_only(ferrule(), "unready.example").unwrap();
        folder.configure("[federation]\ninfra = \"f.unready.example\"\ncertificate = \"none.pem\"\nkey = \"none.pem\"\nca = [\"none.pem\"]").unwrap();
        let config = folder.config().display().to_string();
        let environment = [("NOTIFY_SOCKET", &*supervisor.path()), WATCHDOG];
        let mut child = Child::start_in(&environment, ferrule(), ["serve", "--config", &config]).unwrap();
        assert!(!child.wait().unwrap().success());
        let nothing = supervisor.socket.try_recv(&mut [0; 64]).unwrap_err();
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    });
}

#[test]
fn the_units_have_a_watchdog_and_a_user_whom_something_makes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/systemd");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let made = read("ferrule.sysusers");
    for name in ["ferrule.service", "ferrule-federator.service"] {
        let unit = read(name);
        let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        assert!(value("WatchdogSec").is_some_and(|seconds| seconds.parse::<u64>().unwrap() >= 10), "{name}");
        let user = value("User").unwrap();
        assert!(made.lines().any(|line| line.starts_with(&format!("u {user} "))), "{name}: {user}");
    }
    assert!(read("ferrule-federator.service").contains("--proxies"));
}
