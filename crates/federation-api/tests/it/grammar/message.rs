//! Messages and typing.

use proptest::prelude::*;
use serde_json::json;

use super::{
    brig::{user_client_map, user_clients},
    error::galley_error,
    mls::subconv_id,
    *,
};

pub fn typing_status() -> Grammar {
    rec(vec![req("status", one_of(&["started", "stopped"]))])
}

pub fn typing_updated() -> Grammar {
    rec(vec![
        req("time", utc_time()),
        req("orig_user_id", qualified()),
        req("conv_id", uuid()),
        req("users_in_conv", list(uuid(), 0..3)),
        req("typing_status", typing_status()),
    ])
}

pub fn sending_status() -> Grammar {
    let clients = || map(domain(), user_clients());
    rec(vec![
        req("time", utc_time_millis()),
        req("missing", clients()),
        req("redundant", clients()),
        req("deleted", clients()),
        req("failed_to_send", clients()),
        req("failed_to_confirm_clients", clients()),
    ])
}

pub fn not_sent() -> Grammar {
    sum(vec![
        ("MessageNotSentConversationNotFound", None),
        ("MessageNotSentUnknownClient", None),
        ("MessageNotSentLegalholdOldClients", None),
        ("MessageNotSentLegalhold", None),
        ("MessageNotSentClientMissing", Some(sending_status())),
    ])
}

pub fn either(left: Grammar, right: Grammar) -> Grammar {
    let named = |name: &'static str, grammar: Grammar| {
        grammar.prop_map(move |doc| Doc { sent: json!({ name: doc.sent }), written: json!({ name: doc.written }) })
    };
    prop_oneof![named("Left", left), named("Right", right)].boxed()
}

pub fn removal_error() -> Grammar {
    one_of(&[
        "RemoveFromConversationErrorRemovalNotAllowed",
        "RemoveFromConversationErrorNotFound",
        "RemoveFromConversationErrorUnchanged",
    ])
}

pub fn message_metadata() -> Grammar {
    rec(vec![
        def("native_push", flag(), json!(true)),
        def("transient", flag(), json!(false)),
        opt("native_priority", priority()),
        opt("data", text()),
    ])
}

pub fn priority() -> Grammar {
    one_of(&["low", "high"])
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    vec![
        ("LeaveConversationResponse", either(removal_error(), Just(Doc::same(json!([]))).boxed())),
        ("MessageMetadata", message_metadata()),
        ("MessageNotSent", not_sent()),
        ("MessageSendResponse", either(not_sent(), sending_status())),
        ("MessageSendingStatus", sending_status()),
        ("Priority", priority()),
        (
            "ProteusMessageSendRequest",
            rec(vec![req("conv_id", uuid()), req("sender", uuid()), req("raw_message", bytes())]),
        ),
        ("QualifiedUserClients", map(domain(), user_clients())),
        (
            "RemoteMLSMessage",
            rec(vec![
                req("time", utc_time()),
                req("metadata", message_metadata()),
                req("sender", qualified()),
                req("conversation", uuid()),
                nul("sub_conversation", subconv_id()),
                req("recipients", map(uuid(), list(client_id(), 1..3))),
                req("message", bytes()),
            ]),
        ),
        (
            "RemoteMessage",
            rec(vec![
                req("time", utc_time()),
                nul("data", text()),
                req("sender", qualified()),
                req("sender_client", client_id()),
                req("conversation", uuid()),
                nul("priority", priority()),
                req("push", flag()),
                req("transient", flag()),
                req("recipients", user_client_map(text())),
            ]),
        ),
        ("RemoveFromConversationError", removal_error()),
        (
            "TypingDataUpdateRequest",
            rec(vec![req("typing_status", typing_status()), req("user_id", uuid()), req("conv_id", uuid())]),
        ),
        (
            "TypingDataUpdateResponse",
            sum(vec![
                ("TypingDataUpdateSuccess", Some(typing_updated())),
                ("TypingDataUpdateError", Some(galley_error())),
            ]),
        ),
        ("TypingDataUpdated", typing_updated()),
        ("TypingStatus", typing_status()),
    ]
}
