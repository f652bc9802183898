//! `Host`: without it nobody knows for whom a request is, and with two of them everybody on the way may think of another.

use http::{HeaderMap, Version, header, uri::Authority};

/// Why nobody knows for whom a request is. It is to be answered with 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// There is none.
    #[error("The header Host is missing")]
    Missing,
    /// There is more than one.
    #[error("The header Host is there more than once")]
    Repeated,
    /// It is no host.
    #[error("The header Host names no host")]
    Invalid,
}

/// Looks whether a request says for whom it is, as RFC 9112 §3.2 demands: HTTP/1.1 in one `Host`, older ones in one or none,
/// and it is a host. HTTP/2 has `:authority`, which its library looks at.
///
/// # Errors
/// [`HostError`]
pub fn check_host(version: Version, headers: &HeaderMap) -> Result<(), HostError> {
    if version > Version::HTTP_11 {
        return Ok(());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(HostError::Missing),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(HostError::Invalid),
        (Some(_), Some(_)) => Err(HostError::Repeated),
    }
}

/// It is empty where what is asked for has no host. With a comma it is what somebody on the way made of two.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || !value.iter().any(|byte| b"@,".contains(byte)) && Authority::try_from(value).is_ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_host_it_is() {
        for (version, hosts, expected) in [
            (Version::HTTP_11, &["a.example"][..], Ok(())),
            (Version::HTTP_11, &["a.example:8443"], Ok(())),
            (Version::HTTP_11, &["brig_internal:8080"], Ok(())),
            (Version::HTTP_11, &["192.0.2.1:80"], Ok(())),
            (Version::HTTP_11, &["[2001:db8::1]:80"], Ok(())),
            (Version::HTTP_11, &[""], Ok(())),
            (Version::HTTP_11, &[], Err(HostError::Missing)),
            (Version::HTTP_11, &["a.example", "a.example"], Err(HostError::Repeated)),
            (Version::HTTP_11, &["a.example", "b.example"], Err(HostError::Repeated)),
            (Version::HTTP_11, &["a.example, b.example"], Err(HostError::Invalid)),
            (Version::HTTP_11, &["a.example,b.example"], Err(HostError::Invalid)),
            (Version::HTTP_11, &["a.example/path"], Err(HostError::Invalid)),
            (Version::HTTP_11, &["user@a.example"], Err(HostError::Invalid)),
            (Version::HTTP_11, &["a example"], Err(HostError::Invalid)),
            (Version::HTTP_11, &["\u{fc}.example"], Err(HostError::Invalid)),
            (Version::HTTP_10, &[], Ok(())),
            (Version::HTTP_10, &["a.example"], Ok(())),
            (Version::HTTP_10, &["a.example", "b.example"], Err(HostError::Repeated)),
            (Version::HTTP_2, &[], Ok(())),
            (Version::HTTP_2, &["a.example"], Ok(())),
        ] {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, HeaderValue::from_bytes(host.as_bytes()).unwrap());
            }
            assert_eq!(check_host(version, &headers), expected, "{version:?} {hosts:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_is_a_host_or_none(bytes in prop::collection::vec(0x20u8..=0xff, 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let checked = check_host(Version::HTTP_11, &HeaderMap::from_iter([(header::HOST, value)]));
                prop_assert!(checked.is_err() || !bytes.iter().any(|byte| b"@/?#, ".contains(byte)));
            }
        }
    }
}
