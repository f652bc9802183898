//! What a check comes to.

use std::fmt;

use serde::{Serialize, Serializer};
use types::Domain;

use crate::catalogue::Check;

/// How a check went, the worse the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It could not be told.
    Skip,
    /// It is as it should be.
    Pass,
    /// It works, or may work, but somebody will stumble over it.
    Warn,
    /// Federation does not work, or is not safe.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a verdict function says about its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// What was seen.
    pub(crate) evidence: String,
    /// What is to be done, where that is more than the check's own remedy.
    pub(crate) remedy: Option<String>,
}

impl Outcome {
    pub(crate) fn pass(evidence: impl Into<String>) -> Self {
        Self::of(Verdict::Pass, evidence)
    }

    pub(crate) fn warn(evidence: impl Into<String>) -> Self {
        Self::of(Verdict::Warn, evidence)
    }

    pub(crate) fn fail(evidence: impl Into<String>) -> Self {
        Self::of(Verdict::Fail, evidence)
    }

    pub(crate) fn skip(evidence: impl Into<String>) -> Self {
        Self::of(Verdict::Skip, evidence)
    }

    /// With a remedy of its own.
    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }

    fn of(verdict: Verdict, evidence: impl Into<String>) -> Self {
        Self { verdict, evidence: evidence.into(), remedy: None }
    }

    /// The worst of several, with the evidence of all that are as bad; what is merely good is said where nothing is bad.
    pub(crate) fn worst(outcomes: impl IntoIterator<Item = Self>) -> Self {
        let outcomes: Vec<Self> = outcomes.into_iter().collect();
        let verdict = outcomes.iter().map(|one| one.verdict).max().unwrap_or(Verdict::Skip);
        let worst: Vec<Self> = outcomes.into_iter().filter(|one| one.verdict == verdict).collect();
        let mut evidence: Vec<String> = Vec::new();
        for one in &worst {
            if !evidence.contains(&one.evidence) {
                evidence.push(one.evidence.clone());
            }
        }
        let mut remedies: Vec<String> = Vec::new();
        for remedy in worst.iter().filter_map(|one| one.remedy.clone()) {
            if !remedies.contains(&remedy) {
                remedies.push(remedy);
            }
        }
        let remedy = (!remedies.is_empty()).then(|| remedies.join(" "));
        Self { verdict, evidence: evidence.join("; "), remedy }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The number of the check; it never changes its meaning.
    pub id: u8,
    /// What it is about.
    pub title: &'static str,
    /// The backend that it is about, for checks that are repeated for each.
    pub partner: Option<Domain>,
    /// How it went.
    pub verdict: Verdict,
    /// What was seen.
    pub evidence: String,
    /// What is to be done; only where something is.
    pub remedy: Option<String>,
    /// Ferrule's option.
    pub option: &'static str,
    /// The value of wire-server's Helm charts that sets the same.
    #[serde(serialize_with = "some_text")]
    pub helm: &'static str,
    /// The check that has to be good before this one can be made; only where it was left out for that.
    pub depends_on: Option<u8>,
}

impl Finding {
    pub(crate) fn of(check: &'static Check, partner: Option<&Domain>, outcome: Outcome) -> Self {
        let Outcome { verdict, evidence, remedy } = outcome;
        let remedy = match verdict {
            Verdict::Warn | Verdict::Fail => Some(remedy.unwrap_or_else(|| check.remedy.to_owned())),
            Verdict::Skip => remedy,
            Verdict::Pass => None,
        };
        Self {
            id: check.id,
            title: check.title,
            partner: partner.cloned(),
            verdict,
            evidence: one_line(&evidence),
            remedy: remedy.as_deref().map(one_line),
            option: check.option,
            helm: check.helm,
            depends_on: None,
        }
    }

    pub(crate) fn depending(check: &'static Check, partner: Option<&Domain>, on: u8) -> Self {
        let skip = Outcome::skip(format!("depends on {on}"));
        Self { depends_on: Some(on), ..Self::of(check, partner, skip) }
    }
}

fn some_text<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    if text.is_empty() { serializer.serialize_none() } else { serializer.serialize_str(text) }
}

/// What strangers said stays on one line, of bounded length, and without characters that a terminal would obey.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut line = String::new();
    let mut blank = false;
    for char in text.chars() {
        match char {
            char if char.is_whitespace() => blank = !line.is_empty(),
            char => {
                if std::mem::take(&mut blank) {
                    line.push(' ');
                }
                match char {
                    '"' | '\'' | '\\' => line.push(char),
                    char => line.extend(char.escape_debug()),
                }
            }
        }
        if line.len() > LONGEST {
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_worst_counts_and_all_of_it_is_told() {
        let all = [Outcome::pass("good"), Outcome::fail("bad"), Outcome::warn("so so"), Outcome::fail("worse")];
        let worst = Outcome::worst(all);
        assert_eq!((worst.verdict, worst.evidence.as_str()), (Verdict::Fail, "bad; worse"));
        assert_eq!(Outcome::worst([]).verdict, Verdict::Skip);
        let same = Outcome::worst([Outcome::pass("a"), Outcome::skip("b")]);
        assert_eq!((same.verdict, same.evidence.as_str()), (Verdict::Pass, "a"));
    }

    proptest! {
        #[test]
        fn whatever_a_stranger_says_is_one_harmless_line(text in any::<String>(), times in 1usize..20) {
            let line = one_line(&text.repeat(times));
            prop_assert!(!line.chars().any(char::is_control));
            prop_assert!(line.len() < 1100);
        }
    }
}
