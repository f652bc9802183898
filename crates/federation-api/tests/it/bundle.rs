//! Notifications as they wait in an outbox.

use federation_api::{
    ApiVersion, BackendNotification, Component, PayloadBundle, VersionRange,
    conversation::{ConversationUpdate, ConversationUpdateV0, SomeConversationAction},
    galley::{OnConversationUpdated, OnConversationUpdatedV0},
    list::NonEmpty,
};
use serde_json::{Value, json};
use types::{Qualified, Timestamp};

fn update() -> ConversationUpdate {
    let user = "ac41a202-2555-11ec-9341-00163e5e6c00".parse().unwrap();
    ConversationUpdate {
        time: Timestamp::from_micros(1_700_000_000_123_456),
        orig_user_id: Qualified::new(user, "a.example".parse().unwrap()),
        conv_id: "00000000-0000-4000-8000-000000000001".parse().unwrap(),
        already_present_users: vec![],
        action: SomeConversationAction::Leave {},
        extra_conversation_data: None,
    }
}

fn bundle() -> PayloadBundle {
    let own = || "a.example".parse().unwrap();
    let new = BackendNotification::new::<OnConversationUpdated>(own(), &update(), "r1".into()).unwrap();
    let old = BackendNotification::new::<OnConversationUpdatedV0>(own(), &update().into(), "r1".into()).unwrap();
    PayloadBundle { notifications: NonEmpty::try_from(vec![new, old]).unwrap() }
}

#[test]
fn the_form_fits_the_peer() {
    let bundle = bundle();
    let body = |version: u32| -> Value {
        serde_json::from_str(&bundle.for_version(ApiVersion(version)).unwrap().body).unwrap()
    };
    assert_eq!(body(0)["cuTime"], "2023-11-14T22:13:20.123456Z");
    assert_eq!(body(1)["time"], "2023-11-14T22:13:20.123456Z");
    assert_eq!(body(3)["extraConversationData"], Value::Null);
    assert_eq!(body(0)["cuAction"], body(1)["action"]);
}

#[test]
fn json() {
    let json = serde_json::to_value(bundle()).unwrap();
    assert_eq!(json["notifications"][0]["targetComponent"], "galley");
    assert_eq!(json["notifications"][0]["path"], "on-conversation-updated");
    assert_eq!(json["notifications"][0]["ownDomain"], "a.example");
    assert_eq!(json["notifications"][0]["requestId"], "r1");
    assert_eq!(json["notifications"][0]["bodyVersions"], json!({"from": 1}));
    assert_eq!(json["notifications"][1]["bodyVersions"], json!({"from": 0, "until_excl": 1}));
}

#[test]
fn what_waited_before_there_were_bundles() {
    let old: BackendNotification = serde_json::from_value(json!({
        "ownDomain": "a.example",
        "targetComponent": "brig",
        "path": "/on-user-deleted-connections",
        "body": "{}",
        "bodyVersions": null,
    }))
    .unwrap();
    assert_eq!((old.target_component, old.rpc()), (Component::Brig, "on-user-deleted-connections"));
    assert_eq!(old.versions(), VersionRange::until(1));
    let bundle = PayloadBundle::from(old);
    assert!(bundle.for_version(ApiVersion(0)).is_some());
    assert!(bundle.for_version(ApiVersion(1)).is_none());
}

#[test]
fn version_0_knows_no_extra_data() {
    let there = ConversationUpdateV0::from(update());
    assert_eq!(ConversationUpdate::from(there), update());
}
