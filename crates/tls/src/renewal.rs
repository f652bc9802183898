//! When a certificate wants a successor.

use types::Timestamp;

/// What is to be done about a certificate's dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing before `due`, where the last third of its time begins.
    Fresh {
        /// When to renew.
        due: Timestamp,
    },
    /// It is in the last third of its time: renew it now.
    Due,
    /// It is past its time: nobody believes it any more.
    Expired,
}

/// What is to be done at `now` about a certificate with these dates. One that is good for no time at all is due at once.
pub fn renewal_due(not_before: Timestamp, not_after: Timestamp, now: Timestamp) -> Renewal {
    // A certificate is good until its last second has passed (RFC 5280 §4.1.2.5).
    if now.seconds() > not_after.seconds() {
        return Renewal::Expired;
    }
    let due = not_after - not_after.since(not_before) / 3;
    if now < due { Renewal::Fresh { due } } else { Renewal::Due }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_last_third() {
        const DAY: i64 = 86_400;
        let fresh = Renewal::Fresh { due: at(60 * DAY) };
        for (from, to, now, expected) in [
            (0, 90 * DAY, 0, fresh),
            (0, 90 * DAY, 60 * DAY - 1, fresh),
            (0, 90 * DAY, 60 * DAY, Renewal::Due),
            (0, 90 * DAY, 90 * DAY, Renewal::Due),
            (0, 90 * DAY, 90 * DAY + 1, Renewal::Expired),
            // Not valid yet: our clock is behind, or the CA's ahead.
            (100, 400, 0, Renewal::Fresh { due: at(300) }),
            (100, 100, 100, Renewal::Due),
            (100, 0, 50, Renewal::Expired),
            (100, 60, 50, Renewal::Fresh { due: at(60) }),
        ] {
            assert_eq!(renewal_due(at(from), at(to), at(now)), expected, "{from} to {to} at {now}");
        }
        assert_eq!(renewal_due(at(0), at(9), Timestamp::from_micros(9_500_000)), Renewal::Due, "its last second");
    }

    proptest! {
        #[test]
        fn fresh_is_never_due_and_due_is_within(from: i32, lasts in 1i64..1_000_000_000, now: i32) {
            let (from, now) = (at(i64::from(from)), at(i64::from(now)));
            let to = at(from.seconds() + lasts);
            match renewal_due(from, to, now) {
                Renewal::Fresh { due } => prop_assert!(now < due && from < due && due <= to),
                Renewal::Due => prop_assert!(from < now && now <= to),
                Renewal::Expired => prop_assert!(now > to),
            }
        }
    }
}
