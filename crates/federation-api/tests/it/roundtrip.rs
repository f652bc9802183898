//! Every shape reads what may be sent and writes what its grammar says, and nothing else.

use federation_api::shapes::{SHAPES, find};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;

use crate::grammar::{self, cases};

#[test]
fn names_are_unique_and_in_order() {
    assert!(SHAPES.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn every_shape_has_a_grammar() {
    let mut described: Vec<_> = grammar::all().into_iter().map(|(name, _)| name).collect();
    described.sort_unstable();
    let declared: Vec<_> = SHAPES.iter().map(|shape| shape.name).collect();
    assert_eq!(described, declared);
}

#[test]
fn what_is_sent_is_written_as_the_grammar_says() {
    for (name, grammar) in grammar::all() {
        let roundtrip = find(name).unwrap().roundtrip;
        let result = TestRunner::new(cases(96)).run(&grammar, |doc| {
            let sent = doc.sent.to_string();
            let written: Value = serde_json::from_str(&roundtrip(&sent).map_err(TestCaseError::fail)?).unwrap();
            prop_assert_eq!(&written, &doc.written, "sent {}", sent);
            // What was written once is written again, byte for byte in meaning.
            let again: Value = serde_json::from_str(&roundtrip(&written.to_string()).unwrap()).unwrap();
            prop_assert_eq!(again, written);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    }
}
