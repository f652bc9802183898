//! The gate in front of every endpoint at the edge.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{extract::ConnectInfo, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts};
use public_api::{
    EndpointInfo, LimitClass,
    access::{self, AccessKind},
};
use types::{Clock, UserId};
use zauth::{Body, Expiry, PublicKeys, Token};

use crate::{
    EdgeConfig, acl,
    rate::{Key, Limiter},
    token,
};

const Z_BOT: HeaderName = HeaderName::from_static("z-bot");
const Z_CONVERSATION: HeaderName = HeaderName::from_static("z-conversation");
const Z_PROVIDER: HeaderName = HeaderName::from_static("z-provider");
const Z_TIMESTAMP: HeaderName = HeaderName::from_static("z-timestamp");

/// The status for too many requests: clients back off on this one, not on 429.
const ENHANCE_YOUR_CALM: u16 = 420;

/// How the client's address is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// The other end of the connection.
    Peer,
    /// There are so many proxies in front, each of which appends the address it sees to `X-Forwarded-For`: the
    /// address is the one that the outermost of them saw.
    Proxies(u8),
}

pub(crate) struct EdgeGate {
    keys: PublicKeys,
    clock: Arc<dyn Clock>,
    limiter: Option<Limiter>,
    client_address: ClientAddress,
}

impl EdgeGate {
    pub(crate) fn new(config: &EdgeConfig) -> Self {
        Self {
            keys: config.keys.clone(),
            clock: Arc::clone(&config.clock),
            limiter: config.rates.map(Limiter::new),
            client_address: config.client_address,
        }
    }

    /// The token's contents, for a path that it opens. 401 makes clients renew their token, 403 does not.
    fn token(&self, request: &Parts) -> Result<Token, Box<Response>> {
        let text = token::presented(&request.headers, request.uri.query());
        let token = text.and_then(|text| token::judge(&text, &self.keys, self.clock.now()));
        let token = token.ok_or_else(|| refusal(StatusCode::UNAUTHORIZED, "Unauthorized"))?;
        if acl::allows(token.body.token_type(), request.uri.path()) {
            Ok(token)
        } else {
            Err(refusal(StatusCode::FORBIDDEN, "Forbidden"))
        }
    }

    fn count(
        &self,
        endpoint: &EndpointInfo,
        address: Option<IpAddr>,
        user: Option<UserId>,
    ) -> Result<(), Box<Response>> {
        let key = match (endpoint.limit, user) {
            (LimitClass::Unlimited, _) => return Ok(()),
            (LimitClass::User, Some(user)) => Key::User(user),
            (LimitClass::Address | LimitClass::User, _) => Key::address(address, endpoint.id),
        };
        match &self.limiter {
            Some(limiter) if !limiter.admit(key, self.clock.monotonic()) => {
                let status = StatusCode::from_u16(ENHANCE_YOUR_CALM).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
                Err(refusal(status, "Too many requests"))
            }
            _ => Ok(()),
        }
    }
}

impl web::Gate for EdgeGate {
    fn admit(&self, endpoint: &EndpointInfo, request: &mut Parts) -> Result<(), Box<Response>> {
        let address = self.client_address.of(request);
        sanitize(&mut request.headers, address);
        let user = match endpoint.access {
            // Not routed here at all; should one be, it stays hidden.
            AccessKind::Internal => return Err(refusal(StatusCode::NOT_FOUND, "")),
            AccessKind::Anyone | AccessKind::Cookie => None,
            AccessKind::User => {
                // A refusal is not counted: a signature cannot be guessed, and an office full of clients that wake up
                // with expired tokens must hear 401, which makes them renew, and not 420.
                let token = self.token(request)?;
                request.headers.remove(header::AUTHORIZATION);
                assert_identity(&mut request.headers, &token);
                user_of(&token)
            }
        };
        self.count(endpoint, address, user)
    }
}

/// Removes what only the edge may assert, and asserts the client's address.
fn sanitize(headers: &mut HeaderMap, address: Option<IpAddr>) {
    let asserted: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(access::Z_PREFIX)).cloned().collect();
    for name in asserted {
        headers.remove(name);
    }
    headers.remove(access::X_FORWARDED_FOR);
    if let Some(address) = address {
        put(headers, access::X_FORWARDED_FOR, address);
    }
}

/// Writes down whom the token names.
fn assert_identity(headers: &mut HeaderMap, token: &Token) {
    put(headers, access::Z_TYPE, token.body.token_type().header_name());
    if let Expiry::At(seconds) = token.expires {
        put(headers, Z_TIMESTAMP, seconds);
    }
    match &token.body {
        Body::Access(access) | Body::LegalHoldAccess(access) => {
            put(headers, access::Z_USER, access.user);
            put(headers, access::Z_CONNECTION, access.connection);
            if let Some(client) = access.client {
                put(headers, access::Z_CLIENT, client);
            }
        }
        Body::Bot(bot) => {
            put(headers, Z_PROVIDER, bot.provider);
            put(headers, Z_BOT, bot.bot);
            put(headers, Z_CONVERSATION, bot.conversation);
        }
        Body::Provider(provider) => put(headers, Z_PROVIDER, provider.provider),
        Body::LegalHoldUser(user) | Body::Session(user) | Body::User(user) => put(headers, access::Z_USER, user.user),
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: impl std::fmt::Display) {
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(name, value);
    }
}

