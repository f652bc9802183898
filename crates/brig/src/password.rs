//! Passwords and their hashes (`brig.md` §6.6).

mod pool;

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use types::Rng;

pub use pool::{Overloaded, PasswordPool};

/// How new passwords are hashed: argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashingOptions {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for HashingOptions {
    /// 19 MiB, two passes, one lane: some 20 ms of one core, and what OWASP's password storage sheet asks for.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, parallelism: 1 }
    }
}

impl HashingOptions {
    /// The least that the algorithm takes, for tests.
    pub const CHEAPEST: Self = Self { memory_kib: 8, iterations: 1, parallelism: 1 };

    /// The nearest costs that the algorithm takes: 8 KiB for each lane, one pass, one lane at least.
    fn valid(self) -> Self {
        let parallelism = self.parallelism.clamp(1, MAX_STORED_PARALLELISM);
        let memory_kib = self.memory_kib.clamp(8 * parallelism, MAX_STORED_MEMORY_KIB);
        Self { memory_kib, iterations: self.iterations.clamp(1, MAX_STORED_ITERATIONS), parallelism }
    }
}

/// The hash of a password as it is stored, argon2id in PHC form or wire-server's older scrypt form. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl From<String> for PasswordHash {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is, and its hash should be made anew: the stored one has another algorithm or other costs.
    Outdated,
    /// It is.
    Right,
    /// It is not, or the stored hash cannot be read.
    Wrong,
}

/// Bytes of salt and of tag in new hashes.
const LEN: usize = 16;
/// Limits of stored hashes: more than this is no hash of ours, and would cost too much to try.
const MAX_STORED_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_STORED_ITERATIONS: u32 = 64;
const MAX_STORED_PARALLELISM: u32 = 64;
const MAX_STORED_BYTES: usize = 64;

/// Hashes a new password. Takes the configured time and memory; never call it on a thread that serves requests.
pub fn hash(password: &SecretString, options: HashingOptions, rng: &dyn Rng) -> PasswordHash {
    let options = options.valid();
    let mut salt = [0; LEN];
    rng.fill(&mut salt);
    let tag = argon2id(password, &salt, options, Version::V0x13, LEN).expect("the costs are valid and the salt fits");
    let HashingOptions { memory_kib: m, iterations: t, parallelism: p } = options;
    let (salt, tag) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(tag));
    PasswordHash(format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${tag}"))
}

/// Compares a password with a stored hash, in constant time as far as the tag is concerned.
pub fn verify(password: &SecretString, stored: &PasswordHash, options: HashingOptions) -> Verdict {
    let (expected, computed, current) = if let Some(phc) = Phc::parse(&stored.0) {
        let computed = argon2id(password, &phc.salt, phc.options, phc.version, phc.tag.len());
        let current = phc.options == options.valid() && phc.version == Version::V0x13;
        (phc.tag, computed, current)
    } else if let Some(scrypt) = Scrypt::parse(&stored.0) {
        let computed = scrypt.compute(password);
        (scrypt.tag, computed, false)
    } else {
        return Verdict::Wrong;
    };
    match computed {
        Some(computed) if bool::from(computed.ct_eq(&expected)) => {
            if current {
                Verdict::Right
            } else {
                Verdict::Outdated
            }
        }
        _ => Verdict::Wrong,
    }
}

fn argon2id(
    password: &SecretString,
    salt: &[u8],
    options: HashingOptions,
    version: Version,
    len: usize,
) -> Option<Vec<u8>> {
    let params = Params::new(options.memory_kib, options.iterations, options.parallelism, Some(len)).ok()?;
    let mut tag = vec![0; len];
    let argon2 = Argon2::new(Algorithm::Argon2id, version, params);
    argon2.hash_password_into(password.expose_secret().as_bytes(), salt, &mut tag).ok()?;
    Some(tag)
}

