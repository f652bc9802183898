//! All tables of a store: what components declare, gathered in one place. By it the store refuses commits to tables that
//! nobody declared, makes views that show the database by name, and tells what a tag in it means.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    Aggregate, Cell, Corrupt, Guarded, Key, Life, LogKind, Part, Plain, Size, Value,
    engine::RawCommit,
    jobs,
    key::{self, untagged},
    table::OWN_TAGS,
};

/// Every table that there is, by its tag.
///
/// A component gathers its own beside their declarations; whoever opens the store puts them together, as
/// [`Options::tables`](crate::Options::tables).
///
/// ```
/// # use store::{Aggregate, Catalogue, Guarded, Json, Life, Plain, Size};
/// const USER: Aggregate<u64> = Aggregate::new(1, "user", Life::Kept);
/// const CLIENT: Guarded<u64, Json<String>> = Guarded::new(1, "client", &USER, Size::Row);
/// const BY_MODEL: Plain<String, u64, ()> = Plain::new(1, "by-model");
///
/// let tables = Catalogue::new().with(&USER).with(&CLIENT).with(&BY_MODEL);
/// assert!(tables.check().is_ok());
/// assert_eq!(tables.guarded(1).map(|table| table.name), Some("client"));
/// assert!(tables.with(&Plain::<u64, u64, ()>::new(1, "other")).check().is_err(), "tag 1 is taken");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    aggregates: BTreeMap<u16, AggregateInfo>,
    guarded: BTreeMap<u16, GuardedInfo>,
    plain: BTreeMap<u16, PlainInfo>,
    logs: BTreeMap<u16, LogInfo>,
    clash: Option<Clash>,
}

/// What can stand in a catalogue.
pub trait Declared {
    /// Puts itself there.
    fn declare(&self, tables: &mut Catalogue);
}

/// Two declarations that cannot both be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Clash {
    /// Two tables would have the same view in a database shell.
    #[error("{0} and {1} have the same name for a database shell")]
    Name(&'static str, &'static str),
    /// A guarded table without its kind of aggregate.
    #[error("the aggregate of {0} is not declared")]
    NoAggregate(&'static str),
    /// One tag for two things of one kind.
    #[error("{1} and {2} have the same tag {0}")]
    Tag(u16, &'static str, &'static str),
}

/// A kind of aggregate.
#[derive(Clone, Debug)]
pub struct AggregateInfo {
    /// Its tag.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// How long its aggregates live.
    pub life: Life,
    /// Their ids.
    pub id: KeyInfo,
}

/// A guarded table.
#[derive(Clone, Debug)]
pub struct GuardedInfo {
    /// Its tag.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// The tag of its kind of aggregate.
    pub of: u16,
    /// How large its values may be.
    pub size: Size,
    /// Its keys.
    pub key: KeyInfo,
    /// Its values.
    pub value: ValueInfo,
}

/// A plain table.
#[derive(Clone, Debug)]
pub struct PlainInfo {
    /// Its tag.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// Its partitions.
    pub part: KeyInfo,
    /// The keys in them.
    pub key: KeyInfo,
    /// Its values.
    pub value: ValueInfo,
}

/// A kind of log.
#[derive(Clone, Debug)]
pub struct LogInfo {
    /// Its tag.
    pub tag: u16,
    /// Its name.
    pub name: &'static str,
    /// How long its entries live.
    pub ttl: Option<Duration>,
    /// For how long a reader is told beyond that.
    pub memory: Duration,
    /// The ids of its logs.
    pub id: KeyInfo,
}

/// What a key is, without its type.
#[derive(Clone, Copy)]
pub struct KeyInfo {
    check: fn(&[u8]) -> Result<(), Corrupt>,
    shape: fn(&mut Vec<Part>),
}

/// What a value is, without its type.
#[derive(Clone, Copy)]
pub struct ValueInfo {
    check: fn(&Cell) -> Result<(), Corrupt>,
}

impl Catalogue {
    /// Without any tables but the store's own.
    pub fn new() -> Self {
        jobs::declare(Self::default())
    }

