//! CRC32C of rows and entries: over the value and over where it belongs, so that a row that turns up in another place
//! is noticed too.

use types::Timestamp;

use crate::{Cell, Version};

/// Of a row.
pub(crate) fn row(part: &[u8], key: &[u8], version: Version, cell: &Cell, expires: Option<Timestamp>) -> u32 {
    let mut sum = Sum::default();
    sum.bytes(Some(part));
    sum.bytes(Some(key));
    sum.number(version.micros());
    sum.bytes(cell.json.as_ref().map(String::as_bytes));
    sum.bytes(cell.bin.as_deref());
    sum.time(expires);
    sum.0
}

/// Of an entry of a log; `shared` is the number of the body that it shares.
pub(crate) fn entry(
    (log, tick): (&[u8], u64),
    key: &[u8],
    meta: &[u8],
    body: Option<&[u8]>,
    shared: Option<i64>,
    expires: Option<Timestamp>,
) -> u32 {
    let mut sum = Sum::default();
    sum.bytes(Some(log));
    sum.number(tick);
    sum.bytes(Some(key));
    sum.bytes(Some(meta));
    sum.bytes(body);
    sum.number(shared.unwrap_or_default().cast_unsigned());
    sum.time(expires);
    sum.0
}

/// Of a shared body.
pub(crate) fn body(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

#[derive(Default)]
struct Sum(u32);

impl Sum {
    fn number(&mut self, number: u64) {
        self.0 = crc32c::crc32c_append(self.0, &number.to_be_bytes());
    }

    /// Length first, so that bytes cannot move from one field to the next; `None` differs from empty.
    fn bytes(&mut self, bytes: Option<&[u8]>) {
        self.number(bytes.map_or(u64::MAX, |b| b.len() as u64));
        self.0 = crc32c::crc32c_append(self.0, bytes.unwrap_or_default());
    }

    fn time(&mut self, time: Option<Timestamp>) {
        self.number(time.map_or(i64::MIN, Timestamp::micros).cast_unsigned());
    }
}
