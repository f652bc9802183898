//! The contract as a whole: what the declarations promise to the router, the documents and the coverage table.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use public_api::{
    EndpointInfo, Schema, Schemas, Shape, UserProfile, Version,
    access::AccessKind,
    auth::Login,
    operations, parse_json,
    search::Contact,
    user::{ListUsersById, ListUsersQuery, NewUser, User},
};
use serde_json::{Value, json};

fn all() -> impl Iterator<Item = &'static EndpointInfo> {
    public_api::endpoints()
}

#[test]
fn an_id_means_one_endpoint() {
    let mut seen = BTreeSet::new();
    for info in all() {
        assert!(seen.insert(info.id), "{} twice", info.id);
    }
}

#[test]
fn a_method_and_path_mean_one_endpoint_in_each_version() {
    let place = |path: &str| -> Vec<String> {
        path.split('/').map(|part| if part.starts_with('{') { "{}".to_owned() } else { part.to_owned() }).collect()
    };
    let list: Vec<_> = all().collect();
    for (index, a) in list.iter().enumerate() {
        for b in &list[index + 1..] {
            let same = a.method == b.method && place(a.path) == place(b.path);
            assert!(!same || !a.versions.overlaps(b.versions), "{} and {}", a.id, b.id);
        }
    }
}

#[test]
fn a_path_has_as_many_captures_as_its_type_reads() {
    for info in all() {
        assert!(info.path.starts_with('/'), "{}", info.id);
        assert!(!info.path.ends_with('/') || info.id == "swagger-ui-page", "{}", info.id);
        assert_eq!(info.captures().count(), (info.path_params)().len(), "{}", info.id);
    }
}

#[test]
fn what_is_internal_is_under_i_and_the_reverse() {
    for info in all() {
        assert_eq!(info.is_internal(), info.access == AccessKind::Internal, "{}", info.id);
    }
}

#[test]
fn every_endpoint_says_what_it_does() {
    for info in all() {
        assert!(info.summary.trim().len() > 10, "{}", info.id);
        assert!(!(info.answer)(&mut Schemas::default()).is_empty(), "{}", info.id);
    }
}

#[test]
fn references_between_schemas_lead_somewhere() {
    let mut schemas = Schemas::default();
    let mut tops = Vec::new();
    for info in all() {
        tops.extend((info.body)(&mut schemas).map(|body| body.schema));
        tops.extend((info.answer)(&mut schemas).into_iter().filter_map(|answer| answer.content).map(|c| c.1));
    }
    let named = schemas.into_inner();
    tops.extend(named.values().cloned());
    let text = Value::Array(tops).to_string();
    let references = text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    for name in references {
        assert!(named.get(name).is_some_and(|schema| !schema.is_null()), "{name}");
    }
}

/// Every key of the document is in the schema, and every key that the schema requires is in the document.
fn assert_described<T: Schema>(name: &str, document: &Value) {
    let mut schemas = Schemas::default();
    T::schema(&mut schemas);
    let schema = schemas.into_inner().remove(name).unwrap();
    let described: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let written: BTreeSet<&String> = document.as_object().unwrap().keys().collect();
    assert!(written.is_subset(&described), "{name} writes more: {:?}", written.difference(&described));
    assert_eq!(described.len(), written.len(), "{name}: the example is not full: {described:?} {written:?}");
    for key in schema["required"].as_array().unwrap() {
        assert!(written.contains(&key.as_str().unwrap().to_owned()), "{name}: {key}");
    }
}

