use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tls::issue::{Authority, AuthorityRequest, LeafRequest, Validity};
use types::Timestamp;

use super::*;

/// Good values and such as contradict themselves, which the Helm chart's tests read too.
fn list() -> Values {
    Values::read(include_str!("contradictions.yaml")).unwrap()
}

/// A text with PEM where it names some.
fn filled(text: &str) -> String {
    use std::sync::OnceLock;
    static PEM: OnceLock<[(&str, String); 3]> = OnceLock::new();
    let make = || {
        let validity = Validity::starting(Timestamp::from_seconds(1_800_000_000), Duration::from_secs(86_400));
        let ca = Authority::root(&AuthorityRequest::new("ca", validity)).unwrap();
        let leaf = ca.issue(&LeafRequest::new("federator.a.example", validity)).unwrap();
        [("@certificate", leaf.chain_pem()), ("@key", leaf.key_pem().to_owned()), ("@ca", ca.certificate_pem())]
    };
    let pem = PEM.get_or_init(make).iter();
    pem.fold(text.to_owned(), |text, (name, pem)| text.replace(&format!("'{name}'"), &json!(pem).to_string()))
}

/// Good values, in the older names.
fn good() -> Value {
    let text = json!(list().0["good"]).to_string().replace('"', "'");
    // Everything in it is a text, a number or a flag without quotation marks of its own.
    Value::Object(Values::read(&filled(&text)).unwrap().0)
}

fn imported(value: Value) -> Result<Imported, String> {
    let Value::Object(map) = value else { panic!("a map") };
    import(&Values(map)).map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
}

/// The good values with one more file.
fn with(file: &str) -> Result<Imported, String> {
    let Value::Object(map) = good() else { panic!("a map") };
    let mut values = Values(map);
    values.put_over(Values::read(file).unwrap());
    imported(Value::Object(values.0))
}

fn table(imported: &Imported) -> toml::Table {
    toml::from_str(&imported.config).unwrap()
}

#[test]
fn good_values_become_what_they_say() {
    let imported = imported(good()).unwrap();
    let config = table(&imported);
    assert_eq!(config["domain"].as_str(), Some("a.example"));
    let federation = config["federation"].as_table().unwrap();
    assert_eq!(federation["infra"].as_str(), Some("federator.a.example"), "without the dot of DNS");
    assert_eq!(federation["verify_depth"].as_integer(), Some(2));
    assert_eq!(federation["strategy"].as_str(), Some("allowNone"), "nobody, where nothing says who");
    assert_eq!(federation["ca"].as_array().unwrap().len(), 2);
    assert!(!federation.contains_key("client_certificate"), "it is shared");
    assert_eq!(imported.unused, [""; 0]);
    let secrets: Vec<_> = imported.files.iter().filter(|file| file.secret).map(|file| file.name).collect();
    assert_eq!(secrets, [file::KEY]);
    assert!(!format!("{imported:?}").contains("PRIVATE KEY"));
}

#[test]
fn keys_go_only_into_secret_files() {
    let mut values = good();
    let key = values["secrets"]["tlsWildcardKey"].as_str().unwrap().to_owned();
    for path in ["/secrets/tlsWildcardCert", "/secrets/tlsClientCA", "/federator/remoteCAContents"] {
        let text = values.pointer_mut(path).unwrap();
        *text = format!("Bag Attributes\n{}{key}", text.as_str().unwrap()).into();
    }
    let imported = imported(values).unwrap();
    for file in &imported.files {
        assert_eq!(file.secret, file.contents.contains("PRIVATE KEY"), "{}", file.name);
        assert_eq!(file.secret, !file.contents.contains("BEGIN CERTIFICATE"), "{}", file.name);
    }
    let told = imported.warnings.iter().filter(|warning| warning.contains("a private key stands in it")).count();
    assert_eq!(told, 3, "{:?}", imported.warnings);
}

