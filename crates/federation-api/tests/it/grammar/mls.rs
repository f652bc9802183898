//! Groups and what is said about them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    conversation::{protocol_tag, remote_conversation, update},
    error::{galley_error, json_response, non_federating},
    *,
};

pub fn suite_tag() -> Grammar {
    proptest::sample::select(vec![1_u16, 2, 5, 7, 0xf031]).prop_map(|n| Doc::same(n.into())).boxed()
}

pub fn epoch() -> Grammar {
    (1..=u64::MAX).prop_map(|n| Doc::same(n.into())).boxed()
}

/// A record that has the state of a group among its fields, in the present form.
pub fn with_group_state(fields: impl Fn() -> Vec<super::Field>) -> Grammar {
    let mut active = fields();
    active.extend([req("epoch", epoch()), req("epoch_timestamp", utc_time()), req("cipher_suite", suite_tag())]);
    let mut fresh = fields();
    fresh.push(req("epoch", Just(Doc::same(0.into())).boxed()));
    let stale = rec(fresh.clone())
        .prop_map(|mut doc| {
            // A peer that says more of a group without commits than there is.
            doc.sent["epoch_timestamp"] = json!("2026-11-24T08:00:00Z");
            doc.sent["cipher_suite"] = json!(1);
            doc
        })
        .boxed();
    prop_oneof![2 => rec(active), 1 => rec(fresh), 1 => stale].boxed()
}

pub fn mls_data() -> Grammar {
    with_group_state(|| vec![req("group_id", bytes())])
}

pub fn labelled(grammar: Grammar, protocol: &'static str) -> Grammar {
    grammar
        .prop_map(move |mut doc| {
            doc.sent["protocol"] = protocol.into();
            doc.written["protocol"] = protocol.into();
            doc
        })
        .boxed()
}

pub fn protocol() -> Grammar {
    let proteus = rec(vec![def("protocol", one_of(&["proteus"]), json!("proteus"))]);
    prop_oneof![proteus, labelled(mls_data(), "mls"), labelled(mls_data(), "mixed")].boxed()
}

/// The form in which nothing is left out. Read like the other.
pub fn old_protocol() -> Grammar {
    protocol()
        .prop_map(|mut doc| {
            if doc.written["protocol"] != "proteus" {
                let written = doc.written.as_object_mut().unwrap();
                written.entry("epoch_timestamp").or_insert(Value::Null);
                written.entry("cipher_suite").or_insert(json!(1));
            }
            doc
        })
        .boxed()
}

pub fn reset() -> Grammar {
    rec(vec![req("group_id", bytes()), req("epoch", number::<u64>())])
}

pub fn subconv_id() -> Grammar {
    "[!-~]{1,30}".prop_map(|name| Doc::same(name.into())).boxed()
}

pub fn conv_or_sub() -> Grammar {
    tagged(
        "value",
        vec![
            ("conv", Some(rec(vec![req("conv_id", uuid())]))),
            ("subconv", Some(rec(vec![req("conv_id", uuid()), req("subconv_id", subconv_id())]))),
        ],
    )
}

pub fn client_identity() -> Grammar {
    rec(vec![req("domain", domain()), req("user_id", uuid()), req("client_id", client_id())])
}

pub fn subconversation() -> Grammar {
    with_group_state(|| {
        vec![
            req("parent_qualified_id", qualified()),
            req("subconv_id", subconv_id()),
            req("group_id", bytes()),
            req("members", list(client_identity(), 0..3)),
        ]
    })
}

pub fn diagnostics() -> Grammar {
    rec(vec![
        req("commit", bytes()),
        req("group_info", bytes()),
        req("group_id", bytes()),
        req("clients", list(rec(vec![req("index", number::<i64>()), req("client", client_identity())]), 0..3)),
        req("conv_id", uuid()),
        opt("subconv_id", subconv_id()),
        req("domain", domain()),
        constant("code", json!(400)),
        constant("label", json!("inconsistent-group-state")),
        constant("message", json!("Submitted group info is inconsistent with the backend group state")),
    ])
}

pub fn out_of_sync() -> Grammar {
    rec(vec![req("missing_users", list(qualified(), 0..3))])
}

pub fn public_keys() -> Grammar {
    rec(vec![
        req("ed25519", bytes()),
        req("ecdsa_secp256r1_sha256", bytes()),
        req("ecdsa_secp384r1_sha384", bytes()),
        req("ecdsa_secp521r1_sha512", bytes()),
    ])
}

pub fn keys_by_purpose() -> Grammar {
    rec(vec![req("removal", public_keys())])
}

pub fn one2one() -> Grammar {
    rec(vec![req("conversation", remote_conversation(protocol())), req("public_keys", keys_by_purpose())])
}

