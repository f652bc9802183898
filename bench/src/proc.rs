//! What the kernel says about processes: `/proc`.

use std::{fs, io, time::Duration};

use anyhow::{Context, Result};

/// The kernel's unit of CPU time towards programs (`USER_HZ`): a hundredth of a second on every Linux.
const TICKS_A_SECOND: u64 = 100;

/// A group of processes: some, and all that descend from them.
#[derive(Clone, Debug)]
pub struct Processes(Vec<u32>);

/// The memory of a group of processes, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident pages of each process, added up: what several share is counted several times.
    pub resident: u64,
    /// The same with shared pages divided among those who share them.
    pub proportional: u64,
}

impl Processes {
    /// These and their descendants.
    pub fn of(roots: impl IntoIterator<Item = u32>) -> Self {
        Self(roots.into_iter().collect())
    }

    /// Both groups.
    pub fn and(mut self, other: &Self) -> Self {
        self.0.extend(&other.0);
        self
    }

    /// CPU time that they have used, in user and in kernel mode.
    ///
    /// # Errors
    /// One is gone.
    pub fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for pid in self.all()? {
            ticks += stat(pid)?.ticks;
        }
        Ok(Duration::from_millis(ticks * 1000 / TICKS_A_SECOND))
    }

    /// The memory that they have now.
    ///
    /// # Errors
    /// One is gone.
    pub fn memory(&self) -> Result<Memory> {
        let mut sum = Memory::default();
        for pid in self.all()? {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = fs::read_to_string(&path).with_context(|| path.clone())?;
            sum.resident += field(&text, "Rss:").with_context(|| path.clone())?;
            sum.proportional += field(&text, "Pss:").with_context(|| path.clone())?;
        }
        Ok(sum)
    }

    fn all(&self) -> Result<Vec<u32>> {
        let parents = parents().context("/proc")?;
        let mut all = self.0.clone();
        let mut seen = 0;
        while seen < all.len() {
            let parent = all[seen];
            all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            seen += 1;
        }
        Ok(all)
    }
}

/// The most memory that a process ever had, in KiB.
///
/// # Errors
/// It is gone.
pub fn peak(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    field(&text, "VmHWM:").with_context(|| path.clone())
}

/// Every process with its parent.
fn parents() -> io::Result<Vec<(u32, u32)>> {
    let pids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    // A process may end between the two looks.
    Ok(pids.filter_map(|pid| Some((pid, stat(pid).ok()?.parent))).collect())
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    parse_stat(&text).with_context(|| format!("{path}: {text:?}"))
}

/// Of `proc(5)`: fields 4 (parent), 14 and 15 (time in user and kernel mode). The name of the program, field 2, may
/// itself hold blanks and brackets, so the fields are counted from its last bracket.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |n: usize| fields.get(n - 3)?.parse::<u64>().ok();
    Some(Stat { parent: u32::try_from(number(4)?).ok()?, ticks: number(14)? + number(15)? })
}

/// The number behind a name at the begin of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_stat() {
        let text = "42 (a ) b (c) S 7 1 1 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 5 0 100 0 0";
        assert_eq!(parse_stat(text), Some(Stat { parent: 7, ticks: 300 }));
        for broken in ["", "42 (x) S 7", "42 x S 7 1 1 0 -1 0 0 0 0 0 1 1", "1 (x) S y 1 1 0 -1 0 0 0 0 0 1 1"] {
            assert_eq!(parse_stat(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_fields_of_status_and_smaps() {
        let text = "Name:\tx\nVmHWM:\t    1234 kB\nRss:                 100 kB\nPss_Dirty: 5 kB\nPss: 60 kB\n";
        assert_eq!(field(text, "VmHWM:"), Some(1234));
        assert_eq!((field(text, "Rss:"), field(text, "Pss:")), (Some(100), Some(60)));
        assert_eq!(field(text, "Swap:"), None);
    }

    #[test]
    fn descendants_are_found() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let group = Processes::of([std::process::id()]);
        assert!(group.all().unwrap().contains(&child.id()));
        assert!(group.memory().unwrap().resident > 0);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
