//! JSON shapes: what they are, and the form in which they are declared.

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use crate::{Schema, Version};

/// A JSON shape that travels as a body.
pub trait Shape: Schema + Serialize + DeserializeOwned {
    /// The JSON text in the form of that version. Shapes that were different once override this; what they do is
    /// written where they are declared.
    fn to_json(&self, version: Version) -> Vec<u8> {
        let _ = version;
        encode(self)
    }
}

/// JSON text. Shapes are made of maps with text keys and finite numbers, which always have one.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a shape has text keys and finite numbers")
}

/// The JSON key of a field: a raw identifier such as `r#type` without its mark.
pub(crate) fn key(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

/// Reads `null` like an absent field: as the default.
pub(crate) fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Declares a JSON object: the struct, its serde form and its schema, each field stated once.
///
/// `name: Type` is always there; `name?: Type` becomes an `Option` and is left out when absent (an incoming `null`
/// counts as absent); `name: Type = default` is always written and may be left out, or `null`, in what comes in;
/// `name: Type = "function"` is the same with another default.
macro_rules! shape {
    ($(#[$meta:meta])* pub struct $name:ident { $($fields:tt)* }) => {
        shape!(@munch [$(#[$meta])* $name] [] [] $($fields)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($info:tt)*]
        $(#[$meta:meta])* pub $key:ident ? : $type:ty, $($rest:tt)*) => {
        shape!(@munch [$($head)*]
            [$($field)* $(#[$meta])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $key: Option<$type>,]
            [$($info)* { $key, false, $type }]
            $($rest)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($info:tt)*]
        $(#[$meta:meta])* pub $key:ident : $type:ty = default, $($rest:tt)*) => {
        shape!(@munch [$($head)*]
            [$($field)* $(#[$meta])*
                #[serde(default, deserialize_with = "crate::shape::null_is_default")] pub $key: $type,]
            [$($info)* { $key, false, $type }]
            $($rest)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($info:tt)*]
        $(#[$meta:meta])* pub $key:ident : $type:ty = $default:literal, $($rest:tt)*) => {
        shape!(@munch [$($head)*]
            [$($field)* $(#[$meta])* #[serde(default = $default)] pub $key: $type,]
            [$($info)* { $key, false, $type }]
            $($rest)*);
    };
    (@munch [$($head:tt)*] [$($field:tt)*] [$($info:tt)*]
        $(#[$meta:meta])* pub $key:ident : $type:ty, $($rest:tt)*) => {
        shape!(@munch [$($head)*]
            [$($field)* $(#[$meta])* pub $key: $type,]
            [$($info)* { $key, true, $type }]
            $($rest)*);
    };
    (@munch [$(#[$meta:meta])* $name:ident] [$($field:tt)*] [$({ $key:ident, $required:literal, $type:ty })*]) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        $(#[$meta])*
        pub struct $name { $($field)* }

        impl $crate::Schema for $name {
            fn schema(schemas: &mut $crate::Schemas) -> serde_json::Value {
                schemas.object(stringify!($name), |schemas| vec![
                    $(($crate::shape::key(stringify!($key)), $required, <$type as $crate::Schema>::schema(schemas))),*
                ])
            }
        }
    };
}
pub(crate) use shape;
