//! What two backends are for.

use serde_json::json;
use testkit::{
    client::{Operator, unique},
    process::Served,
};

/// A user of each backend finds one of the other.
pub async fn both_directions(one: &Served, other: &Served) {
    for (from, to) in [(one, other), (other, one)] {
        let (from, to) = (Operator::of(from.backend()).unwrap(), to.backend());
        let seeker = from.client("Alice").await.unwrap();
        let there = Operator::of(to).unwrap();
        let (_, handle) = there.client_with_handle("Bob", &unique("bob")).await.unwrap();
        let found = seeker.search(&handle, &to.domain).await.unwrap().expect_json();
        assert_eq!(found["documents"][0]["handle"], json!(handle), "towards {}: {found}", to.domain);
    }
}
