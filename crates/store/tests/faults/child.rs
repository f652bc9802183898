//! A process that writes until it dies, and says on its standard output what was acknowledged.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::Duration,
};

use store::{CommitError, Version};

use crate::ledger::{self, Acknowledged};

/// Things that are raised.
pub const THINGS: u64 = 8;

const FOLDER: &str = "FERRULE_TEST_FOLDER";
const CLOCK: &str = "FERRULE_TEST_CLOCK";
const WRITERS: &str = "FERRULE_TEST_WRITERS";
const QUIET: &str = "FERRULE_TEST_QUIET";

/// How a process is to write.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// Seconds that its clock is ahead.
    pub clock_ahead: i64,
    /// Tasks that write.
    pub writers: u64,
    /// Whether nothing but commits is written.
    pub quiet: bool,
}

impl Default for How {
    fn default() -> Self {
        Self { clock_ahead: 0, writers: THINGS, quiet: false }
    }
}

/// A process that writes.
pub struct Writer {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Writer {
    pub fn start(folder: &Path, how: How) -> Self {
        Self::of(&mut command(folder, how))
    }

    /// One that dies at the `nth` time it comes to a place.
    pub fn dying(folder: &Path, place: &str, nth: u64) -> Self {
        Self::of(command(folder, How::default()).env("FERRULE_DIE_AT", format!("{place}={nth}")))
    }

    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next things it says, so many.
    pub fn hear(&mut self, lines: usize, into: &mut Acknowledged) {
        for _ in 0..lines {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "it ended by itself");
            hear(&line, into);
        }
    }

    /// Kills it, and hears what it said until then.
    pub fn kill(mut self, into: &mut Acknowledged) {
        self.child.kill().unwrap();
        assert_eq!(self.ended(into).signal(), Some(9), "it was still alive");
    }

    /// Waits for its end, and hears what it said until then. Returns how it ended.
    pub fn ended(mut self, into: &mut Acknowledged) -> ExitStatus {
        let mut line = Vec::new();
        while self.out.read_until(b'\n', &mut line).unwrap() > 0 {
            // The last line may be cut.
            if line.ends_with(b"\n") {
                hear(std::str::from_utf8(&line).unwrap(), into);
            }
            line.clear();
        }
        self.child.wait().unwrap()
    }
}

/// `count THING N VERSION TICK` or `told TEXT VERSION TICK`; anything else is the test harness's.
fn hear(line: &str, into: &mut Acknowledged) {
    let words: Vec<_> = line.split_whitespace().collect();
    let (version, tick) = match words[..] {
        ["count", thing, n, version, tick] => {
            let known = into.counts.entry(thing.parse().unwrap()).or_default();
            *known = n.parse::<u64>().unwrap().max(*known);
            (version, tick)
        }
        ["told", text, version, tick] => {
            assert!(into.told.insert(text.to_owned()));
            (version, tick)
        }
        _ => return,
    };
    into.version = into.version.max(Version::from_micros(version.parse().unwrap()));
    into.tick = into.tick.max(tick.parse().unwrap());
}

/// This program, as a process that writes.
pub fn command(folder: &Path, how: How) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child::writes_until_it_dies", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(FOLDER, folder).env(CLOCK, how.clock_ahead.to_string()).env(WRITERS, how.writers.to_string());
    command.env(QUIET, u8::from(how.quiet).to_string());
    command
}

#[test]
#[ignore = "a process that other tests start"]
fn writes_until_it_dies() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |name: &str| std::env::var(name).unwrap().parse::<i64>().unwrap();
    let (clock_ahead, writers) = (number(CLOCK), number(WRITERS).unsigned_abs());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let quiet = number(QUIET) == 1;
        let store = if quiet {
            ledger::open_with(Path::new(&folder), clock_ahead, usize::MAX).unwrap()
        } else {
            ledger::open_free(Path::new(&folder), clock_ahead).0
        };
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..writers {
            tasks.spawn(write(store.clone(), writer));
        }
        if !quiet {
            tasks.spawn(async move {
                loop {
                    store.housekeep(Duration::from_millis(5)).await;
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            });
        }
        tasks.join_all().await;
    });
}

async fn write(store: store::Store, writer: u64) {
    let process = std::process::id();
    for n in 0_u64.. {
        let said = if n % 3 == 2 {
            let text = format!("{process}/{writer}/{n}");
            ledger::tell_all(&store, &text).await.map(|done| (format!("told {text}"), done))
        } else {
            // Two writers for each thing, so that they meet.
            let thing = writer / 2;
            ledger::raise(&store, thing).await.map(|(n, done)| (format!("count {thing} {n}"), done))
        };
        match said {
            Ok((what, done)) => {
                let line = format!("{what} {} {}\n", done.version.micros(), done.appended[0].id.tick());
                // One system call, so that a line is there or not.
                let mut out = std::io::stdout().lock();
                if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                    return;
                }
            }
            Err(CommitError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
