//! What `ferrule doctor --json` said, and what a fixture holds it to.

use std::collections::BTreeSet;

use serde_json::Value;
use testkit::process::Ended;

/// A report and the exit status that came with it.
pub struct Examined {
    report: Value,
    status: i32,
}

impl Examined {
    /// Reads what the command printed.
    #[track_caller]
    pub fn of(ended: Ended) -> Self {
        let Ok(report) = serde_json::from_str(&ended.stdout) else {
            panic!("this is no report ({}): {}{}", ended.status, ended.stdout, ended.stderr);
        };
        Self { report, status: ended.status.code().expect("it was not killed") }
    }

    /// Holds that every check was made and went well.
    #[track_caller]
    pub fn is_well(&self) -> &Self {
        self.is([]);
        assert_eq!(self.report["counts"]["skip"], 0, "{self}");
        self
    }

    /// Holds that exactly this check fails, with this in its evidence and this in its remedy: all others pass, or are left
    /// out because they depend on it.
    #[track_caller]
    pub fn fails(&self, id: u8, evidence: &str, remedy: &str) -> &Self {
        self.is([(id, "fail")]).says(id, evidence, remedy)
    }

    /// The same for a warning.
    #[track_caller]
    pub fn warns(&self, id: u8, evidence: &str, remedy: &str) -> &Self {
        self.is([(id, "warn")]).says(id, evidence, remedy)
    }

    /// Holds that these checks went so, and that all others pass, or are left out because they depend on one of these.
    /// The exit status is that of the worst.
    #[track_caller]
    pub fn is<const N: usize>(&self, wanted: [(u8, &str); N]) -> &Self {
        let wanted: BTreeSet<(u64, &str)> = wanted.into_iter().map(|(id, verdict)| (id.into(), verdict)).collect();
        let bad: BTreeSet<(u64, &str)> =
            self.verdicts().filter(|(_, verdict)| ["fail", "warn"].contains(verdict)).collect();
        assert_eq!(bad, wanted, "{self}");
        let unmade: BTreeSet<u64> =
            self.verdicts().filter(|(_, verdict)| *verdict == "skip").map(|(id, _)| id).collect();
        for check in self.checks().iter().filter(|check| check["verdict"] == "skip") {
            if let Some(on) = check["depends_on"].as_u64() {
                assert!(wanted.iter().any(|(id, _)| *id == on) || unmade.contains(&on), "{check}: {self}");
            }
        }
        let worst = match wanted {
            _ if wanted.iter().any(|(_, verdict)| *verdict == "fail") => (2, "fail"),
            _ if wanted.is_empty() => (0, "pass"),
            _ => (1, "warn"),
        };
        assert_eq!((self.status, self.report["verdict"].as_str().unwrap()), worst, "{self}");
        self
    }

    /// Holds that the finding has this in its evidence and this in its remedy, and names the option that is concerned.
    #[track_caller]
    pub fn says(&self, id: u8, evidence: &str, remedy: &str) -> &Self {
        let found = self.checks().iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no {id}: {self}"));
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        assert!(text("evidence").contains(evidence), "{evidence:?}: {found}");
        assert!(!remedy.is_empty() && text("remedy").contains(remedy), "{remedy:?}: {found}");
        let check = doctor::Check::numbered(id).expect("it is in the catalogue");
        assert_eq!((text("title").as_str(), text("option").as_str()), (check.title, check.option), "{found}");
        self
    }

    /// Holds that these checks could not be made, for want of that one.
    #[track_caller]
    pub fn leaves_out(&self, ids: &[u8], for_want_of: u8) -> &Self {
        for id in ids {
            let found =
                self.checks().iter().find(|check| check["id"] == *id).unwrap_or_else(|| panic!("no {id}: {self}"));
            assert_eq!((&found["verdict"], &found["depends_on"]), (&"skip".into(), &for_want_of.into()), "{found}");
        }
        self
    }

    /// Holds that exactly these checks could not be made, for no fault that was found.
    #[track_caller]
    pub fn cannot_tell(&self, ids: &[u8]) -> &Self {
        let unmade: Vec<u64> = self.verdicts().filter(|(_, verdict)| *verdict == "skip").map(|(id, _)| id).collect();
        assert_eq!(unmade, ids.iter().map(|id| u64::from(*id)).collect::<Vec<_>>(), "{self}");
        self
    }

    /// The whole document.
    pub fn report(&self) -> &Value {
        &self.report
    }

    fn checks(&self) -> &[Value] {
        self.report["checks"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn verdicts(&self) -> impl Iterator<Item = (u64, &str)> {
        self.checks().iter().filter_map(|check| Some((check["id"].as_u64()?, check["verdict"].as_str()?)))
    }
}

impl std::fmt::Display for Examined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "exit status {}", self.status)?;
        for check in self.checks() {
            writeln!(
                f,
                "{:>3} {:<5} {}: {} [{}]",
                check["id"], check["verdict"], check["partner"], check["evidence"], check["remedy"]
            )?;
        }
        Ok(())
    }
}
