//! Each limit: the exact value passes, one more is refused before anything happens.

use bytes::Bytes;
use store::{
    Aggregate, Cell, Commit, CommitError, Corrupt, Guarded, Life, Limit, LogKind, NewBody, NewEntry, Plain, ReadError,
    Size, Value, Version, limits,
};

use crate::bench::{BYTES, Bench, LARGE, LIST, OWED, THING, entry};

const NAMED: Aggregate<Vec<u8>> = Aggregate::new(3, "named", Life::Kept);
const KEYED: Guarded<Vec<u8>, Bytes> = Guarded::new(30, "keyed", &THING, Size::Row);
const PART: Plain<Vec<u8>, Vec<u8>, Both> = Plain::new(3, "part");
const LOG: LogKind<Vec<u8>> = LogKind::new(3, "log", None, std::time::Duration::ZERO, std::time::Duration::ZERO);

/// A value in both columns.
struct Both(String, Bytes);

impl Value for Both {
    fn to_cell(&self) -> Cell {
        Cell { json: Some(self.0.clone()), bin: Some(self.1.clone()) }
    }

    fn from_cell(cell: &Cell) -> Result<Self, Corrupt> {
        let bin = cell.bin.clone().ok_or(Corrupt("no bytes"))?;
        Ok(Self(cell.json.clone().ok_or(Corrupt("no JSON"))?, bin))
    }
}

fn bytes(n: usize) -> Bytes {
    Bytes::from(vec![1; n])
}

/// A key of so many encoded bytes: two mark its end.
fn key(n: usize) -> Vec<u8> {
    vec![1; n - 2]
}

fn fill(c: &mut Commit, rest: usize) {
    // 15 MiB in four bodies, and what is missing of the sixteenth.
    for _ in 0..3 {
        c.body(bytes(limits::BODY));
    }
    c.body(bytes(3 << 20));
    c.body(bytes(rest));
}

pub async fn limits_typed(bench: Bench) {
    type Compose = fn(&mut Commit, usize);
    let cases: &[(Limit, usize, Compose)] = &[
        (Limit::Key, limits::KEY, |c, n| {
            c.put(&KEYED, &key(n), &bytes(1));
        }),
        (Limit::Key, limits::KEY, |c, n| c.expect_absent(&KEYED, &[9].repeat(n - 2))),
        (Limit::Key, limits::KEY, |c, n| c.effect_delete(&PART, &key(9), &key(n))),
        (Limit::Name, limits::NAME, |c, n| c.effect_delete(&PART, &key(n), &key(9))),
        (Limit::Name, limits::NAME, |c, n| c.append(&LOG, &key(n), entry("x"))),
        (Limit::Value, limits::VALUE, |c, n| {
            c.put(&BYTES, &1, &bytes(n));
        }),
        (Limit::Value, limits::VALUE, |c, n| {
            c.effect_put(&PART, &key(9), &key(9), &Both("\"text\"".to_owned(), bytes(n - 6)));
        }),
        (Limit::LargeValue, limits::LARGE_VALUE, |c, n| {
            c.put(&LARGE, &1, &bytes(n));
        }),
        (Limit::Rows, limits::ROWS, |c, n| (0..n as u32).for_each(|k| c.delete(&BYTES, &k))),
        // Each key has four bytes.
        (Limit::RowBytes, limits::ROW_BYTES, |c, n| {
            for k in 0..31 {
                c.put(&BYTES, &k, &bytes(limits::VALUE - 4));
            }
            c.put(&BYTES, &31, &bytes(n - 31 * limits::VALUE - 4)).expires(types::Timestamp::EPOCH);
        }),
        (Limit::Effects, limits::EFFECTS, |c, n| {
            (0..n as u64).for_each(|k| {
                c.effect_put(&LIST, &(k % 50), &k, &"x".to_owned());
            })
        }),
        (Limit::Appends, limits::APPENDS, |c, n| (0..n as u64).for_each(|k| c.append(&OWED, &(k % 50), entry("x")))),
        (Limit::Entry, limits::ENTRY, |c, n| {
            let (key, body) = (Some(bytes(100)), NewBody::Inline(bytes(n - 101)));
            c.append(&OWED, &1, NewEntry { key, meta: bytes(1), body });
        }),
        (Limit::Body, limits::BODY, |c, n| {
            c.body(bytes(n));
        }),
        // The aggregate's id has eight bytes.
        (Limit::Commit, limits::COMMIT, |c, n| fill(c, n - (15 << 20) - 8)),
    ];
    for (at, (what, most, compose)) in cases.iter().enumerate() {
        let id = at as u64;
        let too_much = |n| {
            let mut c = Commit::at(THING.of(&id));
            compose(&mut c, n);
            c
        };
        assert_eq!(bench.store.commit(too_much(*most + 1)).await, Err(CommitError::TooLarge { what: *what }), "{at}");
        assert_eq!(bench.view(id).await.version(), Version::NEVER);
        let done = bench.store.commit(too_much(*most)).await;
        assert!(done.is_ok(), "{at} {what} {done:?}");
    }
    names(&bench).await;
    pages(&bench).await;
}

async fn names(bench: &Bench) {
    let named = |n| Commit::at(NAMED.of(&key(n)));
    bench.store.commit(named(limits::NAME)).await.unwrap();
    let what = Limit::Name;
    assert_eq!(bench.store.commit(named(limits::NAME + 1)).await, Err(CommitError::TooLarge { what }));
    let read = bench.store.view(NAMED.of(&key(limits::NAME + 1))).await.err();
    assert_eq!(read, Some(ReadError::TooLarge { what }));
    let read = bench.store.log(&LOG, &key(limits::NAME + 1)).newest().await;
    assert_eq!(read, Err(ReadError::TooLarge { what }));
    let read = bench.view(1).await.get(&KEYED, &key(limits::KEY + 1)).await;
    assert_eq!(read, Err(ReadError::TooLarge { what: Limit::Key }));
}

/// A larger wish than a page allows gets a page.
async fn pages(bench: &Bench) {
    let log = bench.owed(3);
    assert!(log.read_after(None, usize::MAX).await.unwrap().entries.len() <= limits::PAGE_ITEMS);
    bench
        .set(1000, |c| {
            for n in 0..20 {
                c.put(&BYTES, &n, &bytes(limits::VALUE));
            }
        })
        .await;
    let page = bench.view(1000).await.range(&BYTES, .., store::Dir::Forward, 1000, None).await.unwrap();
    assert!(page.rows.len() <= limits::PAGE_BYTES / limits::VALUE);
    assert!(page.next.is_some());
    assert_eq!(bench.view(1000).await.all(&BYTES).await.unwrap().len(), 20);
}
