//! Checks 52 and 53: a backend that is several processes.

use crate::{facts::processes::Asked, outcome::Outcome};

/// Check 52: the federator's ports.
pub(crate) fn federator(asked: &[Asked]) -> Outcome {
    answering(asked, "the federator is part of this process", |one| match one.option {
        "components.federator" => {
            "Start the federator, and set `components.federator` to its `outward.listen` (federatorInternal of \
             wire-server's)."
                .to_owned()
        }
        option => format!("Start the federator, and look whether something else has the port of `{option}`."),
    })
}

/// Check 53: the components' ports.
pub(crate) fn components(asked: &[Asked]) -> Outcome {
    answering(asked, "the components are part of this process", |one| {
        match one.option {
        "components.listen" => {
            "Start the backend. If it runs: the addresses of the federator, and of this machine for the doctor, stand in \
             `components.federators`."
                .to_owned()
        }
        option => format!("Start the component, or set `{option}` to where it listens for other components."),
    }
    })
}

fn answering(asked: &[Asked], none: &str, remedy: impl Fn(&Asked) -> String) -> Outcome {
    if asked.is_empty() {
        return Outcome::pass(none);
    }
    Outcome::worst(asked.iter().map(|one| match &one.answer {
        Ok(()) => Outcome::pass(format!("{} ({}) answers", one.option, one.place)),
        Err(why) => Outcome::fail(format!("{} ({}) does not answer: {why}", one.option, one.place)).remedy(remedy(one)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn one_that_is_away_is_named_with_its_own_remedy() {
        let asked = |option, answer: Result<(), &str>| Asked {
            option,
            place: "brig:8080".into(),
            answer: answer.map_err(str::to_owned),
        };
        assert_eq!(federator(&[]).verdict, Verdict::Pass);
        assert_eq!(components(&[asked("components.brig", Ok(()))]).verdict, Verdict::Pass);
        for (option, told) in
            [("components.brig", "set `components.brig`"), ("components.listen", "components.federators")]
        {
            let outcome = components(&[asked("components.galley", Ok(())), asked(option, Err("refused"))]);
            assert_eq!(outcome.verdict, Verdict::Fail);
            assert!(outcome.evidence.contains(option) && !outcome.evidence.contains("galley"), "{outcome:?}");
            assert!(outcome.remedy.as_ref().unwrap().contains(told), "{outcome:?}");
        }
        for (option, told) in [("components.federator", "federatorInternal"), ("outward.listen", "`outward.listen`")] {
            let outcome = federator(&[asked(option, Err("refused"))]);
            assert!(outcome.remedy.as_ref().unwrap().contains(told), "{outcome:?}");
        }
    }
}
