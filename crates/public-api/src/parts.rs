//! The parts of a request that stand in its URL and headers.
//!
//! What is wrong with them is answered with 400 and plain text, not JSON (`brig.md` §1, "Bodies").

use std::borrow::Cow;

use federation_api::UserTypeFilter;
use http::HeaderName;
use serde_json::Value;

use crate::{Schema, text::Secret};

/// A value in the URL or in a header is missing or unreadable: 400 with this plain text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(pub String);

impl Rejection {
    /// A header that must be there is not.
    pub fn missing_header(name: &HeaderName) -> Self {
        Self(format!("Header {name} is required"))
    }

    /// A header's value does not parse.
    pub fn bad_header(name: &HeaderName) -> Self {
        Self(format!("Error parsing header {name} failed"))
    }
}

/// A value that can stand in a URL.
pub trait UrlValue: Sized {
    /// Reads the decoded text. The error says what is wrong.
    ///
    /// # Errors
    /// The text is no such value.
    fn from_text(text: &str) -> Result<Self, String>;

    /// What it looks like, as JSON Schema.
    fn url_schema() -> Value;
}

/// Values whose text form is the one of `FromStr` and whose JSON form is that text.
macro_rules! url_values {
    ($($type:ty),*) => {$(
        impl UrlValue for $type {
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error| format!("{error}"))
            }

            fn url_schema() -> Value {
                <$type as Schema>::schema(&mut crate::Schemas::default())
            }
        }
    )*};
}

url_values!(types::Domain, types::Handle, types::UserId, types::TeamId, types::ClientId, u32, u64, i32, String);

impl UrlValue for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("neither true nor false".to_owned()),
        }
    }

    fn url_schema() -> Value {
        bool::schema(&mut crate::Schemas::default())
    }
}

impl UrlValue for Secret {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned().into())
    }

    fn url_schema() -> Value {
        Secret::schema(&mut crate::Schemas::default())
    }
}

impl UrlValue for UserTypeFilter {
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "app" => Ok(Self::App),
            "regular" => Ok(Self::Regular),
            _ => Err("neither regular nor app".to_owned()),
        }
    }

    fn url_schema() -> Value {
        Self::schema(&mut crate::Schemas::default())
    }
}

/// The captures of a path: `()`, `(A,)`, `(A, B)`, ….
pub trait PathParts: Sized + Send + 'static {
    /// How many there are.
    const COUNT: usize;

    /// Reads the decoded segments that were captured.
    ///
    /// # Errors
    /// One of them is no such value.
    fn parse(segments: &[Cow<'_, str>]) -> Result<Self, Rejection>;

    /// Their schemas, in order.
    fn params() -> Vec<Value>;
}

macro_rules! path_parts {
    ($count:literal $($part:ident $index:literal),*) => {
        impl<$($part: UrlValue + Send + 'static),*> PathParts for ($($part,)*) {
            const COUNT: usize = $count;

            fn parse(segments: &[Cow<'_, str>]) -> Result<Self, Rejection> {
                if segments.len() != $count {
                    return Err(Rejection("the path has another number of parts".to_owned()));
                }
                Ok(($(capture::<$part>(&segments[$index])?,)*))
            }

            fn params() -> Vec<Value> {
                vec![$($part::url_schema()),*]
            }
        }
    };
}

path_parts!(0);
path_parts!(1 A 0);
path_parts!(2 A 0, B 1);
path_parts!(3 A 0, B 1, C 2);
path_parts!(4 A 0, B 1, C 2, D 3);

fn capture<T: UrlValue>(text: &str) -> Result<T, Rejection> {
    T::from_text(text).map_err(|error| Rejection(format!("Error parsing path segment: {error}")))
}

/// One parameter of a query string, for the documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// What it looks like, as JSON Schema.
    pub schema: Value,
}

/// The decoded pairs of a query string.
#[derive(Clone, Debug, Default)]
pub struct QueryPairs<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl QueryPairs<'_> {
    /// The first value of that name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The value of that name, if it is there.
    ///
    /// # Errors
    /// It is there and does not parse.
    pub fn optional<T: UrlValue>(&self, name: &str) -> Result<Option<T>, Rejection> {
        let Some(text) = self.first(name) else { return Ok(None) };
        let bad = |error| Rejection(format!("Error parsing query parameter {name} failed: {error}"));
        T::from_text(text).map(Some).map_err(bad)
    }

    /// The value of that name.
    ///
    /// # Errors
    /// It is missing or does not parse.
    pub fn required<T: UrlValue>(&self, name: &str) -> Result<T, Rejection> {
        self.optional(name)?.ok_or_else(|| Rejection(format!("Query parameter {name} is required")))
    }
}

