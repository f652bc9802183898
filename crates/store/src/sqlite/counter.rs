//! A counter of commits outside the database, by which it is noticed that the database lost some.
//!
//! The log of SQLite ends, as SQLite sees it, at the first frame that is damaged or missing, and what comes behind is
//! gone without a word. So the writer counts commits in the database, and notes the count in a small file once they are
//! durable, before anybody is told. A database that has counted less than the file has lost commits.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// The name of the file in the data folder.
pub(super) const FILE: &str = "commits";

/// One line of this many bytes, of which an operator can read the number.
const LEN: usize = 64;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    /// The store it is of.
    pub(super) node: u64,
    /// Commits that were acknowledged at least.
    pub(super) commits: u64,
}

/// The file, open for writing.
pub(super) struct Counter {
    file: File,
    node: u64,
    /// It could not be written, and that was said.
    failing: bool,
}

impl Counter {
    /// Where it is.
    pub(super) fn path(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// What a folder's file says; `None` where there is none, or none that can be read.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Count>> {
        let file = match File::open(Self::path(folder)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        // More than the line is no such file.
        file.take(LEN as u64 + 1).read_to_end(&mut bytes)?;
        let count = parse(&bytes);
        if count.is_none() {
            tracing::warn!(folder = %folder.display(), "the counter of commits cannot be read and begins anew");
        }
        Ok(count)
    }

    /// Begins or goes on counting.
    pub(super) fn start(folder: &Path, count: Count) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(Self::path(folder))?;
        file.set_len(LEN as u64)?;
        let mut counter = Self { file, node: count.node, failing: false };
        counter.put(count.commits)?;
        counter.file.sync_data()?;
        Ok(counter)
    }

    /// Notes that so many commits are durable. It fails only with the disk; what is lost then is the notice.
    pub(super) fn note(&mut self, commits: u64) {
        let noted = self.put(commits);
        if let Err(error) = &noted
            && !self.failing
        {
            tracing::error!(%error, "the counter of commits cannot be written");
        }
        self.failing = noted.is_err();
    }

    /// Another handle, to sync it now and then away from the writer.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    fn put(&mut self, commits: u64) -> io::Result<()> {
        let line = line(Count { node: self.node, commits });
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::write_all_at(&self.file, line.as_bytes(), 0);
        #[cfg(not(unix))]
        {
            use std::io::{Seek as _, Write as _};
            self.file.seek(io::SeekFrom::Start(0))?;
            self.file.write_all(line.as_bytes())
        }
    }
}

fn line(count: Count) -> String {
    let text = format!("ferrule 1 {:016x} {:020}", count.node, count.commits);
    format!("{text} {:08x}       \n", crc32c::crc32c(text.as_bytes()))
}

fn parse(bytes: &[u8]) -> Option<Count> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.strip_prefix("ferrule 1 ")?.split_ascii_whitespace();
    let node = u64::from_str_radix(words.next()?, 16).ok()?;
    let count = Count { node, commits: words.next()?.parse().ok()? };
    (line(count) == text).then_some(count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_come_back(node: u64, commits: u64) {
            let count = Count { node, commits };
            prop_assert_eq!(line(count).len(), LEN);
            prop_assert_eq!(parse(line(count).as_bytes()), Some(count));
        }

        #[test]
        fn foreign_bytes_are_no_count(bytes: Vec<u8>, at in 0..LEN, other: u8) {
            prop_assert_eq!(parse(&bytes), None);
            let mut damaged = line(Count { node: 7, commits: 8 }).into_bytes();
            prop_assume!(damaged[at] != other);
            damaged[at] = other;
            prop_assert_eq!(parse(&damaged), None);
        }
    }
}
