//! Reading is forgiving where peers differ, and strict where a value could not be what its type says.

use federation_api::shapes::find;

#[track_caller]
fn accepts(name: &str, document: &str) {
    let read = (find(name).unwrap().roundtrip)(document);
    assert!(read.is_ok(), "{name} {document}: {read:?}");
}

#[track_caller]
fn refuses(name: &str, document: &str) {
    assert!((find(name).unwrap().roundtrip)(document).is_err(), "{name} {document}");
}

#[track_caller]
fn reads_as(name: &str, document: &str, written: &str) {
    let read: serde_json::Value = serde_json::from_str(&(find(name).unwrap().roundtrip)(document).unwrap()).unwrap();
    assert_eq!(read, serde_json::from_str::<serde_json::Value>(written).unwrap(), "{name} {document}");
}

#[test]
fn the_action_of_a_change_must_be_there() {
    accepts("SomeConversationAction", r#"{"tag":"ConversationLeaveTag","action":{}}"#);
    accepts("SomeConversationAction", r#"{"action":{},"tag":"ConversationDeleteTag"}"#);
    accepts("SomeConversationAction", r#"{"tag":"ConversationHistoryUpdateTag","action":null}"#);
    refuses("SomeConversationAction", r#"{"tag":"ConversationLeaveTag"}"#);
    refuses("SomeConversationAction", r#"{"tag":"ConversationHistoryUpdateTag"}"#);
    refuses("SomeConversationAction", r#"{"tag":"ConversationDanceTag","action":{}}"#);
    refuses("SomeConversationAction", r#"{"tag":"ConversationJoinTag","action":{"users":[],"role":"wire_member"}}"#);
}

#[test]
fn content_that_may_be_null_may_be_missing() {
    reads_as(
        "NewConnectionResponse",
        r#"{"tag":"NewConnectionResponseOk"}"#,
        r#"{"tag":"NewConnectionResponseOk","contents":null}"#,
    );
    reads_as("GalleyError", r#"{"tag":"MissingPermission"}"#, r#"{"tag":"MissingPermission","contents":null}"#);
    refuses("GalleyError", r#"{"tag":"ActionDenied"}"#);
    refuses("GalleyError", r#""ConvNotFound""#);
}

#[test]
fn peers_before_version_2_say_more_of_groups() {
    reads_as(
        "ProtocolV5",
        r#"{"protocol":"mls","group_id":"Z3JvdXA=","epoch":0,"epoch_timestamp":null,"cipher_suite":2}"#,
        r#"{"protocol":"mls","group_id":"Z3JvdXA=","epoch":0,"epoch_timestamp":null,"cipher_suite":1}"#,
    );
    reads_as("ProtocolV5", r#"{"protocol":"proteus","group_id":7}"#, r#"{"protocol":"proteus"}"#);
    reads_as("Protocol", "{}", r#"{"protocol":"proteus"}"#);
    refuses("Protocol", r#"{"protocol":"mls"}"#);
    refuses("Protocol", r#"{"protocol":"mls","group_id":"Z3JvdXA=","epoch":-1}"#);
    refuses("CipherSuiteTag", "3");
    accepts("CipherSuite", "3");
}

#[test]
fn texts_have_their_grammar() {
    for good in [r#""""#, r#""aGVsbG8=""#] {
        accepts("Base64ByteString", good);
    }
    for bad in [r#""aGVsbG8""#, r#""aGVsbG8_""#, r#""aGVsbG8= ""#, r#""=""#, "7"] {
        refuses("Base64ByteString", bad);
    }
    for bad in ["\"\"", r#""two words""#, "\"t\u{fc}r\"", r#""line\n""#] {
        refuses("SubConvId", bad);
    }
    accepts("SubConvId", &format!("\"{}\"", "s".repeat(255)));
    refuses("SubConvId", &format!("\"{}\"", "s".repeat(256)));
    for bad in [r#""a+b""#, r#""a/b""#, r#""a b""#] {
        refuses("AssetToken", bad);
    }
    for bad in [r#""-1""#, r#""+1""#, r#""""#, r#""infinity""#, r#""1.5""#, "1"] {
        refuses("HistoryDuration", bad);
    }
    reads_as("HistoryDuration", r#""060""#, r#""60""#);
    accepts("Name", &format!("\"{}\"", "\u{29f92}".repeat(128)));
    refuses("Name", &format!("\"{}\"", "n".repeat(129)));
    refuses("Name", r#""""#);
    for bad in ["4", "-1", r#""regular""#] {
        refuses("ConvType", bad);
    }
    refuses("Pict", &format!("[{}]", ["{}"; 11].join(",")));
}

#[test]
fn lists_have_their_length() {
    let user = r#""ac41a202-2555-11ec-9341-00163e5e6c00""#;
    let deleted = |n: usize| format!(r#"{{"user":{user},"connections":[{}]}}"#, vec![user; n].join(","));
    refuses("UserDeletedConnectionsNotification", &deleted(0));
    accepts("UserDeletedConnectionsNotification", &deleted(1));
    accepts("UserDeletedConnectionsNotification", &deleted(1_000));
    refuses("UserDeletedConnectionsNotification", &deleted(1_001));
    refuses("NonFederatingBackends", r#"{"non_federating_backends":["a.example"]}"#);
    refuses("NonFederatingBackends", r#"{"non_federating_backends":["a.example","b.example","c.example"]}"#);
    refuses("PayloadBundle", r#"{"notifications":[]}"#);
}

#[test]
fn a_profile_survives_decoration_of_tomorrow() {
    reads_as(
        "UserProfile",
        r#"{"qualified_id":{"domain":"B.Example","id":"ac41a202-2555-11ec-9341-00163e5e6c00","more":1},
            "name":"Bob","accent_id":3,"legalhold_status":"no_consent","picture":"none","assets":[{"type":"film"}],
            "deleted":false,"mood":"fine"}"#,
        r#"{"qualified_id":{"domain":"b.example","id":"ac41a202-2555-11ec-9341-00163e5e6c00"},
            "id":"ac41a202-2555-11ec-9341-00163e5e6c00","name":"Bob","accent_id":3,"legalhold_status":"no_consent",
            "picture":[],"assets":[],"supported_protocols":["proteus"],"type":"regular","searchable":true}"#,
    );
    refuses(
        "UserProfile",
        r#"{"qualified_id":{"domain":"b.example","id":"ac41a202-2555-11ec-9341-00163e5e6c00"},
            "name":"Bob","accent_id":3}"#,
    );
}
