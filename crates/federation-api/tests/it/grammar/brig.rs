//! What brig and cargohold speak of.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    Doc, Grammar, bytes, client_id, def, domain, domains, flag, handle, list, map, nul, number, one_of, opt, or_null,
    rec, req, set, sum, text, text_of, text_of_length, utc_time_millis, uuid, with_plain_id,
};

pub fn service_ref() -> Grammar {
    rec(vec![req("id", uuid()), req("provider", uuid())])
}

pub fn cipher_suite() -> Grammar {
    number::<u16>()
}

/// A number in hexadecimal, for orders.
pub fn hex_of(value: &Value) -> u64 {
    u64::from_str_radix(&text_of(value), 16).unwrap()
}

pub fn user_clients() -> Grammar {
    map(uuid(), set(client_id(), hex_of))
}

pub fn user_client_map(grammar: Grammar) -> Grammar {
    map(uuid(), map(client_id(), grammar))
}

fn profile_asset() -> Grammar {
    rec(vec![req("type", one_of(&["image"])), req("key", text()), opt("size", one_of(&["preview", "complete"]))])
}

/// Profile pictures, or something that is none and counts as nothing.
fn profile_assets() -> Grammar {
    let junk = Just(Doc { sent: json!([{"type": "hologram"}]), written: json!([]) });
    prop_oneof![4 => list(profile_asset(), 0..3), 1 => junk].boxed()
}

fn pict() -> Grammar {
    list(rec(vec![]).prop_map(|doc| Doc::same(doc.sent)).boxed(), 0..10)
}

fn app_info() -> Grammar {
    rec(vec![req("category", text()), req("description", text_of_length(0, 300))])
}

fn protocols() -> Grammar {
    set(one_of(&["proteus", "mls"]), |value| value == "mls")
}

fn user_type() -> Grammar {
    one_of(&["regular", "app", "bot"])
}

fn profile() -> Grammar {
    with_plain_id(rec(vec![
        req("qualified_id", super::qualified()),
        req("name", text_of_length(1, 128)),
        opt("text_status", text_of_length(1, 256)),
        def("picture", pict(), json!([])),
        def("assets", profile_assets(), json!([])),
        req("accent_id", number::<i32>()),
        opt("deleted", Just(Doc::same(json!(true))).boxed()),
        opt("service", service_ref()),
        opt("handle", handle()),
        opt("expires_at", utc_time_millis()),
        opt("team", uuid()),
        opt("email", text()),
        req("legalhold_status", one_of(&["enabled", "pending", "disabled", "no_consent"])),
        def("supported_protocols", protocols(), json!(["proteus"])),
        def("type", user_type(), json!("regular")),
        opt("app", app_info()),
        def("searchable", flag(), json!(true)),
    ]))
}

fn contact() -> Grammar {
    with_plain_id(rec(vec![
        req("qualified_id", super::qualified()),
        req("name", text()),
        nul("accent_id", number::<i64>()),
        nul("handle", text()),
        nul("team", uuid()),
        req("type", user_type()),
    ]))
}

fn prekey() -> Grammar {
    rec(vec![req("id", number::<u16>()), req("key", text())])
}

fn client_prekey() -> Grammar {
    rec(vec![req("client", client_id()), req("prekey", prekey())])
}

fn client_class() -> Grammar {
    one_of(&["phone", "tablet", "desktop", "legalhold"])
}

fn pub_client() -> Grammar {
    rec(vec![req("id", client_id()), opt("class", client_class())])
}

fn client_info() -> Grammar {
    rec(vec![req("id", client_id()), opt("mls_signature_key", bytes()), req("mls", flag())])
}

fn signature_scheme() -> Grammar {
    one_of(&["ed25519", "ecdsa_secp256r1_sha256", "ecdsa_secp384r1_sha384", "ecdsa_secp521r1_sha512"])
}

fn key_package() -> Grammar {
    rec(vec![
        req("domain", domain()),
        req("user", uuid()),
        req("client", client_id()),
        req("key_package_ref", bytes()),
        req("key_package", bytes()),
    ])
}

