//! YAML, within limits.

use serde_json::{Map, Value};
use serde_saphyr::{Budget, Options, budget::BudgetBreach};

use crate::limits;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// It is larger than [`limits::DOCUMENT_BYTES`].
    #[error("the file has {0} bytes; at most {max} are read", max = limits::DOCUMENT_BYTES)]
    TooLarge(usize),
    /// It is no YAML, or costs more than [`limits`] allow. The text names the place and quotes nothing of the document.
    #[error("{0}")]
    Unreadable(String),
    /// The document is a list or a text.
    #[error("the file is no map of options")]
    NoMap,
}

/// Reads one document that is a map; an empty one is an empty map.
pub(crate) fn map(text: &str) -> Result<Map<String, Value>, YamlError> {
    if text.len() > limits::DOCUMENT_BYTES {
        return Err(YamlError::TooLarge(text.len()));
    }
    let read: Option<Value> = serde_saphyr::from_str_with_options(text, options()).map_err(|e| unreadable(&e))?;
    match read {
        Some(Value::Object(map)) => Ok(map),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(YamlError::NoMap),
    }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = limits::DEPTH;
    budget.flow_nesting_limit = limits::DEPTH;
    budget.max_nodes = limits::NODES;
    budget.max_events = 2 * limits::NODES;
    budget.max_recorded_anchor_events = 2 * limits::NODES;
    budget.max_recorded_anchor_bytes = limits::DOCUMENT_BYTES;
    budget.max_aliases = limits::ALIASES;
    budget.max_anchors = limits::ALIASES;
    budget.max_merge_keys = limits::ALIASES;
    budget.max_total_scalar_bytes = limits::DOCUMENT_BYTES;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.alias_limits.max_total_replayed_events = limits::NODES;
    // Values files hold private keys: an error must quote nothing.
    options.with_snippet = false;
    options
}

fn unreadable(error: &serde_saphyr::Error) -> YamlError {
    let place = match error.location() {
        Some(location) => format!("line {}, column {}", location.line(), location.column()),
        None => "somewhere".to_owned(),
    };
    YamlError::Unreadable(format!("{place}: {}", kind(error)))
}

/// What is wrong, without a word of the document.
fn kind(error: &serde_saphyr::Error) -> &'static str {
    use serde_saphyr::Error as E;
    const SEVERAL: &str = "there is more than one document (`---`); give each in a file of its own";
    const EXCESS: &str = "the document is too large, too deep or has too many aliases";
    match error.without_snippet() {
        E::AliasError { error, .. } => kind(error),
        E::Budget { breach: BudgetBreach::Documents { .. }, .. } | E::MultipleDocuments { .. } => SEVERAL,
        E::Budget { .. } | E::AliasReplayLimitExceeded { .. } | E::AliasReplayStackDepthExceeded { .. } => EXCESS,
        // The parser below has limits of its own.
        E::ExternalMessage { msg, .. } if msg.contains("limit") => EXCESS,
        E::DuplicateMappingKey { .. } => "the same key is set twice",
        E::UnknownAnchor { .. } => "an alias names nothing",
        _ => "this is not YAML, or none that can be read",
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(text: &str) -> String {
        map(text).unwrap_err().to_string()
    }

    #[test]
    fn what_helm_takes_for_a_truth_value_is_one() {
        let read = map("a: yes\nb: off\nc: True\nd: 'yes'\ne: 3\nf: ~\ng: |\n  two\n  lines\nh: 1.5").unwrap();
        let wanted =
            json!({"a": true, "b": false, "c": true, "d": "yes", "e": 3, "f": null, "g": "two\nlines\n", "h": 1.5});
        assert_eq!(Value::Object(read), wanted);
    }

    #[test]
    fn an_empty_document_sets_nothing() {
        for text in ["", "\n", "# only a comment\n", "---\n", "~"] {
            assert_eq!(map(text).unwrap(), Map::new(), "{text:?}");
        }
        assert_eq!(map("- a\n- b"), Err(YamlError::NoMap));
        assert_eq!(map("text"), Err(YamlError::NoMap));
    }

    #[test]
    fn aliases_and_merge_keys_are_followed() {
        let read = map("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2").unwrap();
        assert_eq!(Value::Object(read), json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}));
    }

    #[test]
    fn several_documents_are_told_as_that() {
        for text in ["a: 1\n---\nb: 2", "---\na: 1\n---\nb: 2\n", "a: 1\n...\n---\nb: 2\n---\nc: 3"] {
            assert!(error(text).contains("more than one document"), "{text}: {}", error(text));
        }
        assert!(map("---\na: 1\n...\n").is_ok());
    }

    #[test]
    fn a_document_that_grows_when_read_is_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let last = level - 1;
            writeln!(laughs, "a{level}: &a{level} [{}]", vec![format!("*a{last}"); 10].join(", ")).unwrap();
        }
        let started = std::time::Instant::now();
        assert!(error(&laughs).contains("too many aliases"), "{}", error(&laughs));
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn a_document_that_is_too_deep_or_too_large_is_refused() {
        for (open, close) in [("[", "]"), ("{a: ", "}")] {
            let nested = |depth: usize| format!("a: {}{}", open.repeat(depth), close.repeat(depth));
            assert!(map(&nested(20)).is_ok());
            assert!(error(&nested(10_000)).contains("too deep"), "{}", error(&nested(10_000)));
        }
        let blocks: String = (0..500).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
        assert!(error(&blocks).contains("too deep"), "{}", error(&blocks));
        assert!(error(&format!("a: [{}]", "x,".repeat(limits::NODES + 1))).contains("too large"));
        assert_eq!(map(&"#".repeat(limits::DOCUMENT_BYTES + 1)), Err(YamlError::TooLarge(limits::DOCUMENT_BYTES + 1)));
    }

    #[test]
    fn an_error_names_the_place_and_quotes_nothing() {
        let secret = "MIGHAgEAMBMGByqGSM49";
        for text in [
            format!("a: 1\nkey: {secret}\nkey: {secret}"),
            format!("a: 1\n  {secret}: : x\n - {secret}"),
            format!("a: 1\nb: [ {secret}"),
            format!("a: *{secret}"),
            format!("a: 1\n---\nb: {secret}"),
            format!("a: !!int {secret}"),
            format!("a: !!binary \"{secret}*\""),
        ] {
            let error = error(&text);
            assert!(!error.contains(secret), "{text}\n{error}");
            assert!(error.starts_with("line "), "{text}\n{error}");
        }
        assert!(error("a: 1\na: 2").contains("line 2") && error("a: 1\na: 2").contains("twice"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = map(&text);
        }

        #[test]
        fn no_text_of_yaml_signs_makes_it_panic(text in "[-a:&*<!?|>{}\\[\\],#'\"%@`~\n\t 0-9]{0,120}") {
            let _ = map(&text);
        }
    }
}
