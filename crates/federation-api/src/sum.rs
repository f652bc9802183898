//! Types of several constructors: `{"tag": …, "contents": …}` (`federation.md` §6.2).

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error},
    ser::SerializeStruct,
};
use serde_json::Value;

/// Declares an enum with this JSON: `Variant(Content) = "Tag"`. A variant without content is written without
/// `contents`, and content sent with it is ignored; missing content and `null` are the same. Without a tag of its own
/// a variant is written under its name.
///
/// (serde's derived form of such enums refuses content that is not expected.)
macro_rules! sum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $variant:ident $(($content:ty))? $(= $tag:literal)?,)+
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$doc])* $variant $(($content))?,)+
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant $(($crate::sum::sum!(@name content $content)))? => $crate::sum::write(
                        serializer,
                        stringify!($name),
                        $crate::sum::sum!(@tag $variant $($tag)?),
                        $crate::sum::sum!(@option $(content $content)?),
                    ),)+
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let sent = $crate::sum::Tagged::deserialize(deserializer)?;
                $(if sent.tag == $crate::sum::sum!(@tag $variant $($tag)?) {
                    return $crate::sum::sum!(@read sent $variant $($content)?);
                })+
                Err(sent.unknown(&[$($crate::sum::sum!(@tag $variant $($tag)?)),+]))
            }
        }
    };

    (@tag $variant:ident) => { stringify!($variant) };
    (@tag $variant:ident $tag:literal) => { $tag };
    (@name $name:ident $content:ty) => { $name };
    (@option) => { None::<&()> };
    (@option $name:ident $content:ty) => { Some($name) };
    (@read $sent:ident $variant:ident) => { Ok(Self::$variant) };
    (@read $sent:ident $variant:ident $content:ty) => { $sent.contents::<$content, _>().map(Self::$variant) };
}
pub(crate) use sum;

/// What was sent. The content often comes before the tag that says what it is.
#[derive(Deserialize)]
pub(crate) struct Tagged {
    pub(crate) tag: String,
    #[serde(default)]
    contents: Value,
}

impl Tagged {
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    pub(crate) fn contents<T: DeserializeOwned, E: Error>(self) -> Result<T, E> {
        serde_json::from_value(self.contents).map_err(E::custom)
    }

    pub(crate) fn unknown<E: Error>(&self, tags: &'static [&'static str]) -> E {
        E::unknown_variant(&self.tag, tags)
    }
}

pub(crate) fn write<S: Serializer, T: Serialize>(
    serializer: S,
    name: &'static str,
    tag: &'static str,
    contents: Option<&T>,
) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_struct(name, 1 + usize::from(contents.is_some()))?;
    object.serialize_field("tag", tag)?;
    if let Some(contents) = contents {
        object.serialize_field("contents", contents)?;
    }
    object.end()
}
