//! wire-server's `federator.yaml`.

use wire_server_config::federator::FederatorYaml;

/// A text. What is read holds the keys that must be there, and reading it again says the same.
pub fn federator_yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match (FederatorYaml::read(text), FederatorYaml::read(text)) {
        (Ok((first, warnings)), Ok((second, again))) => {
            assert_eq!((format!("{first:?}"), warnings), (format!("{second:?}"), again));
        }
        (Err(first), Err(second)) => {
            assert_eq!(first.to_string(), second.to_string());
            assert!(!first.to_string().contains("-----BEGIN "), "a text of PEM stands in: {first}");
        }
        _ => panic!("the same text was read in two ways"),
    }
}