fn user_of(token: &Token) -> Option<UserId> {
    match &token.body {
        Body::Access(access) | Body::LegalHoldAccess(access) => Some(access.user),
        Body::LegalHoldUser(user) | Body::Session(user) | Body::User(user) => Some(user.user),
        Body::Bot(_) | Body::Provider(_) => None,
    }
}

fn refusal(status: StatusCode, text: &str) -> Box<Response> {
    Box::new(web::plain(status, text))
}

impl ClientAddress {
    fn of(self, request: &Parts) -> Option<IpAddr> {
        let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
        let Self::Proxies(count) = self else { return peer };
        if count == 0 {
            return peer;
        }
        let values = request.headers.get_all(access::X_FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
        let outermost = hops.len().checked_sub(usize::from(count))?;
        hops[outermost].parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }
}

#[cfg(test)]
mod tests {
    use http::Request;
    use public_api::{
        Endpoint,
        endpoints::{accounts::GetSelf, auth::Access, users::GetUserQualified},
    };
    use types::{BotId, ClientId, ManualClock, SeededRng, Timestamp};
    use web::Gate;
    use zauth::{Keyring, Provider};

    use super::*;
    use crate::{Origins, Rates};

    const USER: &str = "ac41a202-2555-11ec-9341-00163e5e6c00";

    struct Setting {
        keys: Keyring,
        clock: Arc<ManualClock>,
        gate: EdgeGate,
    }

