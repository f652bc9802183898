//! What a token says, and how that is written and read.

use std::fmt::{self, Write as _};

use types::{BotId, ClientId, ConversationId, ProviderId, Timestamp, UserId};

use crate::TokenError;

/// The contents of a token, without signature and key index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Until when it is good.
    pub expires: Expiry,
    /// Whom it names, by type.
    pub body: Body,
}

/// When a token ceases to be good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// After that second (unix time). Second -1 cannot be written: it means [`Expiry::Never`].
    At(i64),
    /// Never; written as -1.
    Never,
}

impl Expiry {
    /// The end of the second in which `moment` lies.
    pub fn at(moment: Timestamp) -> Self {
        Self::from_seconds(moment.seconds())
    }

    /// Whether the time has passed.
    pub fn is_past(self, now: Timestamp) -> bool {
        match self {
            Self::At(seconds) => seconds < now.seconds(),
            Self::Never => false,
        }
    }

    pub(crate) fn from_seconds(seconds: i64) -> Self {
        if seconds == -1 { Self::Never } else { Self::At(seconds) }
    }

    fn seconds(self) -> i64 {
        match self {
            Self::At(seconds) => seconds,
            Self::Never => -1,
        }
    }
}

/// The types of tokens, as access rules tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenType {
    /// `a`: short-lived, for requests of a user.
    Access,
    /// `b`: for requests of a bot. Never expires.
    Bot,
    /// `la`: as `a`, for a legal hold service.
    LegalHoldAccess,
    /// `lu`: as `u`, for a legal hold service.
    LegalHoldUser,
    /// `p`: for requests of a provider.
    Provider,
    /// `u`: long-lived, the value of a user's cookie; fetches access tokens.
    User,
}

impl TokenType {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Access, Self::Bot, Self::LegalHoldAccess, Self::LegalHoldUser, Self::Provider, Self::User];

    /// The field `t`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "a",
            Self::Bot => "b",
            Self::LegalHoldAccess => "la",
            Self::LegalHoldUser => "lu",
            Self::Provider => "p",
            Self::User => "u",
        }
    }

    /// The name in the header `Z-Type`.
    pub const fn header_name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Bot => "bot",
            Self::LegalHoldAccess => "legal_hold_access",
            Self::LegalHoldUser => "legal_hold_user",
            Self::Provider => "provider",
            Self::User => "user",
        }
    }
}

/// The fields that belong to a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `t=a`.
    Access(Access),
    /// `t=b`.
    Bot(Bot),
    /// `t=la`.
    LegalHoldAccess(Access),
    /// `t=lu`.
    LegalHoldUser(User),
    /// `t=p`.
    Provider(Provider),
    /// `t=u` with `l=s`: a user token whose cookie ends with the browser's session and is never renewed.
    Session(User),
    /// `t=u`.
    User(User),
}

/// An access token's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `u`: the user.
    pub user: UserId,
    /// `i`: the client that the session is bound to.
    pub client: Option<ClientId>,
    /// `c`: the connection.
    pub connection: u64,
}

/// A user token's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `u`: the user.
    pub user: UserId,
    /// `r`: the number of the cookie.
    pub rand: u32,
    /// `i`: the client that the session is bound to.
    pub client: Option<ClientId>,
}

/// A bot token's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bot {
    /// `p`: the provider of the bot's service.
    pub provider: ProviderId,
    /// `b`: the bot.
    pub bot: BotId,
    /// `c`: the conversation it is in.
    pub conversation: ConversationId,
}

/// A provider token's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// `p`: the provider.
    pub provider: ProviderId,
}

impl Body {
    /// The type.
    pub fn token_type(&self) -> TokenType {
        match self {
            Self::Access(_) => TokenType::Access,
            Self::Bot(_) => TokenType::Bot,
            Self::LegalHoldAccess(_) => TokenType::LegalHoldAccess,
            Self::LegalHoldUser(_) => TokenType::LegalHoldUser,
            Self::Provider(_) => TokenType::Provider,
            Self::Session(_) | Self::User(_) => TokenType::User,
        }
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Access(b) | Self::LegalHoldAccess(b) => {
                write!(f, "u={}", b.user)?;
                if let Some(client) = b.client {
                    write!(f, ".i={client}")?;
                }
                write!(f, ".c={}", b.connection)
            }
            Self::Bot(b) => write!(f, "p={}.b={}.c={}", b.provider, b.bot, b.conversation),
            Self::LegalHoldUser(b) | Self::Session(b) | Self::User(b) => {
                write!(f, "u={}.r={:x}", b.user, b.rand)?;
                if let Some(client) = b.client {
                    write!(f, ".i={client}")?;
                }
                Ok(())
            }
            Self::Provider(b) => write!(f, "p={}", b.provider),
        }
    }
}

