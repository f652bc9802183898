//! Keys and the text files that hold them: one base64url key a line, 64 bytes (seed and public key) for a private
//! key, 32 for a public one. The number of the line is the key's index in tokens, beginning with 1.

use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use types::Rng;
use zeroize::Zeroizing;

use crate::{KeyError, SignedToken, Token};

/// base64url as Wire writes it, with padding; read with or without.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_encode_padding(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys that may sign. Wiped from memory when dropped, and never shown.
pub struct PrivateKeys(Vec<SigningKey>);

impl PrivateKeys {
    /// A new list with one key.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill(seed.as_mut());
        Self(vec![SigningKey::from_bytes(&seed)])
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError::Line`] also where the second half is not the public key of the first.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let keys = lines(text).map(|(line, bytes)| {
            let bytes: Option<Zeroizing<[u8; 64]>> =
                bytes.and_then(|b| <[u8; 64]>::try_from(b.as_slice()).ok().map(Zeroizing::new));
            let key = bytes.and_then(|b| SigningKey::from_keypair_bytes(&b).ok());
            key.ok_or(KeyError::Line(line))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// The text of a key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.len() * 89));
        for key in &self.0 {
            let bytes = Zeroizing::new(key.to_keypair_bytes());
            BASE64.encode_string(bytes.as_slice(), &mut text);
            text.push('\n');
        }
        text
    }

    /// The public keys that belong to them, in the same order.
    pub fn public(&self) -> PublicKeys {
        PublicKeys(self.0.iter().map(SigningKey::verifying_key).collect())
    }

    /// What signs with the key of that index (1-based; 0 is read as 1).
    ///
    /// # Errors
    /// [`KeyError::Index`].
    pub fn signer(&self, index: u32) -> Result<Signer, KeyError> {
        let key = at(&self.0, index).ok_or(KeyError::Index(index))?;
        Ok(Signer { index: index.max(1), key: key.clone() })
    }
}

/// Makes tokens with one key. Never shown.
pub struct Signer {
    index: u32,
    key: SigningKey,
}

impl Signer {
    /// Signs.
    pub fn sign(&self, token: Token) -> SignedToken {
        SignedToken::new(token, self.index, |bytes| self.key.sign(bytes))
    }
}

/// The keys whose signatures are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKeys(Vec<VerifyingKey>);

impl PublicKeys {
    /// Reads a key file.
    ///
    /// # Errors
    /// [`KeyError::Line`], [`KeyError::Empty`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let keys = lines(text).map(|(line, bytes)| {
            let bytes: Option<[u8; 32]> = bytes.and_then(|b| b.as_slice().try_into().ok());
            bytes.and_then(|b| VerifyingKey::from_bytes(&b).ok()).ok_or(KeyError::Line(line))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// The text of a key file.
    pub fn to_text(&self) -> String {
        self.0.iter().map(|key| BASE64.encode(key.as_bytes()) + "\n").collect()
    }

    pub(crate) fn by_index(&self, index: u32) -> Option<&VerifyingKey> {
        at(&self.0, index)
    }
}

/// What a backend that issues tokens holds: the key it signs with and those it believes.
pub struct Keyring {
    /// Signs new tokens.
    pub signer: Signer,
    /// Judges tokens.
    pub public: PublicKeys,
}

impl Keyring {
    /// From the two key files and the index of the signing key.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] if the own tokens would not be believed.
    pub fn new(private: &PrivateKeys, public: PublicKeys, index: u32) -> Result<Self, KeyError> {
        let signer = private.signer(index)?;
        if public.by_index(signer.index) != Some(&signer.key.verifying_key()) {
            return Err(KeyError::Mismatch(signer.index));
        }
        Ok(Self { signer, public })
    }

    /// One new key.
    pub fn generate(rng: &dyn Rng) -> Self {
        let private = PrivateKeys::generate(rng);
        let (index, key) = (1, private.0[0].clone());
        Self { public: private.public(), signer: Signer { index, key } }
    }
}

fn at<K>(keys: &[K], index: u32) -> Option<&K> {
    keys.get(usize::try_from(index.max(1) - 1).ok()?)
}

/// The lines that are not blank, with their numbers; `None` where a line is no base64url.
fn lines(text: &str) -> impl Iterator<Item = (usize, Option<Zeroizing<Vec<u8>>>)> {
    let filled = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    filled.map(|(index, line)| (index + 1, BASE64.decode(line).ok().map(Zeroizing::new)))
}

#[cfg(test)]
mod tests {
    use types::SeededRng;

    use super::*;

    #[test]
    fn files_round_trip() {
        let keys = PrivateKeys(vec![
            PrivateKeys::generate(&SeededRng::new(1)).0.remove(0),
            PrivateKeys::generate(&SeededRng::new(2)).0.remove(0),
        ]);
        let text = keys.to_text();
        assert!(text.lines().all(|line| line.len() == 88 && line.ends_with("==")), "64 bytes, padded");
        let read = PrivateKeys::parse(&text).unwrap();
        assert_eq!(read.to_text(), text);
        let public = keys.public();
        assert!(public.to_text().lines().all(|line| line.len() == 44));
        assert_eq!(PublicKeys::parse(&public.to_text()).unwrap(), public);
        assert_eq!(PublicKeys::parse(&public.to_text().replace('=', "")).unwrap(), public, "padding may be missing");
        assert!(Keyring::new(&keys, public.clone(), 2).is_ok());
        assert_eq!(Keyring::new(&keys, public.clone(), 3).err(), Some(KeyError::Index(3)));
        let swapped: String = public.to_text().lines().rev().map(|l| format!("{l}\n")).collect();
        let swapped = PublicKeys::parse(&swapped).unwrap();
        assert_eq!(Keyring::new(&keys, swapped, 1).err(), Some(KeyError::Mismatch(1)));
    }

    #[test]
    fn bad_files() {
        let good = PrivateKeys::generate(&SeededRng::new(1));
        let other = PrivateKeys::generate(&SeededRng::new(2));
        let mut bytes = good.0[0].to_keypair_bytes();
        bytes[32..].copy_from_slice(other.0[0].verifying_key().as_bytes());
        let mixed = BASE64.encode(bytes);
        for (text, error) in [
            ("", KeyError::Empty),
            ("\n \n", KeyError::Empty),
            ("%%%%", KeyError::Line(1)),
            ("AAAA", KeyError::Line(1)),
            (mixed.as_str(), KeyError::Line(1)),
            (&format!("{}\nAAAA\n", good.to_text().trim()), KeyError::Line(2)),
        ] {
            assert_eq!(PrivateKeys::parse(text).err(), Some(error), "{text:?}");
        }
        assert_eq!(PublicKeys::parse(&good.to_text()).err(), Some(KeyError::Line(1)), "a private key is no public one");
    }
}