pub fn out_of_sync_check() -> Grammar {
    one_of(&["EnableOutOfSyncCheck", "DisableOutOfSyncCheck"])
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    let recipient = || {
        (uuid(), client_id()).prop_map(|(user, client)| Doc {
            sent: json!([user.sent, client.sent]),
            written: json!([user.written, client.written]),
        })
    };
    vec![
        (
            "ActiveMLSConversationData",
            rec(vec![
                req("epoch", number::<u64>()),
                req("epoch_timestamp", utc_time()),
                req("cipher_suite", suite_tag()),
            ]),
        ),
        ("CipherSuiteTag", suite_tag()),
        ("ClientIdentity", client_identity()),
        ("ConvOrSubConvId", conv_or_sub()),
        ("ConversationMLSData", mls_data()),
        (
            "DeleteSubConversationFedRequest",
            rec(vec![
                req("dscreq_user", uuid()),
                req("dscreq_conv", uuid()),
                req("dscreq_sub_conv", subconv_id()),
                req("dscreq_group_id", bytes()),
                req("dscreq_epoch", number::<u64>()),
            ]),
        ),
        (
            "DeleteSubConversationResponse",
            sum(vec![
                ("DeleteSubConversationResponseError", Some(galley_error())),
                ("DeleteSubConversationResponseSuccess", None),
            ]),
        ),
        ("EnableOutOfSyncCheck", out_of_sync_check()),
        ("Epoch", number::<u64>()),
        ("GetGroupInfoRequest", rec(vec![req("conv", conv_or_sub()), req("sender", uuid())])),
        (
            "GetGroupInfoResponse",
            sum(vec![
                ("GetGroupInfoResponseError", Some(galley_error())),
                ("GetGroupInfoResponseState", Some(bytes())),
            ]),
        ),
        (
            "GetOne2OneConversationRequest",
            rec(vec![req("gooc_sender_user", uuid()), req("gooc_receiver_user", uuid())]),
        ),
        (
            "GetOne2OneConversationResponse",
            sum(vec![
                ("GetOne2OneConversationOk", Some(remote_conversation(old_protocol()))),
                ("GetOne2OneConversationBackendMismatch", None),
                ("GetOne2OneConversationNotConnected", None),
            ]),
        ),
        (
            "GetOne2OneConversationResponseV2",
            sum(vec![
                ("GetOne2OneConversationV2Ok", Some(one2one())),
                ("GetOne2OneConversationV2BackendMismatch", None),
                ("GetOne2OneConversationV2NotConnected", None),
                ("GetOne2OneConversationV2MLSNotEnabled", None),
            ]),
        ),
        (
            "GetSubConversationsRequest",
            rec(vec![req("gsreq_user", uuid()), req("gsreq_conv", uuid()), req("gsreq_sub_conv", subconv_id())]),
        ),
        (
            "GetSubConversationsResponse",
            sum(vec![
                ("GetSubConversationsResponseError", Some(galley_error())),
                ("GetSubConversationsResponseSuccess", Some(subconversation())),
            ]),
        ),
        ("GroupId", bytes()),
        ("GroupInfoDiagnostics", diagnostics()),
        (
            "LeaveSubConversationRequest",
            rec(vec![
                req("lscr_user", uuid()),
                req("lscr_client", client_id()),
                req("lscr_conv", uuid()),
                req("lscr_sub_conv", subconv_id()),
            ]),
        ),
        (
            "LeaveSubConversationResponse",
            sum(vec![
                ("LeaveSubConversationResponseError", Some(galley_error())),
                ("LeaveSubConversationResponseProtocolError", Some(text())),
                ("LeaveSubConversationResponseOk", None),
            ]),
        ),
        ("MLSKeysByPurpose", keys_by_purpose()),
        (
            "MLSMessageResponse",
            sum(vec![
                ("MLSMessageResponseError", Some(galley_error())),
                ("MLSMessageResponseProtocolError", Some(text())),
                ("MLSMessageResponseProposalFailure", Some(json_response())),
                ("MLSMessageResponseUnreachableBackends", Some(domains())),
                ("MLSMessageResponseUpdates", Some(list(update(), 0..3))),
                ("MLSMessageResponseNonFederatingBackends", Some(non_federating())),
                ("MLSMessageResponseGroupInfoDiagnostics", Some(diagnostics())),
                ("MLSMessageResponseOutOfSyncError", Some(out_of_sync())),
            ]),
        ),
        (
            "MLSMessageSendRequest",
            rec(vec![
                req("conv_or_sub_id", conv_or_sub()),
                req("sender", uuid()),
                req("sender_client", client_id()),
                req("raw_message", bytes()),
                nul("enable_out_of_sync_check", out_of_sync_check()),
            ]),
        ),
        ("MLSOutOfSyncError", out_of_sync()),
        ("MLSPublicKeys", public_keys()),
        ("MLSReset", reset()),
        (
            "MLSWelcomeRequest",
            rec(vec![
                req("originating_user", uuid()),
                req("welcome_message", bytes()),
                req("recipients", list(recipient().boxed(), 0..3)),
                req("qualified_conv_id", qualified()),
            ]),
        ),
        ("MLSWelcomeResponse", one_of(&["MLSWelcomeSent", "MLSWelcomeMLSNotEnabled"])),
        ("Protocol", protocol()),
        ("ProtocolTag", protocol_tag()),
        ("ProtocolV5", old_protocol()),
        ("PublicSubConversation", subconversation()),
        ("RemoteMLSOne2OneConversation", one2one()),
        ("SubConvId", subconv_id()),
    ]
}
