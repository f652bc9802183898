//! Versions and how two backends agree on one.

use federation_api::{ApiVersion, NegotiationError, SUPPORTED, VersionInfo, VersionRange, negotiate};
use proptest::prelude::*;

fn info(supported_versions: Vec<u32>) -> VersionInfo {
    VersionInfo { supported_versions, supported: vec![] }
}

#[test]
fn the_highest_in_common() {
    for (remote, expected) in [
        (vec![0, 1, 2, 3], Ok(3)),
        (vec![0, 1], Ok(1)),
        (vec![2, 0], Ok(2)),
        (vec![0, 999_999], Ok(0)),
        (vec![], Err(NegotiationError::Empty)),
        (vec![4, 5], Err(NegotiationError::RemoteTooNew)),
    ] {
        assert_eq!(negotiate(&info(remote.clone())), expected.map(ApiVersion), "{remote:?}");
    }
}

#[test]
fn own_json() {
    assert_eq!(
        serde_json::to_string(&VersionInfo::own()).unwrap(),
        r#"{"supported_versions":[0,1,2,3],"supported":[0,1]}"#
    );
    assert!(serde_json::from_str::<VersionInfo>(r#"{"supported_versions":[0]}"#).is_err());
}

fn range() -> impl Strategy<Value = VersionRange> {
    (0..6_u32, proptest::option::of(0..6_u32))
        .prop_map(|(from, until)| VersionRange { from: ApiVersion(from), until: until.map(ApiVersion) })
}

proptest! {
    #[test]
    fn ranges_overlap_if_they_share_a_version(a in range(), b in range()) {
        let shared = (0..8).map(ApiVersion).any(|v| a.contains(v) && b.contains(v));
        let empty = |r: VersionRange| r.until.is_some_and(|until| until <= r.from);
        prop_assume!(!empty(a) && !empty(b));
        prop_assert_eq!(a.overlaps(b), shared);
        prop_assert_eq!(b.overlaps(a), shared);
    }

    #[test]
    fn what_is_agreed_on_is_spoken_by_both(remote in proptest::collection::vec(0..8_u32, 0..5)) {
        if let Ok(version) = negotiate(&info(remote.clone())) {
            prop_assert!(SUPPORTED.contains(&version) && remote.contains(&version.0));
        } else {
            prop_assert!(SUPPORTED.iter().all(|own| !remote.contains(&own.0)));
        }
    }
}