    /// And this table.
    #[must_use]
    pub fn with(mut self, table: &impl Declared) -> Self {
        table.declare(&mut self);
        self
    }

    /// And the tables of another component.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        // The store's own are in every catalogue.
        let component = |tag: u16| tag < OWN_TAGS;
        other.aggregates.into_values().filter(|t| component(t.tag)).for_each(|table| self.put_aggregate(table));
        other.guarded.into_values().filter(|t| component(t.tag)).for_each(|table| self.put_guarded(table));
        other.plain.into_values().filter(|t| component(t.tag)).for_each(|table| self.put_plain(table));
        other.logs.into_values().filter(|t| component(t.tag)).for_each(|table| self.put_log(table));
        self.clash = self.clash.or(other.clash);
        self
    }

    /// Whether all declarations can be at once.
    ///
    /// # Errors
    /// The first [`Clash`].
    pub fn check(&self) -> Result<(), Clash> {
        if let Some(clash) = self.clash {
            return Err(clash);
        }
        if let Some(table) = self.guarded.values().find(|table| !self.aggregates.contains_key(&table.of)) {
            return Err(Clash::NoAggregate(table.name));
        }
        let mut views = BTreeMap::new();
        let names = self.guarded_tables().map(|table| table.name).chain(self.plain_tables().map(|table| table.name));
        for name in names.chain(self.logs().map(|log| log.name)) {
            if let Some(other) = views.insert(view_name(name), name) {
                return Err(Clash::Name(other, name));
            }
        }
        Ok(())
    }

    /// The kinds of aggregates, by their tags.
    pub fn aggregates(&self) -> impl Iterator<Item = &AggregateInfo> {
        self.aggregates.values()
    }

    /// The guarded tables, by their tags.
    pub fn guarded_tables(&self) -> impl Iterator<Item = &GuardedInfo> {
        self.guarded.values()
    }

    /// The plain tables, by their tags.
    pub fn plain_tables(&self) -> impl Iterator<Item = &PlainInfo> {
        self.plain.values()
    }

    /// The kinds of logs, by their tags.
    pub fn logs(&self) -> impl Iterator<Item = &LogInfo> {
        self.logs.values()
    }

    /// The kind of aggregate with that tag.
    pub fn aggregate(&self, tag: u16) -> Option<&AggregateInfo> {
        self.aggregates.get(&tag)
    }

    /// The guarded table with that tag.
    pub fn guarded(&self, tag: u16) -> Option<&GuardedInfo> {
        self.guarded.get(&tag)
    }

    /// The plain table with that tag.
    pub fn plain(&self, tag: u16) -> Option<&PlainInfo> {
        self.plain.get(&tag)
    }

    /// The kind of log with that tag.
    pub fn log(&self, tag: u16) -> Option<&LogInfo> {
        self.logs.get(&tag)
    }

    /// The first thing in a commit that is not declared.
    pub(crate) fn undeclared(&self, commit: &RawCommit) -> Option<&'static str> {
        if let Some(aggregate) = &commit.aggregate {
            let Some(of) = key::tag(&aggregate.bytes).filter(|tag| self.aggregates.contains_key(tag)) else {
                return Some(aggregate.kind);
            };
            let known = |key: &[u8]| key::tag(key).and_then(|tag| self.guarded(tag)).is_some_and(|t| t.of == of);
            if let Some(write) = aggregate.writes.iter().find(|write| !known(&write.key)) {
                return Some(write.table);
            }
        }
        let known = |part: &[u8]| key::tag(part).is_some_and(|tag| self.plain.contains_key(&tag));
        if let Some(effect) = commit.effects.iter().find(|effect| !known(&effect.part)) {
            return Some(effect.table);
        }
        commit.appends.iter().find(|append| !self.logs.contains_key(&append.log.tag)).map(|append| append.log.kind)
    }

    fn put_aggregate(&mut self, table: AggregateInfo) {
        put(&mut self.aggregates, &mut self.clash, (table.tag, table.name), table, |other| other.name);
    }

    fn put_guarded(&mut self, table: GuardedInfo) {
        put(&mut self.guarded, &mut self.clash, (table.tag, table.name), table, |other| other.name);
    }

    fn put_plain(&mut self, table: PlainInfo) {
        put(&mut self.plain, &mut self.clash, (table.tag, table.name), table, |other| other.name);
    }

    fn put_log(&mut self, table: LogInfo) {
        put(&mut self.logs, &mut self.clash, (table.tag, table.name), table, |other| other.name);
    }
}

