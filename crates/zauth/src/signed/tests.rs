use proptest::prelude::*;
use types::{BotId, ClientId, ConversationId, ProviderId, SeededRng, UserId};
use uuid::Uuid;

use super::*;
use crate::{Access, Body, Bot, Keyring, PrivateKeys, Provider, TokenType, User};

/// A token that production wire-servers once issued; its signature belongs to a key that is not known here.
const FOREIGN: &str = "vpJs7PEgwtsuzGlMY0-Vqs22s8o9ZDlp7wJrPmhCgIfg0NoTAxvxq5OtknabLMfNTEW9amn5tyeUM7tbFZABBA==\
    .v=1.k=1.d=1466770905.t=u.l=.u=6562d941-4f40-4db4-b96e-56a06d71c2c3.r=4feacc";

fn keyring(seed: u64) -> Keyring {
    Keyring::generate(&SeededRng::new(seed))
}

fn user() -> UserId {
    "6562d941-4f40-4db4-b96e-56a06d71c2c3".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn each_type_is_written_as_the_field_knows_it() {
    let client = Some(ClientId(0xdead_beef));
    let session = User { user: user(), rand: 0x004f_eacc, client: None };
    let bound = User { client, ..session.clone() };
    let access = Access { user: user(), client: None, connection: 11_019_722_839_397_809_329 };
    let id = |n| Uuid::from_u128(n);
    let bot = Bot { provider: ProviderId(id(1)), bot: BotId(id(2)), conversation: ConversationId(id(3)) };
    let u = "u=6562d941-4f40-4db4-b96e-56a06d71c2c3";
    for (body, expires, text) in [
        (Body::Access(access.clone()), 7, format!("v=1.k=1.d=7.t=a.l=.{u}.c=11019722839397809329")),
        (
            Body::Access(Access { client, ..access.clone() }),
            7,
            format!("v=1.k=1.d=7.t=a.l=.{u}.i=deadbeef.c=11019722839397809329"),
        ),
        (Body::LegalHoldAccess(access), 7, format!("v=1.k=1.d=7.t=la.l=.{u}.c=11019722839397809329")),
        (Body::User(session.clone()), 7, format!("v=1.k=1.d=7.t=u.l=.{u}.r=4feacc")),
        (Body::User(bound), 7, format!("v=1.k=1.d=7.t=u.l=.{u}.r=4feacc.i=deadbeef")),
        (Body::Session(session.clone()), 7, format!("v=1.k=1.d=7.t=u.l=s.{u}.r=4feacc")),
        (Body::LegalHoldUser(session), 7, format!("v=1.k=1.d=7.t=lu.l=.{u}.r=4feacc")),
        (
            Body::Bot(bot),
            -1,
            "v=1.k=1.d=-1.t=b.l=.p=00000000-0000-0000-0000-000000000001.b=00000000-0000-0000-0000-000000000002\
             .c=00000000-0000-0000-0000-000000000003"
                .to_owned(),
        ),
        (
            Body::Provider(Provider { provider: ProviderId(id(1)) }),
            7,
            "v=1.k=1.d=7.t=p.l=.p=00000000-0000-0000-0000-000000000001".to_owned(),
        ),
    ] {
        let token = Token { expires: Expiry::from_seconds(expires), body };
        let signed = keyring(1).signer.sign(token.clone());
        let (signature, rest) = signed.as_str().split_once('.').unwrap();
        assert_eq!(rest, text);
        assert!(signature.len() == 88 && signature.ends_with("=="), "64 bytes as padded base64url");
        let read: SignedToken = signed.as_str().parse().unwrap();
        assert_eq!(read.verify(&keyring(1).public, at(0)), Ok(&token));
    }
}

#[test]
fn a_foreign_token_is_read_but_not_believed() {
    let token: SignedToken = FOREIGN.parse().unwrap();
    let body = Body::User(User { user: user(), rand: 0x004f_eacc, client: None });
    assert_eq!(token.unverified(), &Token { expires: Expiry::At(1_466_770_905), body });
    let keys = keyring(1).public;
    assert_eq!(token.verify(&keys, at(0)), Err(TokenError::Falsified));
    assert_eq!(token.verify(&keys, at(1_466_770_906)), Err(TokenError::Falsified), "the signature comes first");
    assert_eq!(token.verify_expiry_first(&keys, at(1_466_770_906)), Err(TokenError::Expired), "the time comes first");
    assert_eq!(token.verify_expiry_first(&keys, at(1_466_770_905)), Err(TokenError::Falsified), "the last second");
}

#[test]
fn order_is_free_and_unknown_fields_are_ignored() {
    let signature = FOREIGN.split_once('.').unwrap().0;
    let u = "u=6562d941-4f40-4db4-b96e-56a06d71c2c3";
    let read = |fields: &str| format!("{signature}.{fields}").parse::<SignedToken>();
    let usual = read(&format!("v=1.k=1.d=7.t=u.l=.{u}.r=1")).unwrap();
    for fields in [
        format!("r=1.{u}.l=.t=u.d=7.k=1.v=1"),
        format!("v=1.k=1.d=7.t=u.l=.{u}.r=1.z=9.foo=bar.nothing"),
        format!("v=1.k=1.d=7.t=u.l=x.{u}.r=00000001"),
    ] {
        assert_eq!(read(&fields).unwrap().unverified(), usual.unverified(), "{fields}");
    }
    for (fields, part) in [
        (format!("v=2.k=1.d=7.t=u.l=.{u}.r=1"), "version"),
        (format!("k=1.d=7.t=u.l=.{u}.r=1"), "version"),
        (format!("v=1.d=7.t=u.l=.{u}.r=1"), "key index"),
        (format!("v=1.k=-1.d=7.t=u.l=.{u}.r=1"), "key index"),
        (format!("v=1.k=1.d=x.t=u.l=.{u}.r=1"), "expiry"),
        (format!("v=1.k=1.d=7.t=x.l=.{u}.r=1"), "type"),
        (format!("v=1.k=1.d=7.t=u.{u}.r=1"), "tag"),
        ("v=1.k=1.d=7.t=u.l=.r=1".to_owned(), "user"),
        (format!("v=1.k=1.d=7.t=u.l=.{u}.{u}.r=1"), "user"),
        (format!("v=1.k=1.d=7.t=u.l=.{u}"), "random number"),
        (format!("v=1.k=1.d=7.t=u.l=.{u}.r=100000000"), "random number"),
        (format!("v=1.k=1.d=7.t=u.l=.{u}.r=+1"), "random number"),
        (format!("v=1.k=1.d=7.t=u.l=.{u}.r=1.i=xyz"), "client"),
        (format!("v=1.k=1.d=7.t=a.l=.{u}"), "connection"),
        (format!("v=1.k=1.d=7.t=a.l=.{u}.c=+1"), "connection"),
        ("v=1.k=1.d=7.t=b.l=.p=x.b=x.c=x".to_owned(), "provider"),
    ] {
        assert_eq!(read(&fields).err(), Some(TokenError::Invalid(part)), "{fields}");
    }
    let bot = "t=b.l=.p=00000000-0000-0000-0000-000000000001.b=00000000-0000-0000-0000-000000000002\
               .c=00000000-0000-0000-0000-000000000003";
    assert!(read(&format!("v=1.k=1.d=-1.{bot}")).is_ok());
    assert_eq!(read(&format!("v=1.k=1.d=7.{bot}")).err(), Some(TokenError::Invalid("expiry")), "bots never expire");
}

#[test]
fn keys_are_chosen_by_index() {
    let text = |seed| PrivateKeys::generate(&SeededRng::new(seed)).to_text().to_string();
    let private = PrivateKeys::parse(&format!("{}{}", text(1), text(2))).unwrap();
    let token = Token { expires: Expiry::Never, body: Body::User(User { user: user(), rand: 1, client: None }) };
    let second = private.signer(2).unwrap().sign(token.clone());
    assert!(second.as_str().contains(".k=2."));
    assert_eq!(second.verify(&private.public(), at(i64::MAX / 1_000_000)), Ok(&token), "-1 never expires");
    assert_eq!(second.verify(&keyring(1).public, at(0)), Err(TokenError::Invalid("key index")));

    let zero: SignedToken = SignedToken::new(token.clone(), 0, |bytes| {
        use ed25519_dalek::Signer as _;
        let seed = {
            let mut seed = [0; 32];
            types::Rng::fill(&SeededRng::new(1), &mut seed);
            seed
        };
        ed25519_dalek::SigningKey::from_bytes(&seed).sign(bytes)
    });
    assert_eq!(zero.verify(&private.public(), at(0)), Ok(&token), "0 is read as 1");
}

#[test]
fn nothing_secret_is_shown() {
    let token = keyring(1)
        .signer
        .sign(Token { expires: Expiry::Never, body: Body::User(User { user: user(), rand: 0xabcdef, client: None }) });
    let shown = format!("{token:?}");
    assert!(!shown.contains(&token.as_str()[..20]) && !shown.contains("abcdef"), "{shown}");
}

fn bodies() -> impl Strategy<Value = Body> {
    let id = any::<u128>().prop_map(Uuid::from_u128);
    let client = proptest::option::of(any::<u64>().prop_map(ClientId));
    let access = (id.clone(), client.clone(), any::<u64>()).prop_map(|(u, client, connection)| Access {
        user: UserId(u),
        client,
        connection,
    });
    let user = (id.clone(), client, any::<u32>()).prop_map(|(u, client, rand)| User { user: UserId(u), rand, client });
    let bot = (id.clone(), id.clone(), id.clone()).prop_map(|(p, b, c)| Bot {
        provider: ProviderId(p),
        bot: BotId(b),
        conversation: ConversationId(c),
    });
    prop_oneof![
        access.clone().prop_map(Body::Access),
        access.prop_map(Body::LegalHoldAccess),
        user.clone().prop_map(Body::User),
        user.clone().prop_map(Body::Session),
        user.prop_map(Body::LegalHoldUser),
        bot.prop_map(Body::Bot),
        id.prop_map(|p| Body::Provider(Provider { provider: ProviderId(p) })),
    ]
}

fn tokens() -> impl Strategy<Value = Token> {
    (bodies(), any::<i64>()).prop_map(|(body, seconds)| {
        let never = body.token_type() == TokenType::Bot;
        Token { expires: if never { Expiry::Never } else { Expiry::from_seconds(seconds) }, body }
    })
}

proptest! {
    #[test]
    fn what_is_signed_is_read_back(token in tokens(), seed in 0u64..4) {
        let keys = keyring(seed);
        let signed = keys.signer.sign(token.clone());
        let read: SignedToken = signed.as_str().parse().unwrap();
        prop_assert_eq!(read.as_str(), signed.as_str());
        prop_assert_eq!(read.verify_signature(&keys.public), Ok(&token));
    }

    #[test]
    fn one_changed_character_is_noticed(token in tokens(), at in 0usize..400, with in "[0-9a-z.=-]") {
        let keys = keyring(1);
        let signed = keys.signer.sign(token);
        let mut text = signed.as_str().to_owned();
        let at = at % text.len();
        text.replace_range(at..=at, &with);
        if text != signed.as_str() && let Ok(read) = text.parse::<SignedToken>() {
            prop_assert!(read.verify_signature(&keys.public).is_err(), "{} {}", signed.as_str(), text);
        }
    }

    #[test]
    fn any_text_is_survived(text in ".*", fields in "[vkdtlurcipb]=[-0-9a-f]{0,3}(\\.[vkdtlurcipb]=[-a-u0-9]{0,5}){0,8}") {
        let _ = text.parse::<SignedToken>();
        let signature = FOREIGN.split_once('.').unwrap().0;
        let _ = format!("{signature}.{fields}").parse::<SignedToken>();
    }
}
