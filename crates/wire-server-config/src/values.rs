//! Helm values.

use serde_json::{Map, Value};

use crate::yaml::{self, YamlError};

/// The values of a release.
#[derive(Clone, Default, PartialEq)]
pub struct Values(pub(crate) Map<String, Value>);

/// Values hold private keys.
impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("keys", &self.0.len()).finish_non_exhaustive()
    }
}

impl Values {
    /// What stands at the top under that key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Reads the text of one file.
    ///
    /// # Errors
    /// [`YamlError`]
    pub fn read(text: &str) -> Result<Self, YamlError> {
        yaml::map(text).map(Self)
    }

    /// Puts a later file over this, as Helm does: maps are merged at every depth, anything else is replaced, and null
    /// takes away what an earlier file set.
    pub fn put_over(&mut self, later: Self) {
        merge(&mut self.0, later.0);
    }
}

fn merge(into: &mut Map<String, Value>, later: Map<String, Value>) {
    for (key, value) in later {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(earlier)), Value::Object(later)) => merge(earlier, later),
            (_, Value::Null) => {
                into.remove(&key);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(texts: &[&str]) -> Values {
        let mut values = Values::default();
        for text in texts {
            values.put_over(Values::read(text).unwrap());
        }
        values
    }

    #[test]
    fn later_files_win_map_by_map() {
        let values = merged(&[
            "a: {b: 1, c: {d: 1, e: 1}}\nlist: [1, 2]\ntext: x",
            "a: {c: {e: 2}, f: 3}\nlist: [3]\ntext: {now: map}",
        ]);
        let wanted = "a: {b: 1, c: {d: 1, e: 2}, f: 3}\nlist: [3]\ntext: {now: map}";
        assert_eq!(values, Values::read(wanted).unwrap());
    }

    #[test]
    fn null_takes_away() {
        assert_eq!(merged(&["a: {b: 1, c: 2}\nd: 3", "a: {b: null}\nd: ~"]), merged(&["a: {c: 2}"]));
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..9).prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| map.into_iter().collect())
        })
    }

    fn values() -> impl Strategy<Value = Values> {
        proptest::collection::btree_map("[a-d]", tree(), 0..4).prop_map(|map| Values(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn everything_of_the_later_file_counts(earlier in values(), later in values()) {
            let mut both = earlier;
            both.put_over(later.clone());
            let before = both.clone();
            both.put_over(later);
            prop_assert_eq!(both, before, "and saying it twice changes nothing");
        }

        #[test]
        fn what_a_later_file_does_not_name_stays(earlier in values(), later in values()) {
            let mut both = earlier.clone();
            both.put_over(later.clone());
            for (key, value) in &earlier.0 {
                if !later.0.contains_key(key) {
                    prop_assert_eq!(both.0.get(key), Some(value));
                }
            }
        }
    }
}
