//! Conversations and how they change.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    brig::service_ref,
    error::{galley_error, non_federating, unreachable_backends},
    mls::{old_protocol, protocol, reset},
    *,
};

pub fn in_order(order: &'static [&'static str], value: &Value) -> usize {
    order.iter().position(|text| *text == value).unwrap()
}

pub const ACCESS: [&str; 4] = ["private", "invite", "link", "code"];

pub const ACCESS_ROLES: [&str; 4] = ["team_member", "non_team_member", "guest", "service"];

pub const GROUP_TYPES: [&str; 3] = ["group_conversation", "channel", "meeting"];

pub const REASONS: [&str; 3] = ["left", "user-deleted", "removed"];

pub const MAX_TIMER: i64 = i64::MAX;

pub fn access_roles() -> Grammar {
    set(one_of(&ACCESS_ROLES), |value| in_order(&ACCESS_ROLES, value))
}

pub fn conv_type() -> Grammar {
    (0..4_u8).prop_map(|n| Doc::same(n.into())).boxed()
}

pub fn milliseconds() -> Grammar {
    prop_oneof![
        (0..=MAX_TIMER).prop_map(|n| Doc::same(n.into())),
        (i64::MIN..0).prop_map(|n| Doc { sent: n.into(), written: 0.into() }),
    ]
    .boxed()
}

pub fn depth() -> Grammar {
    let seconds = (0..=MAX_TIMER).prop_map(|n| Doc::same(n.to_string().into()));
    prop_oneof![seconds, one_of(&["infinite"])].boxed()
}

pub fn history_config() -> Grammar {
    rec(vec![req("depth", depth())])
}

pub fn other_member() -> Grammar {
    with_plain_id(rec(vec![
        req("qualified_id", qualified()),
        opt("service", service_ref()),
        def("conversation_role", text(), json!("wire_admin")),
        constant("status", json!(0)),
    ]))
}

pub fn metadata() -> Grammar {
    rec(vec![
        req("type", conv_type()),
        nul("creator", uuid()),
        req("access", list(one_of(&ACCESS), 0..4)),
        req("access_role", access_roles()),
        nul("name", text()),
        constant("last_event", json!("0.0")),
        constant("last_event_time", json!("1970-01-01T00:00:00.000Z")),
        nul("team", uuid()),
        nul("message_timer", milliseconds()),
        nul("receipt_mode", number::<i32>()),
        nul("group_conv_type", one_of(&GROUP_TYPES)),
        nul("add_permission", one_of(&["admins", "everyone"])),
        def("cells_state", one_of(&["disabled", "pending", "ready"]), json!("disabled")),
        nul("parent", uuid()),
        nul("history", history_config()),
    ])
}

pub fn remote_members() -> Grammar {
    rec(vec![req("self_role", text()), req("others", list(other_member(), 0..3))])
}

pub fn remote_conversation(protocol: Grammar) -> Grammar {
    rec(vec![
        req("id", uuid()),
        req("metadata", metadata()),
        req("members", remote_members()),
        req("protocol", protocol),
    ])
}

pub fn rename() -> Grammar {
    rec(vec![req("name", text())])
}

pub fn timer_update() -> Grammar {
    rec(vec![nul("message_timer", milliseconds())])
}

pub fn receipt_update() -> Grammar {
    rec(vec![req("receipt_mode", number::<i32>())])
}

pub fn access_data() -> Grammar {
    let access = set(one_of(&ACCESS), |value| in_order(&ACCESS, value));
    rec(vec![req("access", access), req("access_role", access_roles())])
}

pub fn join() -> Grammar {
    rec(vec![
        req("users", list(qualified(), 1..3)),
        req("role", text()),
        def("join_type", one_of(&["internal_add", "external_add"]), json!("internal_add")),
    ])
}

pub fn member_update() -> Grammar {
    rec(vec![req("target", qualified()), req("update", other_member_update())])
}

pub fn other_member_update() -> Grammar {
    rec(vec![req("conversation_role", text())])
}

pub fn remove_members() -> Grammar {
    rec(vec![req("targets", list(qualified(), 1..3)), req("reason", one_of(&REASONS))])
}

pub fn add_permission_update() -> Grammar {
    rec(vec![req("add_permission", one_of(&["admins", "everyone"]))])
}

pub fn protocol_tag() -> Grammar {
    one_of(&["proteus", "mls", "mixed"])
}

pub fn action() -> Grammar {
    tagged(
        "action",
        vec![
            ("ConversationAccessDataTag", Some(access_data())),
            ("ConversationDeleteTag", Some(rec(vec![]))),
            ("ConversationHistoryUpdateTag", Some(or_null(history_config()))),
            ("ConversationJoinTag", Some(join())),
            ("ConversationLeaveTag", Some(rec(vec![]))),
            ("ConversationMemberUpdateTag", Some(member_update())),
            ("ConversationMessageTimerUpdateTag", Some(timer_update())),
            ("ConversationReceiptModeUpdateTag", Some(receipt_update())),
            ("ConversationRemoveMembersTag", Some(remove_members())),
            ("ConversationRenameTag", Some(rename())),
            ("ConversationResetTag", Some(reset())),
            ("ConversationUpdateAddPermissionTag", Some(add_permission_update())),
            ("ConversationUpdateProtocolTag", Some(protocol_tag())),
        ],
    )
}