/// Puts a table among its like, and notes if another has its tag. The first such thing is told.
fn put<T>(
    tables: &mut BTreeMap<u16, T>,
    clash: &mut Option<Clash>,
    (tag, name): (u16, &'static str),
    table: T,
    name_of: fn(T) -> &'static str,
) {
    let before = tables.insert(tag, table).map(name_of);
    *clash = clash.or(before.map(|before| Clash::Tag(tag, before, name)));
}

impl KeyInfo {
    fn of<K: Key>() -> Self {
        Self { check: |tagged| untagged::<K>(tagged).map(drop), shape: K::shape }
    }

    /// Whether the bytes behind a tag are such a key.
    ///
    /// # Errors
    /// [`Corrupt`] when they are not.
    pub fn check(&self, tagged: &[u8]) -> Result<(), Corrupt> {
        (self.check)(tagged)
    }

    /// What such keys consist of.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        (self.shape)(&mut parts);
        parts
    }
}

impl ValueInfo {
    fn of<V: Value>() -> Self {
        Self { check: |cell| V::from_cell(cell).map(drop) }
    }

    /// Whether a cell holds such a value.
    ///
    /// # Errors
    /// [`Corrupt`] when it does not.
    pub fn check(&self, cell: &Cell) -> Result<(), Corrupt> {
        (self.check)(cell)
    }
}

impl fmt::Debug for KeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyInfo").field(&self.parts()).finish()
    }
}

impl fmt::Debug for ValueInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueInfo")
    }
}

impl<I: Key> Declared for Aggregate<I> {
    fn declare(&self, tables: &mut Catalogue) {
        tables.put_aggregate(AggregateInfo {
            tag: self.tag(),
            name: self.name(),
            life: self.life(),
            id: KeyInfo::of::<I>(),
        });
    }
}

impl<K: Key, V: Value> Declared for Guarded<K, V> {
    fn declare(&self, tables: &mut Catalogue) {
        tables.put_guarded(GuardedInfo {
            tag: self.tag,
            name: self.name,
            of: self.of,
            size: self.size,
            key: KeyInfo::of::<K>(),
            value: ValueInfo::of::<V>(),
        });
    }
}

impl<P: Key, K: Key, V: Value> Declared for Plain<P, K, V> {
    fn declare(&self, tables: &mut Catalogue) {
        tables.put_plain(PlainInfo {
            tag: self.tag,
            name: self.name,
            part: KeyInfo::of::<P>(),
            key: KeyInfo::of::<K>(),
            value: ValueInfo::of::<V>(),
        });
    }
}

impl<I: Key> Declared for LogKind<I> {
    fn declare(&self, tables: &mut Catalogue) {
        tables.put_log(LogInfo {
            tag: self.tag(),
            name: self.name(),
            ttl: self.ttl(),
            memory: self.memory(),
            id: KeyInfo::of::<I>(),
        });
    }
}

/// The name of a table's view: what needs no quotes in SQL, and is no table of the database itself.
pub(crate) fn view_name(name: &str) -> String {
    let mut view: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if OWN.contains(&view.as_str()) || view.starts_with(|c: char| c.is_ascii_digit()) || view.starts_with("sqlite_") {
        view.insert(0, '_');
    }
    view
}