/// A query string.
pub trait QueryParts: Sized + Send + 'static {
    /// Reads it. Parameters that it does not know are ignored.
    ///
    /// # Errors
    /// A parameter is missing or unreadable.
    fn parse(pairs: &QueryPairs<'_>) -> Result<Self, Rejection>;

    /// Its parameters.
    fn params() -> Vec<Param>;
}

/// No parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoQuery;

impl QueryParts for NoQuery {
    fn parse(_: &QueryPairs<'_>) -> Result<Self, Rejection> {
        Ok(Self)
    }

    fn params() -> Vec<Param> {
        Vec::new()
    }
}

/// Declares query strings: `name: Type` must be there, `name?: Type` becomes an `Option`.
macro_rules! query {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        query!(@munch [$(#[$meta])* $name] [] [] [] $($fields)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($read:tt)*] [$($param:tt)*]
        $(#[$meta:meta])* pub $key:ident ? : $type:ty, $($rest:tt)*) => {
        query!(@munch [$($head)*]
            [$($field)* $(#[$meta])* pub $key: Option<$type>,]
            [$($read)* $key: optional,]
            [$($param)* { stringify!($key), false, $type }]
            $($rest)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($read:tt)*] [$($param:tt)*]
        $(#[$meta:meta])* pub $key:ident : $type:ty, $($rest:tt)*) => {
        query!(@munch [$($head)*]
            [$($field)* $(#[$meta])* pub $key: $type,]
            [$($read)* $key: required,]
            [$($param)* { stringify!($key), true, $type }]
            $($rest)*);
    };
    (@munch [$(#[$meta:meta])* $name:ident] [$($field:tt)*] [$($key:ident: $how:ident,)*]
        [$({ $label:expr, $required:literal, $type:ty })*]) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name { $($field)* }

        impl $crate::QueryParts for $name {
            fn parse(pairs: &$crate::QueryPairs<'_>) -> Result<Self, $crate::Rejection> {
                Ok(Self { $($key: pairs.$how($crate::shape::key(stringify!($key)))?,)* })
            }

            fn params() -> Vec<$crate::Param> {
                vec![$($crate::Param {
                    name: $crate::shape::key($label),
                    required: $required,
                    schema: <$type as $crate::UrlValue>::url_schema(),
                }),*]
            }
        }
    };
}
pub(crate) use query;

/// A number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded<const MIN: u32, const MAX: u32>(pub u32);

impl<const MIN: u32, const MAX: u32> UrlValue for Bounded<MIN, MAX> {
    fn from_text(text: &str) -> Result<Self, String> {
        let number = text.parse::<u32>().ok().filter(|n| (MIN..=MAX).contains(n));
        number.map(Self).ok_or_else(|| format!("outside range [{MIN}, {MAX}]"))
    }

    fn url_schema() -> Value {
        serde_json::json!({"type": "integer", "format": "int32", "minimum": MIN, "maximum": MAX})
    }
}

/// Values separated by commas; an empty text means none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommaSeparated<T>(pub Vec<T>);

impl<T: UrlValue> UrlValue for CommaSeparated<T> {
    fn from_text(text: &str) -> Result<Self, String> {
        text.split(',').filter(|part| !part.is_empty()).map(T::from_text).collect::<Result<_, _>>().map(Self)
    }

    fn url_schema() -> Value {
        serde_json::json!({"type": "string"})
    }
}