fn connection_action() -> Grammar {
    one_of(&["RemoteConnect", "RemoteRescind"])
}

fn asset_token() -> Grammar {
    "[A-Za-z0-9_=-]{0,24}".prop_map(|token| Doc::same(token.into())).boxed()
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    let user_type_filter = || one_of(&["regular", "app"]);
    vec![
        ("AppInfo", app_info()),
        ("AssetSize", one_of(&["preview", "complete"])),
        ("AssetToken", asset_token()),
        ("BaseProtocolTag", one_of(&["proteus", "mls"])),
        ("CipherSuite", cipher_suite()),
        (
            "ClaimKeyPackageRequest",
            rec(vec![req("claimant", uuid()), req("target", uuid()), req("cipher_suite", cipher_suite())]),
        ),
        ("ClientClass", client_class()),
        ("ClientInfo", client_info()),
        ("ClientPrekey", client_prekey()),
        ("ColourId", number::<i32>()),
        ("Contact", contact()),
        ("DomainSet", rec(vec![req("domains", domains())])),
        ("GetAsset", rec(vec![req("user", uuid()), req("key", text()), nul("token", asset_token())])),
        ("GetAssetResponse", rec(vec![req("available", flag())])),
        ("GetUserClients", rec(vec![req("users", list(uuid(), 0..3))])),
        ("KeyPackageBundle", rec(vec![req("key_packages", set(key_package(), |value| text_of(&value["user"])))])),
        ("KeyPackageBundleEntry", key_package()),
        (
            "MLSClientRequest",
            rec(vec![req("user_id", uuid()), req("client_id", client_id()), req("cipher_suite", cipher_suite())]),
        ),
        ("MLSClientsRequest", rec(vec![req("user_id", uuid()), req("cipher_suite", cipher_suite())])),
        ("MLSClientsRequestV0", rec(vec![req("user_id", uuid()), req("signature_scheme", signature_scheme())])),
        ("Name", text_of_length(1, 128)),
        (
            "NewConnectionRequest",
            rec(vec![
                req("from", uuid()),
                nul("from_team", uuid()),
                req("to", uuid()),
                req("action", connection_action()),
            ]),
        ),
        (
            "NewConnectionResponse",
            sum(vec![
                ("NewConnectionResponseUserNotActivated", None),
                ("NewConnectionResponseNotFederating", None),
                ("NewConnectionResponseOk", Some(or_null(connection_action()))),
            ]),
        ),
        ("NonConnectedBackends", rec(vec![req("non_connected_backends", domains())])),
        ("Pict", pict()),
        ("PrekeyBundle", rec(vec![req("user", uuid()), req("clients", list(client_prekey(), 0..3))])),
        ("PubClient", pub_client()),
        ("RemoteConnectionAction", connection_action()),
        (
            "SearchRequest",
            rec(vec![
                req("term", text()),
                nul("from", uuid()),
                nul("onlyInTeams", list(uuid(), 0..3)),
                nul("types", list(user_type_filter(), 0..3)),
            ]),
        ),
        (
            "SearchResponse",
            rec(vec![
                req("contacts", list(contact(), 0..3)),
                req("searchPolicy", one_of(&["no_search", "exact_handle_search", "full_search"])),
            ]),
        ),
        ("ServiceRef", service_ref()),
        ("SignatureSchemeTag", signature_scheme()),
        ("TextStatus", text_of_length(1, 256)),
        ("UncheckedPrekeyBundle", prekey()),
        ("User.Profile.Asset", profile_asset()),
        ("UserClientPrekeyMap", user_client_map(or_null(prekey()))),
        ("UserClients", user_clients()),
        ("UserDeletedConnectionsNotification", rec(vec![req("user", uuid()), req("connections", list(uuid(), 1..4))])),
        ("UserLegalHoldStatus", one_of(&["enabled", "pending", "disabled", "no_consent"])),
        ("UserMap_Set_PubClient", map(uuid(), set(pub_client(), |value| hex_of(&value["id"])))),
        ("UserProfile", profile()),
        ("UserType", user_type()),
        ("UserTypeFilter", user_type_filter()),
    ]
}
