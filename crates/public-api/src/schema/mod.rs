//! What values look like, as JSON Schema, for the OpenAPI document.

mod foreign;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use types::{
    AssetKey, ClientId, ConversationId, Domain, FederationStrategy, Handle, ProviderId, Qualified, SearchPolicy,
    ServiceId, TeamId, Timestamp, UserId,
};

/// A value with a JSON Schema.
pub trait Schema {
    /// The schema. Named ones are put into `schemas` and answered as a reference.
    fn schema(schemas: &mut Schemas) -> Value;
}

/// The named schemas of a document: its `components.schemas`.
#[derive(Clone, Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the schema of that name, which `make` makes the first time.
    pub fn named(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Value) -> Value {
        if !self.0.contains_key(name) {
            // A placeholder first, so that a shape that contains itself ends.
            self.0.insert(name.to_owned(), Value::Null);
            let schema = make(self);
            self.0.insert(name.to_owned(), schema);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// A reference to an object of that name; fields are (name, required, schema).
    pub fn object(&mut self, name: &str, fields: impl FnOnce(&mut Self) -> Vec<(&'static str, bool, Value)>) -> Value {
        self.named(name, |schemas| {
            let fields = fields(schemas);
            let required: Vec<&str> = fields.iter().filter(|field| field.1).map(|field| field.0).collect();
            let properties: Map<String, Value> =
                fields.iter().map(|(name, _, schema)| ((*name).to_owned(), schema.clone())).collect();
            let mut object = json!({"type": "object", "properties": properties});
            if !required.is_empty() {
                object["required"] = json!(required);
            }
            object
        })
    }

    /// All of them.
    pub fn into_inner(self) -> BTreeMap<String, Value> {
        self.0
    }
}

macro_rules! schemas {
    ($($type:ty => $schema:tt;)*) => {$(
        impl Schema for $type {
            fn schema(_: &mut Schemas) -> Value {
                json!($schema)
            }
        }
    )*};
}

schemas! {
    bool => {"type": "boolean"};
    i32 => {"type": "integer", "format": "int32"};
    i64 => {"type": "integer", "format": "int64"};
    u16 => {"type": "integer", "minimum": 0, "maximum": 65535};
    u32 => {"type": "integer", "minimum": 0};
    u64 => {"type": "integer", "minimum": 0};
    String => {"type": "string"};
    Value => {};
    Domain => {"type": "string", "examples": ["example.com"]};
    Handle => {"type": "string", "minLength": 2, "maxLength": 256, "pattern": "^[a-z0-9_.-]*$"};
    UserId => {"type": "string", "format": "uuid"};
    TeamId => {"type": "string", "format": "uuid"};
    ConversationId => {"type": "string", "format": "uuid"};
    ProviderId => {"type": "string", "format": "uuid"};
    ServiceId => {"type": "string", "format": "uuid"};
    ClientId => {"type": "string", "pattern": "^[0-9a-f]{1,16}$"};
    AssetKey => {"type": "string"};
    Timestamp => {"type": "string", "format": "date-time"};
    SearchPolicy => {"type": "string", "enum": ["no_search", "exact_handle_search", "full_search"]};
    FederationStrategy => {"type": "string", "enum": ["allowNone", "allowAll", "allowDynamic"]};
}

impl<T: Schema> Schema for Option<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"anyOf": [T::schema(schemas), {"type": "null"}]})
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "array", "items": T::schema(schemas)})
    }
}

impl<T: Schema> Schema for BTreeSet<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "array", "items": T::schema(schemas), "uniqueItems": true})
    }
}

impl<K, T: Schema> Schema for BTreeMap<K, T> {
    fn schema(schemas: &mut Schemas) -> Value {
        json!({"type": "object", "additionalProperties": T::schema(schemas)})
    }
}

impl<T: Schema> Schema for Qualified<T> {
    fn schema(schemas: &mut Schemas) -> Value {
        let id = T::schema(schemas);
        json!({"type": "object", "properties": {"domain": Domain::schema(schemas), "id": id}, "required": ["domain", "id"]})
    }
}

/// Declares an enumeration: its variants with their texts, its serde form and its schema.
macro_rules! enumeration {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The text.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl $crate::Schema for $name {
            fn schema(schemas: &mut $crate::Schemas) -> serde_json::Value {
                schemas.named(stringify!($name), |_| serde_json::json!({"type": "string", "enum": [$($text),*]}))
            }
        }
    };
}
pub(crate) use enumeration;
