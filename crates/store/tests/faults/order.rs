//! What a power cut would leave: no acknowledgement goes out before the disk was told to keep what it acknowledges. A
//! kill proves nothing about that; the order of the system calls does.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use crate::child::{self, How, Writer};
use crate::ledger::{self, Acknowledged};

/// What a line of the trace says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Something was written to SQLite's log.
    Logged,
    /// SQLite's log is on the disk.
    Synced,
    /// An acknowledgement went out.
    Acknowledged,
}

/// The calls of all threads in their order. A write counts from when it began, a sync from when it ended: the less
/// favourable of the two.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    // Syncs of the log that have begun, by thread, with the number of writes they can have seen.
    let mut syncing = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let log = call.contains("store.sqlite-wal>");
        if log && call.starts_with("pwrite64(") {
            calls.push(Call::Logged);
        } else if log && (call.starts_with("fdatasync(") || call.starts_with("fsync(")) {
            if call.ends_with("<unfinished ...>") {
                syncing.push(thread);
            } else if call.ends_with("= 0") {
                calls.push(Call::Synced);
            }
        } else if (call.starts_with("<... fdatasync resumed") || call.starts_with("<... fsync resumed"))
            && call.ends_with("= 0")
        {
            let known = syncing.len();
            syncing.retain(|other| *other != thread);
            if syncing.len() < known {
                calls.push(Call::Synced);
            }
        } else if call.starts_with("write(1") && (call.contains("\"count ") || call.contains("\"told ")) {
            calls.push(Call::Acknowledged);
        }
    }
    calls
}

/// One writer, so that between two acknowledgements there is exactly one commit.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs strace: run by the stage `faults`"]
async fn acknowledged_after_its_sync() {
    let folder = TempDir::new().unwrap();
    let trace = folder.path().join("trace");
    let data = folder.path().join("data");
    let mut acknowledged = Acknowledged::default();
    let mut writer = Writer::of(&mut traced(&data, &trace));
    writer.hear(300, &mut acknowledged);
    let child = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", writer.id())).unwrap();
    // strace ends with what it traces.
    assert!(Command::new("kill").args(["-KILL", child.trim()]).status().unwrap().success());
    writer.ended(&mut acknowledged);

    let calls = calls(&std::fs::read_to_string(&trace).unwrap());
    let (mut logged, mut synced, mut acknowledgements) = (false, true, 0);
    for call in calls {
        match call {
            Call::Logged => (logged, synced) = (true, false),
            Call::Synced => synced = true,
            Call::Acknowledged => {
                assert!(logged, "acknowledgement {acknowledgements}: nothing was written for it");
                assert!(synced, "acknowledgement {acknowledgements} went out before its commit was on the disk");
                acknowledgements += 1;
                logged = false;
            }
        }
    }
    assert!(acknowledgements >= 250, "{acknowledgements}");
    let (store, _) = ledger::open_free(&data, 0);
    ledger::verify(&store, &acknowledged).await;
}

fn traced(data: &Path, trace: &Path) -> Command {
    let writer = child::command(data, How { writers: 1, ..How::default() });
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=pwrite64,write,fdatasync,fsync", "-o"]).arg(trace);
    command.arg(writer.get_program()).args(writer.get_args());
    for (name, value) in writer.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
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
8  write(1<pipe:[3]>, "running 1 test\n", 15) = 15
7  fdatasync(9</d/store.sqlite-wal>) = -1 EIO
"#;
    assert_eq!(calls(trace), [Call::Logged, Call::Synced, Call::Acknowledged]);
}