/// `$argon2id$v=19$m=…,t=…,p=…$salt$tag`, base64 without padding; without `v=` it is version 0x10.
struct Phc {
    version: Version,
    options: HashingOptions,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Phc {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("$argon2id$")?;
        let (version, rest) = match rest.strip_prefix("v=") {
            Some(rest) => {
                let (version, rest) = rest.split_once('$')?;
                (version.parse().ok()?, rest)
            }
            None => (0x10, rest),
        };
        let version = match version {
            0x10u32 => Version::V0x10,
            0x13 => Version::V0x13,
            _ => return None,
        };
        let mut parts = rest.split('$');
        let (costs, salt, tag) = (parts.next()?, parts.next()?, parts.next()?);
        let mut costs = costs.split(',');
        let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok();
        let options = HashingOptions { memory_kib: cost("m")?, iterations: cost("t")?, parallelism: cost("p")? };
        let bounded = options.memory_kib <= MAX_STORED_MEMORY_KIB
            && options.iterations <= MAX_STORED_ITERATIONS
            && options.parallelism <= MAX_STORED_PARALLELISM;
        let (salt, tag) = (STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(tag).ok()?);
        let sized = tag.len() >= 4 && tag.len() <= MAX_STORED_BYTES && salt.len() <= MAX_STORED_BYTES;
        (bounded && sized && parts.next().is_none() && costs.next().is_none()).then_some(Self {
            version,
            options,
            salt,
            tag,
        })
    }
}

/// `14|8|1|salt|out`: log₂ N, r, p and padded base64.
struct Scrypt {
    params: scrypt::Params,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Scrypt {
    /// log₂ N is 14 in every hash there is.
    const MAX_LOG_N: u8 = 17;

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let log_n: u8 = parts.next()?.parse().ok()?;
        let (r, p): (u32, u32) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let salt = STANDARD.decode(parts.next()?).ok()?;
        let tag = STANDARD.decode(parts.next()?).ok()?;
        let bounded = log_n <= Self::MAX_LOG_N && r <= 16 && p <= 16;
        let sized = (10..=MAX_STORED_BYTES).contains(&tag.len()) && salt.len() <= MAX_STORED_BYTES;
        let params = scrypt::Params::new(log_n, r, p).ok()?;
        (bounded && sized && parts.next().is_none()).then_some(Self { params, salt, tag })
    }

    fn compute(&self, password: &SecretString) -> Option<Vec<u8>> {
        let mut tag = vec![0; self.tag.len()];
        scrypt::scrypt(password.expose_secret().as_bytes(), &self.salt, &self.params, &mut tag).ok()?;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use types::SeededRng;

    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text.to_owned())
    }

    #[test]
    fn what_was_hashed_is_verified() {
        let rng = SeededRng::new(1);
        let options = HashingOptions::CHEAPEST;
        let stored = hash(&secret("correct horse"), options, &rng);
        assert!(stored.0.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", stored.0);
        assert_eq!(verify(&secret("correct horse"), &stored, options), Verdict::Right);
        assert_eq!(verify(&secret("correct horses"), &stored, options), Verdict::Wrong);
        let dearer = HashingOptions { iterations: 2, ..options };
        assert_eq!(verify(&secret("correct horse"), &stored, dearer), Verdict::Outdated);
        assert_ne!(hash(&secret("correct horse"), options, &rng), stored, "each hash has a salt of its own");
        assert_eq!(format!("{stored:?}"), "PasswordHash");
        let impossible = HashingOptions { memory_kib: 0, iterations: 0, parallelism: 0 };
        assert_eq!(verify(&secret("x"), &hash(&secret("x"), impossible, &rng), impossible), Verdict::Right);
    }

    #[test]
    fn known_answers() {
        let options = HashingOptions::CHEAPEST;
        for (password, stored) in [
            // Test vector of the reference implementation of argon2 (test.c).
            ("password", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"),
            // RFC 7914 §12, third vector's parameters with the salt in place.
            (
                "pleaseletmein",
                "14|8|1|U29kaXVtQ2hsb3JpZGU=|cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw==",
            ),
        ] {
            let stored = PasswordHash(stored.to_owned());
            assert_eq!(verify(&secret(password), &stored, options), Verdict::Outdated, "{}", stored.0);
            assert_eq!(verify(&secret("other"), &stored, options), Verdict::Wrong);
        }
    }

    #[test]
    fn unreadable_hashes_let_nobody_in() {
        for stored in [
            "",
            "plain",
            "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2id$v=18$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEg",
            "63|8|1|AAAA|AAAA",
            "14|8|1|AAAA|",
        ] {
            assert_eq!(
                verify(&secret("x"), &PasswordHash(stored.to_owned()), HashingOptions::CHEAPEST),
                Verdict::Wrong
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_stored_text_is_survived(text in ".{0,80}", costs in "\\$argon2id\\$(v=1[69]\\$)?m=[0-9]{1,2},t=[0-3],p=[0-2]\\$[A-Za-z]{0,12}\\$[A-Za-z]{0,24}") {
            for stored in [text, costs] {
                let _ = verify(&secret("x"), &PasswordHash(stored), HashingOptions::CHEAPEST);
            }
        }
    }
}
