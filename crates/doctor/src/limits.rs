//! How long and how much.

use std::time::Duration;

/// How many partners are looked at side by side.
pub const PARTNERS_AT_ONCE: usize = 8;

/// How long everything about one partner, or about one's own listener, may take. Each step has its own deadline, which is
/// the one that calls of the running backend have; this is above their sum for a partner that is merely slow.
pub const WHOLE: Duration = Duration::from_secs(90);

/// How long a listener of this machine, or of the own cluster, may take.
pub const OWN_LISTENERS: Duration = Duration::from_secs(10);

/// How long a server's first words are waited for, before something is said to it: a refusal comes in their place.
pub const FIRST_WORDS: Duration = Duration::from_secs(1);

/// How many targets of a domain are looked at.
pub const TARGETS: usize = 8;

/// How many name servers of the own zone are asked, until one answers.
pub const AUTHORITIES: usize = 4;

/// How long that may take in all: in many networks nobody but the own resolver can be asked.
pub const ZONE: Duration = Duration::from_secs(5);

/// How many addresses of a target are tried.
pub const ADDRESSES: usize = 4;

/// The largest answer that is read, in bytes.
pub const ANSWER: usize = 64 * 1024;

/// Shorter TTLs make every call wait for DNS; longer ones keep a mistake alive for more than a day. In seconds.
pub const TTL: std::ops::RangeInclusive<u64> = 60..=86_400;

/// A certificate that ends sooner is an emergency, in days.
pub const EXPIRY_FAIL_DAYS: i64 = 3;

/// A certificate that ends sooner should have been renewed: renewal is due 15 days before the end.
pub const EXPIRY_WARN_DAYS: i64 = 21;

/// Shorter RSA keys are advised against, in bits.
pub const RSA_ADVISED: usize = 3000;
