//! What a command says that cannot start, and what `config check` finds beforehand.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    process::{Command, Stdio},
};

use testkit::process::{Child, Ended, Folder, run as run_program};

use crate::support::ferrule;

fn folder() -> Folder {
    Folder::init_only(ferrule(), "start.example").unwrap()
}

/// With one line of the configuration in the place of another.
fn changed(old: &str, new: &str) -> Folder {
    let folder = folder();
    let config = fs::read_to_string(folder.config()).unwrap();
    assert!(config.contains(old), "{config}");
    fs::write(folder.config(), config.replacen(old, new, 1)).unwrap();
    folder
}

/// With another data folder.
fn with_data(folder: &str) -> Folder {
    changed("data = \"data\"", &format!("data = '{folder}'"))
}

/// With another internal listener.
fn with_internal(listen: &str) -> Folder {
    changed("listen = \"unix\"", &format!("listen = '{listen}'"))
}

#[track_caller]
fn refused(ended: &Ended, told: &[&str]) {
    assert!(!ended.status.success(), "{}", ended.stdout);
    for told in told {
        assert!(ended.stderr.contains(told), "{told} is not told: {}", ended.stderr);
    }
    let parts: Vec<_> = ended.stderr.trim_end().split(": ").collect();
    for (index, part) in parts.iter().enumerate() {
        assert!(!parts[..index].contains(part), "{part} is told twice: {}", ended.stderr);
    }
}

#[test]
fn each_cause_is_told_once() {
    let missing = run_program(ferrule(), ["serve", "--config", "/nowhere/ferrule.toml"]).unwrap();
    refused(&missing, &["/nowhere/ferrule.toml", "no such file", "ferrule init", "--config"]);
    let directory = run_program(ferrule(), ["serve", "--config", "/"]).unwrap();
    refused(&directory, &["cannot be read", "directory"]);
    let below_a_file = run_program(ferrule(), ["init", "--domain", "a.example", "/dev/null/folder"]).unwrap();
    refused(&below_a_file, &["/dev/null/folder", "cannot be written"]);

    let folder = folder();
    let not_running = folder.command(&["federation", "list"]).unwrap();
    refused(&not_running, &["is the backend running?", "cannot connect"]);
    fs::write(folder.path("federation.pem"), "nothing").unwrap();
    refused(&folder.command(&["serve"]).unwrap(), &["federation: server certificate", "federation.pem"]);
    fs::write(folder.path("zauth-private.txt"), "?").unwrap();
    refused(&folder.command(&["serve"]).unwrap(), &["zauth-private.txt", "line 1"]);
    fs::remove_file(folder.path("zauth-private.txt")).unwrap();
    refused(&folder.command(&["serve"]).unwrap(), &["zauth-private.txt", "no such file", "ferrule init"]);
    fs::create_dir(folder.path("zauth-private.txt")).unwrap();
    let unreadable = folder.command(&["serve"]).unwrap();
    refused(&unreadable, &["zauth-private.txt", "cannot be read", "directory"]);
    assert!(!unreadable.stderr.contains("ferrule init"), "the keys are there: {}", unreadable.stderr);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = taken.local_addr().unwrap().to_string();
    let folder = changed("127.0.0.1:8080", &place);
    refused(&folder.command(&["serve"]).unwrap(), &["edge.listen", &place, "in use"]);
    let folder = with_data("/dev/null/data");
    refused(&folder.command(&["serve"]).unwrap(), &["data", "/dev/null/data", "directory"]);
}

#[test]
fn a_check_finds_what_would_keep_a_backend_from_starting() {
    refused(&with_data("/dev/null/data").command(&["config", "check"]).unwrap(), &["/dev/null/data"]);
    let long = format!("unix:/tmp/{}/socket", "long".repeat(40));
    for command in [&["config", "check"][..], &["serve"]] {
        let ended = with_internal(&long).command(command).unwrap();
        refused(&ended, &["internal.listen", "/socket", "SUN_LEN", "set it to"]);
    }
    let loud = changed("[edge]", "[log]\nlevel = 'a=b=c'\n[edge]").command(&["config", "check"]).unwrap();
    refused(&loud, &["log.level", "a=b=c"]);
    let check = folder().command(&["config", "check"]).unwrap();
    assert!(check.status.success() && check.stdout.contains("not checked: whether the ports are free"), "{check:?}");
}

#[test]
fn an_internal_listener_for_everybody_is_warned_of() {
    let folder = with_internal("0.0.0.0:0");
    let check = folder.command(&["config", "check"]).unwrap();
    assert!(check.status.success() && check.stdout.contains("warning: internal.listen: 0.0.0.0:0"), "{check:?}");
    let free = [
        ("FERRULE_EDGE__LISTEN", "127.0.0.1:0"),
        ("FERRULE_FEDERATION__LISTEN", "127.0.0.1:0"),
        ("FERRULE_LOG__FORMAT", "json"),
    ];
    let served = folder.serve_in(&free).unwrap();
    assert!(served.log().contains("internal.listen: 0.0.0.0:0"), "{}", served.log());
    served.stop().unwrap();
}

#[test]
fn the_environment_may_hold_any_bytes() {
    let folder = folder();
    let config = folder.config().display().to_string();
    let show = |name: &[u8], value: &[u8]| {
        let mut command = Command::new(ferrule());
        command.args(["config", "show", "--config", &config]);
        let ended = command.env(OsStr::from_bytes(name), OsStr::from_bytes(value)).output().unwrap();
        (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for name in [&b"OTHER"[..], b"OTHER_\xff", b"FERRULE_TEST_X"] {
        assert_eq!(show(name, b"caf\xe9"), (true, String::new()), "{}", String::from_utf8_lossy(name));
    }
    for (name, told) in [(&b"FERRULE_DATA"[..], "FERRULE_DATA: "), (b"FERRULE_\xff", "FERRULE_\u{fffd}: ")] {
        let (success, said) = show(name, b"caf\xe9");
        assert!(!success && said.contains(told) && said.contains("not UTF-8"), "{said}");
    }
}

#[test]
fn the_log_of_a_backend_has_no_colours_in_a_file() {
    let folder = folder();
    let free = [("FERRULE_EDGE__LISTEN", "127.0.0.1:0"), ("FERRULE_FEDERATION__LISTEN", "127.0.0.1:0")];
    let config = folder.config().display().to_string();
    let mut child = Child::start_in(&free, ferrule(), ["serve", "--config", &config]).unwrap();
    let log = child.until("ready", |child| Some(child.output().1).filter(|log| log.contains("ready"))).unwrap();
    assert!(!log.contains('\u{1b}'), "{log:?}");
    child.terminate().unwrap();
}

#[test]
fn nobody_reads_the_result() {
    let folder = folder();
    for arguments in [&["config", "show"][..], &["config", "check"]] {
        let mut command = Command::new(ferrule());
        command.args(arguments).arg("--config").arg(folder.config());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
}

#[test]
fn addresses_are_asked_for_in_words() {
    let dev = run_program(ferrule(), ["dev", "--backends", "a.example", "--peer", "x.example=localhost:1"]).unwrap();
    refused(&dev, &["localhost:1", "an IP address with a port"]);
    let dev = run_program(ferrule(), ["dev", "--backends", "https://a.example"]).unwrap();
    refused(&dev, &["without `https://`"]);
}
