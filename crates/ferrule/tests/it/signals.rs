//! Ctrl-C, and whether anything stays behind.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use testkit::process::{Child, Folder, scratch};

use crate::support::ferrule;

/// Interrupts the program while it starts, and sees that nothing stays behind. Gives what it printed. On a busy machine
/// the signal may come when everything is up; then once more.
fn interrupted_while_it_starts(arguments: &[&str]) -> (String, String) {
    for _ in 0..10 {
        let temporary = TempDir::with_prefix_in("interrupted-", scratch()).unwrap();
        let place = temporary.path().display().to_string();
        let mut child = Child::start_in(&[("TMPDIR", &place)], ferrule(), arguments).unwrap();
        child.until("the folder", |_| (!entries(temporary.path()).is_empty()).then_some(())).unwrap();
        let status = child.interrupt().unwrap();
        let (stdout, stderr) = child.output();
        assert_eq!(entries(temporary.path()), [] as [String; 0], "{arguments:?}: left behind");
        if !status.success() {
            assert_eq!(status.code(), Some(130), "{arguments:?}: {stdout}{stderr}");
            return (stdout, stderr);
        }
    }
    panic!("{arguments:?} was always faster");
}

fn entries(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect()
}

#[test]
fn an_interrupted_start_of_a_laboratory_leaves_nothing_behind() {
    let backends: Vec<_> = (0..30).map(|n| format!("b{n}.example")).collect();
    let (stdout, stderr) = interrupted_while_it_starts(&["dev", "--backends", &backends.join(",")]);
    assert!(stdout.is_empty() && stderr.contains("interrupted"), "{stdout}{stderr}");
}

#[test]
fn an_interrupted_demonstration_judges_nothing_and_leaves_nothing_behind() {
    for arguments in [&["demo"][..], &["demo", "--json"]] {
        let (stdout, stderr) = interrupted_while_it_starts(arguments);
        assert!(stderr.contains("interrupted"), "{arguments:?}: {stderr}");
        assert!(!stdout.contains("step") && !stdout.contains("held"), "{arguments:?}: {stdout}");
    }
}

#[test]
fn the_second_signal_does_not_wait_for_requests() {
    a_signal_cuts(2, "0");
}

/// The second one ends the delay, and nobody else is kept waiting.
#[test]
fn with_a_delay_the_third_signal_does_not_wait_for_requests() {
    a_signal_cuts(3, "600");
}

/// The last of so many signals ends the process at once, although a request is open.
fn a_signal_cuts(signals: usize, drain_delay: &str) {
    let folder = Folder::init_only(ferrule(), "stubborn.example").unwrap();
    let free = [
        ("FERRULE_EDGE__LISTEN", "127.0.0.1:0"),
        ("FERRULE_FEDERATION__LISTEN", "127.0.0.1:0"),
        ("FERRULE_LOG__FORMAT", "json"),
        ("FERRULE_DRAIN_DELAY", drain_delay),
    ];
    let mut served = folder.serve_in(&free).unwrap();
    let edge = served.backend().api.trim_start_matches("http://").to_owned();
    let mut client = TcpStream::connect(edge).unwrap();
    let head = "POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n";
    client.write_all(format!("{head}Expect: 100-continue\r\n\r\n").as_bytes()).unwrap();
    client.read_exact(&mut [0; 25]).unwrap();
    let pid = served.pid().to_string();
    let child = served.child();
    for heard in &["stopping", "in a hurry"][..signals - 1] {
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        child.until("word of the signal", |child| child.output().1.contains(heard).then_some(())).unwrap();
    }
    let start = Instant::now();
    let status = child.interrupt().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "it waited {:?}", start.elapsed());
    assert_eq!(status.code(), Some(130), "{}", child.output().1);
    assert!(child.output().1.contains("are cut"), "{}", child.output().1);
}

#[test]
fn somebody_at_a_terminal_gets_a_table() {
    let command = format!("{} dev --backends a.example,b.example --peer x.example=127.0.0.1:9", ferrule().display());
    let mut terminal = Child::start(Path::new("script"), ["-qefc", &command, "/dev/null"]).unwrap();
    let shown = |terminal: &Child| Some(terminal.output().0).filter(|text| text.contains("until Ctrl-C"));
    let text = terminal.until("the table", shown).unwrap();
    let rows: Vec<&str> = text.lines().map(str::trim_end).collect();
    for (domain, told) in [("a.example ", "http://"), ("b.example ", "http://"), ("x.example ", "runs elsewhere")] {
        assert!(rows.iter().any(|row| row.starts_with(domain) && row.contains(told)), "{domain}: {text}");
    }
    let json = rows.iter().find_map(|row| row.find('{').map(|from| &row[from..])).expect("a line of JSON");
    serde_json::from_str::<serde_json::Value>(json).unwrap();
}
