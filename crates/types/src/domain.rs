//! The name of a backend.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A backend domain, or any other DNS name of the same grammar, in lower case and without a trailing dot.
///
/// Grammar (`federation.md` §1): at least two labels (`localhost` alone is the exception), each of 1 to 63 ASCII
/// letters, digits and hyphens with no hyphen at either edge, the last label not starting with a digit, at most 253
/// bytes in all. Compared case-insensitively, which is why the text is folded when it is parsed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Longest domain in bytes (RFC 1035 §2.3.4, without the trailing dot).
    pub const MAX_LEN: usize = 253;

    /// The text, lower-case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// A label is empty, longer than 63 bytes, has a character outside `[A-Za-z0-9-]` or a hyphen at an edge.
    #[error("label {0} is empty, too long, or has a character that is not allowed")]
    Label(usize),
    /// The last label starts with a digit.
    #[error("the last label must not start with a digit")]
    NumericEnd,
    /// Fewer than two labels.
    #[error("a domain has at least two labels")]
    SingleLabel,
    /// Longer than [`Domain::MAX_LEN`].
    #[error("a domain has at most 253 bytes")]
    TooLong,
    /// A URL, or a domain with a port.
    #[error("a domain is written alone: without `https://`, port and path")]
    Url,
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        if text.len() > Self::MAX_LEN {
            return Err(DomainError::TooLong);
        }
        let folded = text.to_ascii_lowercase();
        if folded == "localhost" {
            return Ok(Self(folded.into()));
        }
        let mut labels = 0;
        let mut last = "";
        for (index, label) in folded.split('.').enumerate() {
            if !is_label(label.as_bytes()) {
                let url = folded.contains([':', '/']);
                return Err(if url { DomainError::Url } else { DomainError::Label(index + 1) });
            }
            labels += 1;
            last = label;
        }
        if labels < 2 {
            return Err(DomainError::SingleLabel);
        }
        if last.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(DomainError::NumericEnd);
        }
        Ok(Self(folded.into()))
    }
}

fn is_label(label: &[u8]) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    label.len() <= 63
        && edge(label.first())
        && edge(label.last())
        && label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for good in ["example.com", "a.b", "x-y.example.org", "localhost", "1a.example", "EXAMPLE.com"] {
            assert_eq!(good.parse::<Domain>().unwrap().as_str(), good.to_ascii_lowercase());
        }
        let long_label = format!("{}.com", "a".repeat(64));
        let long = format!("{}com", "abcdefg.".repeat(32));
        for (bad, why) in [
            ("", DomainError::Label(1)),
            ("com", DomainError::SingleLabel),
            ("a..b", DomainError::Label(2)),
            ("example.com.", DomainError::Label(3)),
            (".example.com", DomainError::Label(1)),
            ("-a.example", DomainError::Label(1)),
            ("a-.example", DomainError::Label(1)),
            ("a_b.example", DomainError::Label(1)),
            ("münchen.example", DomainError::Label(1)),
            ("127.0.0.1", DomainError::NumericEnd),
            ("https://a.example", DomainError::Url),
            ("a.example:8443", DomainError::Url),
            ("a.example/", DomainError::Url),
            (long_label.as_str(), DomainError::Label(1)),
            (long.as_str(), DomainError::TooLong),
        ] {
            assert_eq!(bad.parse::<Domain>(), Err(why), "{bad}");
        }
    }
}
