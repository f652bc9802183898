//! What is told of a store.

use std::io;

use serde_json::{Value, json};
use store::upkeep::{Counts, Standing, Stats, Verdict};

use crate::output::line;

/// The verdict of a check, for people.
pub fn verdict(standing: &Standing, verdict: &Verdict) -> io::Result<()> {
    for problem in &verdict.problems {
        line(format_args!("{problem}"))?;
    }
    if verdict.more_problems > 0 {
        line(format_args!("and {} more", verdict.more_problems))?;
    }
    line(format_args!("{} of {}: {}", standing.file().display(), standing.domain(), counts(&verdict.counts)))?;
    if let Some(unknown) = unknown(verdict) {
        line(format_args!("warning: {unknown}"))?;
    }
    match problems(verdict) {
        0 => line(format_args!("nothing is wrong")),
        1 => line(format_args!("1 thing is wrong")),
        number => line(format_args!("{number} things are wrong")),
    }
}

/// The same for programs.
pub fn verdict_json(standing: &Standing, verdict: &Verdict) -> Value {
    let Verdict { counts, problems, more_problems, unknown, .. } = verdict;
    json!({
        "file": standing.file(),
        "domain": standing.domain(),
        "good": verdict.is_good(),
        "counts": counts,
        "problems": problems,
        "more_problems": more_problems,
        "unknown": unknown,
    })
}

/// How much of a store is not in a salvage.
pub fn left_out(things: u64) -> String {
    match things {
        0 => "nothing was left out".to_owned(),
        1 => "1 thing was left out".to_owned(),
        things => format!("{things} things were left out"),
    }
}

/// What a newer release has stored beside.
pub fn unknown(verdict: &Verdict) -> Option<String> {
    let tables: Vec<&str> = verdict.unknown.keys().map(String::as_str).collect();
    let rows = match verdict.unknown_rows() {
        0 => return None,
        1 => "1 row".to_owned(),
        rows => format!("{rows} rows"),
    };
    let tables = tables.join(", ");
    Some(format!("{rows} of tables that this release does not know ({tables}): a newer one has been at work here"))
}

fn problems(verdict: &Verdict) -> u64 {
    verdict.problems.len() as u64 + verdict.more_problems
}

/// How much there is of everything.
pub fn counts(counts: &Counts) -> String {
    let Counts { aggregates, rows, plain, logs, entries, bodies } = *counts;
    let number = |number: u64, one: &str, more: &str| format!("{number} {}", if number == 1 { one } else { more });
    [
        number(aggregates, "aggregate", "aggregates"),
        number(rows, "guarded row", "guarded rows"),
        number(plain, "plain row", "plain rows"),
        format!("{} in {}", number(entries, "entry", "entries"), number(logs, "log", "logs")),
        number(bodies, "shared body", "shared bodies"),
    ]
    .join(", ")
}

/// What is in a store, for people.
pub fn stats(stats: &Stats) -> io::Result<()> {
    line(format_args!("{}: format {}", stats.domain, stats.format))?;
    line(format_args!(
        "{} in the database, {} of them free; {} in SQLite's log beside it",
        size(stats.file_bytes),
        size(stats.free_bytes),
        size(stats.wal_bytes)
    ))?;
    line(format_args!("\n{:<28} {:>12} {:>12}", "guarded table", "rows", "bytes"))?;
    for table in &stats.guarded {
        line(format_args!("{:<28} {:>12} {:>12}", table.table, table.rows, size(table.bytes)))?;
    }
    line(format_args!("\n{:<28} {:>12} {:>12}", "plain table", "rows", "bytes"))?;
    for table in &stats.plain {
        line(format_args!("{:<28} {:>12} {:>12}", table.table, table.rows, size(table.bytes)))?;
    }
    line(format_args!("\n{:<28} {:>12} {:>12} {:>12} {:>12}", "kind of log", "logs", "entries", "bytes", "longest"))?;
    for log in &stats.logs {
        line(format_args!(
            "{:<28} {:>12} {:>12} {:>12} {:>12}",
            log.kind,
            log.logs,
            log.entries,
            size(log.bytes),
            log.longest
        ))?;
    }
    line(format_args!(
        "{:<28} {:>12} {:>12} {:>12}",
        "(shared bodies)",
        "",
        stats.bodies.rows,
        size(stats.bodies.bytes)
    ))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut shown = bytes as f64;
    let mut unit = 0;
    while shown >= 1024.0 && unit + 1 < UNITS.len() {
        shown /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{shown:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_numbers_are_in_words() {
        for (bytes, shown) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 29, "2.5 GiB"), (u64::MAX, "16777216.0 TiB")]
        {
            assert_eq!(size(bytes), shown);
        }
        let one = Counts { aggregates: 1, rows: 1, plain: 1, logs: 1, entries: 1, bodies: 1 };
        assert_eq!(counts(&one), "1 aggregate, 1 guarded row, 1 plain row, 1 entry in 1 log, 1 shared body");
    }
}