fn full_profile() -> Value {
    json!({
        "qualified_id": {"domain": "a.example", "id": "ac41a202-2555-11ec-9341-00163e5e6c00"},
        "id": "ac41a202-2555-11ec-9341-00163e5e6c00",
        "name": "Alice", "text_status": "here", "picture": [], "accent_id": 3, "deleted": true,
        "assets": [{"type": "image", "key": "3-1-x", "size": "preview"}],
        "service": {"id": "ac41a202-2555-11ec-9341-00163e5e6c00", "provider": "ac41a202-2555-11ec-9341-00163e5e6c00"},
        "handle": "alice", "expires_at": "2026-11-24T08:30:00.123Z", "team": "ac41a202-2555-11ec-9341-00163e5e6c00",
        "email": "a@a.example", "legalhold_status": "no_consent", "supported_protocols": ["proteus", "mls"],
        "type": "app", "app": {"category": "other", "description": ""}, "searchable": false,
    })
}

fn full_user() -> Value {
    let mut user = full_profile();
    let object = user.as_object_mut().unwrap();
    object.remove("legalhold_status");
    object.remove("app");
    object.insert("status".into(), "deleted".into());
    object.insert("locale".into(), "de-AT".into());
    object.insert("managed_by".into(), "scim".into());
    object.insert("email_unvalidated".into(), "b@a.example".into());
    object.insert("sso_id".into(), json!({"scim_external_id": "x"}));
    user
}

#[test]
fn schemas_describe_what_the_shapes_write() {
    let profile: UserProfile = serde_json::from_value(full_profile()).unwrap();
    assert_eq!(serde_json::to_value(&profile).unwrap(), full_profile());
    assert_described::<UserProfile>("UserProfile", &full_profile());
    let contact = json!({
        "qualified_id": full_profile()["qualified_id"], "id": full_profile()["id"], "name": "Alice", "accent_id": 1,
        "handle": "alice", "team": full_profile()["team"], "type": "regular",
    });
    let parsed: Contact = serde_json::from_value(contact.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed).unwrap(), contact);
    assert_described::<Contact>("Contact", &contact);
}

#[test]
fn a_user_is_written_with_plain_id_and_deleted() {
    let user: User = serde_json::from_value(full_user()).unwrap();
    assert_eq!(serde_json::to_value(&user).unwrap(), full_user());
    let mut lean = full_user();
    let object = lean.as_object_mut().unwrap();
    for key in ["id", "deleted", "text_status", "assets", "service", "handle", "expires_at", "team", "email"] {
        object.remove(key);
    }
    for key in ["email_unvalidated", "sso_id", "picture", "managed_by", "supported_protocols", "searchable"] {
        object.remove(key);
    }
    lean["status"] = "active".into();
    let user: User = serde_json::from_value(lean).unwrap();
    let written = serde_json::to_value(&user).unwrap();
    let absent = ["deleted", "text_status", "service", "handle", "expires_at", "team", "email", "sso_id"];
    assert!(absent.iter().all(|key| written.get(key).is_none()), "{written}");
    assert_eq!(written["picture"], json!([]));
    assert_eq!(written["managed_by"], "wire");
    assert_eq!(written["supported_protocols"], json!(["proteus"]));
    assert_eq!(written["searchable"], true);
    assert_eq!(written["id"], written["qualified_id"]["id"]);
}

