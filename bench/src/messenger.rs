//! The bench's own program, started once more to do one thing in a process of its own: it says when it is ready, begins
//! when it is told to, and says what came of it.

use std::{
    fs::File,
    io::{BufRead, Write},
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// The other end of such a process. Dropped, it ends the process.
pub struct Messenger {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Messenger {
    /// Starts the bench's program with a verb and a plan, which goes into a file in that folder.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(verb: &str, folder: &Path, plan: &impl Serialize) -> Result<Self> {
        let file = folder.join(format!("{verb}.json"));
        serde_json::to_writer(File::create(&file)?, plan)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(verb)
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("a pipe into the child")?;
        let lines = BufReader::new(child.stdout.take().context("a pipe out of the child")?).lines();
        Ok(Self { child, stdin, lines })
    }

    /// Its process id.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the child has ended")
    }

    /// What it says next.
    ///
    /// # Errors
    /// It has ended, or says something else.
    pub async fn hear<T: DeserializeOwned>(&mut self) -> Result<T> {
        let line = self.lines.next_line().await?.context("the child has ended without a word")?;
        serde_json::from_str(&line).with_context(|| line.clone())
    }

    /// Tells it to go on.
    ///
    /// # Errors
    /// It has ended.
    pub async fn go(&mut self) -> Result<()> {
        self.stdin.write_all(b"\n").await?;
        Ok(self.stdin.flush().await?)
    }
}

/// In such a process: says something.
///
/// # Errors
/// Nobody listens.
pub fn say(what: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// In such a process: waits until it is told to go on; `false` where there is nothing more to do.
///
/// # Errors
/// The pipe broke.
pub async fn told() -> Result<bool> {
    let read = || std::io::stdin().lock().read_line(&mut String::new());
    Ok(tokio::task::spawn_blocking(read).await?? > 0)
}

/// In such a process: the plan.
///
/// # Errors
/// It cannot be read.
pub fn plan<T: DeserializeOwned>(file: &Path) -> Result<T> {
    Ok(serde_json::from_reader(File::open(file).with_context(|| file.display().to_string())?)?)
}
