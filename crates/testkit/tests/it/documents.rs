//! `docs/documents.md` names tests that there are.

use std::{collections::BTreeSet, fs};

use crate::root;

/// Fewer than this, and the page was not read as it is written.
const LEAST: usize = 100;

#[test]
fn every_test_that_is_named_exists() {
    let text = fs::read_to_string(root().join("docs/documents.md")).unwrap();
    let named = named(&text);
    assert!(named.len() >= LEAST, "only {} tests are named", named.len());
    let missing: Vec<String> = named.iter().filter(|(file, test)| !exists(file, test)).map(spelt).collect();
    assert!(missing.is_empty(), "there is no\n  {}", missing.join("\n  "));
}

#[test]
fn every_statement_has_a_test_or_says_why_not() {
    let text = fs::read_to_string(root().join("docs/documents.md")).unwrap();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
    let is_head = |row: &str| row.contains("| held by |");
    assert_eq!(rows.iter().filter(|row| is_head(row)).count(), 4, "one table for each text");
    for row in rows.into_iter().filter(|row| !is_head(row)) {
        let held_by = row.trim_end_matches([' ', '|']).rsplit_once(" | ").map_or("", |(_, held_by)| held_by);
        let answered = !named(held_by).is_empty() || held_by.starts_with("not yet: ") || held_by == "nothing to hold";
        assert!(answered, "nothing holds: {row}");
    }
}

#[test]
fn a_test_is_told_from_what_is_none() {
    let source = "#[test]\n#[ignore = \"x\"]\nfn one() {}\n    #[tokio::test]\n    async fn two() {\n    }\n\
                  fn helper() {}\nboth! {\n    three,\n}\nasync fn three(target: &Target) {}\n";
    for test in ["one", "two", "three"] {
        assert!(has_test(source, test), "{test}");
    }
    for none in ["helper", "on", "four", "target"] {
        assert!(!has_test(source, none), "{none}");
    }
    let page = "x `a/tests/it/b.rs::c`, `a::b`, `no.rs`, {`d/src/e.rs::f`} `../g.rs::h`";
    let expected = [("a/tests/it/b.rs", "c"), ("d/src/e.rs", "f"), ("../g.rs", "h")];
    assert_eq!(named(page), expected.into_iter().collect());
    assert!(!exists("no/such.rs", "one"));
}

/// The tests in code marks, `crate/path/file.rs::function`.
fn named(page: &str) -> BTreeSet<(&str, &str)> {
    page.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|mark| mark.split_once("::").filter(|m| m.0.ends_with(".rs")))
        .collect()
}

fn exists(file: &str, test: &str) -> bool {
    fs::read_to_string(root().join("crates").join(file)).is_ok_and(|source| has_test(&source, test))
}

/// Whether the source has a function of that name that is a test: by its attribute, or as one of a macro's list.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_function = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").is_some_and(|rest| rest.starts_with(&format!("{test}(")))
    };
    let Some(at) = lines.iter().position(|line| is_function(line)) else { return false };
    let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
    let attributed =
        attributes.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
    attributed || lines.contains(&format!("{test},").as_str())
}

fn spelt((file, test): &(&str, &str)) -> String {
    format!("{file}::{test}")
}
