//! The Helm chart makes of values what the import makes of them, and refuses what that refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use testkit::process::run as run_program;
use wire_server_config::values::Values;

use super::{ACME_INGRESS, ACME_WIRE_SERVER, INGRESS, MANUAL, Place, WIRE_SERVER};
use crate::support::ferrule;

/// Renders the chart with values, as YAML documents.
fn rendered(place: &Place, mode: &str, texts: &[&str]) -> Result<String, String> {
    helm(place, &["template", "r"], mode, texts)
}

/// What `helm install` would print beside: it shows its notes to nobody without a cluster, so a copy of the chart has them
/// as a document.
fn warnings(place: &Place, texts: &[&str]) -> String {
    let copy = tempfile::tempdir().unwrap();
    let run = run_program(Path::new("cp"), ["-r", &chart().display().to_string(), &copy.path().display().to_string()]);
    assert!(run.unwrap().status.success());
    let chart = copy.path().join("ferrule");
    let notes = fs::read_to_string(chart.join("templates/NOTES.txt")).unwrap();
    let shown =
        format!("{{{{- define \"notes\" }}}}{notes}{{{{ end }}}}notes: {{{{ include \"notes\" . | quote }}}}\n");
    fs::write(chart.join("templates/notes.yaml"), shown).unwrap();
    helm_of(&chart, place, &["template", "--show-only", "templates/notes.yaml", "r"], "federator", texts).unwrap()
}

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/helm/ferrule")
}

fn helm(place: &Place, command: &[&str], mode: &str, texts: &[&str]) -> Result<String, String> {
    helm_of(&chart(), place, command, mode, texts)
}

fn helm_of(chart: &Path, place: &Place, command: &[&str], mode: &str, texts: &[&str]) -> Result<String, String> {
    let mut helm = std::process::Command::new(std::env::var_os("FERRULE_TEST_HELM").expect("where helm is"));
    helm.args(command).arg(chart).arg("--set").arg(format!("mode={mode}"));
    for (number, text) in (0..).zip(texts) {
        helm.arg("-f").arg(place.values(&format!("chart-{number}.yaml"), text));
    }
    let output = helm.output().expect("helm is there");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The block text at a key, such as a file in a ConfigMap. Indentation counts in YAML: the block as it stands.
fn block(rendered: &str, key: &str) -> String {
    let start = rendered.find(&format!("  {key}: |\n")).expect("the file is rendered");
    let lines = rendered[start..].lines().skip(1);
    lines
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| format!("{}\n", line.get(4..).unwrap_or_default()))
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

/// Holds that the configuration in the rendered chart says what the imported one says.
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
    let all = |config: &str| {
        let shown = run_program(ferrule(), ["config", "show", "--config", config]).unwrap().stdout;
        let mut all: toml::Table = toml::from_str(&shown).unwrap();
        // What a pod has otherwise: how it ends, where it listens, and that its log is read by machines.
        all.remove("drain_delay");
        for (section, option) in [
            ("edge", "listen"),
            ("edge", "proxies"),
            ("internal", "listen"),
            ("federation", "listen"),
            ("acme", "http_listen"),
            ("log", "format"),
        ] {
            if let Some(section) = all.get_mut(section).and_then(toml::Value::as_table_mut) {
                section.remove(option);
            }
        }
        // Sorted as each has it.
        if let Some(ca) = all["federation"]["ca"].as_array_mut() {
            ca.sort_by_key(ToString::to_string);
        }
        all
    };
    assert_eq!(all(&config), all(&place.config()));
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
    for mode in ["full", "federator"] {
        helm(&place, &["lint", "--strict"], mode, &[&MANUAL[..], &[&tokens]].concat()).expect(mode);
    }

    let federator = rendered(&place, "federator", &MANUAL).unwrap();
    for told in ["name: federator\n", "path: /i/status", "port: 8080", "name: federator-ext", "port: 8081"] {
        assert!(federator.contains(told), "{told}");
    }
    let yaml = block(&federator, "federator.yaml");
    let (read, _) = wire_server_config::federator::FederatorYaml::read(&yaml).unwrap();
    assert_eq!((read.federator_internal.port, read.federator_external.port), (8080, 8081));
    assert!(read.opt_settings.federation_strategy.is_some(), "{yaml}");
}