pub fn extra_data() -> Grammar {
    rec(vec![nul("group_id", bytes())])
}

pub fn update() -> Grammar {
    rec(vec![
        req("time", utc_time()),
        req("origUserId", qualified()),
        req("convId", uuid()),
        req("alreadyPresentUsers", list(uuid(), 0..3)),
        req("action", action()),
        nul("extraConversationData", extra_data()),
    ])
}

pub fn created() -> Grammar {
    let by_id = |member: &Value| text_of(&member["id"]);
    rec(vec![
        req("time", utc_time()),
        req("orig_user_id", uuid()),
        req("cnv_id", uuid()),
        req("cnv_type", conv_type()),
        req("cnv_access", list(one_of(&ACCESS), 0..4)),
        req("cnv_access_roles", access_roles()),
        nul("cnv_name", text()),
        req("non_creator_members", set(other_member(), by_id)),
        nul("message_timer", milliseconds()),
        nul("receipt_mode", number::<i32>()),
        req("protocol", protocol()),
        nul("group_conv_type", one_of(&GROUP_TYPES)),
        nul("channel_add_permission", one_of(&["admins", "everyone"])),
        nul("history", history_config()),
    ])
}

pub fn shapes() -> Vec<(&'static str, Grammar)> {
    vec![
        ("Access", one_of(&ACCESS)),
        ("AccessRole", one_of(&ACCESS_ROLES)),
        ("AddPermission", one_of(&["admins", "everyone"])),
        ("AddPermissionUpdate", add_permission_update()),
        ("CellsState", one_of(&["disabled", "pending", "ready"])),
        (
            "ClientRemovedRequest",
            rec(vec![req("user", uuid()), req("client", client_id()), req("convs", list(uuid(), 0..3))]),
        ),
        ("ConvType", conv_type()),
        ("ConversationAccessData", access_data()),
        ("ConversationCreated", created()),
        ("ConversationJoin", join()),
        ("ConversationMemberUpdate", member_update()),
        ("ConversationMessageTimerUpdate", timer_update()),
        ("ConversationMetadata", metadata()),
        ("ConversationReceiptModeUpdate", receipt_update()),
        ("ConversationRemoveMembers", remove_members()),
        ("ConversationRename", rename()),
        ("ConversationUpdate", update()),
        ("ConversationUpdateRequest", rec(vec![req("user", uuid()), req("conv_id", uuid()), req("action", action())])),
        (
            "ConversationUpdateResponse",
            sum(vec![
                ("ConversationUpdateResponseError", Some(galley_error())),
                ("ConversationUpdateResponseUpdate", Some(update())),
                ("ConversationUpdateResponseNoChanges", None),
                ("ConversationUpdateResponseNonFederatingBackends", Some(non_federating())),
                ("ConversationUpdateResponseUnreachableBackends", Some(unreachable_backends())),
            ]),
        ),
        (
            "ConversationUpdateV0",
            rec(vec![
                req("cuTime", utc_time()),
                req("cuOrigUserId", qualified()),
                req("cuConvId", uuid()),
                req("cuAlreadyPresentUsers", list(uuid(), 0..3)),
                req("cuAction", action()),
            ]),
        ),
        ("EdMemberLeftReason", one_of(&REASONS)),
        ("ExtraConversationData", extra_data()),
        ("GetConversationsRequest", rec(vec![req("user_id", uuid()), req("conv_ids", list(uuid(), 0..3))])),
        ("GetConversationsResponse", rec(vec![req("convs", list(remote_conversation(old_protocol()), 0..2))])),
        ("GetConversationsResponseV2", rec(vec![req("convs", list(remote_conversation(protocol()), 0..2))])),
        ("GroupConvType", one_of(&GROUP_TYPES)),
        ("History", or_null(history_config())),
        ("HistoryDuration", depth()),
        ("HistorySharingConfig", history_config()),
        ("JoinType", one_of(&["internal_add", "external_add"])),
        ("LeaveConversationRequest", rec(vec![req("conv_id", uuid()), req("leaver", uuid())])),
        ("Milliseconds", milliseconds()),
        ("OtherMember", other_member()),
        ("OtherMemberUpdate", other_member_update()),
        ("ReceiptMode", number::<i32>()),
        ("RemoteConvMembers", remote_members()),
        ("RemoteConversation", remote_conversation(old_protocol())),
        ("RemoteConversationV2", remote_conversation(protocol())),
        ("RoleName", text()),
        ("SomeConversationAction", action()),
        (
            "UserDeletedConversationsNotification",
            rec(vec![req("user", uuid()), req("conversations", list(uuid(), 1..4))]),
        ),
    ]
}
