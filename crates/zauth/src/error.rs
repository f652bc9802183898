//! What can be wrong with tokens and key files.

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Its time has passed.
    #[error("the token has expired")]
    Expired,
    /// The signature is not ours.
    #[error("the token is falsified")]
    Falsified,
    /// No token at all, of another version, without a field that its type demands, or signed by a key that is not in
    /// the list. Says which part.
    #[error("invalid token: {0}")]
    Invalid(&'static str),
}

/// Why key material is not accepted. Never shows the material.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key in the file.
    #[error("the key file holds no key")]
    Empty,
    /// The index selects no key of the file; indexes begin with 1.
    #[error("there is no key number {0} in the key file")]
    Index(u32),
    /// A line is not the base64url form of a key.
    #[error("line {0} of the key file is not a base64url key")]
    Line(usize),
    /// The public key at the signing key's index is another one, so nobody would accept its tokens.
    #[error("public key number {0} does not belong to the private key of that number")]
    Mismatch(u32),
}
