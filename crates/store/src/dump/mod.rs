//! A store as lines of JSON, for moving it to another engine or another machine, and for looking into it.
//!
//! The format, version 1. Each line is one object with one member, which says what it is; bytes are in base64, times and
//! versions in microseconds since 1970, ids of entries are UUIDs of version 1. The order is fixed, so that equal stores
//! have equal dumps:
//!
//! 1. `dump`: the format, the backend domain, the node in the ids of entries, the ceiling of the clock.
//! 2. `head` and `row`: aggregates in the order of their bytes, each with its head (version, last commits), then its rows.
//!    `of` names the aggregate: the tag of its kind in two bytes, then its id. `key` begins with the tag of the table.
//! 3. `plain`: plain rows by partition (`of`) and key.
//! 4. `body`: bodies that entries share, by number.
//! 5. `log`: the logs by name, each followed by its `entry` lines, oldest first.
//! 6. `end`: how many lines came before, and the CRC32C of all their bytes. Without it a dump is not whole.
//!
//! A dump of a damaged store says so in its first line (`salvage`), and in its last one how many things were `left_out`.
//!
//! `table` names the table for those who read a dump with other tools; who loads it goes by the tags.

mod read;
mod write;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::Timestamp;
use uuid::Uuid;

use crate::{EntryId, Version};

pub use read::Reader;
pub use write::Writer;

/// The newest version of the format.
pub const FORMAT: u32 = 1;

/// Bytes of one line. The largest value is 8 MiB, and JSON within JSON needs two bytes for a quotation mark.
pub const LINE: usize = 64 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Record {
    /// The first.
    Dump(Header),
    /// The head of an aggregate.
    Head(Head),
    /// A guarded row.
    Row(Row),
    /// A plain row.
    Plain(Row),
    /// A body that entries share.
    Body(Body),
    /// A log. Its entries follow.
    Log(Log),
    /// An entry of the log before it.
    Entry(Entry),
    /// The last.
    End(End),
}

/// What a dump says of the whole store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format: u32,
    /// The backend domain.
    pub domain: String,
    /// The node in the ids of entries that are to come, 16 hexadecimal digits.
    #[serde(with = "hexadecimal")]
    pub node: u64,
    /// Above all versions and ids that were handed out.
    pub ceiling: Version,
    /// Times of which nothing is known since an earlier backup was restored: after the first tick, up to the second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<(u64, u64)>,
    /// Whether it is of a damaged store, of which something may be left out. The last line says how much.
    #[serde(default, skip_serializing_if = "is_false")]
    pub salvage: bool,
}

/// What an aggregate knows of its own commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The aggregate.
    #[serde(with = "base64_bytes")]
    pub of: Bytes,
    /// The name of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The version that the last commit made.
    pub version: Version,
    /// The last commits with the versions that they made, oldest first.
    pub recent: Vec<(Uuid, Version)>,
    /// When it may be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub expires: Option<Timestamp>,
}

/// A row, guarded or plain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// The aggregate or partition.
    #[serde(with = "base64_bytes")]
    pub of: Bytes,
    /// The name of the table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The key behind the tag of the table.
    #[serde(with = "base64_bytes")]
    pub key: Bytes,
    /// The version of the commit that wrote it.
    pub version: Version,
    /// The JSON column, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<String>,
    /// The column of bytes.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_optional")]
    pub bin: Option<Bytes>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub expires: Option<Timestamp>,
}

/// A body that entries share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// By what entries name it.
    pub no: u64,
    /// What it is.
    #[serde(with = "base64_bytes")]
    pub bytes: Bytes,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The tag of its kind and its id.
    #[serde(with = "base64_bytes")]
    pub name: Bytes,
    /// The name of its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// For how long expired entries are remembered.
    pub memory: u64,
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its id.
    #[serde(with = "entry_id")]
    pub id: EntryId,
    /// By what a repetition is recognised.
    #[serde(with = "base64_bytes")]
    pub key: Bytes,
    /// What readers filter by.
    #[serde(with = "base64_bytes")]
    pub meta: Bytes,
    /// Its own body.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "base64_optional")]
    pub body: Option<Bytes>,
    /// The number of the body that it shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<u64>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros")]
    pub expires: Option<Timestamp>,
}

/// What makes a dump whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Lines before this one.
    pub lines: u64,
    /// CRC32C of all bytes before this line.
    pub crc32c: u32,
    /// Of a salvage: how many things of the store are not in it. A release that does not know this refuses the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
}

/// A dump cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It ends before its last line.
    #[error("the dump ends after line {lines}, before its end: it is not whole")]
    Cut {
        /// The lines that are there.
        lines: u64,
    },
    /// The last line does not fit to those before.
    #[error("the dump is damaged: its last line does not fit to those before")]
    Damaged,
    /// A line is none of a dump.
    #[error("line {line} of the dump: {problem}")]
    Line {
        /// Its number, from 1 on.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// Written by a newer release.
    #[error("the dump has format {found}, this release knows formats up to {FORMAT}: use a newer release")]
    NewerFormat {
        /// The format of the dump.
        found: u64,
    },
    /// It cannot be read or written.
    #[error("the dump cannot be read or written")]
    Io(#[from] std::io::Error),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_false(value: &bool) -> bool {
    !value
}

mod base64_bytes {
    use base64::Engine as _;

    use super::{Bytes, Deserialize, Deserializer, STANDARD, Serializer, decoded};

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        decoded(&std::borrow::Cow::<'de, str>::deserialize(from)?)
    }
}

mod base64_optional {
    use base64::Engine as _;

    use super::{Bytes, Deserialize, Deserializer, STANDARD, Serialize, Serializer, decoded};

    pub(super) fn serialize<S: Serializer>(bytes: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Bytes>, D::Error> {
        Option::<std::borrow::Cow<'de, str>>::deserialize(from)?.map(|text| decoded(&text)).transpose()
    }
}

fn decoded<E: serde::de::Error>(text: &str) -> Result<Bytes, E> {
    STANDARD.decode(text).map(Bytes::from).map_err(|_| E::custom("bytes that are not base64"))
}

mod micros {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(moment: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
        moment.map(Timestamp::micros).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_micros))
    }
}

mod entry_id {
    use super::{Deserialize, Deserializer, EntryId, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &EntryId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<EntryId, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

mod hexadecimal {
    use super::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
    }
}
