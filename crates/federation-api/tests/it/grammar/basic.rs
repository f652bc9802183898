//! What everything is made of.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{Doc, Grammar, def, list, opt, rec, req, set, tagged, text_of};

fn same<T: Into<Value> + std::fmt::Debug>(strategy: impl Strategy<Value = T> + 'static) -> Grammar {
    strategy.prop_map(|value| Doc::same(value.into())).boxed()
}

pub fn text() -> Grammar {
    same(".{0,12}")
}

pub fn text_of_length(shortest: usize, longest: usize) -> Grammar {
    same(prop_oneof![
        proptest::string::string_regex(&format!(".{{{shortest},{}}}", longest.min(20))).unwrap(),
        Just("ü".repeat(shortest)),
        Just("𩟒".repeat(longest)),
    ])
}

pub fn flag() -> Grammar {
    same(any::<bool>())
}

pub fn number<T>() -> Grammar
where
    T: Arbitrary + Into<Value> + Copy + 'static,
{
    same(any::<T>())
}

pub fn one_of(texts: &[&'static str]) -> Grammar {
    same(select(texts.to_vec()))
}

pub fn uuid() -> Grammar {
    same(any::<u128>().prop_map(|n| uuid::Uuid::from_u128(n).to_string()))
}

pub fn domain() -> Grammar {
    "[a-z]([a-z0-9-]{0,5}[a-z0-9])?\\.[a-z]{2,4}"
        .prop_flat_map(|domain| {
            let upper = domain.to_uppercase();
            let written = Value::from(domain.clone());
            select(vec![domain, upper]).prop_map(move |sent| Doc { sent: sent.into(), written: written.clone() })
        })
        .boxed()
}

pub fn handle() -> Grammar {
    same("[a-z0-9_.-]{2,30}")
}

pub fn client_id() -> Grammar {
    (any::<u64>(), 0..3_u8)
        .prop_map(|(n, form)| {
            let sent = match form {
                0 => format!("{n:x}"),
                1 => format!("{n:X}"),
                _ => format!("{n:016x}"),
            };
            Doc { sent: sent.into(), written: format!("{n:x}").into() }
        })
        .boxed()
}

pub fn bytes() -> Grammar {
    same(proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| STANDARD.encode(bytes)))
}

fn moment() -> impl Strategy<Value = (String, u32)> {
    let fraction = prop_oneof![Just(0), (0..1_000_u32).prop_map(|ms| ms * 1_000), 0..1_000_000_u32];
    let day = select(vec!["1864-04-12", "1970-01-01", "2000-02-29", "2026-11-24"]);
    (day, 0..24_u32, 0..60_u32, 0..60_u32, fraction)
        .prop_map(|(day, h, m, s, micros)| (format!("{day}T{h:02}:{m:02}:{s:02}"), micros))
}

/// Time to the microsecond.
pub fn utc_time() -> Grammar {
    moment()
        .prop_map(|(seconds, micros)| {
            let written = match micros {
                0 => format!("{seconds}Z"),
                _ if micros % 1_000 == 0 => format!("{seconds}.{:03}Z", micros / 1_000),
                _ => format!("{seconds}.{micros:06}Z"),
            };
            Doc { sent: format!("{seconds}.{micros:06}Z").into(), written: written.into() }
        })
        .boxed()
}

/// Time to the millisecond.
pub fn utc_time_millis() -> Grammar {
    moment()
        .prop_map(|(seconds, micros)| {
            let sent = if micros == 0 { format!("{seconds}Z") } else { format!("{seconds}.{micros:06}Z") };
            Doc { sent: sent.into(), written: format!("{seconds}.{:03}Z", micros / 1_000).into() }
        })
        .boxed()
}

pub fn qualified() -> Grammar {
    rec(vec![req("domain", domain()), req("id", uuid())])
}

/// A record with `qualified_id`, written with `id` too.
pub fn with_plain_id(grammar: Grammar) -> Grammar {
    (grammar, any::<bool>())
        .prop_map(|(mut doc, sent)| {
            let id = doc.written["qualified_id"]["id"].clone();
            if sent {
                doc.sent["id"] = id.clone();
            }
            doc.written["id"] = id;
            doc
        })
        .boxed()
}

pub fn domains() -> Grammar {
    set(domain(), text_of)
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    let search_policy = || one_of(&["no_search", "exact_handle_search", "full_search"]);
    let restriction = || {
        tagged(
            "value",
            vec![
                ("allow_all", Some(Just(Doc::same(Value::Null)).boxed())),
                ("restrict_by_team", Some(list(uuid(), 0..3))),
            ],
        )
    };
    let range = || rec(vec![req("from", number::<u32>()), opt("until_excl", number::<u32>())]);
    let notification = || {
        rec(vec![
            req("ownDomain", domain()),
            req("targetComponent", one_of(&["brig", "cargohold", "galley"])),
            req("path", text()),
            req("body", text()),
            opt("bodyVersions", range()),
            opt("requestId", text()),
        ])
    };
    vec![
        ("AssetKey", text()),
        ("BackendNotification", notification()),
        ("Base64ByteString", bytes()),
        ("ClientId", client_id()),
        ("Component", one_of(&["brig", "cargohold", "galley"])),
        ("ConvId", uuid()),
        ("Domain", domain()),
        ("EmptyResponse", rec(vec![])),
        ("FederatedUserSearchPolicy", search_policy()),
        (
            "FederationDomainConfig",
            rec(vec![
                req("domain", domain()),
                req("search_policy", search_policy()),
                req("restriction", restriction()),
            ]),
        ),
        ("FederationRestriction", restriction()),
        ("FederationStrategy", one_of(&["allowNone", "allowAll", "allowDynamic"])),
        ("Handle", handle()),
        ("PayloadBundle", rec(vec![req("notifications", list(notification(), 1..3))])),
        ("PrekeyId", number::<u16>()),
        ("ProviderId", uuid()),
        ("QualifiedConvId", qualified()),
        ("QualifiedUserId", qualified()),
        ("ServiceId", uuid()),
        ("TeamId", uuid()),
        ("UTCTimeMillis", utc_time_millis()),
        ("UserId", uuid()),
        (
            "VersionInfo",
            rec(vec![
                def("supported_versions", list(number::<u32>(), 0..4), json!([0])),
                req("supported", list(number::<u32>(), 0..4)),
            ]),
        ),
        ("VersionRange", range()),
    ]
}
