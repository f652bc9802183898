use proptest::prelude::*;

use super::*;

/// As wire-server's chart writes it.
const CHART: &str = r#"
        federator:
          host: 0.0.0.0
          port: 8080

        federatorInternal:
          host: 0.0.0.0
          port: 8080

        federatorExternal:
          host: 0.0.0.0
          port: 8081

        brig:
          host: brig
          port: 8080

        galley:
          host: galley
          port: 8080

        cargohold:
          host: cargohold
          port: 8080

        logNetStrings: false
        logFormat: StructuredJSON
        logLevel: Info
        optSettings:
          # some words
          remoteCAStore: "/etc/wire/federator/ca/ca.crt"
          clientCertificate: "/etc/wire/federator/secrets/tls.crt"
          clientPrivateKey: "/etc/wire/federator/secrets/tls.key"
          useSystemCAStore: true
          tcpConnectionTimeout: 5000000
"#;

fn read(text: &str) -> Result<(FederatorYaml, Vec<String>), String> {
    FederatorYaml::read(text).map_err(|error| error.to_string())
}

fn with(line: &str) -> Result<(FederatorYaml, Vec<String>), String> {
    read(&format!("{CHART}          {line}\n"))
}

fn without(key: &str) -> String {
    CHART.lines().filter(|line| !line.trim_start().starts_with(key)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_file_of_the_chart_is_read_as_it_is() {
    let (yaml, warnings) = read(CHART).unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(yaml.federator_internal, Endpoint { host: "0.0.0.0".into(), port: 8080 });
    assert_eq!(yaml.federator_external, Endpoint { host: "0.0.0.0".into(), port: 8081 });
    let names = [&yaml.brig, &yaml.galley, &yaml.cargohold].map(|at| (at.host.as_str(), at.port));
    assert_eq!(names, [("brig", 8080), ("galley", 8080), ("cargohold", 8080)]);
    assert_eq!((yaml.log_level, yaml.log_format), (LogLevel::Info, LogFormat::StructuredJson));
    let settings = OptSettings {
        use_system_ca_store: true,
        remote_ca_store: Some("/etc/wire/federator/ca/ca.crt".into()),
        client_certificate: "/etc/wire/federator/secrets/tls.crt".into(),
        client_private_key: "/etc/wire/federator/secrets/tls.key".into(),
        tcp_connection_timeout: Duration::from_secs(5),
        dns_host: None,
        dns_port: None,
        federation_strategy: None,
    };
    assert_eq!(yaml.opt_settings, settings);
}

#[test]
fn a_name_server_and_other_log_options_are_read() {
    let (yaml, _) = read(&format!(
        "{}          dnsHost: 127.0.0.1\n          dnsPort: 9053\n",
        CHART.replace("logFormat: StructuredJSON", "logFormat: ~").replace("Strings: false", "Strings: true")
    ))
    .unwrap();
    assert_eq!(yaml.opt_settings.dns_host, Some(IpAddr::from([127, 0, 0, 1])));
    assert_eq!(yaml.opt_settings.dns_port, Some(9053));
    assert_eq!(yaml.log_format, LogFormat::Netstring);
    assert!(with("dnsHost: ns.example.com").unwrap_err().starts_with("optSettings.dnsHost: this is no IP address"));
    assert!(with("dnsPort: 53").unwrap().1[0].starts_with("optSettings.dnsPort: "));
}

#[test]
fn s17_options_with_the_deprecated_strategy_parse() {
    let strategy = |text: &str| with(text).map(|(yaml, _)| yaml.opt_settings.federation_strategy);
    for all in ["{allowAll: }", "{allowAll: null}", "{allowAll: true}", "{allowAll: true, allowedDomains: []}"] {
        assert_eq!(strategy(&format!("federationStrategy: {all}")), Ok(Some(OlderStrategy::AllowAll)), "{all}");
    }
    let listed = strategy("federationStrategy: {allowedDomains: [server2.example.com, SERVER2.example.com]}");
    assert_eq!(listed, Ok(Some(OlderStrategy::AllowedDomains(vec!["server2.example.com".parse().unwrap()]))));
    let nobody = Ok(Some(OlderStrategy::AllowedDomains(vec![])));
    assert_eq!(strategy("federationStrategy: {allowedDomains: []}"), nobody);
    let (_, warnings) = with("federationStrategy: {allowAll: }").unwrap();
    assert!(warnings[0].starts_with("optSettings.federationStrategy: "), "{warnings:?}");
    let both = strategy("federationStrategy: {allowAll: true, allowedDomains: [a.example]}").unwrap_err();
    assert!(both.contains("federationStrategy.allowAll, optSettings.federationStrategy.allowedDomains"), "{both}");
    let bad = strategy("federationStrategy: {allowedDomains: [a.example, 'x y', 3]}").unwrap_err();
    assert!(bad.contains("number 2 is no domain") && bad.contains("number 3 is no text"), "{bad}");
}

#[test]
fn s17_a_missing_client_certificate_or_key_is_an_error() {
    for key in ["clientCertificate", "clientPrivateKey", "useSystemCAStore"] {
        assert_eq!(
            read(&without(key)).unwrap_err(),
            format!("optSettings.{key}: this option must be set"),
            "and nothing else is wrong"
        );
    }
    let both = read(&without("client")).unwrap_err();
    assert_eq!(both.lines().count(), 2, "both are named at once: {both}");
    let empty = read(&CHART.replace("/etc/wire/federator/secrets/tls.key", "")).unwrap_err();
    assert_eq!(empty, "optSettings.clientPrivateKey: this option must not be empty");
}

#[test]
fn missing_components_and_wrong_kinds_are_named() {
    assert_eq!(
        read(&CHART.replace("galley:", "gallery:")).unwrap_err(),
        "galley.host: this option must be set\ngalley.port: this option must be set"
    );
    for (good, bad, told) in [
        ("port: 8081", "port: 70000", "federatorExternal.port: expected a whole number from 1 to 65535"),
        ("port: 8081", "port: [1]", "federatorExternal.port: expected a whole number, found a list"),
        ("Store: true", "Store: 'true'", "optSettings.useSystemCAStore: expected true or false, found a text"),
        ("Level: Info", "Level: Loud", "logLevel: expected Trace, Debug, Info, Warn, Error or Fatal"),
        ("StructuredJSON", "XML", "logFormat: expected JSON, StructuredJSON, Plain or Netstring"),
        ("5000000", "0", "optSettings.tcpConnectionTimeout: expected a whole number from 1 to 86400000000"),
    ] {
        assert_eq!(read(&CHART.replace(good, bad)).unwrap_err(), told);
    }
}

#[test]
fn unknown_keys_are_tolerated_and_told() {
    let text = format!("{CHART}          newSetting: 3\n        metrics: {{on: true}}\n");
    let (yaml, warnings) = read(&text).unwrap();
    assert_eq!(yaml, read(CHART).unwrap().0);
    let told: Vec<_> = warnings.iter().map(|warning| warning.split(':').next().unwrap()).collect();
    assert_eq!(told, ["metrics", "optSettings.newSetting"]);
}

#[test]
fn trust_in_nobody_is_told() {
    let (_, warnings) = read(&without("remoteCAStore").replace("Store: true", "Store: false")).unwrap();
    assert!(warnings[0].starts_with("optSettings.remoteCAStore: "), "{warnings:?}");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., system: bool, micros in 1u64..86_400_000_000,
        file in "[ -~]{1,40}".prop_filter("not blank", |file| !file.trim().is_empty()),
    ) {
        // JSON is YAML, and escapes what must be escaped.
        let at = serde_json::json!({"host": host, "port": port});
        let text = serde_json::json!({
            "federatorInternal": at, "federatorExternal": at, "brig": at, "galley": at, "cargohold": at,
            "logLevel": "Warn",
            "optSettings": {
                "useSystemCAStore": system, "clientCertificate": file, "clientPrivateKey": file,
                "tcpConnectionTimeout": micros,
            },
        }).to_string();
        let (yaml, _) = read(&text).unwrap();
        prop_assert_eq!(&yaml.brig, &Endpoint { host, port });
        prop_assert_eq!(yaml.opt_settings.use_system_ca_store, system);
        prop_assert_eq!(yaml.opt_settings.client_private_key, PathBuf::from(file));
        prop_assert_eq!(yaml.opt_settings.tcp_connection_timeout, Duration::from_micros(micros));
    }

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}") {
        let _ = FederatorYaml::read(&text);
    }

    #[test]
    fn no_change_of_a_good_file_makes_it_panic(at in 0usize..900, junk in ".{0,8}", cut in 0usize..20) {
        let mut text = CHART.to_owned();
        let end = (at + cut).min(text.len());
        if text.is_char_boundary(at.min(end)) && text.is_char_boundary(end) {
            text.replace_range(at.min(end)..end, &junk);
        }
        let _ = FederatorYaml::read(&text);
    }
}
