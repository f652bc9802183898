//! What is presented at `/access`, sorted and judged (`brig.md` §6.4).

use types::{Timestamp, UserId};
use zauth::{Access, Body, PublicKeys, SignedToken, TokenError, User};

/// Why what was presented does not give access. Each has an error of its own in the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The cookie's time has passed, or the user has been away for too long.
    #[error("expired")]
    Expired,
    /// The signature is not ours.
    #[error("falsified")]
    Falsified,
    /// Unknown, revoked, of another user than the token, or asked for a client that is none of the user's.
    #[error("invalid")]
    Invalid,
    /// What was presented as cookie or token is not even one.
    #[error("malformed")]
    Malformed,
    /// A cookie of one family with a token of the other.
    #[error("cookie and token do not belong together")]
    Mismatch,
    /// A token and no cookie.
    #[error("no cookie")]
    NoCookie,
    /// Neither.
    #[error("neither cookie nor token")]
    NoCookieAndToken,
    /// A scheme that is not `Bearer`.
    #[error("not a bearer token")]
    Scheme,
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Expired => Self::Expired,
            TokenError::Falsified => Self::Falsified,
            TokenError::Invalid(_) => Self::Invalid,
        }
    }
}

/// What was presented, parsed: one cookie at least, all of one family, and the token that goes with them. Nothing has
/// been verified.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The cookies' tokens, in the order in which they came.
    pub cookies: Vec<SignedToken>,
    /// The access token.
    pub token: Option<SignedToken>,
}

/// The two families of tokens.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    LegalHold,
    Plain,
}

/// Parses and sorts. Cookies that are none are passed over if another is one.
///
/// # Errors
/// [`Refused::Malformed`] and the refusals about what is missing or does not belong together.
pub fn sort<'a>(cookies: impl IntoIterator<Item = &'a str>, token: Option<&str>) -> Result<Presented, Refused> {
    let parsed: Vec<Option<SignedToken>> =
        cookies.into_iter().map(|text| text.parse().ok().filter(|t| cookie_family(t).is_some())).collect();
    let came = !parsed.is_empty();
    let cookies: Vec<SignedToken> = parsed.into_iter().flatten().collect();
    if came && cookies.is_empty() {
        return Err(Refused::Malformed);
    }
    let token: Option<SignedToken> = token.map(str::parse).transpose().map_err(|_| Refused::Malformed)?;
    let family = match &token {
        Some(token) => Some(token_family(token).ok_or(Refused::Malformed)?),
        None => None,
    };
    let Some(first) = cookies.first().and_then(cookie_family) else {
        return Err(if token.is_some() { Refused::NoCookie } else { Refused::NoCookieAndToken });
    };
    let mixed = cookies.iter().any(|cookie| cookie_family(cookie) != Some(first));
    if mixed || family.is_some_and(|family| family != first) {
        return Err(Refused::Mismatch);
    }
    Ok(Presented { cookies, token })
}

fn cookie_family(token: &SignedToken) -> Option<Family> {
    match token.unverified().body {
        Body::LegalHoldUser(_) => Some(Family::LegalHold),
        Body::Session(_) | Body::User(_) => Some(Family::Plain),
        _ => None,
    }
}

fn token_family(token: &SignedToken) -> Option<Family> {
    match token.unverified().body {
        Body::LegalHoldAccess(_) => Some(Family::LegalHold),
        Body::Access(_) => Some(Family::Plain),
        _ => None,
    }
}

/// A cookie whose token is in order; whether it has been revoked only the store knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Where it stands in [`Presented::cookies`].
    pub index: usize,
    /// What the cookie says.
    pub cookie: &'a User,
    /// The connection of the access token that came with it.
    pub connection: Option<u64>,
}

/// Judges one cookie together with the access token. The token may have expired: it only says which connection it was.
///
/// # Errors
/// [`Refused::Expired`], [`Refused::Falsified`], [`Refused::Invalid`].
pub fn judge<'a>(
    presented: &'a Presented,
    index: usize,
    keys: &PublicKeys,
    now: Timestamp,
) -> Result<Candidate<'a>, Refused> {
    let cookie = presented.cookies.get(index).ok_or(Refused::Invalid)?;
    let named = |token: &SignedToken| match &token.unverified().body {
        Body::Access(access) | Body::LegalHoldAccess(access) => Some(access.user),
        _ => None,
    };
    let owner: Option<UserId> = user(&cookie.unverified().body).map(|user| user.user);
    if presented.token.as_ref().is_some_and(|token| named(token) != owner) {
        return Err(Refused::Invalid);
    }
    let cookie = user(&cookie.verify(keys, now)?.body).ok_or(Refused::Invalid)?;
    let connection = match &presented.token {
        Some(token) => connection(&token.verify_signature(keys)?.body),
        None => None,
    };
    Ok(Candidate { index, cookie, connection })
}

