//! Keys: typed values as bytes that sort as the values do.

use types::{
    AssetKey, BotId, ClientId, ConversationId, Domain, Handle, ProviderId, Qualified, ServiceId, TeamId, Timestamp,
    UserId,
};
use uuid::Uuid;

use crate::{EntryId, error::Corrupt};

/// Where a key is written to.
#[derive(Debug, Default)]
pub struct KeyBuf(Vec<u8>);

impl KeyBuf {
    /// Appends bytes as they are. For parts of a fixed length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Appends bytes of any length so that they sort as they do alone and end by themselves: a zero byte becomes
    /// `00 ff`, the end is `00 00`.
    pub fn terminated(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xff);
            }
        }
        self.0.extend_from_slice(&[0, 0]);
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

/// What names a row, an aggregate, a partition or a log.
///
/// Two rules make ranges mean what they say: the bytes of two keys compare as the keys do, and no key's bytes are a
/// prefix of another's. A type whose values compare by `Ord` otherwise than by these bytes must say so.
pub trait Key: Sized {
    /// Writes the key.
    fn put(&self, buf: &mut KeyBuf);

    /// Reads a key from the front of `bytes` and moves them past it.
    ///
    /// # Errors
    /// [`Corrupt`] when the bytes are no such key.
    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt>;

    /// Says what such keys consist of, for those who read them without the type.
    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Rest);
    }
}

/// A part of a key, as bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Bytes that end by themselves; see [`KeyBuf::terminated`].
    Bytes,
    /// So many bytes.
    Fixed(usize),
    /// A number without sign, of so many bytes, eight at most.
    Number(usize),
    /// All that is left, whatever it is.
    Rest,
    /// A number of eight bytes with its sign turned over.
    Signed,
    /// Text that ends by itself.
    Text,
    /// A moment, as a [`Signed`](Self::Signed) number of microseconds since 1970.
    Time,
    /// A UUID.
    Uuid,
}

/// A key that is the beginning of a longer key `K`, for ranges over all that begin with it.
pub trait Leads<K>: Key {}

impl<A: Key, B: Key> Leads<(A, B)> for A {}
impl<A: Key, B: Key, C: Key> Leads<(A, B, C)> for A {}
impl<A: Key, B: Key, C: Key> Leads<(A, B, C)> for (A, B) {}

/// The bytes of a key behind a two-byte tag.
pub(crate) fn tagged<K: Key>(tag: u16, key: &K) -> Vec<u8> {
    let mut buf = KeyBuf::default();
    buf.raw(&tag.to_be_bytes());
    key.put(&mut buf);
    buf.into_vec()
}

/// The key behind a two-byte tag, which must be all there is.
pub(crate) fn untagged<K: Key>(bytes: &[u8]) -> Result<K, Corrupt> {
    let mut rest = bytes.get(2..).ok_or(Corrupt("a key shorter than its tag"))?;
    let key = K::take(&mut rest)?;
    if rest.is_empty() { Ok(key) } else { Err(Corrupt("bytes behind a key")) }
}

/// The tag of a key or name.
pub(crate) fn tag(tagged: &[u8]) -> Option<u16> {
    tagged.first_chunk().copied().map(u16::from_be_bytes)
}

/// A key for people: text where it is text, hexadecimal otherwise.
pub(crate) fn show(bytes: &[u8]) -> String {
    let body = bytes.get(2..).unwrap_or(bytes);
    let body = body.strip_suffix(&[0, 0]).unwrap_or(body);
    if !body.is_empty() && body.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(body).into_owned();
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Corrupt> {
    let (head, rest) = bytes.split_first_chunk::<N>().ok_or(Corrupt("a key that ends too early"))?;
    *bytes = rest;
    Ok(*head)
}

fn terminated(bytes: &mut &[u8]) -> Result<Vec<u8>, Corrupt> {
    let mut out = Vec::new();
    loop {
        match **bytes {
            [0, 0, ref rest @ ..] => {
                *bytes = rest;
                return Ok(out);
            }
            [0, 0xff, ref rest @ ..] => {
                out.push(0);
                *bytes = rest;
            }
            [0, ..] => return Err(Corrupt("a zero byte inside a key")),
            [byte, ref rest @ ..] => {
                out.push(byte);
                *bytes = rest;
            }
            [] => return Err(Corrupt("a key without its end")),
        }
    }
}

fn text(bytes: &mut &[u8]) -> Result<String, Corrupt> {
    String::from_utf8(terminated(bytes)?).map_err(|_| Corrupt("a key that is no UTF-8"))
}

impl Key for () {
    fn put(&self, _: &mut KeyBuf) {}

    fn take(_: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok(())
    }

    fn shape(_: &mut Vec<Part>) {}
}

macro_rules! unsigned {
    ($($int:ty)*) => {$(
        impl Key for $int {
            fn put(&self, buf: &mut KeyBuf) {
                buf.raw(&self.to_be_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
                fixed(bytes).map(Self::from_be_bytes)
            }

            fn shape(parts: &mut Vec<Part>) {
                parts.push(match size_of::<Self>() {
                    bytes @ ..=8 => Part::Number(bytes),
                    bytes => Part::Fixed(bytes),
                });
            }
        }
    )*};
}
unsigned! { u8 u16 u32 u64 u128 }

impl Key for bool {
    fn put(&self, buf: &mut KeyBuf) {
        u8::from(*self).put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        match u8::take(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Corrupt("a key that is no boolean")),
        }
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Number(1));
    }
}

