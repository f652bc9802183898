//! Wire's bearer tokens and the cookie that carries one, byte for byte (`brig.md` §6.1).
//!
//! A token is `base64url(signature).v=1.k=K.d=D.t=T.l=L.body`: an Ed25519 signature over everything behind the first
//! dot. [`Token`] is what it says, [`SignedToken`] the text with its signature, [`Signer`] makes one of the other and
//! [`PublicKeys`] judge it. A `SignedToken` that was merely parsed proves nothing; only its `verify…` methods hand
//! out the contents.

pub mod cookie;
mod error;
mod keys;
mod signed;
mod token;

pub use error::{KeyError, TokenError};
pub use keys::{Keyring, PrivateKeys, PublicKeys, Signer};
pub use signed::SignedToken;
pub use token::{Access, Body, Bot, Expiry, Provider, Token, TokenType, User};
