//! A process that ends with its owner.

use std::{
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to end when asked.
const ENDING: Duration = Duration::from_secs(10);

/// How often it is looked whether a process listens or has ended; neither gives a signal.
const LOOK: Duration = Duration::from_millis(1);

/// A child process. Dropped, it is asked to end, and after a while made to.
pub struct Child(process::Child);

impl Child {
    /// Starts a program whose output goes to a file.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let file = std::fs::File::create(log).with_context(|| log.display().to_string())?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Waits until somebody listens there.
    ///
    /// # Errors
    /// The process ended, or took too long.
    pub fn wait_for(&mut self, address: SocketAddr, log: &Path) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = self.0.try_wait()?;
            if ended.is_some() || Instant::now() > until {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("nobody listens at {address} ({}): {said}", ended.map_or("late".into(), |s| s.to_string()));
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.0.id().to_string()).status();
        let until = Instant::now() + ENDING;
        while asked.is_ok() && Instant::now() < until {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
