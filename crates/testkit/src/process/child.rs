//! A running program, its output in files, ended when the test ends.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::scratch;

/// How long a program may take to start or to end. Generous: the machine may be busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// The pause between two looks at a foreign process, which gives no signal.
const LOOK: Duration = Duration::from_millis(10);

/// A program that runs until this is dropped. If the test fails, its output stays and its place is told.
pub struct Child {
    process: std::process::Child,
    _guard: Guard,
    logs: Option<TempDir>,
}

impl Child {
    /// Starts a program with these arguments, in a clean environment as far as Ferrule is concerned.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Result<Self> {
        Self::start_in(&[], program, arguments)
    }

    /// The same with these variables in its environment.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_in<S: AsRef<OsStr>>(
        environment: &[(&str, &str)],
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let logs = TempDir::with_prefix_in("logs-", scratch())?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).env("TMPDIR", scratch());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FERRULE_")) {
            command.env_remove(name);
        }
        command.envs(environment.iter().copied());
        command.stdout(File::create(logs.path().join("stdout"))?);
        command.stderr(File::create(logs.path().join("stderr"))?);
        let process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let guard = Guard::over(process.id())?;
        Ok(Self { process, _guard: guard, logs: Some(logs) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it printed so far, on standard output and standard error.
    pub fn output(&self) -> (String, String) {
        (self.read("stdout"), self.read("stderr"))
    }

    /// Waits until `look` finds something. Looks once more after the program has ended.
    ///
    /// # Errors
    /// It did not come in time, or the program ended without it.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> Result<T> {
        let start = Instant::now();
        loop {
            let ended = self.process.try_wait()?;
            if let Some(found) = look(self) {
                return Ok(found);
            }
            if let Some(status) = ended {
                bail!("the program ended ({status}) before {what}:\n{}", self.output().1);
            }
            if start.elapsed() > PATIENCE {
                bail!("{what} did not come within {} s:\n{}", PATIENCE.as_secs(), self.output().1);
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends it at once, as `kill -9` does.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }

    /// Asks it to end, as a supervisor does, and waits until it has.
    ///
    /// # Errors
    /// It cannot be signalled, or does not end.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal("-TERM")
    }

    /// Asks it to end, as Ctrl-C does, and waits until it has.
    ///
    /// # Errors
    /// It cannot be signalled, or does not end.
    pub fn interrupt(&mut self) -> Result<ExitStatus> {
        self.signal("-INT")
    }

    fn signal(&mut self, signal: &str) -> Result<ExitStatus> {
        self.send(signal)?;
        self.wait()
    }

    /// Sends it a signal, such as `-HUP`, and does not wait.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn send(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status()?;
        if !status.success() {
            bail!("kill {signal} failed");
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// It does not.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > PATIENCE {
                bail!("the program does not end:\n{}", self.output().1);
            }
            thread::sleep(LOOK);
        }
    }

    fn read(&self, name: &str) -> String {
        let path = self.logs.as_ref().map(|logs| logs.path().join(name)).unwrap_or_default();
        fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn kept(&mut self) -> Option<PathBuf> {
        self.logs.take().map(TempDir::keep)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let tail: Vec<String> = self.read("stderr").lines().rev().take(40).map(str::to_owned).collect();
            let tail: Vec<String> = tail.into_iter().rev().collect();
            if let Some(place) = self.kept() {
                eprintln!("what the program said is kept in {}; its end:\n{}", place.display(), tail.join("\n"));
            }
        }
    }
}

/// Ends a program when this process ends, in whatever way: what is kept in statics is never dropped.
struct Guard(std::process::Child);

impl Guard {
    fn over(pid: u32) -> Result<Self> {
        // `read` returns when the pipe closes, which it does with this process.
        let mut command = Command::new("sh");
        command.args(["-c", "read _; kill -9 \"$1\"", "sh", &pid.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().context("starting the guard of a program")?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it said beside.
    pub stderr: String,
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be started or does not end.
pub fn run<S: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = S>) -> Result<Ended> {
    let mut child = Child::start(program, arguments)?;
    let status = child.wait()?;
    let (stdout, stderr) = child.output();
    Ok(Ended { status, stdout, stderr })
}
