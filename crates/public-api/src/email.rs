//! E-mail addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{Schema, Schemas, UrlValue, text::parsed};

/// An e-mail address in its original spelling: `local@domain` by RFC 5321 §4.1.2, without comments, blanks and address
/// literals. Characters beyond ASCII are allowed in the local part (RFC 6531).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmailAddress {
    text: String,
    at: usize,
}

/// The text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid email. Expected '<local>@<domain>'.")]
pub struct EmailError;

impl EmailAddress {
    /// Longest local part in bytes (RFC 5321 §4.5.3.1.1).
    pub const MAX_LOCAL_LEN: usize = 64;
    /// Longest address in bytes (RFC 3696, erratum 1690).
    pub const MAX_LEN: usize = 254;

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    pub fn local(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands behind it.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

impl FromStr for EmailAddress {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        // The last one: a quoted local part may contain others.
        let at = text.rfind('@').ok_or(EmailError)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        let fits = text.len() <= Self::MAX_LEN && (1..=Self::MAX_LOCAL_LEN).contains(&local.len());
        if fits && is_local(local) && domain.split('.').all(is_label) {
            return Ok(Self { text: text.to_owned(), at });
        }
        Err(EmailError)
    }
}

fn is_local(local: &str) -> bool {
    let quoted = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(inner) => is_quoted(inner),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(c)
        || (!c.is_ascii() && !c.is_control() && !c.is_whitespace())
}

fn is_quoted(inner: &str) -> bool {
    let mut escaped = false;
    let fine = inner.chars().all(|c| {
        let plain = !matches!(c, '"' | '\\') && !c.is_control();
        let ok = if escaped { !c.is_control() } else { plain || c == '\\' };
        escaped = !escaped && c == '\\';
        ok
    });
    fine && !escaped
}

fn is_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let inner = bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && inner
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for EmailAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl Schema for EmailAddress {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "format": "email"})
    }
}

impl UrlValue for EmailAddress {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "Invalid email".to_owned())
    }

    fn url_schema() -> Value {
        Self::schema(&mut Schemas::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn syntax() {
        let long_local = format!("{}@b.example", "a".repeat(65));
        let long = format!("a@{}example", "abcdefg.".repeat(32));
        for good in ["a@b.example", "A+x.y@B-c.example", "a@localhost", "\"a b@\\\"\"@b.example", "jürgen@b.example"] {
            let email: EmailAddress = good.parse().unwrap();
            assert_eq!(format!("{}@{}", email.local(), email.domain()), good);
        }
        for bad in [
            "",
            "@",
            "a",
            "a@",
            "@b.example",
            "a b@b.example",
            "a@b..example",
            "a@-b.example",
            "a@b_c.example",
            ".a@b.example",
            "a.@b.example",
            "a..b@b.example",
            "a@b.example.",
            "a@b@c.example",
            "\"a\"b\"@b.example",
            "\"a\\\"@b.example",
            "a\n@b.example",
            "a@[127.0.0.1]",
            "a(x)@b.example",
            &long_local,
            &long,
        ] {
            assert!(bad.parse::<EmailAddress>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            if let Ok(email) = text.parse::<EmailAddress>() {
                prop_assert_eq!(email.to_string(), text);
            }
        }
    }
}
