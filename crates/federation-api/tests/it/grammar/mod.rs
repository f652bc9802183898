//! The JSON of every shape once more, written down as a grammar without regard to the types: what may be sent, and
//! what must come out again.

mod basic;
mod brig;
mod conversation;
mod error;
mod message;
mod mls;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

pub use basic::*;

/// A document as it may be sent, and as it must be written again.
#[derive(Clone, Debug)]
pub struct Doc {
    pub sent: Value,
    pub written: Value,
}

impl Doc {
    pub fn same(value: Value) -> Self {
        Self { sent: value.clone(), written: value }
    }
}

pub type Grammar = BoxedStrategy<Doc>;

/// Every shape's name and grammar.
pub fn all() -> Vec<(&'static str, Grammar)> {
    [basic::shapes(), brig::shapes(), conversation::shapes(), error::shapes(), message::shapes(), mls::shapes()]
        .concat()
}

/// A field of a record: the pair that is sent, if any, and the one that is written, if any.
pub type Field = BoxedStrategy<(Pair, Pair)>;

type Pair = Option<(String, Value)>;

fn field(name: &str, grammar: Grammar, when_absent: Option<Value>, absences: &'static [fn(String) -> Pair]) -> Field {
    let name = name.to_owned();
    let present = {
        let name = name.clone();
        grammar.prop_map(move |doc| (Some((name.clone(), doc.sent)), Some((name.clone(), doc.written))))
    };
    if absences.is_empty() {
        return present.boxed();
    }
    let absent = (0..absences.len())
        .prop_map(move |way| (absences[way](name.clone()), when_absent.clone().map(|value| (name.clone(), value))));
    prop_oneof![2 => present, 1 => absent].boxed()
}

const LEFT_OUT: fn(String) -> Pair = |_| None;
const AS_NULL: fn(String) -> Pair = |name| Some((name, Value::Null));

/// Always there.
pub fn req(name: &str, grammar: Grammar) -> Field {
    field(name, grammar, None, &[])
}

/// `null` if there is nothing; may be left out.
pub fn nul(name: &str, grammar: Grammar) -> Field {
    field(name, grammar, Some(Value::Null), &[LEFT_OUT, AS_NULL])
}

/// Left out if there is nothing; may be `null`.
pub fn opt(name: &str, grammar: Grammar) -> Field {
    field(name, grammar, None, &[LEFT_OUT, AS_NULL])
}

/// Something else if nothing is said.
pub fn def(name: &str, grammar: Grammar, default: Value) -> Field {
    field(name, grammar, Some(default), &[LEFT_OUT, AS_NULL])
}

/// Always written, never needed.
pub fn constant(name: &'static str, value: Value) -> Field {
    any::<bool>()
        .prop_map(move |sent| (sent.then(|| (name.to_owned(), value.clone())), Some((name.to_owned(), value.clone()))))
        .boxed()
}

/// An object. Unknown fields may be sent.
pub fn rec(fields: Vec<Field>) -> Grammar {
    (fields, proptest::option::weighted(0.2, junk()))
        .prop_map(|(fields, unknown)| {
            let mut sent: Map<String, Value> = fields.iter().filter_map(|(sent, _)| sent.clone()).collect();
            if let Some(value) = unknown {
                sent.insert("x-nobody-knows-this".to_owned(), value);
            }
            let written = fields.into_iter().filter_map(|(_, written)| written).collect();
            Doc { sent: Value::Object(sent), written: Value::Object(written) }
        })
        .boxed()
}

/// One constructor of several, each with its content or none. Content of one that has none is ignored.
pub fn sum(constructors: Vec<(&'static str, Option<Grammar>)>) -> Grammar {
    tagged("contents", constructors)
}

/// The same with another name for the content's field.
pub fn tagged(content: &'static str, constructors: Vec<(&'static str, Option<Grammar>)>) -> Grammar {
    let constructors: Vec<Grammar> = constructors
        .into_iter()
        .map(|(tag, grammar)| match grammar {
            Some(grammar) => rec(vec![req("tag", one_of(&[tag])), req(content, grammar)]),
            None => prop_oneof![
                4 => rec(vec![req("tag", one_of(&[tag]))]),
                1 => Just(Doc { sent: json!({"tag": tag, content: []}), written: json!({"tag": tag}) }),
            ]
            .boxed(),
        })
        .collect();
    proptest::strategy::Union::new(constructors).boxed()
}

/// An array.
pub fn list(grammar: Grammar, length: std::ops::Range<usize>) -> Grammar {
    proptest::collection::vec(grammar, length).prop_map(array).boxed()
}

/// An array without order, in which nothing counts twice: written in the order of the keys.
pub fn set<K: Ord + 'static>(grammar: Grammar, key: fn(&Value) -> K) -> Grammar {
    proptest::collection::vec(grammar, 0..4)
        .prop_map(move |mut docs| {
            docs.sort_by_key(|doc| key(&doc.written));
            docs.dedup_by_key(|doc| key(&doc.written));
            let mut sent: Vec<Value> = docs.iter().map(|doc| doc.sent.clone()).collect();
            sent.reverse();
            sent.extend(docs.first().map(|doc| doc.sent.clone()));
            Doc { sent: Value::Array(sent), written: array(docs).written }
        })
        .boxed()
}

/// An object whose keys are data.
pub fn map(key: Grammar, value: Grammar) -> Grammar {
    proptest::collection::vec((key, value), 0..3)
        .prop_map(|pairs| {
            let (mut sent, mut written) = (Map::new(), Map::new());
            for (key, value) in pairs {
                // Two keys that are one in the end cannot be told from one.
                if written.insert(text_of(&key.written), value.written.clone()).is_none() {
                    sent.insert(text_of(&key.sent), value.sent);
                } else {
                    written.insert(text_of(&key.written), Value::Null);
                }
            }
            Doc { sent: Value::Object(sent), written: Value::Object(written) }
        })
        .prop_filter("keys that collide", |doc| {
            doc.sent.as_object().map(Map::len) == doc.written.as_object().map(Map::len)
        })
        .boxed()
}

/// `null` or something.
pub fn or_null(grammar: Grammar) -> Grammar {
    prop_oneof![1 => Just(Doc::same(Value::Null)), 3 => grammar].boxed()
}

fn array(docs: Vec<Doc>) -> Doc {
    let (sent, written): (Vec<_>, Vec<_>) = docs.into_iter().map(|doc| (doc.sent, doc.written)).unzip();
    Doc { sent: Value::Array(sent), written: Value::Array(written) }
}

pub fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Any JSON at all.
pub fn junk() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Fractions that have an exact decimal form.
        any::<i32>().prop_map(|n| Value::from(f64::from(n) / 8.0)),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-z_]{1,9}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// How often a property is tried. Failures are shown, not kept in files.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