fn user(body: &Body) -> Option<&User> {
    match body {
        Body::LegalHoldUser(user) | Body::Session(user) | Body::User(user) => Some(user),
        _ => None,
    }
}

fn connection(body: &Body) -> Option<u64> {
    match body {
        Body::Access(Access { connection, .. }) | Body::LegalHoldAccess(Access { connection, .. }) => Some(*connection),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use types::SeededRng;
    use zauth::{Expiry, Keyring, Token};

    use super::*;

    fn keyring() -> Keyring {
        Keyring::generate(&SeededRng::new(1))
    }

    fn id(n: u128) -> UserId {
        UserId(uuid::Uuid::from_u128(n))
    }

    fn signed(body: Body) -> SignedToken {
        keyring().signer.sign(Token { expires: Expiry::At(100), body })
    }

    fn cookie(n: u128) -> SignedToken {
        signed(Body::User(User { user: id(n), rand: 7, client: None }))
    }

    fn token(n: u128) -> SignedToken {
        signed(Body::Access(Access { user: id(n), client: None, connection: 9 }))
    }

    #[test]
    fn sorting() {
        let (u, a) = (cookie(1), token(1));
        let lu = signed(Body::LegalHoldUser(User { user: id(1), rand: 7, client: None }));
        let la = signed(Body::LegalHoldAccess(Access { user: id(1), client: None, connection: 9 }));
        let (u, a, lu, la) = (u.as_str(), a.as_str(), lu.as_str(), la.as_str());
        for (cookies, token, expected) in [
            (vec![u], None, Ok(1)),
            (vec![u], Some(a), Ok(1)),
            (vec!["junk", u, u], Some(a), Ok(2)),
            (vec![lu], Some(la), Ok(1)),
            (vec![], None, Err(Refused::NoCookieAndToken)),
            (vec![], Some(a), Err(Refused::NoCookie)),
            (vec![], Some("xxx"), Err(Refused::Malformed)),
            (vec!["xxx"], None, Err(Refused::Malformed)),
            (vec![a], None, Err(Refused::Malformed)),
            (vec![u], Some("xxx"), Err(Refused::Malformed)),
            (vec![u], Some(u), Err(Refused::Malformed)),
            (vec![u], Some(la), Err(Refused::Mismatch)),
            (vec![lu], Some(a), Err(Refused::Mismatch)),
            (vec![u, lu], None, Err(Refused::Mismatch)),
        ] {
            let sorted = sort(cookies.iter().copied(), token).map(|presented| presented.cookies.len());
            assert_eq!(sorted, expected, "{} cookies, token {}", cookies.len(), token.is_some());
        }
    }

    #[test]
    fn judging() {
        let keys = keyring().public;
        let others = Keyring::generate(&SeededRng::new(2)).public;
        let at = Timestamp::from_seconds;
        let judge_one = |token: Option<SignedToken>, keys, now| {
            let presented = Presented { cookies: vec![cookie(1)], token };
            judge(&presented, 0, keys, at(now)).map(|candidate| (candidate.cookie.rand, candidate.connection))
        };
        assert_eq!(judge_one(None, &keys, 100), Ok((7, None)));
        assert_eq!(judge_one(Some(token(1)), &keys, 100), Ok((7, Some(9))));
        assert_eq!(judge_one(Some(token(2)), &keys, 100), Err(Refused::Invalid), "of another user");
        assert_eq!(judge_one(None, &keys, 101), Err(Refused::Expired));
        assert_eq!(judge_one(None, &others, 101), Err(Refused::Falsified), "before the time is looked at");

        let stale = keyring().signer.sign(Token { expires: Expiry::At(1), ..token(1).unverified().clone() });
        assert_eq!(judge_one(Some(stale), &keys, 100), Ok((7, Some(9))), "an old token still names its connection");
        let forged = Keyring::generate(&SeededRng::new(2)).signer.sign(token(1).unverified().clone());
        assert_eq!(judge_one(Some(forged), &keys, 100), Err(Refused::Falsified));
    }
}
