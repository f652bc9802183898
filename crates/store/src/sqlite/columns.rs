//! Columns as they are stored, taken with care: after damage anything may stand in them.

use bytes::Bytes;
use rusqlite::{Row, types::ValueRef};
use types::Timestamp;

use crate::{Cell, CommitId, Corrupt, Version, checksum, engine::Head};

pub(super) fn blob<'a>(row: &'a Row<'_>, at: usize) -> Result<&'a [u8], Corrupt> {
    optional_blob(row, at)?.ok_or(Corrupt("an empty column"))
}

pub(super) fn optional_blob<'a>(row: &'a Row<'_>, at: usize) -> Result<Option<&'a [u8]>, Corrupt> {
    match row.get_ref(at) {
        Ok(ValueRef::Blob(bytes)) => Ok(Some(bytes)),
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(Corrupt("a column of another type")),
    }
}

fn optional_text(row: &Row<'_>, at: usize) -> Result<Option<String>, Corrupt> {
    match row.get_ref(at) {
        Ok(ValueRef::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| Corrupt("a text that is no UTF-8"))?;
            Ok(Some(text.to_owned()))
        }
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(Corrupt("a column of another type")),
    }
}

pub(super) fn number(row: &Row<'_>, at: usize) -> Result<i64, Corrupt> {
    optional_number(row, at)?.ok_or(Corrupt("an empty column"))
}

pub(super) fn optional_number(row: &Row<'_>, at: usize) -> Result<Option<i64>, Corrupt> {
    match row.get_ref(at) {
        Ok(ValueRef::Integer(number)) => Ok(Some(number)),
        Ok(ValueRef::Null) => Ok(None),
        _ => Err(Corrupt("a column of another type")),
    }
}

/// The columns `version, json, bin, expires, crc` of `rows` and `plain`.
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) cell: Cell,
    pub(super) expires: Option<Timestamp>,
}

impl Stored {
    /// Reads them from column `at` on and checks them.
    pub(super) fn take(row: &Row<'_>, at: usize, part: &[u8], key: &[u8]) -> Result<Self, Corrupt> {
        let version = Version::from_micros(number(row, at)?.cast_unsigned());
        let bin = optional_blob(row, at + 2)?.map(Bytes::copy_from_slice);
        let cell = Cell { json: optional_text(row, at + 1)?, bin };
        let expires = optional_number(row, at + 3)?.map(Timestamp::from_micros);
        if number(row, at + 4)? != i64::from(checksum::row(part, key, version, &cell, expires)) {
            return Err(Corrupt("a checksum that does not fit"));
        }
        Ok(Self { version, cell, expires })
    }
}

/// As a row of the aggregate.
impl Head {
    /// The key of head rows: shorter than any tag, so that it is no table's.
    pub(super) const KEY: &'static [u8] = &[0];

    pub(super) fn of(stored: &Stored) -> Result<Self, Corrupt> {
        let (items, rest) = stored.cell.bin.as_deref().unwrap_or_default().as_chunks::<24>();
        if !rest.is_empty() {
            return Err(Corrupt("a head of another shape"));
        }
        let item = |item: &[u8; 24]| {
            let (id, version) = (u128::from_be_bytes(part(item, 0)), u64::from_be_bytes(part(item, 16)));
            (CommitId(uuid::Uuid::from_u128(id)), Version::from_micros(version))
        };
        Ok(Self { version: stored.version, recent: items.iter().map(item).collect() })
    }

    pub(super) fn cell(&self) -> Cell {
        let mut bytes = Vec::with_capacity(self.recent.len() * 24);
        for (id, version) in &self.recent {
            bytes.extend_from_slice(id.0.as_bytes());
            bytes.extend_from_slice(&version.micros().to_be_bytes());
        }
        Cell::bin(bytes.into())
    }
}

fn part<const N: usize>(bytes: &[u8; 24], at: usize) -> [u8; N] {
    std::array::from_fn(|n| bytes[at + n])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(bytes: Vec<u8>) -> Stored {
        Stored { version: Version::from_micros(7), cell: Cell::bin(bytes.into()), expires: None }
    }

    proptest! {
        #[test]
        fn heads_come_back(recent: Vec<(u128, u64)>) {
            let recent: Vec<_> = recent
                .into_iter()
                .map(|(id, version)| (CommitId(uuid::Uuid::from_u128(id)), Version::from_micros(version)))
                .collect();
            let cell = Head { version: Version::from_micros(7), recent: recent.clone() }.cell();
            let head = Head::of(&stored(cell.bin.unwrap_or_default().to_vec())).expect("of that shape");
            prop_assert_eq!((head.version, head.recent), (Version::from_micros(7), recent));
        }

        #[test]
        fn foreign_heads_never_panic(bytes: Vec<u8>) {
            let whole = bytes.len() % 24 == 0;
            prop_assert_eq!(Head::of(&stored(bytes)).is_ok(), whole);
        }
    }
}
