//! The list of RPCs.

use federation_api::{
    ApiVersion, Component, Kind, Rpc, RpcInfo, RpcName, SUPPORTED, Unit, VersionRange, brig, cargohold, galley, rpcs,
};

#[test]
fn versions_of_one_name_do_not_overlap() {
    for (n, a) in rpcs().iter().enumerate() {
        for b in &rpcs()[n + 1..] {
            let same = (a.component, a.name) == (b.component, b.name);
            assert!(!same || !a.versions.overlaps(b.versions), "{a:?} {b:?}");
        }
    }
}

#[test]
fn names_fit_paths() {
    for rpc in rpcs() {
        assert_eq!(rpc.name.parse::<RpcName>().unwrap().as_str(), rpc.name);
    }
}

#[test]
fn a_declaration_is_its_data() {
    assert_eq!(
        brig::GetMlsClient::INFO,
        RpcInfo {
            component: Component::Brig,
            name: "get-mls-client",
            versions: VersionRange::from(3),
            kind: Kind::Call,
            max_body: federation_api::DEFAULT_MAX_BODY,
        }
    );
    assert_eq!(RpcName::of::<galley::OnConversationUpdatedV0>(), RpcName::of::<galley::OnConversationUpdated>());
    assert_eq!(cargohold::StreamAsset::KIND, Kind::Stream);
    assert!(rpcs().contains(&galley::MlsWelcome::INFO));
}

#[test]
fn names_by_version() {
    let at = |version: u32, component: Component| -> Vec<&str> {
        let mut names: Vec<_> = rpcs()
            .iter()
            .filter(|rpc| rpc.component == component && rpc.versions.contains(ApiVersion(version)))
            .map(|rpc| rpc.name)
            .collect();
        names.sort_unstable();
        names
    };
    let brig_v0 = [
        "api-version",
        "claim-key-packages",
        "claim-multi-prekey-bundle",
        "claim-prekey",
        "claim-prekey-bundle",
        "get-mls-clients",
        "get-not-fully-connected-backends",
        "get-user-by-handle",
        "get-user-clients",
        "get-users-by-ids",
        "on-user-deleted-connections",
        "search-users",
        "send-connection-action",
    ];
    let galley_v0 = [
        "get-conversations",
        "leave-conversation",
        "mls-welcome",
        "on-client-removed",
        "on-conversation-created",
        "on-conversation-updated",
        "on-message-sent",
        "on-mls-message-sent",
        "on-typing-indicator-updated",
        "on-user-deleted-conversations",
        "query-group-info",
        "send-message",
        "send-mls-commit-bundle",
        "send-mls-message",
        "update-conversation",
        "update-typing-indicator",
    ];
    let with = |names: &[&'static str], more: &[&'static str]| -> Vec<&'static str> {
        let mut names = [names, more].concat();
        names.sort_unstable();
        names
    };
    let since_v1 =
        ["delete-sub-conversation", "get-one2one-conversation", "get-sub-conversation", "leave-sub-conversation"];
    for version in SUPPORTED {
        let brig_names = if version.0 < 3 { with(&brig_v0, &[]) } else { with(&brig_v0, &["get-mls-client"]) };
        let galley_names = if version.0 < 1 { with(&galley_v0, &[]) } else { with(&galley_v0, &since_v1) };
        assert_eq!(at(version.0, Component::Brig), brig_names, "{version}");
        assert_eq!(at(version.0, Component::Galley), galley_names, "{version}");
        assert_eq!(at(version.0, Component::Cargohold), ["get-asset", "stream-asset"], "{version}");
    }
}

#[test]
fn notifications() {
    let mut names: Vec<_> = rpcs().iter().filter(|rpc| rpc.kind == Kind::Notification).map(|rpc| rpc.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        [
            "on-client-removed",
            "on-conversation-updated",
            "on-message-sent",
            "on-mls-message-sent",
            "on-user-deleted-connections",
            "on-user-deleted-conversations",
        ]
    );
}

#[test]
fn requests_and_answers_of_bare_values() {
    fn request<R: Rpc>(json: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<R::Request>(json).unwrap()).unwrap()
    }
    fn answer<R: Rpc>(json: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<R::Answer>(json).unwrap()).unwrap()
    }
    let user = r#""ac41a202-2555-11ec-9341-00163e5e6c00""#;
    assert_eq!(serde_json::to_string(&Unit).unwrap(), "[]");
    assert_eq!(request::<brig::ApiVersion>(" [ ] "), "[]");
    for bad in ["null", "{}", "[0]", ""] {
        assert!(serde_json::from_str::<Unit>(bad).is_err(), "{bad}");
    }
    assert_eq!(request::<brig::GetUserByHandle>(r#""bob""#), r#""bob""#);
    assert_eq!(answer::<brig::GetUserByHandle>("null"), "null");
    assert_eq!(request::<brig::GetUsersByIds>(&format!("[{user}]")), format!("[{user}]"));
    assert_eq!(request::<brig::ClaimPrekey>(&format!(r#"[{user},"00Fe"]"#)), format!(r#"[{user},"fe"]"#));
    assert_eq!(answer::<brig::ClaimPrekey>("null"), "null");
    assert_eq!(answer::<brig::ClaimKeyPackages>("null"), "null");
    assert_eq!(request::<brig::ClaimPrekeyBundle>(user), user);
    assert_eq!(
        answer::<brig::GetUserClients>(&format!(r#"{{{user}:[{{"id":"a","class":"phone"}},{{"id":"9"}}]}}"#)),
        format!(r#"{{{user}:[{{"id":"9"}},{{"id":"a","class":"phone"}}]}}"#)
    );
    assert_eq!(answer::<brig::GetMlsClients>(r#"[{"id":"1","mls":false}]"#), r#"[{"id":"1","mls":false}]"#);
    assert_eq!(answer::<galley::OnMessageSent>("{}"), "{}");
    assert!(serde_json::from_str::<<cargohold::StreamAsset as Rpc>::Answer>("[]").is_err());
}