#[test]
fn the_list_of_users_was_bare_before_version_4() {
    let profile: UserProfile = serde_json::from_value(full_profile()).unwrap();
    let failed = serde_json::from_value(json!([full_profile()["qualified_id"]])).unwrap();
    let list = ListUsersById { found: vec![profile], failed: Some(failed) };
    let json = |version| serde_json::from_slice::<Value>(&list.to_json(Version(version))).unwrap();
    assert_eq!(json(3), json!([full_profile()]));
    assert_eq!(json(4), json!({"found": [full_profile()], "failed": [full_profile()["qualified_id"]]}));
    let nobody = ListUsersById { found: vec![], failed: None };
    assert_eq!(nobody.to_json(Version(15)), br#"{"found":[]}"#);
}

#[test]
fn bad_json_is_answered_with_the_place_and_the_reason() {
    let message = |text: &str| parse_json::<Login>(text.as_bytes()).unwrap_err().message.into_owned();
    assert_eq!(message(r#"{"handle":"ab","password":"short"}"#), "Error in $.password: outside range [6, 1024]");
    assert!(message("{").starts_with("Error in $: "), "{}", message("{"));
    assert!(message(r#"{"handle":"ab","password":"longer"} x"#).starts_with("Error in $: "));
    let ids = parse_json::<ListUsersQuery>(br#"{"qualified_ids":[{"domain":"x","id":"y"}]}"#).unwrap_err();
    assert_eq!(ids.entry.label, "bad-request");
}

#[test]
fn a_login_names_one_user() {
    let login = |text: Value| parse_json::<Login>(text.to_string().as_bytes());
    assert!(login(json!({"password": "secret"})).is_err());
    assert!(login(json!({"email": "nonsense", "handle": "ab", "password": "secret"})).is_err());
    let both = login(json!({"email": "a@b.example", "handle": "ab", "password": "secret"})).unwrap();
    assert_eq!(both.handle, None);
    assert!(!format!("{both:?}").contains("secret"));
}

#[test]
fn rules_between_the_fields_of_a_new_user() {
    let refused = |text: Value| parse_json::<NewUser>(text.to_string().as_bytes()).map(drop).is_err();
    let team = json!({"name": "T", "icon": "default"});
    assert!(!refused(json!({"name": "n"})));
    assert!(!refused(json!({"name": "n", "email": "a@b.example", "password": "12345678", "team": team})));
    for bad in [
        json!({"name": ""}),
        json!({"name": "n".repeat(129)}),
        json!({"name": "n", "email": "nonsense"}),
        json!({"name": "n", "password": "1234567"}),
        json!({"name": "n", "locale": "english"}),
        json!({"name": "n", "supported_protocols": ["mixed"]}),
        json!({"name": "n", "expires_in": 0}),
        json!({"name": "n", "expires_in": 604_801}),
        json!({"name": "n", "expires_in": 5, "email": "a@b.example"}),
        json!({"name": "n", "team": team}),
        json!({"name": "n", "password": "12345678", "team": team, "team_code": "x"}),
        json!({"name": "n", "team_id": "ac41a202-2555-11ec-9341-00163e5e6c00"}),
    ] {
        assert!(refused(bad.clone()), "{bad}");
    }
}

#[test]
fn users_are_asked_for_by_ids_or_by_handles() {
    let query = |text: Value| parse_json::<ListUsersQuery>(text.to_string().as_bytes());
    let id = full_profile()["qualified_id"].clone();
    let handle = json!({"domain": "a.example", "id": "alice"});
    assert!(query(json!({"qualified_ids": []})).is_ok());
    assert!(query(json!({"qualified_handles": vec![handle.clone(); 4]})).is_ok());
    for bad in [
        json!({}),
        json!({"qualified_ids": [id], "qualified_handles": [handle.clone()]}),
        json!({"qualified_handles": []}),
        json!({"qualified_handles": vec![handle; 5]}),
    ] {
        assert!(query(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn the_yardstick_is_whole() {
    let list: Vec<_> = operations::v15().collect();
    assert_eq!(list.len(), 313);
    assert_eq!(list.iter().collect::<BTreeSet<_>>().len(), 313);
    assert!(list.iter().any(|operation| operation.is("GET", "/users/{domain}/{id}")));
    assert!(!list.iter().any(|operation| operation.is("GET", "/users/{domain}/{id}/{other}")));
}

proptest! {
    #[test]
    fn no_document_makes_a_shape_panic(text in "\\PC{0,200}") {
        for shape in public_api::shapes::SHAPES {
            let _ = (shape.roundtrip)(&text);
        }
    }

    #[test]
    fn what_a_shape_writes_it_reads_as_the_same(key in "[a-z_]{1,12}", value in "\\PC{0,20}") {
        let mut document = full_user();
        document[key] = value.into();
        let Ok(user) = serde_json::from_value::<User>(document) else { return Ok(()) };
        let again: User = serde_json::from_slice(&user.to_json(Version(0))).unwrap();
        prop_assert_eq!(again, user);
    }
}
