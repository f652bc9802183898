//! The Helm chart makes of values what the import makes of them, and refuses what that refuses.

use std::{fs, path::Path};

use testkit::process::run as run_program;
use wire_server_config::values::Values;

use super::{ACME_INGRESS, ACME_WIRE_SERVER, INGRESS, MANUAL, Place, WIRE_SERVER};
use crate::support::ferrule;

/// Renders the chart with values, as YAML documents.
fn rendered(place: &Place, mode: &str, texts: &[&str]) -> Result<String, String> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/ferrule");
    let mut helm = std::process::Command::new(std::env::var_os("FERRULE_TEST_HELM").expect("where helm is"));
    helm.args(["template", "r"]).arg(chart).arg("--set").arg(format!("mode={mode}"));
    for (number, text) in (0..).zip(texts) {
        helm.arg("-f").arg(place.values(&format!("chart-{number}.yaml"), text));
    }
    let output = helm.output().expect("helm is there");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The block text at a key, such as a file in a ConfigMap.
fn block(rendered: &str, key: &str) -> String {
    let start = rendered.find(&format!("  {key}: |\n")).expect("the file is rendered");
    let lines = rendered[start..].lines().skip(1);
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.trim()))
        .collect()
}

/// The keys of access tokens that an import made, as values.
fn tokens(place: &Place) -> String {
    let keys = |name| fs::read_to_string(place.out().join(name)).unwrap().trim().to_owned();
    format!(
        "brig: {{secrets: {{zAuth: {{privateKeys: '{}', publicKeys: '{}'}}}}}}",
        keys("zauth-private.txt"),
        keys("zauth-public.txt")
    )
}

/// Holds that the configuration in the rendered chart says of federation and certificates what the imported one says.
fn the_same_as_imported(place: &Place, rendered: &str) {
    let out = place.out().display().to_string();
    let config = place.out().join("chart.toml");
    let data = format!("{out}/kept");
    fs::write(
        &config,
        block(rendered, "ferrule.toml").replace("/etc/ferrule", &out).replace("/var/lib/ferrule", &data),
    )
    .unwrap();
    let config = config.display().to_string();
    let check = run_program(ferrule(), ["config", "check", "--config", &config]).unwrap();
    assert!(check.status.success(), "{}", check.stderr);
    let sections = |config: &str| {
        let shown = run_program(ferrule(), ["config", "show", "--config", config]).unwrap().stdout;
        let table: toml::Table = toml::from_str(&shown).unwrap();
        let mut federation = table["federation"].clone();
        let mut acme = table.get("acme").cloned();
        // Behind the port that the Service leads to, and sorted as each has it.
        acme.iter_mut().filter_map(|acme| acme.as_table_mut()).for_each(|acme| drop(acme.remove("http_listen")));
        if let Some(ca) = federation["ca"].as_array_mut() {
            ca.sort_by_key(ToString::to_string);
        }
        (federation, acme)
    };
    assert_eq!(sections(&config), sections(&place.config()));
}

#[test]
#[ignore = "needs helm"]
fn the_chart_makes_of_the_same_values_what_the_import_makes() {
    let place = Place::new();
    place.import(&MANUAL).unwrap();
    let tokens = tokens(&place);
    let full = rendered(&place, "full", &[&MANUAL[..], &[&tokens]].concat()).unwrap();
    for kind in ["kind: StatefulSet", "kind: Service", "kind: Secret", "volumeClaimTemplates"] {
        assert!(full.contains(kind), "{kind}");
    }
    the_same_as_imported(&place, &full);

    let federator = rendered(&place, "federator", &MANUAL).unwrap();
    for told in ["name: federator\n", "path: /i/status", "port: 8080", "name: federator-ext", "port: 8081"] {
        assert!(federator.contains(told), "{told}");
    }
    // Indentation counts in YAML: the block as it stands.
    let start = federator.find("  federator.yaml: |\n").unwrap();
    let yaml: String = federator[start..]
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("    "))
        .map(|line| format!("{}\n", &line[4..]))
        .collect();
    let (read, _) = wire_server_config::federator::FederatorYaml::read(&yaml).unwrap();
    assert_eq!((read.federator_internal.port, read.federator_external.port), (8080, 8081));
    assert!(read.opt_settings.federation_strategy.is_some(), "{yaml}");
}

#[test]
#[ignore = "needs helm"]
fn certificates_of_lets_encrypt_are_the_charts_own_affair_in_mode_full() {
    let place = Place::new();
    let values = [INGRESS, ACME_INGRESS, WIRE_SERVER, ACME_WIRE_SERVER];
    place.import(&values).unwrap();
    for test_mode in [false, true] {
        let mode = format!("certManager: {{inTestMode: {test_mode}}}");
        let full = rendered(&place, "full", &[&values[..], &[&tokens(&place), &mode]].concat()).unwrap();
        assert!(full.contains(&format!("staging = {test_mode}")), "{full}");
        if !test_mode {
            the_same_as_imported(&place, &full);
        }
        // Port 80 of the infrastructure domain leads to the answers.
        for line in ["http_listen = \"0.0.0.0:8085\"", "port: 80\n      targetPort: acme", "containerPort: 8085"] {
            assert!(full.contains(line), "{line}: {full}");
        }
        assert!(!full.contains("federation.pem"), "there is none to paste: {full}");
    }
    let pasted = rendered(&place, "full", &[&MANUAL[..], &[&tokens(&place)]].concat()).unwrap();
    assert!(!pasted.contains("8085") && !pasted.contains("[acme]"), "{pasted}");
}

#[test]
#[ignore = "needs helm"]
fn the_chart_refuses_what_the_import_refuses_in_the_same_words() {
    let place = Place::new();
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire-server-config/src/import/contradictions.yaml");
    let list = Values::read(&fs::read_to_string(list).unwrap()).unwrap();
    let pem = |text: &str| {
        let json = |pem: &str| serde_json::json!(pem).to_string();
        text.replace("'@certificate'", &json(&place.client.chain_pem()))
            .replace("'@key'", &json(place.client.key_pem()))
            .replace("'@ca'", &json(&place.ca.certificate_pem()))
    };
    let good = pem(&list.get("good").unwrap().to_string().replace('"', "'"));
    let tokens = "brig: {secrets: {zAuth: {privateKeys: x, publicKeys: y}}}";
    rendered(&place, "full", &[&good, tokens]).expect("they are good");
    let mut refused = 0;
    for case in list.get("cases").and_then(serde_json::Value::as_array).unwrap() {
        let text = |key: &str| case[key].as_str().unwrap();
        let values = pem(text("values"));
        let said = rendered(&place, "full", &[&good, tokens, &values]);
        if case.get("certificate").is_some() {
            said.expect("a chart reads no certificates");
            continue;
        }
        let told = said.expect_err(&values);
        let line = told.lines().find(|line| line.contains(text("words")));
        assert!(line.is_some_and(|line| line.contains(text("option"))), "{values}\n{told}");
        refused += 1;
    }
    assert!(refused > 20, "{refused}");
    // All of it is told at once.
    let told =
        rendered(&place, "full", &["tags: {federator: true}\ngalley: {config: {enableFederator: false}}"]).unwrap_err();
    for words in ["the backend has no domain", "keys of access tokens", "off in another", "no server certificate"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}
