//! What the process uses, under the names that every Prometheus client has for it. Read from `/proc` when asked; where
//! there is none, nothing is shown.

use std::fs;

use prometheus::{
    Counter, Gauge, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// How many ticks `/proc` counts in a second (`USER_HZ`): 100 on every architecture that we are built for.
const TICKS: f64 = 100.0;

/// Memory, processor time, start and open files of this process.
pub struct Resources {
    descriptions: Vec<Desc>,
}

/// One moment's figures.
#[derive(Debug, Default, PartialEq)]
struct Figures {
    resident_bytes: Option<f64>,
    cpu_seconds: Option<f64>,
    start_seconds: Option<f64>,
    open_files: Option<f64>,
    max_files: Option<f64>,
}

impl Resources {
    /// Shows them in a registry.
    ///
    /// # Panics
    /// When the registry has them already: a mistake of the program, seen at start.
    pub fn register(registry: &Registry) {
        let all = Figures {
            resident_bytes: Some(0.0),
            cpu_seconds: Some(0.0),
            start_seconds: Some(0.0),
            open_files: Some(0.0),
            max_files: Some(0.0),
        };
        let metrics = all.metrics();
        let descriptions = metrics.iter().flat_map(|metric| metric.desc()).cloned().collect();
        registry.register(Box::new(Self { descriptions })).expect("a registry is shown one process");
    }
}

impl Collector for Resources {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        Figures::now().metrics().iter().flat_map(|metric| metric.collect()).collect()
    }
}

impl Figures {
    fn now() -> Self {
        let read = |name: &str| fs::read_to_string(name).ok();
        let own = read("/proc/self/stat");
        let of_stat = |field| own.as_deref().and_then(|text| stat_field(text, field));
        let boot = read("/proc/stat").as_deref().and_then(|text| line_value(text, "btime "));
        let since_boot = of_stat(STARTTIME);
        Self {
            resident_bytes: read("/proc/self/status")
                .as_deref()
                .and_then(|text| line_value(text, "VmRSS:"))
                .map(|kib| kib * 1024.0),
            cpu_seconds: of_stat(UTIME).zip(of_stat(STIME)).map(|(user, system)| (user + system) / TICKS),
            start_seconds: boot.zip(since_boot).map(|(boot, ticks)| boot + ticks / TICKS),
            // One of them is the folder that is being read.
            open_files: fs::read_dir("/proc/self/fd").ok().map(|entries| (entries.count() as f64 - 1.0).max(0.0)),
            max_files: read("/proc/self/limits").as_deref().and_then(|text| line_value(text, "Max open files")),
        }
    }

    fn metrics(&self) -> Vec<Box<dyn Collector>> {
        let gauges = [
            ("process_resident_memory_bytes", "Resident memory size in bytes", self.resident_bytes),
            ("process_start_time_seconds", "Start time of the process since the epoch in seconds", self.start_seconds),
            ("process_open_fds", "Number of open file descriptors", self.open_files),
            ("process_max_fds", "Maximum number of open file descriptors", self.max_files),
        ];
        let mut metrics: Vec<Box<dyn Collector>> = Vec::new();
        for (name, help, value) in gauges {
            if let (Some(value), Ok(gauge)) = (value, Gauge::new(name, help)) {
                gauge.set(value);
                metrics.push(Box::new(gauge));
            }
        }
        let cpu = Counter::new("process_cpu_seconds_total", "User and system processor time spent in seconds");
        if let (Some(value), Ok(counter)) = (self.cpu_seconds, cpu) {
            counter.inc_by(value);
            metrics.push(Box::new(counter));
        }
        metrics
    }
}

/// Fields of `/proc/self/stat`, counted from 1 as proc(5) does.
const UTIME: usize = 14;
const STIME: usize = 15;
const STARTTIME: usize = 22;

/// The second field is the program's name in parentheses, and may hold blanks and parentheses itself.
fn stat_field(text: &str, field: usize) -> Option<f64> {
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(field.checked_sub(3)?)?.parse().ok()
}

/// The first number on the line that begins so.
fn line_value(text: &str, beginning: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(beginning))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_the_program_is_called() {
        let line = format!("7 (a b) ) S {}", (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(
            [UTIME, STIME, STARTTIME].map(|field| stat_field(&line, field)),
            [14, 15, 22].map(|n| Some(n.into()))
        );
        assert_eq!([stat_field("7 (a", 14), stat_field("7 (a) S 4", 14), stat_field("7 (a) S", 1)], [None; 3]);
        assert_eq!(line_value("VmPeak: 5 kB\nVmRSS:\t  128 kB\n", "VmRSS:"), Some(128.0));
        assert_eq!(line_value("Max open files            unlimited", "Max open files"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_something() {
        let figures = Figures::now();
        assert!(figures.resident_bytes > Some(1e6) && figures.open_files >= Some(3.0), "{figures:?}");
        assert!(figures.start_seconds > Some(1.6e9) && figures.cpu_seconds >= Some(0.0), "{figures:?}");
        let names: Vec<_> =
            Figures::now().metrics().iter().flat_map(|one| one.desc()).map(|d| d.fq_name.clone()).collect();
        assert!(names.contains(&"process_cpu_seconds_total".to_owned()) && names.len() >= 4, "{names:?}");
    }
}
