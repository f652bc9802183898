//! Single questions to values, without making a configuration of them.

use types::Domain;

use super::{certificates::INWARD_CA, names::DOMAINS};
use crate::{
    options::{Options, Problem},
    values::Values,
};

/// How the backend domain is spelt in values that name it three times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spelling {
    /// What is set, by the path of the option.
    pub set: Vec<(&'static str, Domain)>,
    /// The options that are not set.
    pub missing: Vec<&'static str>,
    /// The options that are set to something that is no domain.
    pub wrong: Vec<Problem>,
}

/// How the backend domain is spelt.
pub fn spelling(values: &Values) -> Spelling {
    let options = Options::of(&values.0);
    let mut spelling = Spelling::default();
    for path in DOMAINS {
        if options.value(path).is_none() {
            spelling.missing.push(path);
        } else if let Some(domain) = options.parsed::<Domain>(path, "domain") {
            spelling.set.push((path, domain));
        } else if options.text(path).is_none() {
            options.problem(Problem::new(path, "this is no domain"));
        }
    }
    (_, spelling.wrong) = options.finish();
    spelling.wrong.dedup();
    spelling
}

/// The CA certificates that wire-server's ingress believes its callers by (`secrets.tlsClientCA`), as PEM.
pub fn callers_ca(values: &Values) -> Option<String> {
    Options::of(&values.0).text(INWARD_CA)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIG: &str = "brig: {config: {optSettings: {setFederationDomain: A.example}}}\n";
    const GALLEY: &str = "galley: {config: {settings: {federationDomain: b.example}}}\n";

    #[test]
    fn each_spelling_is_told_with_its_path() {
        let read = |text: &str| spelling(&Values::read(text).unwrap());
        let domain = |text: &str| text.parse::<Domain>().unwrap();
        let found = read(&format!("{BRIG}{GALLEY}"));
        assert_eq!(found.set, [(DOMAINS[0], domain("a.example")), (DOMAINS[1], domain("b.example"))]);
        assert_eq!((found.missing.as_slice(), found.wrong.as_slice()), (&DOMAINS[2..], &[][..]));
        assert_eq!(read("{}").missing, DOMAINS);
        for wrong in ["'two words'", "[a]", "''", "true"] {
            let found = read(&GALLEY.replace("b.example", wrong));
            assert_eq!((found.set.len(), found.wrong.is_empty()), (0, false), "{wrong}: {found:?}");
            assert!(found.wrong.iter().all(|problem| problem.options == [DOMAINS[1]]), "{wrong}: {found:?}");
        }
    }

    #[test]
    fn the_ca_of_callers() {
        let values = Values::read("secrets: {tlsClientCA: PEM}").unwrap();
        assert_eq!(callers_ca(&values).as_deref(), Some("PEM"));
        assert_eq!(callers_ca(&Values::default()), None);
    }
}