/// Names of tables of the database itself.
const OWN: [&str; 7] = ["body", "fresh", "log", "log_name", "meta", "plain", "rows"];

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Commit, CommitId, Json, NewEntry};

    const THING: Aggregate<u64> = Aggregate::new(1, "thing", Life::Kept);
    const ITEM: Guarded<u64, Json<u64>> = Guarded::new(1, "item", &THING, Size::Row);
    const LIST: Plain<u64, String, ()> = Plain::new(1, "list");
    const STREAM: LogKind<u64> = LogKind::new(1, "stream", None, Duration::ZERO, Duration::from_secs(1));

    fn tables() -> Catalogue {
        Catalogue::new().with(&THING).with(&ITEM).with(&LIST).with(&STREAM)
    }

    #[test]
    fn clashes_are_found() {
        const OTHER: Aggregate<u64> = Aggregate::new(2, "other", Life::Kept);
        let clash = |tables: Catalogue| tables.check().expect_err("they clash");
        assert_eq!(tables().check(), Ok(()));
        assert_eq!(clash(tables().and(tables())), Clash::Tag(1, "thing", "thing"));
        assert_eq!(clash(tables().with(&Plain::<u8, u8, ()>::new(1, "x"))), Clash::Tag(1, "list", "x"));
        let orphan = Guarded::<u64, ()>::new(2, "orphan", &OTHER, Size::Row);
        assert_eq!(clash(tables().with(&orphan)), Clash::NoAggregate("orphan"));
        assert_eq!(tables().with(&orphan).with(&OTHER).check(), Ok(()));
        assert_eq!(clash(tables().with(&Plain::<u8, u8, ()>::new(2, "Item"))), Clash::Name("item", "Item"));
    }

    #[test]
    fn what_is_not_declared_is_found() {
        let found = |stage: &dyn Fn(&mut Commit)| {
            let mut commit = Commit::at(THING.of(&1));
            stage(&mut commit);
            let raw = commit.into_raw(types::Timestamp::EPOCH, || CommitId(uuid::Uuid::nil())).expect("it is small");
            tables().undeclared(&raw)
        };
        let other_item = Guarded::<u64, Json<u64>>::new(2, "other item", &THING, Size::Row);
        let other_list = Plain::<u64, String, ()>::new(2, "other list");
        let other_log = LogKind::<u64>::new(2, "other log", None, Duration::ZERO, Duration::from_secs(1));
        let text = String::from("x");
        assert_eq!(
            found(&|c| {
                c.put(&ITEM, &1, &Json(1));
            }),
            None
        );
        assert_eq!(found(&|c| c.delete(&other_item, &1)), Some("other item"));
        assert_eq!(found(&|c| c.effect_delete(&LIST, &1, &text)), None);
        assert_eq!(found(&|c| c.effect_delete(&other_list, &1, &text)), Some("other list"));
        assert_eq!(found(&|c| c.append(&STREAM, &1, NewEntry::default())), None);
        assert_eq!(found(&|c| c.append(&other_log, &1, NewEntry::default())), Some("other log"));
        let kind = Aggregate::<u64>::new(2, "other thing", Life::Kept);
        let raw = Commit::at(kind.of(&1)).into_raw(types::Timestamp::EPOCH, || CommitId(uuid::Uuid::nil()));
        assert_eq!(tables().undeclared(&raw.expect("it is small")), Some("other thing"));
    }

    #[test]
    fn keys_and_values_are_known_without_their_types() {
        let tables = tables();
        let list = tables.plain(1).expect("it is declared");
        assert_eq!(list.key.parts(), [Part::Text]);
        assert_eq!(list.key.check(b"\0\x01abc\0\0"), Ok(()));
        assert!(list.key.check(b"\0\x01abc").is_err());
        let item = tables.guarded(1).expect("it is declared");
        assert_eq!(item.value.check(&Cell::json(&7)), Ok(()));
        assert!(item.value.check(&Cell::bin(Bytes::new())).is_err());
    }

    #[test]
    fn names_of_views_need_no_quotes() {
        for (name, view) in [("name/handle", "name_handle"), ("log", "_log"), ("a-B c", "a_b_c"), ("2fa", "_2fa")] {
            assert_eq!(view_name(name), view);
        }
    }
}
