//! A host and a port.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use types::written;

/// Where somebody is called over TCP: `brig:8080`, `192.0.2.1:8080` or `[2001:db8::1]:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The text is no host with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no host with a port, such as `brig:8080`, `192.0.2.1:8080` or `[2001:db8::1]:8080`")]
pub struct HostPortError;

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<Self, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError)?;
        let port = port.bytes().all(|b| b.is_ascii_digit()).then(|| port.parse().ok()).flatten();
        let port = port.filter(|port| *port != 0).ok_or(HostPortError)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().map(|v6| v6.to_string()).map_err(|_| HostPortError)?,
            None if is_name(host) => host.to_owned(),
            None => return Err(HostPortError),
        };
        Ok(Self { host, port })
    }
}

/// Of a name or an IPv4 address. Names within a cluster have characters that domains do not.
fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(plain)
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        written::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for HostPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        written::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports() {
        for (text, expected) in [
            ("brig:8080", Some(("brig", 8080))),
            ("brig.wire_1.svc.cluster.local:1", Some(("brig.wire_1.svc.cluster.local", 1))),
            ("192.0.2.1:80", Some(("192.0.2.1", 80))),
            ("[2001:DB8::1]:80", Some(("2001:db8::1", 80))),
            ("2001:db8::1:80", None),
            ("brig", None),
            (":80", None),
            ("brig:", None),
            ("brig:+80", None),
            ("brig:70000", None),
            ("brig:0", None),
            ("http://brig:80", None),
            ("brig/:80", None),
            ("[brig]:80", None),
            ("a b:80", None),
        ] {
            let found = text.parse::<HostPort>().ok();
            assert_eq!(found.as_ref().map(|h| (h.host.as_str(), h.port)), expected, "{text}");
            if let Some(found) = found {
                assert_eq!(found.to_string().parse(), Ok(found), "{text}");
            }
        }
    }
}