impl Key for i64 {
    fn put(&self, buf: &mut KeyBuf) {
        // The sign bit turned over puts negative numbers before the others.
        (self.cast_unsigned() ^ (1 << 63)).put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok((u64::take(bytes)? ^ (1 << 63)).cast_signed())
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Signed);
    }
}

impl Key for Timestamp {
    fn put(&self, buf: &mut KeyBuf) {
        self.micros().put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        i64::take(bytes).map(Self::from_micros)
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Time);
    }
}

impl<const N: usize> Key for [u8; N] {
    fn put(&self, buf: &mut KeyBuf) {
        buf.raw(self);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        fixed(bytes)
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Fixed(N));
    }
}

impl Key for Vec<u8> {
    fn put(&self, buf: &mut KeyBuf) {
        buf.terminated(self);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        terminated(bytes)
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Bytes);
    }
}

impl Key for String {
    fn put(&self, buf: &mut KeyBuf) {
        buf.terminated(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        text(bytes)
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Text);
    }
}

macro_rules! parsed {
    ($($name:ty)*) => {$(
        impl Key for $name {
            fn put(&self, buf: &mut KeyBuf) {
                buf.terminated(self.as_str().as_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
                text(bytes)?.parse().map_err(|_| Corrupt(concat!("a key that is no ", stringify!($name))))
            }

            fn shape(parts: &mut Vec<Part>) {
                parts.push(Part::Text);
            }
        }
    )*};
}
parsed! { Domain Handle }

impl Key for Uuid {
    fn put(&self, buf: &mut KeyBuf) {
        buf.raw(self.as_bytes());
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        fixed(bytes).map(Self::from_bytes)
    }

    fn shape(parts: &mut Vec<Part>) {
        parts.push(Part::Uuid);
    }
}

/// The shape of the only field of a type, by its constructor.
fn shape_of_field<T: Key, S>(_: impl FnOnce(T) -> S, parts: &mut Vec<Part>) {
    T::shape(parts);
}

macro_rules! newtypes {
    ($($name:ident)*) => {$(
        impl Key for $name {
            fn put(&self, buf: &mut KeyBuf) {
                self.0.put(buf);
            }

            fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
                Key::take(bytes).map(Self)
            }

            fn shape(parts: &mut Vec<Part>) {
                shape_of_field(Self, parts);
            }
        }
    )*};
}
newtypes! { UserId TeamId ConversationId ProviderId ServiceId BotId ClientId AssetKey }

impl<T: Key> Key for Qualified<T> {
    fn put(&self, buf: &mut KeyBuf) {
        self.domain.put(buf);
        self.id.put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let domain = Domain::take(bytes)?;
        Ok(Self::new(T::take(bytes)?, domain))
    }

    fn shape(parts: &mut Vec<Part>) {
        Domain::shape(parts);
        T::shape(parts);
    }
}

impl Key for EntryId {
    fn put(&self, buf: &mut KeyBuf) {
        self.tick().put(buf);
        self.node().put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        let tick = u64::take(bytes)?;
        Ok(Self::new(tick, u64::take(bytes)?))
    }

    fn shape(parts: &mut Vec<Part>) {
        u64::shape(parts);
        u64::shape(parts);
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn put(&self, buf: &mut KeyBuf) {
        self.0.put(buf);
        self.1.put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok((A::take(bytes)?, B::take(bytes)?))
    }

    fn shape(parts: &mut Vec<Part>) {
        A::shape(parts);
        B::shape(parts);
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn put(&self, buf: &mut KeyBuf) {
        self.0.put(buf);
        self.1.put(buf);
        self.2.put(buf);
    }

    fn take(bytes: &mut &[u8]) -> Result<Self, Corrupt> {
        Ok((A::take(bytes)?, B::take(bytes)?, C::take(bytes)?))
    }

    fn shape(parts: &mut Vec<Part>) {
        A::shape(parts);
        B::shape(parts);
        C::shape(parts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check<K: Key + Ord + std::fmt::Debug>(a: &K, b: &K) -> Result<(), TestCaseError> {
        let (x, y) = (tagged(7, a), tagged(7, b));
        prop_assert_eq!(x.cmp(&y), a.cmp(b), "{:?} {:?}", a, b);
        prop_assert!(x == y || !y.starts_with(&x), "{:?} {:?}", a, b);
        prop_assert_eq!(&untagged::<K>(&x).unwrap(), a);
        Ok(())
    }

    proptest! {
        #[test]
        fn texts(a in "[a-c\0]{0,5}", b in "[a-c\0]{0,5}") { check(&a, &b)?; }

        #[test]
        fn bytes(a: Vec<u8>, b: Vec<u8>) { check(&a, &b)?; }

        #[test]
        fn numbers(a: (u8, i64, u32), b: (u8, i64, u32)) { check(&a, &b)?; }

        #[test]
        fn mixed(a in ("[a\0]{0,3}", any::<u16>()), b in ("[a\0]{0,3}", any::<u16>())) { check(&a, &b)?; }

        #[test]
        fn times(a: i64, b: i64) { check(&Timestamp::from_micros(a), &Timestamp::from_micros(b))?; }

        #[test]
        fn foreign_bytes_never_panic(bytes: Vec<u8>) {
            let _ = untagged::<(String, u64)>(&bytes);
            let _ = untagged::<(Vec<u8>, Handle)>(&bytes);
            let _ = untagged::<Qualified<UserId>>(&bytes);
            let _ = show(&bytes);
        }
    }
}