/// The version that is written and the only one that is read.
const VERSION: &str = "1";
/// The tag of a session token.
const SESSION: &str = "s";

impl Token {
    /// The text that is signed.
    pub(crate) fn signed_text(&self, key_index: u32) -> String {
        let tag = if matches!(self.body, Body::Session(_)) { SESSION } else { "" };
        let (d, t) = (self.expires.seconds(), self.body.token_type().as_str());
        let mut text = String::with_capacity(160);
        write!(text, "v={VERSION}.k={key_index}.d={d}.t={t}.l={tag}.{}", self.body)
            .expect("writing to a String does not fail");
        text
    }

    /// Reads the signed text: the key index and the contents.
    pub(crate) fn read(signed: &str) -> Result<(u32, Self), TokenError> {
        let fields = Fields(signed);
        if fields.required('v', "version")? != VERSION {
            return Err(TokenError::Invalid("version"));
        }
        let key = number(fields.required('k', "key index")?).ok_or(TokenError::Invalid("key index"))?;
        let seconds = fields.required('d', "expiry")?;
        let seconds: i64 = seconds.parse().map_err(|_| TokenError::Invalid("expiry"))?;
        let session = fields.required('l', "tag")? == SESSION;
        let expires = Expiry::from_seconds(seconds);
        let kind = fields.required('t', "type")?;
        let kind = TokenType::ALL.into_iter().find(|t| t.as_str() == kind).ok_or(TokenError::Invalid("type"))?;
        let body = match kind {
            TokenType::Access => Body::Access(fields.access()?),
            TokenType::Bot => Body::Bot(Bot {
                provider: fields.id('p', "provider")?,
                bot: fields.id('b', "bot")?,
                conversation: fields.id('c', "conversation")?,
            }),
            TokenType::LegalHoldAccess => Body::LegalHoldAccess(fields.access()?),
            TokenType::LegalHoldUser => Body::LegalHoldUser(fields.user()?),
            TokenType::Provider => Body::Provider(Provider { provider: fields.id('p', "provider")? }),
            TokenType::User if session => Body::Session(fields.user()?),
            TokenType::User => Body::User(fields.user()?),
        };
        if kind == TokenType::Bot && expires != Expiry::Never {
            return Err(TokenError::Invalid("expiry"));
        }
        Ok((key, Self { expires, body }))
    }
}

/// `k=v` pairs separated by dots, in any order; keys that nobody asks for are ignored.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    /// The value of a key. Given twice it is refused: two readers might each believe another one.
    fn find(&self, key: char, name: &'static str) -> Result<Option<&'a str>, TokenError> {
        let value = |pair: &'a str| pair.strip_prefix(key)?.strip_prefix('=');
        let mut values = self.0.split('.').filter_map(value);
        let first = values.next();
        if values.next().is_some() { Err(TokenError::Invalid(name)) } else { Ok(first) }
    }

    fn required(&self, key: char, name: &'static str) -> Result<&'a str, TokenError> {
        self.find(key, name)?.ok_or(TokenError::Invalid(name))
    }

    fn id<T: std::str::FromStr>(&self, key: char, name: &'static str) -> Result<T, TokenError> {
        self.required(key, name)?.parse().map_err(|_| TokenError::Invalid(name))
    }

    fn client(&self) -> Result<Option<ClientId>, TokenError> {
        self.find('i', "client")?.map(|text| text.parse().map_err(|_| TokenError::Invalid("client"))).transpose()
    }

    fn access(&self) -> Result<Access, TokenError> {
        let connection = number(self.required('c', "connection")?).ok_or(TokenError::Invalid("connection"))?;
        Ok(Access { user: self.id('u', "user")?, client: self.client()?, connection })
    }

    fn user(&self) -> Result<User, TokenError> {
        let rand = hex(self.required('r', "random number")?).ok_or(TokenError::Invalid("random number"))?;
        Ok(User { user: self.id('u', "user")?, rand, client: self.client()? })
    }
}

/// Decimal digits alone: `str::parse` would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn hex(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(text, 16).ok() } else { None }
}
