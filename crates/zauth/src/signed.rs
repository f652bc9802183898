//! A token's text with its signature.

use std::{fmt, str::FromStr};

use base64::Engine as _;
use ed25519_dalek::Signature;
use types::Timestamp;
use zeroize::Zeroizing;

use crate::{Expiry, PublicKeys, Token, TokenError, keys::BASE64};

/// A token as it travels. The text is a secret: whoever has it is the user.
#[derive(Clone)]
pub struct SignedToken {
    text: Zeroizing<String>,
    signature: Signature,
    key_index: u32,
    token: Token,
}

impl SignedToken {
    /// Longest text that is read at all. The longest token that is ever written has some 230 characters.
    pub const MAX_LEN: usize = 1024;

    pub(crate) fn new(token: Token, key_index: u32, sign: impl FnOnce(&[u8]) -> Signature) -> Self {
        let signed = token.signed_text(key_index);
        let signature = sign(signed.as_bytes());
        let text = Zeroizing::new(format!("{}.{signed}", BASE64.encode(signature.to_bytes())));
        Self { text, signature, key_index, token }
    }

    /// The text, for the one who shall have it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it claims. Proves nothing: for what is not worth a signature, such as choosing between several cookies.
    pub fn unverified(&self) -> &Token {
        &self.token
    }

    /// Judges it as brig does: key, then signature, then time.
    ///
    /// # Errors
    /// [`TokenError`]; a falsified token is never called expired.
    pub fn verify(&self, keys: &PublicKeys, now: Timestamp) -> Result<&Token, TokenError> {
        self.verify_signature(keys)?;
        self.in_time(now)
    }

    /// Judges it as the edge does: time first, so that a stale token costs no signature check.
    ///
    /// # Errors
    /// [`TokenError`]; an expired token may be falsified as well.
    pub fn verify_expiry_first(&self, keys: &PublicKeys, now: Timestamp) -> Result<&Token, TokenError> {
        self.in_time(now)?;
        self.verify_signature(keys)
    }

    /// Judges the signature alone: for an old access token that only says which connection it was.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if the key is not in the list, [`TokenError::Falsified`].
    pub fn verify_signature(&self, keys: &PublicKeys) -> Result<&Token, TokenError> {
        let key = keys.by_index(self.key_index).ok_or(TokenError::Invalid("key index"))?;
        key.verify_strict(self.signed().as_bytes(), &self.signature).map_err(|_| TokenError::Falsified)?;
        Ok(&self.token)
    }

    fn in_time(&self, now: Timestamp) -> Result<&Token, TokenError> {
        if self.token.expires.is_past(now) { Err(TokenError::Expired) } else { Ok(&self.token) }
    }

    /// When it expires.
    pub fn expires(&self) -> Expiry {
        self.token.expires
    }

    fn signed(&self) -> &str {
        self.text.split_once('.').map_or("", |(_, signed)| signed)
    }
}

impl FromStr for SignedToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() > Self::MAX_LEN {
            return Err(TokenError::Invalid("length"));
        }
        let (signature, signed) = text.split_once('.').ok_or(TokenError::Invalid("form"))?;
        let bytes = BASE64.decode(signature).map_err(|_| TokenError::Invalid("signature"))?;
        let signature = Signature::from_slice(&bytes).map_err(|_| TokenError::Invalid("signature"))?;
        let (key_index, token) = Token::read(signed)?;
        Ok(Self { text: Zeroizing::new(text.to_owned()), signature, key_index, token })
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedToken").field("type", &self.token.body.token_type()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
