//! Bytes from anybody: nothing panics, and what is read at all means one thing.

use federation_api::shapes::{SHAPES, find};
use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::grammar::{self, cases, junk};

/// If the text is read, what is written is read and written the same again.
fn means_one_thing(roundtrip: fn(&str) -> Result<String, String>, text: &str) -> Result<(), TestCaseError> {
    if let Ok(once) = roundtrip(text) {
        prop_assert_eq!(roundtrip(&once), Ok(once));
    }
    Ok(())
}

#[test]
fn any_text() {
    let texts = prop_oneof![".{0,40}", junk().prop_map(|value| value.to_string())];
    let strategy = (any::<Index>(), texts);
    TestRunner::new(cases(4_000))
        .run(&strategy, |(shape, text)| means_one_thing(shape.get(SHAPES).roundtrip, &text))
        .unwrap();
}

#[test]
fn documents_with_a_place_that_is_wrong() {
    for (name, grammar) in grammar::all() {
        let strategy = (grammar, any::<Index>(), proptest::option::of(junk()));
        let roundtrip = find(name).unwrap().roundtrip;
        let result = TestRunner::new(cases(64)).run(&strategy, |(doc, place, replacement)| {
            let mut document = doc.sent;
            let places = pointers(&document);
            damage(&mut document, place.get(&places).as_str(), replacement);
            means_one_thing(roundtrip, &document.to_string())
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn texts_cut_off() {
    for (name, grammar) in grammar::all() {
        let roundtrip = find(name).unwrap().roundtrip;
        let result = TestRunner::new(cases(8)).run(&(grammar, any::<Index>()), |(doc, end)| {
            let text = doc.sent.to_string();
            let whole: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            means_one_thing(roundtrip, &text[..*end.get(&whole)])
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn nesting_without_end_is_refused() {
    for open in ["[", "{\"a\":", "{\"contents\":", "{\"picture\":["] {
        let text = open.repeat(10_000);
        for shape in SHAPES {
            assert!((shape.roundtrip)(&text).is_err(), "{}", shape.name);
        }
    }
    let deep = format!("{}{}", "[".repeat(1_000), "]".repeat(1_000));
    let profile = json!({"qualified_id": {"domain": "a.example", "id": "ac41a202-2555-11ec-9341-00163e5e6c00"},
        "name": "A", "accent_id": 0, "legalhold_status": "no_consent", "picture": "PLACE"});
    let text = profile.to_string().replace("\"PLACE\"", &deep);
    assert!((find("UserProfile").unwrap().roundtrip)(&text).is_err());
}

fn pointers(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut below = |key: &str, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        found.extend(pointers(value).into_iter().map(|rest| format!("/{key}{rest}")));
    };
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(n, item)| below(&n.to_string(), item)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| below(key, value)),
        _ => {}
    }
    found
}

/// Puts something else in a place, or takes it away.
fn damage(document: &mut Value, place: &str, replacement: Option<Value>) {
    if let Some(replacement) = replacement {
        *document.pointer_mut(place).unwrap() = replacement;
    } else if let Some((parent, key)) = place.rsplit_once('/') {
        match document.pointer_mut(parent).unwrap() {
            Value::Array(items) => drop(items.remove(key.parse().unwrap())),
            Value::Object(fields) => drop(fields.remove(&key.replace("~1", "/").replace("~0", "~"))),
            _ => {}
        }
    }
}
