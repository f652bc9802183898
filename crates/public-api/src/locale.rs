//! Languages and countries.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{Schema, Schemas, text::parsed};

/// A language (ISO 639-1, two small letters) and perhaps a country (ISO 3166-1 alpha-2, two capital letters): `de`,
/// `de-AT`. Whether the codes are assigned is not checked: a language that has no texts gets the default ones.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Locale {
    language: [u8; 2],
    country: Option<[u8; 2]>,
}

/// The text is no locale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid locale. Expected <ISO 639-1>(-<ISO 3166-1-alpha2>)? format")]
pub struct LocaleError;

impl Locale {
    /// English.
    pub const EN: Self = Self { language: *b"en", country: None };

    /// The language, such as `de`.
    pub fn language(&self) -> &str {
        ascii(&self.language)
    }

    /// The country, such as `AT`.
    pub fn country(&self) -> Option<&str> {
        self.country.as_ref().map(ascii)
    }
}

/// The type's constructors take ASCII letters only.
fn ascii(letters: &[u8; 2]) -> &str {
    std::str::from_utf8(letters).unwrap_or_default()
}

impl FromStr for Locale {
    type Err = LocaleError;

    fn from_str(text: &str) -> Result<Self, LocaleError> {
        let (language, country) = match text.split_once('-') {
            None => (text, None),
            Some((language, country)) => (language, Some(country)),
        };
        Ok(Self {
            language: letters(language, u8::is_ascii_lowercase)?,
            country: country.map(|country| letters(country, u8::is_ascii_uppercase)).transpose()?,
        })
    }
}

fn letters(text: &str, allowed: fn(&u8) -> bool) -> Result<[u8; 2], LocaleError> {
    let pair: [u8; 2] = text.as_bytes().try_into().map_err(|_| LocaleError)?;
    if pair.iter().all(allowed) { Ok(pair) } else { Err(LocaleError) }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.language())?;
        self.country().map_or(Ok(()), |country| write!(f, "-{country}"))
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Locale {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Locale {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl Schema for Locale {
    fn schema(_: &mut Schemas) -> Value {
        json!({"type": "string", "pattern": "^[a-z]{2}(-[A-Z]{2})?$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax() {
        for good in ["de", "de-AT", "en"] {
            assert_eq!(good.parse::<Locale>().unwrap().to_string(), good);
        }
        for bad in ["", "d", "DE", "de-at", "de-", "deu", "de-ATX", "de-AT-x", "dé"] {
            assert_eq!(bad.parse::<Locale>(), Err(LocaleError), "{bad}");
        }
    }
}