#[test]
#[ignore = "needs helm"]
fn every_option_that_the_import_takes_over_the_chart_takes_over() {
    for more in [
        "federator: {config: {optSettings: {tcpConnectionTimeout: 2500001, dnsHost: 192.0.2.53}}}",
        "config: {optSettings: {tcpConnectionTimeout: 7000000, dnsHost: '2001:db8::53', dnsPort: 5353}}",
        "federator: {config: {optSettings: {useSystemCAStore: true}}}\nbrig: {config: {logLevel: Fatal}}",
        "tls: {verify_depth: 1}\nbrig: {config: {logLevel: Debug}}",
        "tls: {verify_depth: 6}\nconfig: {dns: {teamSettings: teams.wire.example.org, accountPages: account.wire.example.org}}",
        "federator: {config: {optSettings: {federationStrategy: {allowAll: true, allowedDomains: ~}}}}",
        "federator: {config: {optSettings: {federationStrategy: {allowedDomains: []}}}}",
        "brig: {config: {optSettings: {setFederationStrategy: allowDynamic, setFederationDomainConfigs: [{domain: \
         example.org, search_policy: full_search}, {domain: example.net, search_policy: no_search}]}}}",
    ] {
        let place = Place::new();
        let values = [&MANUAL[..], &[more]].concat();
        place.import(&values).unwrap();
        let full = rendered(&place, "full", &[&values[..], &[&tokens(&place)]].concat()).expect(more);
        println!("{more}");
        the_same_as_imported(&place, &full);
    }
}

/// Documents of this kind in what was rendered.
fn of_kind(rendered: &str, kind: &str) -> Vec<String> {
    let kind = format!("kind: {kind}\n");
    rendered.split("\n---\n").filter(|document| document.contains(&kind)).map(str::to_owned).collect()
}

#[test]
#[ignore = "needs helm"]
fn a_changed_configuration_makes_a_new_pod_and_a_changed_certificate_does_not() {
    let place = Place::new();
    place.import(&MANUAL).unwrap();
    let tokens = tokens(&place);
    let pod = |more: &str, kind: &str, mode: &str| {
        let rendered = rendered(&place, mode, &[&MANUAL[..], &[&tokens, more]].concat()).unwrap();
        of_kind(&rendered, kind).concat()
    };
    let certificate = format!("federator: {{clientCertificateContents: {:?}}}", place.server.chain_pem());
    for (kind, mode) in [("StatefulSet", "full"), ("Deployment", "federator")] {
        let before = pod("{}", kind, mode);
        assert!(before.contains("checksum/settings: "), "{before}");
        assert_eq!(pod(&certificate, kind, mode), before);
        let policy = "federator: {config: {optSettings: {federationStrategy: {allowedDomains: [b.example]}}}}";
        assert_ne!(pod(policy, kind, mode), before);
    }
    assert_ne!(
        pod("brig: {secrets: {zAuth: {publicKeys: x}}}", "StatefulSet", "full"),
        pod("{}", "StatefulSet", "full")
    );
}

#[test]
#[ignore = "needs helm"]
fn mode_federator_heeds_the_options_of_the_federators_part() {
    let place = Place::new();
    let own = "federator:
  replicaCount: 2
  resources: {limits: {memory: 77Mi}}
  image: {repository: registry.example/ferrule, tag: v7}
  metrics: {serviceMonitor: {enabled: true}}
";
    let made = rendered(&place, "federator", &[&MANUAL[..], &[own]].concat()).unwrap();
    for told in ["replicas: 2\n", "memory: 77Mi", "image: \"registry.example/ferrule:v7\"", "kind: ServiceMonitor"] {
        assert!(made.contains(told), "{told}: {made}");
    }
    assert_eq!(of_kind(&made, "PodDisruptionBudget").len(), 1);
    // The backend domain, where the values say it, so that brig need not be there first.
    assert!(made.contains("- --domain\n            - \"example.com\"\n"), "{made}");
    // wire-server's own image is another program.
    let theirs = "federator: {image: {repository: quay.io/wire/federator, tag: 5.1.0}}";
    let made = rendered(&place, "federator", &[&MANUAL[..], &[theirs]].concat()).unwrap();
    assert!(made.contains("image: \"ferrule:") && !made.contains("5.1.0"), "{made}");
    // By its own chart's values as well, which have no domain.
    let of_its_own = "replicaCount: 1\ntls: {useSharedFederatorSecret: true}";
    let made = rendered(&place, "federator", &[of_its_own]).unwrap();
    assert!(made.contains("replicas: 1\n") && !made.contains("--domain"), "{made}");
    assert_eq!(of_kind(&made, "PodDisruptionBudget").len(), 0);
}

#[test]
#[ignore = "needs helm"]
fn a_pod_that_is_to_end_has_time_for_it_and_is_probed_where_it_says_so() {
    let place = Place::new();
    place.import(&MANUAL).unwrap();
    let tokens = tokens(&place);
    for (more, alone, replaced) in [("{}", 0, 5), ("drainDelay: 40", 40, 40), ("drainDelay: 0", 0, 0)] {
        let values = [&MANUAL[..], &[&tokens, more]].concat();
        let full = of_kind(&rendered(&place, "full", &values).unwrap(), "StatefulSet").concat();
        let federator = of_kind(&rendered(&place, "federator", &values).unwrap(), "Deployment").concat();
        for (made, seconds) in [(&full, alone), (&federator, replaced)] {
            assert!(made.contains(&format!("terminationGracePeriodSeconds: {}\n", seconds + 30)), "{made}");
        }
        let variable = format!("- name: FERRULE_DRAIN_DELAY\n              value: \"{replaced}\"\n");
        assert!(federator.contains(&variable), "{federator}");
        let configuration = block(&rendered(&place, "full", &values).unwrap(), "ferrule.toml");
        assert!(configuration.contains(&format!("\ndrain_delay = {alone}\n")), "{configuration}");
        let (_, probe) = federator.split_once("readinessProbe:").unwrap();
        assert!(probe.contains("path: /i/ready\n              port: 8080\n"), "{probe}");
        let (_, probe) = full.split_once("readinessProbe:").unwrap();
        assert!(probe.contains("path: /status\n              port: edge\n"), "{probe}");
    }
}

