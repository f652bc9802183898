//! Telling the supervisor how the process is, as systemd's sd_notify(3) has it: one datagram for each change.
//!
//! Where no supervisor asks for it (`NOTIFY_SOCKET`), nothing is done. A supervisor that cannot be told is worth a line in
//! the log and no more: the process serves all the same.

use std::{ffi::OsString, time::Duration};

use crate::limits;

/// A supervisor that wants to be told.
pub struct Notify {
    #[cfg(unix)]
    socket: Option<(std::os::unix::net::UnixDatagram, std::os::unix::net::SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From the environment of this process.
    pub fn from_environment() -> Self {
        Self::new(|name| std::env::var_os(name), std::process::id())
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>, pid: u32) -> Self {
        let text = |name: &str| variable(name).and_then(|value| value.into_string().ok());
        let meant = text("WATCHDOG_PID").is_none_or(|named| named.parse() == Ok(pid));
        let period = text("WATCHDOG_USEC").and_then(|value| value.parse().ok()).filter(|&micros| meant && micros > 0);
        Self {
            #[cfg(unix)]
            socket: variable("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| {
                let opened = open(&path);
                if let Err(error) = &opened {
                    tracing::warn!(socket = %path.display(), %error, "the supervisor cannot be told anything");
                }
                opened.ok()
            }),
            watchdog: period.map(Duration::from_micros),
        }
    }

    /// Everything listens.
    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={}", line(status)));
    }

    /// Files are being read again; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS=Reading files again", monotonic_micros()));
    }

    /// The process ends: requests are taken for a while yet, then those that are open are answered. The supervisor is asked
    /// for the time that all of it takes at most, should that be more than it would give.
    pub fn stopping(&self, taking: Duration) {
        let status =
            if taking.is_zero() { "Answering open requests" } else { "Taking requests until nobody sends any" };
        let most = (taking + limits::ENDING).as_micros();
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={most}\nSTATUS={status}"));
    }

    /// Says again and again that the process lives, as often as the supervisor asks for it; for ever, once it has begun.
    ///
    /// What is proved by it is that the runtime still gets round to its tasks.
    pub async fn live(&self) {
        let Some(period) = self.watchdog else { return std::future::pending().await };
        // Half of it, as the manual advises.
        let mut ticks = tokio::time::interval((period / 2).max(SHORTEST));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    #[cfg(unix)]
    fn tell(&self, text: &str) {
        if let Some((socket, supervisor)) = &self.socket
            && let Err(error) = socket.send_to_addr(text.as_bytes(), supervisor)
        {
            tracing::debug!(%error, "the supervisor was not told");
        }
    }

    #[cfg(not(unix))]
    fn tell(&self, _: &str) {}
}

/// Between two signs of life, however short the supervisor's period is.
const SHORTEST: Duration = Duration::from_millis(10);

/// A path, or a name without a file where it begins with `@` (Linux).
#[cfg(unix)]
fn open(path: &OsString) -> std::io::Result<(std::os::unix::net::UnixDatagram, std::os::unix::net::SocketAddr)> {
    use std::os::unix::{ffi::OsStrExt, net};
    let address = match path.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            net::SocketAddr::from_abstract_name(name)?
        }
        _ => net::SocketAddr::from_pathname(path)?,
    };
    let socket = net::UnixDatagram::unbound()?;
    // A supervisor that does not read keeps nobody waiting.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// What fits on the line of a message.
fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(unix)]
fn monotonic_micros() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000)
}

#[cfg(not(unix))]
fn monotonic_micros() -> i64 {
    0
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    fn supervised(socket: &str, watchdog: &[(&str, &str)]) -> Notify {
        let variable = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(OsString::from(socket)),
            _ => watchdog.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value)),
        };
        Notify::new(variable, 7)
    }

    #[tokio::test]
    async fn a_supervisor_is_told_by_path_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let notify = supervised(path.to_str().unwrap(), &[("WATCHDOG_USEC", "20000"), ("WATCHDOG_PID", "7")]);
        notify.ready("one\ntwo");
        assert_eq!(receive(&by_path), "READY=1\nSTATUS=one two");
        notify.reloading();
        let text = receive(&by_path);
        let micros = text.split("MONOTONIC_USEC=").nth(1).unwrap().lines().next().unwrap();
        assert!(text.starts_with("RELOADING=1\n") && micros.parse::<u64>().unwrap() > 0, "{text}");
        notify.stopping(Duration::from_secs(600));
        assert!(receive(&by_path).starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=630000000\n"));
        by_path.set_nonblocking(true).unwrap();
        tokio::select! {
            () = notify.live() => unreachable!("it never ends"),
            () = async { while by_path.recv(&mut [0; 64]).is_err() { tokio::task::yield_now().await } } => {}
        }
        #[cfg(target_os = "linux")]
        {
            use std::os::linux::net::SocketAddrExt;
            let name = format!("ferrule-test-{}", std::process::id());
            let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
            let by_name = UnixDatagram::bind_addr(&address).unwrap();
            supervised(&format!("@{name}"), &[]).ready("");
            assert_eq!(receive(&by_name), "READY=1\nSTATUS=");
        }
    }

    #[test]
    fn the_watchdog_is_fed_only_if_it_is_ours() {
        let period = |variables: &[(&str, &str)]| supervised("/nowhere", variables).watchdog;
        assert_eq!(period(&[("WATCHDOG_USEC", "5000000")]), Some(Duration::from_secs(5)));
        assert_eq!(period(&[("WATCHDOG_USEC", "5000000"), ("WATCHDOG_PID", "8")]), None);
        assert_eq!(["", "0", "x"].map(|value| period(&[("WATCHDOG_USEC", value)])), [None; 3]);
    }

    #[test]
    fn without_a_supervisor_nothing_happens() {
        let notify = Notify::new(|_| None, 7);
        notify.ready("");
        supervised("/nowhere/at/all", &[]).stopping(Duration::ZERO);
    }
}
