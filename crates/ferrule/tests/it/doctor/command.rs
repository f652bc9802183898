//! The command line: what it refuses, and how it ends then.

use std::{ffi::OsStr, path::Path, process::Command};

use testkit::process::{Child, run};

use crate::support::ferrule;

#[test]
fn what_makes_no_sense_ends_with_a_status_of_its_own() {
    for (arguments, told) in [
        (&["doctor", "--ready-file", "/nonexistent/ready.json"][..], "reading /nonexistent/ready.json"),
        (&["doctor", "--ready-file", "a", "--config", "b"], "cannot be used with"),
        (&["doctor", "--from-outside", "notaurl"], "expected a URL"),
        (&["doctor", "--from-outside", "ftp://a.example"], "expected a URL"),
        (&["doctor", "--from-outside", "https:///path"], "--from-outside"),
        (&["doctor", "no domain"], "no domain"),
        (&["doctor", "--nonsense"], "--nonsense"),
    ] {
        let ended = run(ferrule(), arguments).unwrap();
        assert_eq!((ended.status.code(), ended.stdout.as_str()), (Some(3), ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
    }
    assert_eq!(run(ferrule(), ["serve", "--nonsense"]).unwrap().status.code(), Some(2));
    let help = run(ferrule(), ["doctor", "--help"]).unwrap();
    assert!(help.status.success() && help.stdout.contains("[env: FERRULE_CONFIG]"), "{}", help.stdout);
}

#[test]
fn the_environment_names_the_configuration_unless_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    let (ready, nothing) = (folder.path().join("ready.json"), folder.path().join("nothing.toml"));
    let at = |path: &Path| path.display().to_string();
    let dev = ["dev", "--backends", "a.example", "--ready-file", &at(&ready), "--data", &at(folder.path())]
        .map(str::to_owned);
    let mut dev = Child::start(ferrule(), dev).unwrap();
    dev.until("the ready-file", |_| ready.exists().then_some(())).unwrap();
    let config = folder.path().join("a.example").join("ferrule.toml");
    let doctor = |arguments: &[&OsStr], variable: &Path| {
        let mut command = Command::new(ferrule());
        command.arg("doctor").args(arguments).env("FERRULE_CONFIG", variable).output().unwrap()
    };
    let (ready_file, config_file) = ("--ready-file".as_ref(), "--config".as_ref());
    for (arguments, variable, status) in [
        (&[ready_file, ready.as_os_str()][..], &nothing, 0),
        (&[config_file, config.as_os_str()], &nothing, 0),
        (&[], &config, 0),
        (&[], &nothing, 2),
    ] {
        let ended = doctor(arguments, variable);
        assert_eq!(ended.status.code(), Some(status), "{arguments:?} {variable:?}: {ended:?}");
    }
    assert!(dev.terminate().unwrap().success());
}
