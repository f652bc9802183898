//! What the protocols promise holds in every order of events, and falls when a safeguard is taken away.

mod claim;
mod commit;
mod log;

use std::{collections::BTreeSet, fmt::Debug, hash::Hash};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

/// Whether the larger variants are asked for.
fn long() -> bool {
    std::env::var_os("FERRULE_TEST_LONG").is_some_and(|value| value == "1")
}

/// Visits everything: what must always hold does, and what should be able to happen does, so that the model is not empty.
fn holds<M>(model: M)
where
    M: Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Clone + Debug + PartialEq>
        + Send
        + Sync
        + 'static,
{
    let checker = model.checker().threads(2).spawn_bfs().join();
    println!("{} states, at most {} steps", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// Visits until each of these properties has fallen; no other falls, whether or not it is among them, unless it is in
/// `may_fall`.
fn falls<M>(model: M, properties: &[&'static str], may_fall: &[&'static str])
where
    M: Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Clone + Debug + PartialEq>
        + Send
        + Sync
        + 'static,
{
    let safety: BTreeSet<&str> = model
        .properties()
        .iter()
        .filter(|property| property.expectation == Expectation::Always)
        .map(|property| property.name)
        .collect();
    let all = properties.iter().copied().collect();
    let checker = model.checker().threads(2).finish_when(HasDiscoveries::AllOf(all)).spawn_bfs().join();
    for property in properties {
        let path = checker.assert_any_discovery(property);
        println!("{property:?} falls by {:?}", path.into_actions());
    }
    for property in checker.discoveries().into_keys().filter(|name| safety.contains(name)) {
        assert!(properties.contains(&property) || may_fall.contains(&property), "{property} fell as well");
    }
}