    fn setting(rates: Option<Rates>, client_address: ClientAddress) -> Setting {
        let rng = SeededRng::new(7);
        let keys = Keyring::generate(&rng);
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_000)));
        let gate = EdgeGate::new(&EdgeConfig {
            keys: keys.public.clone(),
            clock: Arc::<ManualClock>::clone(&clock),
            rng: Arc::new(rng),
            disabled_versions: Default::default(),
            origins: Origins::Any,
            rates,
            client_address,
        });
        Setting { keys, clock, gate }
    }

    impl Setting {
        fn sign(&self, body: Body) -> String {
            // Bots' tokens never expire; one that does is not a token.
            let expires = if matches!(body, Body::Bot(_)) { Expiry::Never } else { Expiry::At(2_000) };
            let token = Token { expires, body };
            self.keys.signer.sign(token).as_str().to_owned()
        }
    }

    fn access(client: Option<ClientId>) -> Body {
        Body::Access(zauth::Access { user: USER.parse().unwrap(), client, connection: 17 })
    }

    fn request(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut builder = Request::builder().uri(uri);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap().into_parts().0
    }

    fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
        parts.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn what_the_token_says_is_asserted_and_nothing_else() {
        let setting = setting(None, ClientAddress::Peer);
        let bearer = format!("Bearer {}", setting.sign(access(Some(ClientId(255)))));
        let forged = [("authorization", bearer.as_str()), ("z-user", "evil"), ("Z-Bot", "evil"), ("z-host", "evil")];
        let mut parts = request("/self", &forged);
        setting.gate.admit(&GetSelf::INFO, &mut parts).unwrap();
        let told = ["z-user", "z-client", "z-connection", "z-type", "z-timestamp"].map(|name| header(&parts, name));
        assert_eq!(told, [Some(USER), Some("ff"), Some("17"), Some("access"), Some("2000")]);
        assert!(["z-bot", "z-host", "authorization"].iter().all(|name| header(&parts, name).is_none()));
        let bearer = format!("Bearer {}", setting.sign(access(None)));
        let mut unbound = request("/self", &[("authorization", &bearer), ("z-client", "ff")]);
        setting.gate.admit(&GetSelf::INFO, &mut unbound).unwrap();
        assert_eq!(header(&unbound, "z-client"), None);
    }

    #[test]
    fn assertions_are_removed_where_no_token_is_needed_too() {
        let setting = setting(None, ClientAddress::Peer);
        let mut parts = request("/access", &[("authorization", "Bearer old"), ("z-user", USER), ("cookie", "zuid=x")]);
        setting.gate.admit(&Access::INFO, &mut parts).unwrap();
        assert_eq!(["z-user", "authorization"].map(|name| header(&parts, name)), [None, Some("Bearer old")]);
    }

    #[test]
    fn the_kind_of_token_decides_about_the_path() {
        let setting = setting(None, ClientAddress::Peer);
        let user = zauth::User { user: USER.parse().unwrap(), rand: 1, client: None };
        let uuid = USER.parse::<types::UserId>().unwrap().0;
        let legal_hold = zauth::Access { user: user.user, client: None, connection: 1 };
        let bot = zauth::Bot {
            provider: types::ProviderId(uuid),
            bot: BotId(uuid),
            conversation: types::ConversationId(uuid),
        };
        for (body, own, others) in [
            (access(None), 200, 200),
            (Body::LegalHoldAccess(legal_hold), 403, 200),
            (Body::User(user.clone()), 403, 403),
            (Body::Session(user), 403, 403),
            (Body::Provider(Provider { provider: bot.provider }), 403, 403),
            (Body::Bot(bot), 403, 403),
        ] {
            let token = setting.sign(body);
            for (info, path, expected) in [
                (&GetSelf::INFO, "/self".to_owned(), own),
                (&GetUserQualified::INFO, format!("/users/a.example/{USER}"), others),
            ] {
                let mut parts = request(&format!("{path}?access_token={token}"), &[]);
                let status =
                    setting.gate.admit(info, &mut parts).map_or_else(|answer| answer.status().as_u16(), |()| 200);
                assert_eq!(status, expected, "{path} {token}");
            }
        }
    }

    #[test]
    fn forged_expired_and_missing_tokens_are_401() {
        let setting = setting(None, ClientAddress::Peer);
        let good = setting.sign(access(None));
        let other = Keyring::generate(&SeededRng::new(8)).signer;
        let foreign = other.sign(Token { expires: Expiry::At(2_000), body: access(None) }).as_str().to_owned();
        let status = |token: &str| {
            let mut parts = request("/self", &[("authorization", &format!("Bearer {token}"))]);
            setting.gate.admit(&GetSelf::INFO, &mut parts).map_or_else(|answer| answer.status().as_u16(), |()| 200)
        };
        assert_eq!(status(&good), 200);
        assert_eq!([foreign.as_str(), &good.replace("c=17", "c=18"), "x", ""].map(status), [401; 4]);
        setting.clock.set(Timestamp::from_seconds(2_001));
        assert_eq!(status(&good), 401);
        assert_eq!(setting.gate.admit(&GetSelf::INFO, &mut request("/self", &[])).unwrap_err().status(), 401);
    }

    #[test]
    fn the_address_is_the_peers_or_what_the_outermost_proxy_saw() {
        let seen = |client_address, forwarded: &[&str]| {
            let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
            let mut parts = request("/access", &headers);
            let peer: SocketAddr = "[::ffff:192.0.2.1]:5".parse().unwrap();
            parts.extensions.insert(ConnectInfo(peer));
            setting(None, client_address).gate.admit(&Access::INFO, &mut parts).unwrap();
            header(&parts, "x-forwarded-for").map(str::to_owned)
        };
        let address = |text: &str| Some(text.to_owned());
        assert_eq!(seen(ClientAddress::Peer, &["203.0.113.9"]), address("192.0.2.1"));
        assert_eq!(seen(ClientAddress::Proxies(0), &["203.0.113.9"]), address("192.0.2.1"));
        assert_eq!(seen(ClientAddress::Proxies(1), &["forged, 203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(seen(ClientAddress::Proxies(2), &["forged, 203.0.113.9", "10.0.0.1"]), address("203.0.113.9"));
        assert_eq!(seen(ClientAddress::Proxies(1), &["203.0.113.9, unknown"]), None);
        assert_eq!(seen(ClientAddress::Proxies(2), &["203.0.113.9"]), None);
    }

    #[test]
    fn users_are_counted_each_for_himself() {
        let setting = setting(Some(Rates::default()), ClientAddress::Peer);
        let bearer = |n: u128| {
            let user = UserId(uuid_of(n));
            let body = Body::Access(zauth::Access { user, client: None, connection: 1 });
            format!("Bearer {}", setting.sign(body))
        };
        let status = |bearer: &str| {
            let mut parts = request("/self", &[("authorization", bearer)]);
            setting.gate.admit(&GetSelf::INFO, &mut parts).map_or_else(|answer| answer.status().as_u16(), |()| 200)
        };
        let (a, b) = (bearer(1), bearer(2));
        let passed = (0..100).take_while(|_| status(&a) == 200).count();
        assert_eq!((passed, status(&a), status(&b)), (21, 420, 200));
        setting.clock.advance(std::time::Duration::from_secs(1));
        assert_eq!(status(&a), 200);
    }

    #[test]
    fn clients_with_refused_tokens_are_told_to_renew_however_many_there_are() {
        let setting = setting(Some(Rates::default()), ClientAddress::Peer);
        for token in ["Bearer expired", ""] {
            for _ in 0..100 {
                let mut parts = request("/self", &[("authorization", token)]);
                assert_eq!(setting.gate.admit(&GetSelf::INFO, &mut parts).unwrap_err().status().as_u16(), 401);
            }
        }
    }

    fn uuid_of(n: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(n)
    }
}