#[test]
#[ignore = "needs helm"]
fn mode_federator_refuses_what_contradicts_itself() {
    let place = Place::new();
    for (values, words) in [
        ("federator: {tls: {useSharedFederatorSecret: true}}", "either shared with the ingress or pasted"),
        ("federator: {clientPrivateKeyContents: ''}", "the key of federator.clientCertificateContents is missing"),
        ("federator: {remoteCAContents: junk}", "there is no certificate in this CA store"),
        ("galley: {config: {enableFederator: false}}", "on in one place and off in another"),
        ("galley: {config: {settings: {federationDomain: b.example}}}", "the backend domain differs"),
        ("brig: {config: {optSettings: {setFederationStrategy: allowAll}}}", "say different things"),
        ("federator: {config: {optSettings: {dnsHost: ns.example}}}", "this is no IP address"),
    ] {
        let told = rendered(&place, "federator", &[&MANUAL[..], &[values]].concat()).expect_err(values);
        assert!(told.contains(words), "{words}: {told}");
    }
    let told = rendered(&place, "federator", &["{}"]).unwrap_err();
    assert!(told.contains("there is no certificate for calls to others"), "{told}");
}

/// Whom a policy lets in to the components' port: the pods of the own namespace.
const INTERNAL: &str = "- port: 8080\n      from:\n        - podSelector: {}";

#[test]
#[ignore = "needs helm"]
fn only_the_ingress_is_believed_and_reaches_the_port_for_it() {
    let place = Place::new();
    let open = rendered(&place, "federator", &MANUAL).unwrap();
    assert!(!open.contains("--proxies"), "{open}");
    let policy = of_kind(&open, "NetworkPolicy").concat();
    // Nobody said where the ingress is; the components' port is for this namespace all the same.
    assert!(policy.contains(INTERNAL) && policy.contains("- port: 8081\n    - ports:"), "{policy}");
    let told = warnings(&place, &MANUAL);
    assert!(told.contains("WARNING: proxies:") && told.contains("WARNING: networkPolicy.ingress:"), "{told}");
    let proxies = "proxies: [10.42.0.0/16, 192.0.2.1]";
    let made = rendered(&place, "federator", &[&MANUAL[..], &[proxies]].concat()).unwrap();
    assert!(made.contains("- --proxies\n            - \"10.42.0.0/16,192.0.2.1\"\n"), "{made}");
    let policy = of_kind(&made, "NetworkPolicy").concat();
    for told in ["cidr: 10.42.0.0/16\n", "cidr: 192.0.2.1/32\n", "- port: 8081\n      from:\n", INTERNAL] {
        assert!(policy.contains(told), "{told}: {policy}");
    }
    let by_name = format!(
        "{proxies}\nnetworkPolicy: {{ingress: [{{namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: nginx}}}}}}]}}"
    );
    let made = rendered(&place, "federator", &[&MANUAL[..], &[&by_name]].concat()).unwrap();
    let policy = of_kind(&made, "NetworkPolicy").concat();
    assert!(policy.contains("kubernetes.io/metadata.name: nginx") && !policy.contains("ipBlock"), "{policy}");
    let told = warnings(&place, &[&MANUAL[..], &[proxies]].concat());
    assert!(!told.contains("WARNING"), "{told}");
    let monitored = "metrics: {serviceMonitor: {enabled: true}}";
    let watched =
        "networkPolicy: {monitoring: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: watch}}}]}";
    let told = |more: &[&str]| warnings(&place, &[&MANUAL[..], &[proxies, monitored], more].concat());
    assert!(told(&[]).contains("WARNING: networkPolicy.monitoring:"));
    assert!(!told(&[watched]).contains("WARNING"));
    let made = rendered(&place, "federator", &[&MANUAL[..], &[proxies, watched]].concat()).unwrap();
    let policy = of_kind(&made, "NetworkPolicy").concat();
    let (_, internal) = policy.split_once(INTERNAL).expect("the components stay");
    assert!(internal.contains("kubernetes.io/metadata.name: watch"), "{policy}");
    let off =
        rendered(&place, "federator", &[&MANUAL[..], &[proxies, "networkPolicy: {enabled: false}"]].concat()).unwrap();
    assert!(of_kind(&off, "NetworkPolicy").is_empty() && off.contains("--proxies"), "{off}");
    assert!(told(&["networkPolicy: {enabled: false}"]).contains("WARNING: networkPolicy.enabled:"));
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