#[test]
fn the_older_and_the_newer_policy_are_mapped() {
    for (file, strategy, remotes) in [
        ("federator: {config: {optSettings: {federationStrategy: {allowedDomains: []}}}}", "allowNone", 0),
        ("federator: {config: {optSettings: {federationStrategy: {allowedDomains: [b.example]}}}}", "allowDynamic", 1),
        ("federator: {config: {optSettings: {federationStrategy: {allowAll: true}}}}", "allowAll", 0),
        ("config: {optSettings: {federationStrategy: {allowAll: true, allowedDomains: []}}}", "allowAll", 0),
        ("brig: {config: {optSettings: {setFederationStrategy: allowAll}}}", "allowAll", 0),
        (
            "brig: {config: {optSettings: {setFederationStrategy: allowDynamic, setFederationDomainConfigs: \
             [{domain: b.example, search_policy: full_search}, {domain: c.example}]}}}",
            "allowDynamic",
            2,
        ),
    ] {
        let config = table(&with(file).unwrap());
        assert_eq!(config["federation"]["strategy"].as_str(), Some(strategy), "{file}");
        let found = config["federation"].get("remotes").and_then(|remotes| remotes.as_array()).map_or(0, Vec::len);
        assert_eq!(found, remotes, "{file}");
    }
}

#[test]
fn contradictions_name_their_options() {
    let list = list();
    let cases = list.0["cases"].as_array().unwrap();
    assert!(cases.len() > 20, "they are found");
    for case in cases {
        let text = |key: &str| case[key].as_str().unwrap();
        let file = filled(text("values"));
        let told = with(&file).unwrap_err();
        let line = told.lines().find(|line| line.contains(text("words")));
        assert!(line.is_some_and(|line| line.contains(text("option"))), "{file}\n{told}");
    }
}

#[test]
fn federation_that_is_off_needs_nothing_but_a_domain() {
    let off = imported(json!({"brig": {"config": {"optSettings": {"setFederationDomain": "a.example"}}}})).unwrap();
    assert_eq!(table(&off).keys().collect::<Vec<_>>(), ["domain"]);
    assert!(imported(json!({})).unwrap_err().contains("the backend has no domain"));
}

#[test]
fn what_is_not_used_is_named_where_nothing_below_is_known() {
    let more =
        "brig: {config: {cassandra: {host: x, port: 1}, optSettings: {setRichInfoLimit: 3}}}\ngundeck: {a: {b: 1}}";
    let unused = with(more).unwrap().unused;
    assert_eq!(unused, ["brig.config.cassandra", "brig.config.optSettings.setRichInfoLimit", "gundeck"]);
}

/// The paths of everything in a value that is no map.
fn leaves(value: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                at.push(key.clone());
                leaves(value, at, found);
                at.pop();
            }
        }
        _ => found.push(at.clone()),
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!([])),
        Just(json!([{"domain": 3}, "x"])),
        Just(json!({"x": {"y": 1}})),
    ]
}

proptest! {
    #[test]
    fn any_value_in_any_place_is_an_import_or_a_problem(place in any::<prop::sample::Index>(), value in any_value()) {
        let mut values = good();
        let mut places = Vec::new();
        leaves(&values, &mut Vec::new(), &mut places);
        let path = place.get(&places);
        *path.iter().fold(&mut values, |at, key| &mut at[key]) = value;
        if let Ok(imported) = imported(values) {
            let config = table(&imported);
            prop_assert!(config.contains_key("domain"), "{}", imported.config);
        }
    }

    #[test]
    fn what_other_charts_set_changes_nothing(chart in "x[a-z]{1,8}", value in any_value()) {
        let mut values = good();
        values[chart.as_str()] = value;
        prop_assert_eq!(imported(values).unwrap().config, imported(good()).unwrap().config);
    }

    #[test]
    fn values_that_lack_something_say_so_or_work_without(place in any::<prop::sample::Index>()) {
        let mut values = good();
        let mut places = Vec::new();
        leaves(&values, &mut Vec::new(), &mut places);
        let path = place.get(&places);
        let (last, above) = path.split_last().unwrap();
        let map = above.iter().fold(&mut values, |at, key| &mut at[key]);
        map.as_object_mut().unwrap().remove(last);
        match imported(values) {
            Ok(imported) => prop_assert!(!imported.warnings.is_empty()),
            Err(told) => prop_assert!(told.contains(last.as_str()), "{last}: {told}"),
        }
    }
}
