//! What came of everything, for people and for machines.

use std::fmt::Write;

use serde::Serialize;
use types::Domain;

use crate::{
    catalogue::{Check, Group},
    outcome::{Finding, Verdict},
};

/// The whole report. Its JSON form is stable: fields may come, none will go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The backend domain, where the configuration could be read.
    pub domain: Option<Domain>,
    /// The worst of all verdicts.
    pub verdict: Verdict,
    /// How many there are of each.
    pub counts: Counts,
    /// The partners that were looked at.
    pub partners: Vec<Domain>,
    /// Every check, those of partners after those of this backend.
    pub checks: Vec<Finding>,
}

/// How many checks went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Good.
    pub pass: usize,
    /// Doubtful.
    pub warn: usize,
    /// Bad.
    pub fail: usize,
    /// Not told.
    pub skip: usize,
}

impl Report {
    pub(crate) fn new(domain: Option<Domain>, partners: Vec<Domain>, checks: Vec<Finding>) -> Self {
        let verdict = checks.iter().map(|one| one.verdict).max().unwrap_or(Verdict::Skip);
        let mut counts = Counts::default();
        for one in &checks {
            *match one.verdict {
                Verdict::Pass => &mut counts.pass,
                Verdict::Warn => &mut counts.warn,
                Verdict::Fail => &mut counts.fail,
                Verdict::Skip => &mut counts.skip,
            } += 1;
        }
        Self { domain, verdict, counts, partners, checks }
    }

    /// The exit status of the command: 0 if all is well, 1 with warnings, 2 with failures.
    pub fn exit_status(&self) -> u8 {
        match self.verdict {
            Verdict::Skip | Verdict::Pass => 0,
            Verdict::Warn => 1,
            Verdict::Fail => 2,
        }
    }

    /// The finding of a check, of a partner where one is named.
    pub fn finding(&self, id: u8, partner: Option<&str>) -> Option<&Finding> {
        self.checks.iter().find(|one| one.id == id && one.partner.as_ref().map(Domain::as_str) == partner)
    }

    /// For people. `paint` gives a verdict's word the colour of its meaning.
    pub fn text(&self, paint: impl Fn(Verdict, &str) -> String) -> String {
        let mut text = String::new();
        let mut heading = None;
        for one in &self.checks {
            let group = Check::numbered(one.id).map(|check| check.group);
            let here = (group, one.partner.clone());
            if heading.as_ref() != Some(&here) {
                let title = match (&one.partner, group) {
                    (Some(partner), _) => format!("Partner {partner}"),
                    (None, Some(group)) => group.title().to_owned(),
                    (None, None) => String::new(),
                };
                let gap = if text.is_empty() { "" } else { "\n" };
                let _ = writeln!(text, "{gap}{title}");
                heading = Some(here);
            }
            let word = paint(one.verdict, one.verdict.as_str());
            let _ = writeln!(text, "{:>4}  {word}  {}: {}", one.id, one.title, one.evidence);
            if let Some(remedy) = &one.remedy {
                let _ = writeln!(text, "            what to do: {remedy}");
                if let Some(options) = options(one) {
                    let _ = writeln!(text, "            option: {options}");
                }
            }
        }
        if self.partners.is_empty()
            && self.domain.is_some()
            && self.checks.iter().any(|one| one.id == 8 && one.verdict != Verdict::Skip)
        {
            let partner = Group::Partner.title().to_lowercase();
            let _ = writeln!(
                text,
                "\nNo backend is allowed by name, so there is nobody to look at ({partner}: checks 21 to 30)."
            );
        }
        let Counts { pass, warn, fail, skip } = self.counts;
        let _ = write!(text, "\n{pass} passed, {warn} warned, {fail} failed, {skip} skipped");
        text
    }
}

fn options(one: &Finding) -> Option<String> {
    match (one.option, one.helm) {
        ("", "") => None,
        (option, "") => Some(option.to_owned()),
        ("", helm) => Some(format!("Helm: {helm}")),
        (option, helm) => Some(format!("{option} (Helm: {helm})")),
    }
}
