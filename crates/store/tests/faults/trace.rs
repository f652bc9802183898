//! What a process asked the system for, as strace writes it down: what was written, what was synced, which names were made.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Something was written to a file.
    Wrote { thread: u32, file: PathBuf },
    /// A file or folder is on the disk, as it was when that was asked for.
    Synced { thread: u32, file: PathBuf },
    /// There may be a new file or folder of that name.
    Made(PathBuf),
    /// A file has another name, too or instead.
    Named { from: PathBuf, to: PathBuf, instead: bool },
    /// A name is gone.
    Gone(PathBuf),
    /// An acknowledgement went out.
    Acknowledged,
}

/// That command under strace, which writes into `trace`.
pub fn traced(of: &Command, trace: &Path) -> Command {
    let mut command = Command::new("strace");
    let calls = "trace=openat,mkdir,rename,link,linkat,unlink,pwrite64,write,fdatasync,fsync";
    command.args(["-f", "-y", "-e", calls, "-o"]).arg(trace);
    command.arg(of.get_program()).args(of.get_args());
    for (name, value) in of.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// What all threads did, in its order. A write counts from when it began, all else from when it ended: the less favourable
/// of the two.
pub fn acts(trace: &str) -> Vec<Act> {
    let mut acts = Vec::new();
    // Calls that have begun, by thread.
    let mut begun = BTreeMap::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let (Ok(thread), call) = (thread.parse::<u32>(), call.trim_start()) else { continue };
        if let Some(call) = call.strip_suffix("<unfinished ...>") {
            if is_write(call) {
                acts.extend(act(thread, call));
            } else {
                begun.insert(thread, call.to_owned());
            }
        } else if call.starts_with("<... ") {
            let Some((_, rest)) = call.split_once(" resumed>") else { continue };
            let Some(call) = begun.remove(&thread) else { continue };
            acts.extend(ended(&format!("{call}{rest}")).and_then(|call| act(thread, call)));
        } else {
            acts.extend(if is_write(call) { Some(call) } else { ended(call) }.and_then(|call| act(thread, call)));
        }
    }
    acts
}

fn is_write(call: &str) -> bool {
    call.starts_with("pwrite64(") || call.starts_with("write(")
}

/// A call that was done, without what it came to.
fn ended(call: &str) -> Option<&str> {
    let (call, came_to) = call.rsplit_once(" = ")?;
    (!came_to.starts_with('-')).then_some(call)
}

fn act(thread: u32, call: &str) -> Option<Act> {
    let (name, arguments) = call.split_once('(')?;
    let quoted: Vec<&str> = arguments.split('"').skip(1).step_by(2).collect();
    let path = |nth: usize| quoted.get(nth).map(|path| PathBuf::from(*path));
    let file = || {
        let (_, file) = arguments.split_once('<')?;
        Some(PathBuf::from(file.split_once('>')?.0))
    };
    Some(match name {
        "write" if arguments.starts_with("1<") => {
            let said = quoted.first()?;
            if !said.starts_with("count ") && !said.starts_with("told ") {
                return None;
            }
            Act::Acknowledged
        }
        "write" | "pwrite64" => Act::Wrote { thread, file: file()? },
        "fsync" | "fdatasync" => Act::Synced { thread, file: file()? },
        "openat" if arguments.contains("O_CREAT") => Act::Made(path(0)?),
        "mkdir" => Act::Made(path(0)?),
        "rename" => Act::Named { from: path(0)?, to: path(1)?, instead: true },
        "link" | "linkat" => Act::Named { from: path(0)?, to: path(1)?, instead: false },
        "unlink" => Act::Gone(path(0)?),
        _ => return None,
    })
}

/// What the disk would have forgotten if the power were cut.
#[derive(Debug, Default)]
pub struct Unsure {
    names: BTreeSet<PathBuf>,
    /// Names that are on the disk: whoever opens such a file in order to make it makes nothing.
    there: BTreeSet<PathBuf>,
    contents: BTreeSet<PathBuf>,
}

impl Unsure {
    pub fn see(&mut self, act: &Act) {
        match act {
            Act::Wrote { file, .. } => drop(self.contents.insert(file.clone())),
            Act::Synced { file, .. } => {
                self.contents.remove(file);
                let synced = self.names.extract_if(.., |name| name.parent() == Some(file));
                self.there.extend(synced);
            }
            Act::Made(name) if self.there.contains(name) => {}
            Act::Made(name) => drop(self.names.insert(name.clone())),
            Act::Gone(name) => {
                self.there.remove(name);
                self.names.insert(name.clone());
            }
            Act::Named { from, to, instead } => {
                if self.contents.remove(from) {
                    self.contents.insert(to.clone());
                }
                self.names.insert(to.clone());
                if *instead {
                    self.there.remove(from);
                    self.names.insert(from.clone());
                }
            }
            Act::Acknowledged => {}
        }
    }

    /// Names that would be as they were.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.iter().map(PathBuf::as_path)
    }

    /// Whether there is such a name, on the disk or not.
    pub fn is_known(&self, name: &Path) -> bool {
        self.there.contains(name) || self.names.contains(name)
    }

    /// Whether all of a file is on the disk.
    pub fn is_written(&self, file: &Path) -> bool {
        !self.contents.contains(file)
    }
}

#[test]
fn the_trace_is_read_as_it_is_meant() {
    let trace = r#"
7  pwrite64(9</d/store.sqlite-wal>, "..."..., 24, 32) = 24
7  fdatasync(9</d/store.sqlite-wal> <unfinished ...>
8  fdatasync(4</d/store.sqlite>) = 0
8  <... write resumed>) = 3
7  <... fdatasync resumed>) = 0
8  write(1<pipe:[3]>, "count 0 1 17 18\n", 16) = 16
8  write(1<pipe:[3]>, "running 1 test\n", 15 <unfinished ...>
7  fdatasync(9</d/store.sqlite-wal>) = -1 EIO
7  openat(AT_FDCWD</cwd>, "/d/commits", O_WRONLY|O_CREAT|O_CLOEXEC, 0600) = 5</d/commits>
7  openat(AT_FDCWD</cwd>, "/d/commits", O_RDONLY|O_CLOEXEC) = 5</d/commits>
7  rename("/d/a", "/d/b") = 0
7  linkat(AT_FDCWD</cwd>, "/d/b", AT_FDCWD</cwd>, "/d/c", 0) = 0
7  unlink("/d/b") = 0
7  unlink("/d/x") = -1 ENOENT (No such file or directory)
"#;
    let (log, d) = (PathBuf::from("/d/store.sqlite-wal"), |name: &str| Path::new("/d").join(name));
    let wanted = [
        Act::Wrote { thread: 7, file: log.clone() },
        Act::Synced { thread: 8, file: d("store.sqlite") },
        Act::Synced { thread: 7, file: log },
        Act::Acknowledged,
        Act::Made(d("commits")),
        Act::Named { from: d("a"), to: d("b"), instead: true },
        Act::Named { from: d("b"), to: d("c"), instead: false },
        Act::Gone(d("b")),
    ];
    let acts = acts(trace);
    assert_eq!(acts, wanted);
    let mut unsure = Unsure::default();
    acts.iter().for_each(|act| unsure.see(act));
    assert_eq!(unsure.names().collect::<Vec<_>>(), [d("a"), d("b"), d("c"), d("commits")]);
    unsure.see(&Act::Synced { thread: 1, file: "/d".into() });
    assert_eq!(unsure.names().count(), 0);
}
