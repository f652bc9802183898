//! Where and when something was measured.

use std::fs;

use jiff::Timestamp;

/// One line about the machine, the moment and the load that others put on it.
pub fn description() -> String {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = read("/proc/cpuinfo")
        .lines()
        .find_map(|l| Some(l.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    format!(
        "{}, {cpus} cores ({}), Linux {kernel}",
        Timestamp::now().strftime("%F %H:%M UTC"),
        model.unwrap_or_else(|| "unknown".into())
    )
}

/// The load average of the last minute.
pub fn load() -> String {
    read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
