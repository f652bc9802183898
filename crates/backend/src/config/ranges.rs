//! Between what a number of the configuration must lie.

use std::ops::RangeInclusive;

use super::{Accounts, Federation, Limits};

/// A day: longer than anybody waits, and far from what clocks cannot count.
const MILLISECONDS: RangeInclusive<u64> = 1..=86_400_000;

/// A hundred years, in seconds: clocks can count that far.
const CENTURY: u64 = 3_153_600_000;

/// In seconds. Lists of addresses are spread in less; and supervisors kill who takes too long to end.
const DRAIN: RangeInclusive<u64> = 0..=600;

/// A gigabyte.
const BYTES: RangeInclusive<u64> = 1..=1 << 30;

/// Of calls, of tries.
const TIMES: RangeInclusive<u64> = 1..=1_000_000;

/// More than the longest chain that is looked at has no meaning.
const DEPTH: RangeInclusive<u64> = 1..=tls::chain::MAX_PRESENTED as u64;

/// The first option that is out of its range, and what the range is.
pub(super) fn transgression(federation: &Federation) -> Option<(&'static str, String)> {
    let of_depth = depth_transgression(federation.verify_depth).map(|problem| ("federation.verify_depth", problem));
    of_depth.or_else(|| limit_transgression(&federation.limits))
}

/// What is wrong with a delay before the end, if anything is.
pub(super) fn drain_transgression(seconds: u64) -> Option<String> {
    let (first, last) = DRAIN.into_inner();
    (!DRAIN.contains(&seconds)).then(|| format!("{seconds} s is not between {first} and {last}"))
}

/// What is wrong with a depth of chains, if anything is.
pub(super) fn depth_transgression(depth: u8) -> Option<String> {
    let (first, last) = DEPTH.into_inner();
    (!DEPTH.contains(&u64::from(depth))).then(|| {
        format!(
            "{depth} is not between {first} (a trusted CA signed the certificate directly) and {last} (the longest chain \
             that is looked at)"
        )
    })
}

/// The same of the options of a stand-alone federator, which have no section around them.
pub(super) fn federator_transgression(limits: &Limits, refresh: u64) -> Option<(&'static str, String)> {
    if !MILLISECONDS.contains(&refresh) {
        let (first, last) = MILLISECONDS.into_inner();
        return Some(("policy.refresh", format!("{refresh} ms is not between {first} and {last}")));
    }
    let (option, problem) = limit_transgression(limits)?;
    Some((option.trim_start_matches("federation."), problem))
}

fn limit_transgression(limits: &Limits) -> Option<(&'static str, String)> {
    ranged(limits).into_iter().find_map(|(option, value, unit, range)| {
        let value = value.filter(|value| !range.contains(value))?;
        let (first, last) = range.into_inner();
        Some((option, format!("{value}{unit} is not between {first} and {last}")))
    })
}

/// The first option about accounts that is out of its range, and what the range is.
pub(super) fn account_transgression(accounts: &Accounts) -> Option<(&'static str, String)> {
    let Accounts {
        cookie_limit,
        password_memory,
        password_passes,
        password_parallel,
        password_queue,
        password_tries,
        password_tries_refill,
        failed_logins,
        failed_login_timeout,
        suspend_inactive_after,
        cookie_throttle_deviation,
        cookie_throttle_wait,
        ..
    } = accounts;
    let wide = |value: &usize| u64::try_from(*value).unwrap_or(u64::MAX);
    let ranged = [
        // A user needs a cookie to stay logged in, and each login reads all of his.
        ("accounts.cookie_limit", wide(cookie_limit), "", 1..=1_000),
        // What argon2 asks for at least, and a hash of a gigabyte.
        ("accounts.password_memory", u64::from(*password_memory), " KiB", 8..=1 << 20),
        ("accounts.password_passes", u64::from(*password_passes), "", 1..=64),
        ("accounts.password_parallel", wide(password_parallel), "", 0..=1_024),
        ("accounts.password_queue", wide(password_queue), "", 0..=1_000_000),
        ("accounts.password_tries", u64::from(*password_tries), "", 0..=1_000_000),
        ("accounts.password_tries_refill", *password_tries_refill, " s", 1..=CENTURY),
        ("accounts.failed_logins", u64::from(*failed_logins), "", 0..=1_000_000),
        ("accounts.failed_login_timeout", *failed_login_timeout, " s", 1..=CENTURY),
        ("accounts.suspend_inactive_after", *suspend_inactive_after, " s", 0..=CENTURY),
        ("accounts.cookie_throttle_deviation", *cookie_throttle_deviation, " s", 0..=CENTURY),
        ("accounts.cookie_throttle_wait", *cookie_throttle_wait, " s", 0..=CENTURY),
    ];
    let (option, value, unit, range) = ranged.into_iter().find(|(_, value, _, range)| !range.contains(value))?;
    let (first, last) = range.into_inner();
    Some((option, format!("{value}{unit} is not between {first} and {last}")))
}

type Ranged = (&'static str, Option<u64>, &'static str, RangeInclusive<u64>);

fn ranged(limits: &Limits) -> [Ranged; 14] {
    let Limits {
        connect,
        connect_all,
        handshake,
        answer_headers,
        answer_idle,
        waiting_calls,
        error_body,
        inward_handshake,
        request_headers,
        request_idle,
        request_header_bytes,
        request_body_bytes,
        dns_try,
        dns_tries,
    } = limits;
    let time = |option, value: &Option<u64>| (option, *value, " ms", MILLISECONDS);
    let wide = |value: &Option<usize>| value.map(|value| u64::try_from(value).unwrap_or(u64::MAX));
    let size = |option, value| (option, wide(value), " bytes", BYTES);
    let count = |option, value| (option, wide(value), "", TIMES);
    [
        time("federation.limits.connect", connect),
        time("federation.limits.connect_all", connect_all),
        time("federation.limits.handshake", handshake),
        time("federation.limits.answer_headers", answer_headers),
        time("federation.limits.answer_idle", answer_idle),
        count("federation.limits.waiting_calls", waiting_calls),
        size("federation.limits.error_body", error_body),
        time("federation.limits.inward_handshake", inward_handshake),
        time("federation.limits.request_headers", request_headers),
        time("federation.limits.request_idle", request_idle),
        size("federation.limits.request_header_bytes", request_header_bytes),
        size("federation.limits.request_body_bytes", request_body_bytes),
        time("federation.limits.dns_try", dns_try),
        count("federation.limits.dns_tries", dns_tries),
    ]
}
