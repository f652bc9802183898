//! The parsers of outside text: none panics, whatever comes, and what one has read it writes so that it reads the same.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use proptest::prelude::*;
use types::{ClientId, Domain, Handle, Timestamp, UserId};

/// Text of every kind, and much that is nearly right.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-zA-Z0-9.:/_-]{0,300}",
        "([a-zA-Z0-9-]{1,12}\\.){1,4}[a-z0-9]{1,6}\\.?",
        "[0-9a-fA-F]{0,20}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,12})?(Z|[+-][0-9]{2}:[0-9]{2})",
    ]
}

fn reads_what_it_wrote<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert_eq!(written.parse::<T>().ok().as_ref(), Some(&value), "{text:?} became {written:?}");
    }
}

proptest! {
    #[test]
    fn domains(text in text()) {
        reads_what_it_wrote::<Domain>(&text);
        if let Ok(domain) = text.parse::<Domain>() {
            prop_assert!(domain.as_str().len() <= 253 && !domain.as_str().contains(|c: char| c.is_ascii_uppercase()));
            prop_assert!(domain.as_str() == text.to_ascii_lowercase());
        }
    }

    #[test]
    fn handles(text in text()) {
        reads_what_it_wrote::<Handle>(&text);
    }

    #[test]
    fn ids(text in text()) {
        reads_what_it_wrote::<UserId>(&text);
        reads_what_it_wrote::<ClientId>(&text);
    }

    #[test]
    fn timestamps(text in text()) {
        // They are shown in milliseconds, and are as exact as that when they are read again.
        if let Ok(time) = text.parse::<Timestamp>() {
            let written = time.to_string();
            let again: Timestamp = written.parse()?;
            prop_assert!((time.micros() - again.micros()).abs() < 1000, "{text:?} became {written:?}");
            prop_assert_eq!(again.to_string(), written);
        }
    }
}
